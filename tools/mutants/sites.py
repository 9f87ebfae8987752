"""The single-token mutants that a module allows: which tokens are changed, into what, and which never are."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from tools.mutants.text import SourceText

BINARY: Final[dict[type[ast.operator], tuple[str, str]]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "//"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "//"),
    ast.Pow: ("**", "*"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
    ast.BitXor: ("^", "&"),
}
"""Each arithmetic operator with the one that takes its place."""

COMPARISONS: Final[dict[type[ast.cmpop], tuple[str, str]]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}
"""Each comparison with the one that takes its place."""

_OPPOSITES: Final = (
    ("min", "max"),
    ("minimum", "maximum"),
    ("argmin", "argmax"),
    ("fmin", "fmax"),
    ("any", "all"),
    ("floor", "ceil"),
)

FUNCTIONS: Final = dict(_OPPOSITES) | {after: before for before, after in _OPPOSITES}
"""Called functions and methods with the ones that take their places."""

SETTINGS: Final = frozenset({"__all__", "__slots__", "model_config"})
"""Assigned names whose values are options of a class or a module."""

TYPE_CALLS: Final = frozenset({"NewType", "ParamSpec", "TypeVar", "TypeVarTuple"})
"""Calls whose arguments are types."""

MESSAGE_CALLS: Final = frozenset({"warn"})
"""Calls whose arguments are messages."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed place of a module.

    `function` is the dotted name of the function or class around it, `<module>` outside of any. `original`
    and `mutated` are the line before and after, without indentation; a change across lines has them joined.
    `occurrence` counts from 1 the places of a function that have the same two texts. Mutants with the same
    `start` and `end` change the same place.
    """

    module: str
    function: str
    line: int
    original: str
    mutated: str
    start: int
    end: int
    replacement: str
    occurrence: int = 1

    def apply(self, source: str) -> str:
        """The module's text with the change."""
        return source[: self.start] + self.replacement + source[self.end :]

    @property
    def name(self) -> str:
        """Module and line, as editors and terminals understand them."""
        return f"{self.module}:{self.line}"


def mutants_of(module: str, source: str) -> list[Mutant]:
    """Every mutant of a module in the order of its text; only those that compile.

    Args:
        module: the path that mutants name.
        source: the module's text.

    Raises:
        SyntaxError: the text is not Python.
    """
    text = SourceText(source)
    finder = _Finder(text)
    finder.visit(text.tree)
    seen: Counter[tuple[str, str, str]] = Counter()
    mutants = []
    for function, start, end, replacement in sorted(finder.edits, key=lambda edit: edit[1:]):
        mutant = _described(module, text, function, start, end, replacement)
        if _compiles(mutant.apply(source)):
            key = (mutant.function, mutant.original, mutant.mutated)
            seen[key] += 1
            mutants.append(replace(mutant, occurrence=seen[key]))
    return mutants


def _described(
    module: str, text: SourceText, function: str, start: int, end: int, replacement: str
) -> Mutant:
    first, last = text.lines_around(start, end)
    original = text.source[first:last]
    mutated = text.source[first:start] + replacement + text.source[end:last]
    line = text.line_number(start)
    return Mutant(module, function, line, _one_line(original), _one_line(mutated), start, end, replacement)


def _one_line(text: str) -> str:
    return " ".join(line.strip() for line in text.splitlines())


