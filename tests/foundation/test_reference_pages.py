"""Is the generated reference complete, and does it say so where something has no meaning?"""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

from simulator import api
from tests.command import ROOT
from tools import python_page
from tools.command_page import command_page


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_every_public_name_method_and_argument_of_python_is_explained() -> None:
    assert python_page.undocumented() == []


def test_every_public_name_of_the_interfaces_has_a_heading() -> None:
    text = page("python_api.md")
    for name in [
        *api.__all__,
        *python_page.public_names("simulator.pytorch"),
        "ResultView",
        "ComparisonView",
    ]:
        assert f"\n### `{name}`\n" in text, name


def test_the_names_are_those_that_python_exports() -> None:
    assert python_page.public_names("simulator.api") == api.__all__
    pytorch = importlib.import_module("simulator.pytorch")
    assert python_page.public_names("simulator.pytorch") == pytorch.__all__


def test_signatures_are_those_of_the_functions() -> None:
    text = page("python_api.md")
    assert "    compare(\n        network: str | Path,\n        *,\n" in text
    assert "| `jobs` | `int \\| None` | `None` |" in text


CASES = {
    "def f(a, *, b=1):\n    '''One.\\n\\n    Args:\\n        a: first.\\n    '''": ["f(b)"],
    "def f(a):\n    '''One.\\n\\n    Args:\\n        a: first\\n            and more.\\n    '''": [],
    "def f(): pass": ["f"],
    "class f:\n    '''One.'''\n    x: int\n    def g(self): pass\n    def _h(self, y): pass": ["f.x", "f.g"],
    "class f:\n    '''One.\\n\\n    Attributes:\\n        x: a number.\\n    '''\n    x: int": [],
    "f = 3": ["f"],
    "f = 3\n'''Three.'''": [],
}


@pytest.mark.parametrize("source", CASES)
def test_what_has_no_meaning_is_named(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = ast.parse(f"__all__ = ['f']\n{source}")
    monkeypatch.setattr(python_page, "_tree", lambda _module: tree)
    monkeypatch.setattr(python_page, "MODULES", ("any",))
    monkeypatch.setattr(python_page, "RESULTS", ())
    assert python_page.undocumented() == CASES[source]


def test_sections_of_a_docstring_are_told_apart() -> None:
    found = python_page.parse_docstring(
        "One.\n\nTwo: three.\n\nArgs:\n    a: first\n        goes on.\n    b: second.\n\n"
        "Raises:\n    UserError: never."
    )
    assert found.prose == "One.\n\nTwo: three."
    assert found.entries == {
        "Args": {"a": "first goes on.", "b": "second."},
        "Raises": {"UserError": "never."},
    }


def test_every_command_and_option_of_the_help_is_on_the_page() -> None:
    """Options are counted in the source of the commands, not by what builds the page."""
    text = page("command_line.md")
    assert text == command_page()
    source = "".join(path.read_text("utf-8") for path in (Path(ROOT) / "simulator" / "cli").glob("*.py"))
    options = set(re.findall(r'typer\.Option\([^()]*?"(--[a-z][a-z-]+)"', source)) - {"--version"}
    assert len(options) > 30
    assert {each for each in options if f"`{each}`" not in text} == set()
    for command in ("simulate", "compare", "infer", "tables check", "formats show", "networks"):
        assert f"\n## `systolic {command}`\n" in text
    assert all(row.split(" | ")[-1].strip(" |") for row in re.findall(r"^\| `--.*$", text, re.MULTILINE))
