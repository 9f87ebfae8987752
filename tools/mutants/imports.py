"""Which modules of a package import a module, directly or through others."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path


def dependents(root: Path, module: str) -> set[Path]:
    """The files that import `module`, directly or through others, and its own.

    Args:
        root: the folder that the package lies in.
        module: the module's path, relative to `root`.
    """
    package = Path(module).parts[0]
    files = {_dotted(path.relative_to(root)): path for path in (root / package).rglob("*.py")}
    importers: dict[str, set[str]] = defaultdict(set)
    for name, path in files.items():
        for imported in _imported(path, name):
            importers[imported].add(name)
    reached: set[str] = set()
    waiting = [_dotted(Path(module))]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += importers[name]
    return {files[name] for name in reached if name in files}


def _dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(path: Path, name: str) -> set[str]:
    """Every name that may be a module, and the packages around each, whose `__init__` runs first."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            found |= {source} | {f"{source}.{alias.name}" for alias in node.names}
    parents = {
        ".".join(each.split(".")[:length]) for each in found for length in range(1, each.count(".") + 1)
    }
    return found | parents