def _compiles(source: str) -> bool:
    try:
        compile(source, "<mutant>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


class _Finder(ast.NodeVisitor):
    """Collects (function, start, end, replacement), walking past what is never changed."""

    def __init__(self, text: SourceText) -> None:
        self.text = text
        self.edits: list[tuple[str, int, int, str]] = []
        self._scope: list[str] = []

    def _add(self, place: tuple[int, int], replacement: str) -> None:
        self.edits.append((".".join(self._scope) or "<module>", *place, replacement))

    def _visit_all(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if node is not None:
                self.visit(node)

    # What is never changed.

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Defaults and body; neither decorators nor annotations."""
        self._scope.append(node.name)
        self._visit_all([*node.args.defaults, *node.args.kw_defaults, *node.body])
        self._scope.pop()

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """The body; no decorators, bases or class options."""
        self._scope.append(node.name)
        self._visit_all(node.body)
        self._scope.pop()

    def visit_Assign(self, node: ast.Assign) -> None:
        if not _are_settings(node.targets):
            self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if not _are_settings([node.target]) and _last_name(node.annotation) != "TypeAlias":
            self._visit_all([node.target, node.value])

    def visit_Raise(self, node: ast.Raise) -> None:
        """An error is its message."""

    def visit_Assert(self, node: ast.Assert) -> None:
        self.visit(node.test)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Text for people."""

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if _last_name(node.value) not in ("Annotated", "Literal"):
            self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        if _last_name(node.test) == "TYPE_CHECKING":
            self._visit_all(node.orelse)
        elif not ast.unparse(node.test).startswith("__name__ =="):
            self._test(node.test)
            self.generic_visit(node)

    # What is changed.

    def visit_Call(self, node: ast.Call) -> None:
        name = _last_name(node.func)
        if name in TYPE_CALLS or name in MESSAGE_CALLS:
            return
        if name in FUNCTIONS:
            end = self.text.end(node.func)
            self._add((end - len(name), end), FUNCTIONS[name])
        arguments = node.args[1:] if name == "cast" else node.args
        checked = [word for word in node.keywords if not (name == "zip" and word.arg == "strict")]
        self._visit_all([node.func, *arguments, *checked])

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self.generic_visit(node)
        if isinstance(node.op, ast.BitOr) and (_is_type(node.left) or _is_type(node.right)):
            return
        if isinstance(node.op, ast.Mod) and isinstance(node.left, ast.Constant | ast.JoinedStr):
            return
        if type(node.op) in BINARY:
            before, after = BINARY[type(node.op)]
            self._add(self.text.between(self.text.end(node.left), self.text.start(node.right), before), after)
        if isinstance(node.op, ast.FloorDiv):
            left, right = self._operand(node.left), self._operand(node.right)
            self._add(self._place(node), f"-(-{left} // {right})")

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.generic_visit(node)
        if type(node.op) in BINARY:
            before, after = BINARY[type(node.op)]
            start, end = self.text.end(node.target), self.text.start(node.value)
            self._add(self.text.between(start, end, f"{before}="), f"{after}=")

    def visit_Compare(self, node: ast.Compare) -> None:
        self.generic_visit(node)
        left = node.left
        for operation, right in zip(node.ops, node.comparators, strict=True):
            before, after = COMPARISONS[type(operation)]
            self._add(self.text.between(self.text.end(left), self.text.start(right), *before.split()), after)
            left = right

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self.generic_visit(node)
        before, after = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            self._add(self.text.between(self.text.end(left), self.text.start(right), before), after)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        start = self.text.start(node)
        if _rounds_up(node):
            quotient = node.operand
            assert isinstance(quotient, ast.BinOp)
            assert isinstance(quotient.left, ast.UnaryOp)
            self._visit_all([quotient.left.operand, quotient.right])
            left, right = self._operand(quotient.left.operand), self._operand(quotient.right)
            self._add(self._place(node), f"({left} // {right})")
            return
        self.generic_visit(node)
        if not isinstance(node.op, ast.UAdd):
            operator = self.text.token_at(start)
            self._add((start, self.text.token_at(operator.end).start), "")

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            others: tuple[object, ...] = (not value,)
        elif isinstance(value, int | float) and value == 1:
            others = (type(value)(0), type(value)(2))
        elif isinstance(value, int):
            others = (value + 1,)
        elif isinstance(value, float):
            others = (float(Decimal(repr(value)) + 1),)  # 0.2632 becomes 1.2632, without 1.2631999999999999
        else:
            others = ()
        for other in others:
            if other != value:  # 1e300 + 1 is 1e300
                self._add(self._place(node), repr(other))

    def visit_While(self, node: ast.While) -> None:
        self._test(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._test(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._test(test)
        self.generic_visit(node)

    def visit_Break(self, node: ast.Break) -> None:
        self._add(self._place(node), "continue")

    def visit_Continue(self, node: ast.Continue) -> None:
        self._add(self._place(node), "break")

    def _test(self, test: ast.expr) -> None:
        """A condition that has no operator of its own to change is negated."""
        if isinstance(test, ast.Name | ast.Attribute | ast.Call | ast.Subscript | ast.BinOp):
            start = self.text.start(test)
            self._add((start, start), "not ")

    def _place(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        return self.text.start(node), self.text.end(node)

    def _operand(self, node: ast.expr) -> str:
        text = self.text.of(node)
        return text if isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Constant) else f"({text})"


def _rounds_up(node: ast.UnaryOp) -> bool:
    """Whether this is -(-x // y)."""
    quotient = node.operand
    return (
        isinstance(node.op, ast.USub)
        and isinstance(quotient, ast.BinOp)
        and isinstance(quotient.op, ast.FloorDiv)
        and isinstance(quotient.left, ast.UnaryOp)
        and isinstance(quotient.left.op, ast.USub)
    )


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _names_in(targets: Iterable[ast.expr]) -> Iterator[str]:
    for target in targets:
        yield _last_name(target)


def _are_settings(targets: Iterable[ast.expr]) -> bool:
    return not SETTINGS.isdisjoint(_names_in(targets))


def _is_type(node: ast.expr) -> bool:
    """Whether an operand of | looks like a type: None, a builtin type, or a name such as `Path`."""
    if isinstance(node, ast.Constant):
        return node.value is None
    if isinstance(node, ast.Subscript):
        return _is_type(node.value)
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.BitOr) and (_is_type(node.left) or _is_type(node.right))
    name = _last_name(node)
    is_class = name[:1].isupper() and name != name.upper()
    return is_class or name in (
        "bool",
        "bytes",
        "dict",
        "float",
        "int",
        "list",
        "set",
        "str",
        "tuple",
        "type",
    )
