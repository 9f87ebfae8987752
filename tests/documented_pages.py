"""The console blocks of README and docs: their commands, the output that they show, what no test runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.command import ROOT

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]

FENCE = re.compile(
    r"(?:^<!-- not run by a test: (?P<reason>[^\n]+) -->\n)?"
    r"^(?P<indent> *)(?P<ticks>```+)(?P<language>[^\n`]*)\n(?P<text>.*?)^ *(?P=ticks)$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Command:
    """One command of a page, as it stands there.

    `line`: without comment and pipe. `piped_to`: what stands behind `|`. `shown`: the output below it; a last
    line `...` says that more follows. `unrun`: why no test runs it.
    """

    line: str
    piped_to: str | None
    shown: tuple[str, ...]
    unrun: str | None


@dataclass(frozen=True)
class Fence:
    """A block of a page: its language, its text, and why no test runs it, if none does."""

    language: str
    text: str
    unrun: str | None


def fences(page: Path) -> list[Fence]:
    """Every fenced block of a page."""
    found = FENCE.finditer(page.read_text(encoding="utf-8"))
    return [Fence(match["language"], match["text"], match["reason"]) for match in found]


def commands(page: Path) -> list[Command]:
    """Every command of a page's console blocks, in order."""
    return [command for fence in fences(page) if fence.language == "console" for command in _commands(fence)]


def _commands(fence: Fence) -> Iterator[Command]:
    head, *parts = re.split(r"^\$ ", fence.text, flags=re.MULTILINE)
    assert head == "", f"a console block starts with a command: {head}"
    for part in parts:
        line, *shown = part.replace("\\\n", " ").splitlines()
        written, _, piped_to = line.split("  #")[0].partition(" | ")
        yield Command(written.strip(), piped_to.strip() or None, tuple(shown), fence.unrun)
