"""Rules for the simulator's own code that no linter checks: assertions, errors, untyped values."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent

import pytest

CODE = Path(__file__).resolve().parents[2] / "simulator"
ERRORS = {"UserError", "DefectError"}
SIGNALS = {"UnsupportedError", "UnknownShapeError", "ContradictingSizesError"}
"""Raised and caught inside `simulator/workload/onnx/`; what leaves it is a `UserError`."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(CODE.rglob("*.py")):
        yield str(path.relative_to(CODE.parent)), ast.parse(path.read_text(encoding="utf-8"))


def narrows(test: ast.expr) -> bool:
    """Whether an assertion only tells the type checker what the code itself guarantees."""
    if isinstance(test, ast.Compare):
        (right,) = test.comparators[-1:]
        return isinstance(test.ops[-1], ast.IsNot) and isinstance(right, ast.Constant) and right.value is None
    return isinstance(test, ast.Call) and isinstance(test.func, ast.Name) and test.func.id == "isinstance"


def assertions_of_values(tree: ast.Module) -> list[int]:
    """Lines of assertions in functions; those of a module itself see nothing that a user gives."""
    own = set(tree.body)
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Assert) and node not in own]
    return [node.lineno for node in found if not narrows(node.test)]


def test_no_assertion_checks_a_value() -> None:
    """What a user gives raises UserError, what the simulator finds wrong with itself DefectError."""
    found = {name: lines for name, tree in modules() if (lines := assertions_of_values(tree))}
    assert found == {}


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("assert x > 0", [1]),
        ("y = 1\nassert len(rows) == columns, rows", [2]),
        ("assert x is None", [1]),
        ("assert x is not None", []),
        ("assert isinstance(x, int)", []),
        ("assert callable(x)", [1]),
    ],
)
def test_what_an_assertion_may_say(code: str, lines: list[int]) -> None:
    function = "def f(x, y=1):\n" + indent(code, "    ")
    assert assertions_of_values(ast.parse(function)) == [line + 1 for line in lines]


def raised(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc is not None:
            error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if isinstance(error, ast.Name):
                yield node.lineno, error.id


def test_assertion_errors_are_not_raised() -> None:
    bare = {"AssertionError", "Exception", "RuntimeError", "NotImplementedError"}
    found = [(name, line, error) for name, tree in modules() for line, error in raised(tree) if error in bare]
    assert found == []


def test_public_errors_are_of_the_user_or_defects() -> None:
    """Private ones are caught where they are made."""
    bases: dict[str, list[str]] = {}
    for _, tree in modules():
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.ClassDef)
                and node.name.endswith("Error")
                and not node.name.startswith("_")
            ):
                bases[node.name] = [base.id for base in node.bases if isinstance(base, ast.Name)]
    assert set(bases) >= ERRORS
    assert {"GridMismatchError", "MismatchError", "BeyondRangeError"} <= set(bases)

    assert set(bases) >= SIGNALS

    def belongs(name: str) -> bool:
        return name in ERRORS | SIGNALS or any(belongs(base) for base in bases.get(name, ()))

    assert [name for name in bases if not belongs(name)] == []
