"""The reference of the Python interface, made from signatures and docstrings without importing them.

Nothing is imported, so the page is the same with and without the extras (PyTorch, pandas).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent

_HEAD = """\
# The Python interface

All public names of `simulator.api`, of `simulator.pytorch`, and of what they return. The distribution is `systolic-simulator`, the
command `systolic`, the import name `simulator`. Whatever cannot be used raises `simulator.foundation.UserError`, whose text is one
sentence that names the field, the value and what is allowed.

Generated from signatures and docstrings by `make docs`.
"""

MODULES: Final = ("simulator.api", "simulator.pytorch")
"""Modules of which every name in `__all__` is on the page."""

RESULTS: Final = (
    ("simulator.notebook_views", ("ResultView", "ComparisonView")),
    ("simulator.inference.run_inference", ("InferenceResult",)),
)
"""What those functions return."""

_SECTIONS: Final = ("Args", "Attributes", "Returns", "Yields", "Raises")

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Docstring:
    """A docstring in Google's style: prose, and its sections; entries of `Args` by name."""

    prose: str
    entries: dict[str, dict[str, str]]


def python_page() -> str:
    """The page as Markdown."""
    parts = [_HEAD]
    for title, shown in _sections():
        parts.append(f"\n## {title}\n")
        parts += [_entry(name, *_found(module, name)) for module, name in shown]
    return "".join(parts)


def undocumented() -> list[str]:
    """Public names, methods and arguments that the page would show without a meaning."""
    shown = [each for _, names in _sections() for each in names]
    return [missing for module, name in shown for missing in _missing(name, *_found(module, name))]


def _sections() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The page's sections: their titles, and the modules and names that they show."""
    for module in MODULES:
        yield f"`{module}`", [(module, name) for name in public_names(module)]
    yield "What they return", [(module, name) for module, names in RESULTS for name in names]


def public_names(module: str) -> list[str]:
    """The names in `__all__` of a module."""
    for node in _tree(module).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    message = f"{module} has no __all__"
    raise LookupError(message)


def parse_docstring(text: str | None) -> Docstring:
    """A docstring taken apart."""
    prose: list[str] = []
    entries: dict[str, dict[str, str]] = {}
    section, last = "", ""
    for line in (text or "").strip().splitlines():
        if line.rstrip(":") in _SECTIONS and line.endswith(":"):
            section, last = line.rstrip(":"), ""
            entries[section] = {}
        elif section and line.startswith("    "):
            found = re.match(r"    (\*{0,2}\w+(?: \([^)]*\))?):\s*(.*)", line)
            if found and not line.startswith("     "):
                last = found[1].lstrip("*")
                entries[section][last] = found[2]
            else:
                entries[section][last] = f"{entries[section].get(last, '')} {line.strip()}".strip()
        else:
            section = section if not line.strip() else ""
            if not section:
                prose.append(line)
    return Docstring("\n".join(prose).strip(), entries)


def _tree(module: str) -> ast.Module:
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


def _found(module: str, name: str) -> tuple[ast.AST, str | None]:
    """What defines a name, followed through imports, and the text that stands below a constant.

    Raises:
        LookupError: nothing defines it.
    """
    tree = _tree(module)
    for node, following in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(node, ast.ClassDef | _Function) and node.name == name:
            return node, ast.get_docstring(node)
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(node, ast.Assign | ast.AnnAssign) and ast.unparse(target or node) == name:
            return node, _text(following)
    for imported in ast.walk(tree):
        if isinstance(imported, ast.ImportFrom) and imported.module:
            for alias in imported.names:
                if (alias.asname or alias.name) == name:
                    return _found(imported.module, alias.name)
    message = f"{module} defines no {name}"
    raise LookupError(message)


def _text(node: ast.stmt | None) -> str | None:
    """The text that a statement consists of."""
    value = node.value if isinstance(node, ast.Expr) else None
    text = value.value if isinstance(value, ast.Constant) else None
    return text.strip() if isinstance(text, str) else None


def _entry(name: str, node: ast.AST, text: str | None) -> str:
    if isinstance(node, ast.ClassDef):
        return _class(name, node)
    if isinstance(node, _Function):
        return f"\n### `{name}`\n" + _function(name, node)
    value = getattr(node, "value", None)
    return f"\n### `{name}`\n\n{text or ''}\n\n    {name} = {ast.unparse(value) if value else ''}\n"


