"""Which modules of a package take names from a module, directly or through others."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path


def dependents(root: Path, module: str) -> set[Path]:
    """The files that can use what `module` defines, directly or through others, and its own.

    `from a.b import c` runs `a/__init__.py` as well but takes no name from it, so that nothing of it can have
    been compiled into the importer; `import a.b` binds `a` with all that it holds.

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
    """Every name that may be a module, and for `import a.b` also `a`."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {each for alias in node.names for each in _with_packages(alias.name)}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            found |= {source} | {f"{source}.{alias.name}" for alias in node.names}
    return found


def _with_packages(name: str) -> set[str]:
    parts = name.split(".")
    return {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
