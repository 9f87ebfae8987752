"""Every Python block that the README and the docs show is run, as written, beside the files they name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from sybil import Document
from sybil.example import Example
from sybil.parsers.markdown import PythonCodeBlockParser

from simulator.sweep.main_module import script_stays_here
from tests.command import ROOT, run

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path) -> list[Example]:
    """The Python blocks of a page."""
    return list(Document.parse(str(page), PythonCodeBlockParser()).examples())


def is_file(block: Example) -> bool:
    """Whether a block is a file of a package: its first line is a comment with the name."""
    return re.match(r"# \S+/\S+\.py\n", str(block.parsed)) is not None


def examples(page: Path) -> list[Example]:
    """The Python blocks of a page that you run; they share their names, as in a notebook."""
    return [block for block in blocks(page) if not is_file(block)]


NEEDS = {"gpu.md": "cupy", "pytorch.md": "torch"}
"""Pages whose blocks need an extra; they are skipped without it."""

WITH_PYTHON = [page for page in PAGES if examples(page)]


def test_every_fence_that_says_python_is_found() -> None:
    fence = re.compile(r"^ *```+ *(?:python|py)\b", re.MULTILINE)
    for page in PAGES:
        assert len(blocks(page)) == len(fence.findall(page.read_text(encoding="utf-8"))), page
    assert {"README.md", "formats.md", "macs.md", "reports.md"} <= {page.name for page in WITH_PYTHON}


def test_no_code_hides_from_the_tests_in_an_indented_block() -> None:
    for page in PAGES:
        text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        assert re.findall(r"^ {4}(?:from \S+ import|import \S+$).*", text, re.MULTILINE) == [], page


def test_files_of_a_package_are_shown_where_another_test_builds_the_package() -> None:
    """`tests/whole/test_plugins.py` installs it."""
    assert {page.name for page in PAGES if any(map(is_file, blocks(page)))} == {"extending.md"}


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_the_blocks_of_a_page_run_one_after_the_other(
    page: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if page.name in NEEDS:
        pytest.importorskip(NEEDS[page.name], reason=f"{page.name} needs {NEEDS[page.name]}")
    monkeypatch.chdir(tmp_path)
    run(capsys, "simulate", "alexnet", "--out", "results/int8").must_succeed()  # docs/reports.md reads it
    for example in examples(page):
        example.evaluate()
    plt.close("all")


def test_a_block_that_fails_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nvalue = 3\n```\n\n```python\nassert value == 4\n```\n")
    first, second = examples(page)
    first.evaluate()
    with pytest.raises(AssertionError):
        second.evaluate()


@pytest.mark.slow
def test_the_example_of_the_readme_runs_as_a_script(tmp_path: Path) -> None:
    """`python example.py`: the processes that it starts must not start it again."""
    (example,) = examples(ROOT / "README.md")
    script = tmp_path / "example.py"
    script.write_text(example.parsed, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    first, header, *rows = done.stdout.splitlines()
    latency_ms, energy_pj, tops_per_w = (float(number) for number in first.split())
    assert min(latency_ms, energy_pj, tops_per_w) > 0
    assert "energy" in header or "..." in header
    assert [row.split()[0] for row in rows if row[:1].isdigit()] == ["0", "1"]


FORMS: dict[str, Callable[[Path], list[str]]] = {
    "a file": lambda script: [str(script)],
    "a module": lambda script: ["-m", script.stem],
    "standard input": lambda script: ["-"],
}


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_a_script_without_a_guard_runs_once_and_has_the_results_of_one_process(
    form: str, tmp_path: Path
) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text(
        "from simulator.api import compare\n"
        "print('started')\n"
        "for jobs in (2, 1):\n"
        "    runs = compare('lenet5_fashion', macs=['int8', 'elma8'], jobs=jobs)\n"
        "    print([each.totals.energy_fj for each in runs])\n"
        "print(__file__ if '__file__' in globals() else '<stdin>')\n"
    )
    done = subprocess.run(
        [sys.executable, *FORMS[form](script)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(tmp_path)))},
        input=script.read_text(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    started, several, one, where = done.stdout.splitlines()
    assert started == "started"
    assert several == one
    assert where == ("<stdin>" if form == "standard input" else str(script))


def test_the_main_module_is_as_before_when_processes_have_started() -> None:
    main = sys.modules["__main__"]
    before = main.__spec__, getattr(main, "__file__", "none")
    with suppress(KeyError), script_stays_here():
        assert (main.__spec__, main.__file__) == (None, None)
        raise KeyError
    assert (main.__spec__, getattr(main, "__file__", "none")) == before
