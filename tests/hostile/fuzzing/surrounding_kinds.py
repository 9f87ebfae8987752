"""Cases of what surrounds an input: variables of the environment, text in every cell of what is written, and the
estimate of long work."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import random
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from unittest import mock

from rich.console import Console

from simulator.cli import exit_code
from simulator.cli.progress import Estimate, LaterMemory
from simulator.foundation import UserError
from simulator.report.console import render_result
from simulator.report.html import render_html
from simulator.report.tabular import layers_csv
from simulator.simulation import configure, simulate
from simulator.workload import load_network
from tests.hostile.fuzzing.samples import Samples, network_file

_WORDS: Final = (
    *("<b>", "</b>", "<script>alert(1)</script>", "<!--", "-->", "]]>", "&lt;", "&amp;amp;", '"', "'", "<img src=x onerror=a>"),
    *("</style>", "</title>", "</svg>", "[bold]", "[/bold]", "[link=x]", "[", "]", ":smile:", "{{ x }}", "{% x %}", "${x}"),
    *("=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0", ",", ";", "|", "%s", "%(x)s", "{0}", "\\", "\\n", "`", "$(x)"),
    *("\x1b[2J", "\x1b]0;x\x07", "\r", "\n", "\t", "\x00", "\x7f", "\x85", "\u2028", "\u202e", "\ufeff", "\ud800", "é", "字", "👩‍👩‍👧"),
    *("conv1", "total", "name", " ", "", "a" * 200, "0", "nan", "None", "../x", "/etc/passwd"),
)  # fmt: skip
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


class _Elements(HTMLParser):
    """How often each element begins, and what is said of events."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: dict[str, int] = {}
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.begun[tag] = self.begun.get(tag, 0) + 1
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def _elements(page: str) -> _Elements:
    found = _Elements()
    found.feed(page)
    return found


def _text_in_cells(draw: random.Random, _: Samples, folder: Path) -> None:
    """Names and sources of markup, formulas and control characters: they are text wherever they are shown."""

    def text() -> str:
        return "".join(draw.choice(_WORDS) for _ in range(draw.choice((1, 1, 2, 3))))

    def written(name: str, source: str, layer: str) -> Path:
        path = folder / "n.yaml"
        layers = [{"name": layer, "fc": {"k": 8, "n": 4}}]
        path.write_text(json.dumps({"name": name, "source": source, "layers": layers}), encoding="utf-8")
        return path

    arch = configure("int8_32x32", {"array.rows": 4, "array.columns": 4})
    layer = text()
    result = simulate(load_network(written(text(), text(), layer)), arch)
    rows = list(csv.reader(io.StringIO(layers_csv(result), newline="")))
    assert len(rows) == 2
    assert all(_is_number(cell) or not cell.startswith(_FORMULA) for row in rows for cell in row), rows
    shown = layer.replace("\r\n", "\n").replace("\r", "\n")
    assert rows[1][0] == (f"'{shown}" if shown.startswith(_FORMULA) else shown), rows[1][0]
    page = io.StringIO()
    render_result(result, Console(file=page, width=draw.choice((40, 80, 200))), full=True)
    odd = {letter for letter in page.getvalue() if ord(letter) < 32 or 127 <= ord(letter) < 160} - {"\n"}
    assert not odd, f"control characters on a page: {odd}"
    if draw.random() < 0.1:
        plain = simulate(load_network(written("n", "s", "l")), arch)
        one, two = (_elements(render_html([each])) for each in (result, plain))
        assert one.begun == two.begun, "text has become elements of a page"
        assert one.handlers == two.handlers


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


