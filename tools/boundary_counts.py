"""Counts decisions on dataflow and on accumulator kind in the code: how far these two leak out of their objects.

    python -m tools.boundary_counts [--lines] [FOLDER]

A decision is counted whatever carries its subject: the name as a string, an integer code, a class, or a flag
derived from any of them. Kinds of decisions:

- comparison: `==`, `is`, `<` ... with a carrier on either side;
- membership: `in` and `not in`;
- match: a `match` statement on a carrier;
- class: `isinstance`, `issubclass`, `hasattr` and `type(...)` tests on a carrier or for one of its classes;
- flag: a carrier as the condition of `if`, `while`, `assert`, a conditional expression, a comprehension, or as
  an operand of `and`, `or`, `not` there or anywhere.

A variable that is assigned from a carrier, or from a decision on one, carries the subject too, inside its
function. Tests for None ask whether there is a value, not which one, and do not count.

Lookups are listed beside them and are no part of the total: a dictionary, list or tuple that is indexed by a
carrier decides too, but by data.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["comparison", "membership", "match", "class", "flag", "lookup"]

KINDS: tuple[Kind, ...] = ("comparison", "membership", "match", "class", "flag")
"""What the total counts."""

_WRAPPERS = {"bool", "int", "str", "len", "set", "frozenset", "tuple", "list", "type", "any", "all", "sorted"}
_CLASS_TESTS = {"isinstance", "issubclass", "hasattr"}


@dataclass(frozen=True, slots=True)
class Subject:
    """What a decision is about.

    carriers: names of variables, attributes, functions and classes that carry it.
    values: strings that are values of it.
    facts: attributes of a carrier that are numbers or arrays: to compare one asks for a fact, not for the kind.
    """

    name: str
    carriers: re.Pattern[str]
    values: frozenset[str]
    facts: frozenset[str] = frozenset()


SUBJECTS: tuple[Subject, ...] = (
    Subject(
        "dataflow",
        re.compile(
            r"_?(dataflows?|dataflow_of|flows?|DATAFLOWS|OUTPUTS_STAY|WEIGHTS_STAY|INPUTS_STAY"
            r"|outputs_stay|weights_stay|inputs_stay|sums_stay|swapped|circuit|preloads|stationary"
            r"|rows_add_up|at_left|at_rows|at_columns|at_top|channels_in_columns|laid|sums_move"
            r"|OutputStationary\w*|StationaryController|MOVES_IN_SHIFTS)",
        ),
        frozenset({"os", "ws", "is", "wst"}),
    ),
    Subject(
        "accumulator kind",
        re.compile(
            r"_?(accumulator|accumulator_kind|is_fixed|is_float|fixed|is_sticky|wraps|remembers|is_modular"
            r"|overflow|on_overflow|OVERFLOW|KIND|(Fixed|Float|Truncated|Coded)Accumulator\w*"
            r"|(Exact|Log)Products|leaves_raw)",
        ),
        frozenset({"fixed", "float", "truncated", "wrap", "saturate", "sticky", "fused"}),
        frozenset({"bits", "width", "lsb", "lowest", "highest", "limit", "undisturbed", "dtype"})
        | {"objective", "image_order"},  # of what a tiling has fixed, which is no accumulator
    ),
)


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision in one file."""

    subject: str
    kind: Kind
    path: str
    line: int


def decisions_in(source: str, subject: Subject, path: str = "") -> list[Decision]:
    """Every decision on a subject in a module's text. Raises SyntaxError."""
    found: dict[tuple[int, int, Kind], Decision] = {}
    _collect(ast.parse(source), _Carriers(subject, frozenset()), path, found)
    return sorted(found.values(), key=lambda each: each.line)


@dataclass(frozen=True, slots=True)
class _Carriers:
    """What carries a subject at a place in a module: its own names and a function's variables."""

    subject: Subject
    variables: frozenset[str]

    def has(self, name: str) -> bool:
        """Whether a variable, attribute or function carries the subject."""
        return name in self.variables or self.subject.carriers.fullmatch(name) is not None


def _collect(
    node: ast.AST, carriers: _Carriers, path: str, found: dict[tuple[int, int, Kind], Decision]
) -> None:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        carriers = _with_variables(node, carriers)
    for place, kind in _decided(node, carriers):
        decision = Decision(carriers.subject.name, kind, path, place.lineno)
        found[place.lineno, place.col_offset, kind] = decision
    for child in ast.iter_child_nodes(node):
        _collect(child, carriers, path, found)


