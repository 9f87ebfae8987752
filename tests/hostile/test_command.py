"""However the command ends, it ends in one line and a known exit code: no traceback, nothing lost unsaid."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simulator.cli.exit_codes import EXIT_DEFECT, EXIT_INTERRUPTED
from tests.command import ROOT, run, run_process

NETWORK = """
name: two
source: written for this test
layers:
  - {name: "=cmd()", conv: {ifmap: 6, channels: 2, filters: 4, kernel: 3}}
  - {name: "[bold]fc[/nothing]", inputs: ["=cmd()"], fc: {k: 64, n: 10}}
"""


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = tmp_path / "two.yaml"
    path.write_text(NETWORK)
    return path


def one_line(text: str) -> str:
    assert text.endswith("\n")
    assert text.count("\n") == 1
    assert text[:-1].isprintable()
    return text


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["simulate"], "Missing argument 'NETWORK'"),
        (["simulate", "resnet50", "--bogus"], "No such option"),
        (["simulate", "resnet50", "--rows", "many"], "Invalid value for '--rows'"),
        (["frobnicate"], "No such command 'frobnicate'"),
        (["simulate", ""], "the argument after simulate: is empty"),
        (["simulate", "resnet50", "--out", ""], "the argument after --out: is empty"),
        (["simulate", "resnet50", "--out="], "--out: is empty"),
        (["simulate", "a\x1b[2J"], r"plain UTF-8 text (got 'a\x1b[2J')"),
        (["simulate", "resnet50", "--set", "x=\udcff"], r"plain UTF-8 text (got 'x=\udcff')"),
        (["simulate", "n" * 5000 + ".yaml"], "File name too long"),
        (["simulate", "resnet50", "--trace", "a.txt"], "--trace: unknown kind of file (got 'a.txt')"),
        (["simulate", "resnet50", "--access-trace", "a.json"], "ends in .csv or .parquet"),
        (["simulate", "resnet50", "--vcd", "a.csv"], "ends in .vcd"),
        (["simulate", "resnet50", "--set", "array.rows=" + "9" * 5000], "more than 300 digits"),
        (["simulate", "resnet50", "--set", "array=" + "[" * 100_000], "nested deeper than 64 levels"),
        (["explain", "/dev/zero"], "no regular file"),
    ],
)
def test_arguments_that_cannot_be_used_are_one_line(
    arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = run(capsys, *arguments).must_refuse(part)
    one_line(outcome.stderr)
    assert len(outcome.stderr) < 1500


def test_a_defect_is_told_in_one_line_with_its_traceback_in_a_file(
    network: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("a\x1b[2Jsecret\nsecond line")

    monkeypatch.setattr("simulator.simulation.run_machine", broken)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    outcome = run(capsys, "simulate", network)
    assert outcome.exit_code == EXIT_DEFECT == 70
    line = one_line(outcome.stderr)
    assert "KeyError" in line
    assert "SECURITY.md" in line
    found = re.search(r"the traceback in (\S+)", line)
    assert found is not None
    text = Path(found[1]).read_text()
    assert "Traceback (most recent call last)" in text
    assert "in broken" in text
    assert str(network) in text
    assert stat_mode(Path(found[1])) == 0o600


def stat_mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_too_little_memory_is_one_line(
    network: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def hungry(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("simulator.simulation.run_machine", hungry)
    one_line(run(capsys, "simulate", network).must_refuse("needs more memory than there is").stderr)


def test_an_interruption_is_one_line_and_exit_130(
    network: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("simulator.simulation.run_machine", interrupted)
    outcome = run(capsys, "simulate", network, "--out", network.parent / "out")
    assert outcome.exit_code == EXIT_INTERRUPTED == 130
    assert outcome.stderr == "systolic: interrupted\n"
    assert not (network.parent / "out").exists()


def command(*arguments: str | Path, unbuffered: bool = False) -> list[str]:
    return [sys.executable, *(["-u"] if unbuffered else []), "-m", "simulator", *map(str, arguments)]


@pytest.mark.parametrize(
    "arguments", [("networks",), ("--help",), ("formats",), ("networks", "show", "alexnet")]
)
def test_a_page_whose_reader_has_seen_enough_ends_quietly(arguments: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        command(*arguments), cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (2, "")


@pytest.mark.parametrize(
    ("name", "size"),
    [("COLUMNS", "9" * 5000), ("LINES", "\N{SUPERSCRIPT TWO}"), ("TERMINAL_WIDTH", "wide")],
)
def test_a_terminal_of_no_size_is_as_one_that_names_none(name: str, size: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    pages = [
        subprocess.run(
            command("macs", "--help"), cwd=ROOT, env=each, capture_output=True, text=True, check=False
        )
        for each in (environment, environment | {name: size})
    ]
    assert [page.returncode for page in pages] == [0, 0]
    assert pages[0].stdout == pages[1].stdout
    assert pages[1].stderr == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [("SOURCE_DATE_EPOCH", "yesterday"), ("SOURCE_DATE_EPOCH", "9" * 20), ("MPLBACKEND", "none")],
)
def test_charts_are_drawn_whatever_the_environment_says(
    name: str, value: str, network: Path, tmp_path: Path
) -> None:
    run_process("simulate", network, "--out", tmp_path / "r", "--quiet")
    report = ("report", tmp_path / "r", "-o", tmp_path / "r.html", "--plots", tmp_path / "plots")
    done = subprocess.run(
        command(*report, "--figure", "roofline", "--format", "svg", "--quiet"),
        cwd=ROOT,
        env=os.environ | {name: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_current_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    done = subprocess.run(
        ["/bin/sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh", *command("rtl", "emit", "int8", "-o", "x")],
        cwd=tmp_path / "gone",
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, "systolic: the current folder is gone\n")


@pytest.mark.parametrize(("name", "code"), [("two.yaml", 0), ("absent.yaml", 2)])
def test_a_closed_stderr_changes_nothing_but_what_is_said(name: str, code: int, network: Path) -> None:
    arguments = command("simulate", network.parent / name, "--json")
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" 2>&-', "sh", *arguments], cwd=ROOT, stdout=subprocess.PIPE, check=False
    )
    assert done.returncode == code
    if code == 0:
        assert json.loads(done.stdout)["network"]["name"] == "two"


@pytest.mark.parametrize("unbuffered", [False, True])
def test_a_full_or_closed_output_is_reported(unbuffered: bool, network: Path, tmp_path: Path) -> None:
    arguments = command("simulate", network, "--json", unbuffered=unbuffered)
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            arguments, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (
        2,
        "systolic: standard output cannot be written: No space left on device\n",
    )
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(arguments, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (2, "systolic: standard output cannot be written: Broken pipe\n")
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *arguments],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (
        2,
        "systolic: standard output cannot be written: it is closed\n",
    )


def test_unbuffered_output_through_a_slow_pipe_is_whole(network: Path) -> None:
    """A pipe holds 65,536 bytes: a writer that takes a short write for a whole one loses the rest."""
    with subprocess.Popen(
        command("simulate", network, "--json", "--set", "array.rows=4", unbuffered=True),
        cwd=ROOT,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), True)
        time.sleep(0.2)
        text = process.stdout.read()
    assert process.returncode == 0
    assert len(json.loads(text)["layers"]) == 2


def test_markup_in_names_is_shown_as_it_stands(network: Path, tmp_path: Path) -> None:
    done = run_process("simulate", network, "--layers", "--out", tmp_path / "out").must_succeed()
    assert "[bold]fc[/nothing]" in done.stdout
    cells = [line.split(",")[0] for line in (tmp_path / "out" / "layers.csv").read_text().splitlines()]
    assert cells == ["name", "'=cmd()", "[bold]fc[/nothing]"]
    again = run_process("simulate", network, "--out", tmp_path / "out").must_succeed()
    assert one_line(again.stderr).startswith("systolic: overwrote ")
    assert "layers.csv" in again.stderr
    assert "result.json" in again.stderr
    assert run_process("simulate", network, "-q", "--out", tmp_path / "out").must_succeed().stderr == ""
    compared = run_process("compare", network, "--mac", "int8").must_succeed()
    assert "two" in compared.stdout


@pytest.mark.slow
@pytest.mark.parametrize("delay_s", [0.3, 0.8, 1.5, 2.5, 4.0])
def test_an_interruption_at_any_moment_is_one_line(delay_s: float, network: Path, tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(f"networks: [{network}]\ngrid: {{array.rows: {list(range(4, 404))}}}\n")
    process = subprocess.Popen(
        command("sweep", spec, "--jobs", "2", "-q"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    time.sleep(delay_s)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
    out, error = process.communicate(timeout=30)
    assert out == ""
    if delay_s > 0.5:  # before, Python itself may not have come to the command
        assert process.returncode == 130
        assert error == "systolic: interrupted\n"
