"""Circles in the import graph of a package: modules that import each other, directly or through others.

    python -m tools.import_circles

Every import counts: at the top of a module, in a function, and under `TYPE_CHECKING`. `from a.b import c` is an
import of the module `a.b.c` where there is one, else of `a.b`; that it runs the packages above is not counted.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]


def import_graph(root: Path, package: str) -> dict[str, set[str]]:
    """The modules of `package`, which lies in the folder `root`, and those of it that each imports."""
    files = {_dotted(path.relative_to(root)): path for path in sorted((root / package).rglob("*.py"))}
    return {name: set(_imported(path, name, files)) - {name} for name, path in files.items()}


def circles(graph: Mapping[str, set[str]]) -> list[tuple[str, ...]]:
    """The sets of modules that reach each other, sorted; none where imports only go one way."""
    reached = {module: _reached(module, graph) for module in graph}
    found = {
        tuple(sorted(other for other in reached[module] if module in reached[other]))
        for module in graph
        if module in reached[module]
    }
    return sorted(found)


def _reached(module: str, graph: Mapping[str, set[str]]) -> set[str]:
    """Everything that `module` imports, directly or through others; itself only in a circle."""
    found: set[str] = set()
    waiting = list(graph[module])
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(graph[name])
    return found


def _dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(path: Path, name: str, modules: Mapping[str, Path]) -> Iterator[str]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                whole = f"{source}.{alias.name}"
                if whole in modules:
                    yield whole
                elif source in modules:
                    yield source


def main() -> None:
    graph = import_graph(ROOT, "simulator")
    found = circles(graph)
    for circle in found:
        print(f"{len(circle)} modules: {', '.join(circle)}")
    print(f"{len(found)} circles among {len(graph)} modules, {sum(map(len, graph.values()))} imports")


if __name__ == "__main__":
    main()