_VARIABLES: Final = (
    *("COLUMNS", "LINES", "TERMINAL_WIDTH", "TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"),
    *(
        "SOURCE_DATE_EPOCH",
        "MPLBACKEND",
        "MATPLOTLIBRC",
        "MPLCONFIGDIR",
        "HOME",
        "TMPDIR",
        "XDG_CACHE_HOME",
        "USER",
    ),
    *("NUMBA_NUM_THREADS", "NUMBA_DISABLE_JIT", "NUMBA_CPU_FEATURES", "NUMBA_CACHE_DIR", "NUMBA_OPT", "PATH"),
    *(
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "PYTHONIOENCODING",
        "PYTHONWARNINGS",
        "SHELL",
        "EDITOR",
        "_SYSTOLIC_COMPLETE",
    ),
)
_SET_TO: Final = (
    *(
        "",
        " ",
        "0",
        "1",
        "-1",
        "2",
        "3",
        "80",
        "40",
        "999999",
        "9" * 20,
        "9" * 5000,
        "1e3",
        "nan",
        "yes",
        "x",
        "²",
    ),
    *(
        "\udcff",
        "\n",
        "a\x1b[2Jb",
        "/proc/absent",
        "/dev/null",
        ".",
        "~",
        "=",
        "dumb",
        "C",
        "xx",
        "ascii:strict",
    ),
    *("+avx", "avx", "max", "off", "module://x", "é"),
)
_ASKED: Final = (
    ("networks",), ("macs", "show", "int8"), ("formats", "show", "e4m3"), ("macs",),
    ("simulate", "n.yaml", "-q", "--out", "out"), ("explain", "r.json"), ("--version",), ("tables", "list"),
)  # fmt: skip


def _environment(draw: random.Random, made: Samples, folder: Path) -> None:
    """Odd variables: a command refuses them in a line that names one, or does what it always does."""
    network_file(folder)
    (folder / "r.json").write_text(json.dumps(made.result))
    odd = {draw.choice(_VARIABLES): draw.choice(_SET_TO) for _ in range(draw.choice((1, 1, 2, 4)))}
    arguments = draw.choice(_ASKED)
    out, error = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, odd),
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(error),
    ):
        code = exit_code(list(arguments))
    told = error.getvalue()
    assert code in (0, 2), f"exit {code} of {arguments} with {odd}: {told[:300]}"
    if code == 2:
        assert any(told.startswith(f"systolic: {name}: ") for name in odd), (
            f"{arguments} with {odd}: {told!r}"
        )
        raise UserError(told.removeprefix("systolic: ").removesuffix("\n"))
    assert told == "", f"{arguments} with {odd}: {told!r}"
    assert (folder / "out").is_dir() if "out" in arguments else out.getvalue()


def _estimate(draw: random.Random, _: Samples, __: Path) -> None:
    """Any course of work: at most one line, of plain numbers, and none where less than a minute is left."""
    now_s, done, peak = draw.uniform(0, 1e6), draw.choice((0, 0, 5)), draw.choice((None, 0, 10**8))
    total = draw.choice((1, 2, 10, 1000, 10**6, 10**12))
    later = LaterMemory(draw.choice((0, 1024, 10**9)), draw.choice((0, 1, 10**6)), draw.choice((0, 10**9)))
    told: list[str] = []
    estimate = Estimate(lambda: now_s, lambda: peak, told.append, later=later)
    for _step in range(draw.randrange(30)):
        estimate(draw.choice(("a", "a", "a", "b")), done, total)
        now_s += draw.choice((0, 1e-9, 0.1, 1, 5, 100, 1e9))
        done = min(total, done + draw.choice((0, 0, 1, 1, 7, 10**6)))
        peak = draw.choice((peak, None, 10**8, 2**40)) if draw.random() < 0.2 else peak
    assert len(told) <= 1, told
    for line in told:
        assert line.isprintable(), line
        assert "nan" not in line, line
        assert "inf" not in line, line
        assert "-" not in line, line


SURROUNDING_KINDS: Final[Mapping[str, Callable[[random.Random, Samples, Path], None]]] = {
    "text in cells": _text_in_cells,
    "environment": _environment,
    "estimate": _estimate,
}
