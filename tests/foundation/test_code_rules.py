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


FORCED = {
    "simulator/arch/memories.py": "pydantic: sections before they are checked",
    "simulator/array/__init__.py": "what `__getattr__` of a module gives",
    "simulator/array/vcd.py": "pyvcd: variables of any value",
    "simulator/cli/commands.py": "Typer: a class of a library that it brings under changing names",
    "simulator/cli/streams.py": "the buffer protocol has a type from Python 3.12 on",
    "simulator/foundation/documents.py": "pydantic, PyYAML and json: documents before they are checked",
    "simulator/foundation/plugins.py": "entry points: objects of other packages",
    "simulator/foundation/reading/": "PyYAML, json, NumPy, protobuf, Pillow: files before they are checked",
    "simulator/inference/__init__.py": "what `__getattr__` of a module gives",
    "simulator/inference/execute.py": "onnx: results of its evaluator",
    "simulator/inference/functional_check.py": "NumPy: a scalar of any dtype",
    "simulator/inference/gpu/": "CuPy has no types",
    "simulator/inference/model.py": "`RLock` is a function before Python 3.13",
    "simulator/inference/preprocess.py": "typing: a `Literal` as a value",
    "simulator/numerics/engines/": "numba: functions before they are compiled, kernels for any dtype",
    "simulator/numerics/formats/code_kernels.py": "numba: its intrinsics",
    "simulator/numerics/gpu/": "CuPy has no types",
    "simulator/pytorch/": "PyTorch is an extra: its types are open so that they are the same without it",
    "simulator/report/matplotlib_settings.py": "matplotlib: keys of settings are one long `Literal`",
    "simulator/result_assembly.py": "json: what it cannot encode by itself",
    "simulator/result_laws.py": "json: fields before they are checked",
    "simulator/sweep/executors.py": "concurrent.futures and distributed: `submit` takes any call",
    "simulator/sweep/spec.py": "YAML: values of any field of an architecture",
    "simulator/system/access_trace.py": "pyarrow has no types",
    "simulator/workload/onnx/": "onnx and protobuf have no types",
}
"""Modules, or folders of them, that name `Any` by itself, and the library that forces them to."""


def is_left_open(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    """Whether this `Any` is more than a type parameter of NumPy's or the values of a plain document."""
    place = node
    while isinstance(parents[place], ast.Subscript | ast.Tuple | ast.BinOp):
        place = parents[place]
    text = ast.unparse(place)
    plain = (
        "NDArray[Any]",
        "np.dtype[Any]",
        "integer[Any]",
        "floating[Any]",
        "[str, Any]",
        "Callable[..., Any]",
    )
    return not any(part in text for part in plain)


def test_any_stands_only_where_a_library_leaves_a_type_open() -> None:
    found = set()
    for name, tree in modules():
        parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        named = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "Any"]
        found |= {name for node in named if is_left_open(node, parents)}
    places = {next((place for place in FORCED if name.startswith(place)), name) for name in found}
    assert places == set(FORCED)
