"""Do imports of the simulator only go one way, and would the check see one that does not?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.import_circles import ROOT, circles, import_graph


def written(folder: Path, **modules: str) -> Path:
    """A package `p` of these modules; `a__b` is the module `b` of the package `a`."""
    for name, text in modules.items():
        path = folder.joinpath("p", *name.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_no_modules_of_the_simulator_import_each_other() -> None:
    graph = import_graph(ROOT, "simulator")
    assert len(graph) > 250  # the graph is there
    assert "simulator.numerics.accumulators.accumulator" in graph["simulator.numerics.accumulators.fixed"]
    assert "simulator.array.grid_kernels" in graph["simulator.array.grid"]  # imported in a function
    assert circles(graph) == []


@pytest.mark.parametrize(
    "back",
    [
        "import p.a",
        "from p import a",
        "from p.a import x",
        "from . import a",
        "from .a import x",
        "def f():\n    from p.a import x",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.a import x",
    ],
)
def test_an_import_back_is_found_however_it_is_written(tmp_path: Path, back: str) -> None:
    root = written(tmp_path, a="from p.b import y\nx = 1", b="import p.c\ny = 2", c=back, d="import p.a")
    assert circles(import_graph(root, "p")) == [("p.a", "p.b", "p.c")]


def test_two_circles_are_told_apart(tmp_path: Path) -> None:
    root = written(tmp_path, a="import p.b", b="import p.a", q__c="from p.q import d", q__d="from . import c")
    assert circles(import_graph(root, "p")) == [("p.a", "p.b"), ("p.q.c", "p.q.d")]


def test_a_name_of_a_package_is_no_import_of_its_modules(tmp_path: Path) -> None:
    root = written(tmp_path, q__a="from p.q import x", b="from p.q.a import x")
    (root / "p" / "q" / "__init__.py").write_text("x = 1", encoding="utf-8")
    graph = import_graph(root, "p")
    assert graph["p.q.a"] == {"p.q"}
    assert circles(graph) == []