def _with_variables(function: ast.AST, carriers: _Carriers) -> _Carriers:
    """The carriers inside a function: variables that are assigned from a carrier or from a decision on one."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            value = _unwrapped(node.value)
            if _is_carrier(value, carriers) or any(_decided(value, carriers)):
                carriers = _Carriers(carriers.subject, carriers.variables | {node.targets[0].id})
    return carriers


def _unwrapped(node: ast.expr) -> ast.expr:
    """What is converted by `int(...)`, `bool(...)` and the like; the condition of a conditional expression."""
    if isinstance(node, ast.IfExp):
        return node.test
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _WRAPPERS:
        return node.args[0] if node.args else node
    return node


def decisions_under(folder: Path, subject: Subject) -> list[Decision]:
    """Every decision in the modules of a folder, the generated and hidden ones left out."""
    modules = sorted(folder.rglob("*.py"))
    return [
        decision
        for module in modules
        for decision in decisions_in(
            module.read_text(encoding="utf-8"), subject, str(module.relative_to(folder))
        )
    ]


def _decided(node: ast.AST, carriers: _Carriers) -> Iterator[tuple[ast.expr, Kind]]:
    """The decisions that one node makes itself."""
    if isinstance(node, ast.Compare):
        operands = [node.left, *node.comparators]
        asks_for_none = any(isinstance(each, ast.Constant) and each.value is None for each in operands)
        if not asks_for_none and any(_is_about(operand, carriers) for operand in operands):
            is_member = any(isinstance(op, ast.In | ast.NotIn) for op in node.ops)
            yield node, "membership" if is_member else "comparison"
    elif isinstance(node, ast.Match):
        if _is_about(node.subject, carriers):
            yield node.subject, "match"
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _CLASS_TESTS:
        if any(_is_about(argument, carriers) for argument in node.args):
            yield node, "class"
    elif isinstance(node, ast.Subscript) and _is_about(node.slice, carriers, values=False):
        yield node, "lookup"
    for condition in _conditions(node):
        if _is_carrier(condition, carriers):
            yield condition, "flag"


def _conditions(node: ast.AST) -> Iterable[ast.expr]:
    """Expressions whose truth a node asks for."""
    if isinstance(node, ast.If | ast.IfExp | ast.While | ast.Assert):
        return (node.test,)
    if isinstance(node, ast.BoolOp):
        return node.values
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return (node.operand,)
    if isinstance(node, ast.comprehension):
        return node.ifs
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"any", "all"}:
        return [argument.elt for argument in node.args if isinstance(argument, ast.GeneratorExp)]
    return ()


def _is_carrier(node: ast.expr, carriers: _Carriers) -> bool:
    """Whether an expression is a carrier: a name, an attribute, or what a function of that name returns."""
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id in _WRAPPERS:
            return any(_is_about(argument, carriers) for argument in node.args)
        return _is_carrier(node.func, carriers)
    if isinstance(node, ast.Name):
        return carriers.has(node.id)
    if isinstance(node, ast.Attribute):
        return carriers.has(node.attr)
    if isinstance(node, ast.Subscript):
        return _is_carrier(node.value, carriers) or _is_carrier(node.slice, carriers)
    return False


def _is_about(node: ast.expr, carriers: _Carriers, *, values: bool = True) -> bool:
    """Whether an expression is a carrier, a value, an attribute of a carrier, or a collection of such."""
    if isinstance(node, ast.Set | ast.Tuple | ast.List):
        return any(_is_about(element, carriers, values=values) for element in node.elts)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):  # classes in isinstance
        return _is_about(node.left, carriers) or _is_about(node.right, carriers)
    if isinstance(node, ast.Constant):
        return values and isinstance(node.value, str) and node.value in carriers.subject.values
    if isinstance(node, ast.Attribute) and _is_carrier(node.value, carriers):
        return node.attr not in carriers.subject.facts
    return _is_carrier(node, carriers)


def main(arguments: list[str]) -> None:
    folder = Path(next((word for word in arguments if not word.startswith("-")), "simulator"))
    for subject in SUBJECTS:
        decisions = decisions_under(folder, subject)
        kinds = Counter(decision.kind for decision in decisions)
        counted = [decision for decision in decisions if decision.kind in KINDS]
        parts = ", ".join(f"{kinds[kind]} {kind}" for kind in KINDS)
        files = len({decision.path for decision in counted})
        print(f"{subject.name}: {len(counted)} in {files} files ({parts}); {kinds['lookup']} lookups")
        if "--lines" in arguments:
            for decision in decisions:
                print(f"  {decision.path}:{decision.line}: {decision.kind}")


if __name__ == "__main__":
    main(sys.argv[1:])
