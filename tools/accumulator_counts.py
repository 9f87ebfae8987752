"""Where the simulator tests which accumulator it has before it: counted in the syntax tree, listed by file.

    python -m tools.accumulator_counts           a line a file and the total
    python -m tools.accumulator_counts --list    every test with its line

A test is an `isinstance` with a class of accumulators or of product rules, a comparison (`==`, `in`, `is`) or a
`match` case with one of their names, an `is None` test of what only one kind has, or a use of a property that
says the kind. Whichever type carries the kind is counted, so that renaming it changes nothing.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SIMULATOR: Final = Path(__file__).resolve().parents[1] / "simulator"

KIND_NAMES: Final = frozenset(
    {"fixed", "float", "wrap", "saturate", "sticky", "exact", "log", "fused", "truncated"}
)
"""Words that name a kind of accumulator, what it does past its ends, or the product rule that goes with it."""

KIND_CARRIERS: Final = frozenset(
    {"accumulator", "overflow", "product", "kind", "output", "summation", "on_overflow"}
)
"""Names whose value, compared with such a word, is the kind."""

KIND_PROPERTIES: Final = frozenset({"is_fixed", "is_float", "watches_overflow"})
"""Properties that only say the kind."""

_CLASS_ENDINGS: Final = ("Accumulator", "AccumulatorConfig", "Products", "Accumulation")


@dataclass(frozen=True, slots=True)
class KindTest:
    """One test on the kind of accumulator."""

    path: Path
    line: int
    text: str


def kind_tests(root: Path = SIMULATOR) -> list[KindTest]:
    """All tests in the modules under `root`, by path and line."""
    found = []
    for path in sorted(root.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        for node in _tests_in(ast.parse(source)):
            text = ast.get_source_segment(source, node) or ""
            found.append(KindTest(path.relative_to(root), node.lineno, " ".join(text.split())))
    return sorted(found, key=lambda test: (str(test.path), test.line))


def count_in(source: str) -> int:
    """How many tests a module's source has."""
    return sum(1 for _ in _tests_in(ast.parse(source)))


def _tests_in(tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if _is_class_test(node):
                yield node
        elif isinstance(node, ast.Compare):
            if _compares_kinds(node):
                yield node
        elif isinstance(node, ast.Attribute):
            if node.attr in KIND_PROPERTIES and isinstance(node.ctx, ast.Load):
                yield node
        elif isinstance(node, ast.Match):
            yield from (node.subject for case in node.cases if _matches_kind(node.subject, case.pattern))


def _is_class_test(call: ast.Call) -> bool:
    named = isinstance(call.func, ast.Name) and call.func.id in ("isinstance", "issubclass")
    return named and len(call.args) == 2 and any(map(_is_kind_class, ast.walk(call.args[1])))


def _is_kind_class(node: ast.AST) -> bool:
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return name.endswith(_CLASS_ENDINGS)


def _compares_kinds(compare: ast.Compare) -> bool:
    sides = [compare.left, *compare.comparators]
    if any(_is_type_call(side) for side in sides):
        return any(_is_kind_class(node) for side in sides for node in ast.walk(side))
    return any(map(_carries_kind, sides)) and any(
        _names_kind(node) for side in sides for node in ast.walk(side)
    )


def _is_type_call(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "type"


def _carries_kind(node: ast.expr) -> bool:
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return name in KIND_CARRIERS


def _names_kind(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in KIND_NAMES


def _matches_kind(subject: ast.expr, pattern: ast.pattern) -> bool:
    classes = (node.cls for node in ast.walk(pattern) if isinstance(node, ast.MatchClass))
    values = (node.value for node in ast.walk(pattern) if isinstance(node, ast.MatchValue))
    return any(map(_is_kind_class, classes)) or (_carries_kind(subject) and any(map(_names_kind, values)))


def main() -> None:
    tests = kind_tests()
    if "--list" in sys.argv:
        for test in tests:
            print(f"{test.path}:{test.line}: {test.text}")
    files = sorted({test.path for test in tests})
    for path in files:
        print(f"{sum(test.path == path for test in tests):>4}  {path}")
    print(f"{len(tests):>4}  tests of the kind of accumulator in {len(files)} files")


if __name__ == "__main__":
    main()
