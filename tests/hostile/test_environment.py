"""Settings of libraries, in the environment or a file of the current folder, change no figure and end in no
traceback: what cannot be used is named in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.command import ROOT, Outcome, run, run_process

FEW = ("infer", "lenet5_fashion", "--images", "2", "--quiet")


def run_in(folder: Path, *arguments: str | Path, variables: Mapping[str, str] | None = None) -> Outcome:
    """Run the command in a folder, with variables of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "simulator", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(variables or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("result") / "r"
    run_process("simulate", "lenet5_fashion", "--out", folder, "--quiet").must_succeed()
    return folder


def chart(folder: Path, result: Path, **variables: str) -> Outcome:
    """Draw a chart into `folder`."""
    arguments = ("report", result, "-o", "r.html", "--plots", "plots", "--figure", "roofline", "--quiet")
    return run_in(folder, *arguments, "--format", "svg", variables=variables)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"\xff\xfe", "systolic: matplotlibrc: line 1: is not UTF-8 text\n"),
        (b"font.size: 9\naxes.grid: \xff", "systolic: matplotlibrc: line 2: is not UTF-8 text\n"),
        (None, "systolic: matplotlibrc: cannot be read: it is no regular file\n"),
    ],
)
def test_settings_of_charts_that_cannot_be_read_are_named(
    content: bytes | None, part: str, tmp_path: Path, result: Path
) -> None:
    if content is None:
        os.mkfifo(tmp_path / "matplotlibrc")
    else:
        (tmp_path / "matplotlibrc").write_bytes(content)
    assert chart(tmp_path, result).must_refuse().stderr == part
    assert [path.name for path in tmp_path.iterdir()] == ["matplotlibrc"]  # nothing half written


def test_settings_of_charts_change_no_chart(tmp_path: Path, result: Path) -> None:
    charts = []
    for name, text, variables in (
        ("none", None, {}),
        (
            "odd",
            "axes.facecolor: nonsense\nnokey: 1\nno colon\nbackend: none\naxes.prop_cycle: cycler(1)",
            {},
        ),
        ("tex", "text.usetex: True\nfont.size: 40\naxes.facecolor: black\ninteractive: True", {}),
        ("away", None, {"MPLCONFIGDIR": "/proc/absent"}),
        ("homeless", None, {"HOME": "/proc/absent", "XDG_CACHE_HOME": "/proc/absent"}),
    ):
        folder = tmp_path / name
        folder.mkdir()
        if text is not None:
            (folder / "matplotlibrc").write_text(text)
        assert chart(folder, result, **variables).must_succeed().stderr == ""
        charts.append((folder / "plots" / "roofline.svg").read_bytes())
    assert charts == charts[:1] * 5
    assert b"</svg>" in charts[0]


def test_a_letter_that_the_font_of_charts_lacks_is_no_line_on_stderr(tmp_path: Path) -> None:
    (tmp_path / "n.yaml").write_text(
        "{name: n, source: written for this test, layers: [{name: \u5b57, fc: {k: 64, n: 10}}]}", "utf-8"
    )
    run_in(tmp_path, "simulate", "n.yaml", "--out", "r", "--quiet").must_succeed()
    assert chart(tmp_path, tmp_path / "r").must_succeed().stderr == ""
    assert "\u5b57" in (tmp_path / "plots" / "roofline.svg").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("NUMBA_DISABLE_JIT", "1", "kernels must be compiled (got '1')"),
        ("NUMBA_DISABLE_JIT", "x", "kernels must be compiled (got 'x')"),
        ("NUMBA_NUM_THREADS", "0", "no number of threads (got '0'); allowed: 1 or more"),
        ("NUMBA_NUM_THREADS", "-3", "no number of threads (got '-3')"),
        ("NUMBA_NUM_THREADS", "\N{SUPERSCRIPT TWO}", "no number of threads"),
        ("NUMBA_NUM_THREADS", "9" * 5000, "no number of threads"),
        ("NUMBA_CPU_FEATURES", "avx", "names that begin with + or -"),
    ],
)
def test_a_variable_of_the_compiler_that_cannot_be_used_is_named(
    name: str, value: str, part: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    stderr = run(capsys, "networks").must_refuse(f"systolic: {name}: ", part).stderr
    assert stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("NUMBA_OPT", "9", "cannot be used by numba (got '9')"),
        ("NUMBA_BOUNDSCHECK", "yes", "cannot be used by numba (got 'yes')"),
        ("NUMBA_CACHE_LOCATOR_CLASSES", "Nope", "names no cache of numba (got 'Nope')"),
    ],
)
def test_a_variable_that_the_compiler_refuses_is_named(
    name: str, value: str, part: str, tmp_path: Path
) -> None:
    stderr = run_in(tmp_path, *FEW, variables={name: value}).must_refuse(f"systolic: {name}: ", part).stderr
    assert stderr.count("\n") == 1


def test_variables_of_the_compiler_that_can_be_used_are(tmp_path: Path) -> None:
    variables = {"NUMBA_NUM_THREADS": "1", "NUMBA_CACHE_DIR": "/proc/absent", "NUMBA_OPT": "3"}
    assert run_in(tmp_path, "networks", variables=variables).must_succeed().stderr == ""


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a: [", "line 2: is not valid YAML"),
        ("- 1", "must be settings of numba by name"),
        ("1: 2", "must be settings of numba by name"),
        ("disable_jit: 1", "disable_jit: kernels must be compiled (got '1')"),
        ("num_threads: 0", "num_threads: no number of threads (got '0')"),
    ],
)
def test_a_file_of_the_compiler_that_cannot_be_used_is_named(
    text: str,
    part: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / ".numba_config.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    run(capsys, "networks").must_refuse("systolic: .numba_config.yaml: ", part)


@pytest.mark.parametrize(
    ("variables", "part"),
    [
        ({"_SYSTOLIC_COMPLETE": "x"}, "is no request of a shell for completion (got 'x')"),
        ({"_SYSTOLIC_COMPLETE": "complete_zzz"}, "is no request of a shell for completion"),
        ({"_SYSTOLIC_COMPLETE": "complete_bash"}, "needs COMP_WORDS"),
        ({"_SYSTOLIC_COMPLETE": "complete_bash", "COMP_WORDS": "systolic"}, "needs COMP_WORDS"),
        (
            {"_SYSTOLIC_COMPLETE": "complete_bash", "COMP_WORDS": "systolic", "COMP_CWORD": "x"},
            "needs COMP_WORDS, and COMP_CWORD for the number of a word, beside complete_bash (got 'x')",
        ),
    ],
)
def test_a_completion_that_no_shell_asks_for_is_named(
    variables: dict[str, str],
    part: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    stderr = run(capsys, "networks").must_refuse("systolic: _SYSTOLIC_COMPLETE: ", part).stderr
    assert stderr.count("\n") == 1


def test_a_completion_that_a_shell_asks_for_is_given(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (
        ("_SYSTOLIC_COMPLETE", "complete_bash"), ("COMP_WORDS", "systolic simul"), ("COMP_CWORD", "1"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    assert run(capsys).must_succeed().stdout.split() == ["simulate"]