def _class(name: str, node: ast.ClassDef) -> str:
    document = parse_docstring(ast.get_docstring(node))
    parts = [f"\n### `{name}`\n\n{document.prose}\n"]
    fields = _fields(node)
    meanings = document.entries.get("Attributes", {})
    if fields:
        parts.append("\n| field | type | default | meaning |\n|---|---|---|---|\n")
        parts += [_row(each, kind, default, meanings.get(each, "")) for each, kind, default in fields]
    for method in _methods(node):
        decorators = {ast.unparse(each) for each in method.decorator_list}
        if decorators & {"property", "cached_property"}:
            kind = f" -> {ast.unparse(method.returns)}" if method.returns else ""
            body = f"\n{parse_docstring(ast.get_docstring(method)).prose}\n"
            parts.append(f"\n#### `{name}.{method.name}`\n\n    {method.name}{kind}\n{body}")
        else:
            parts.append(f"\n#### `{name}.{method.name}`\n" + _function(method.name, method, document))
    return "".join(parts)


def _function(name: str, node: _Function, of_class: Docstring | None = None) -> str:
    document = parse_docstring(ast.get_docstring(node))
    pieces, starred = [], False
    arguments = list(_arguments(node))
    for argument, kind, default, keyword in arguments:
        if keyword and not starred:
            pieces.append("*")
            starred = True
        pieces.append(f"{argument}{': ' + kind if kind else ''}{' = ' + default if default else ''}")
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    inside = "".join(f"\n        {piece}," for piece in pieces) + "\n    " if pieces else ""
    parts = [f"\n    {name}({inside}){returns}\n\n{document.prose}\n"]
    meanings = _meanings(node, of_class)
    if arguments:
        parts.append("\n| argument | type | default | meaning |\n|---|---|---|---|\n")
        parts += [_row(each, kind, default, meanings.get(each, "")) for each, kind, default, _ in arguments]
    for section in ("Returns", "Yields", "Raises"):
        for what, meaning in document.entries.get(section, {}).items():
            parts.append(f"\n{section} {f'`{what}`: ' if what else ''}{meaning}\n")
    return "".join(parts)


def _row(name: str, kind: str, default: str, meaning: str) -> str:
    def code(text: str) -> str:
        return f"`{text}`".replace("|", "\\|") if text else ""

    return f"| {code(name)} | {code(kind)} | {code(default)} | {meaning.replace('|', chr(92) + '|')} |\n"


def _arguments(node: _Function) -> Iterator[tuple[str, str, str, bool]]:
    """Name, type, default and whether it is given by name, of every argument but `self` and `cls`."""
    given = node.args
    places = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(places) - len(given.defaults)) + list(given.defaults)
    named = zip(given.kwonlyargs, given.kw_defaults, strict=True)
    for keyword, pairs in ((False, zip(places, defaults, strict=True)), (True, named)):
        for argument, default in pairs:
            if argument.arg not in ("self", "cls"):
                kind = ast.unparse(argument.annotation) if argument.annotation else ""
                yield argument.arg, kind, ast.unparse(default) if default else "", keyword


def _fields(node: ast.ClassDef) -> list[tuple[str, str, str]]:
    return [
        (each.target.id, ast.unparse(each.annotation), ast.unparse(each.value) if each.value else "")
        for each in node.body
        if isinstance(each, ast.AnnAssign)
        and isinstance(each.target, ast.Name)
        and not each.target.id.startswith("_")
    ]


def _methods(node: ast.ClassDef) -> Iterator[_Function]:
    for each in node.body:
        if isinstance(each, _Function):
            overload = any(ast.unparse(one) == "overload" for one in each.decorator_list)
            public = not each.name.startswith("_") or (each.name == "__init__" and len(each.args.args) > 1)
            if public and not overload:
                yield each


def _missing(name: str, node: ast.AST, text: str | None) -> list[str]:
    if not text:
        return [name]
    if isinstance(node, _Function):
        return [f"{name}({each})" for each in _without_meaning(node)]
    if not isinstance(node, ast.ClassDef):
        return []
    known = parse_docstring(text).entries.get("Attributes", {})
    missing = [f"{name}.{field}" for field, _, _ in _fields(node) if not known.get(field)]
    for method in _methods(node):
        if method.name != "__init__" and not ast.get_docstring(method):
            missing.append(f"{name}.{method.name}")
        missing += [
            f"{name}.{method.name}({each})" for each in _without_meaning(method, parse_docstring(text))
        ]
    return missing


def _meanings(node: _Function, of_class: Docstring | None) -> dict[str, str]:
    """What each argument means; those of a constructor may stand in the docstring of its class."""
    own = parse_docstring(ast.get_docstring(node)).entries.get("Args", {})
    if of_class is None or node.name != "__init__":
        return own
    return of_class.entries.get("Attributes", {}) | of_class.entries.get("Args", {}) | own


def _without_meaning(node: _Function, of_class: Docstring | None = None) -> list[str]:
    known = _meanings(node, of_class)
    return [each for each, *_ in _arguments(node) if not known.get(each)]
