"""The reference of the command line, made from the commands themselves."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_type_hints

import typer.main

from simulator.cli.commands import app

_HEAD = """\
# The command line

Every command of `systolic`, with its arguments and options. `systolic COMMAND --help` says the same and shows examples. An option that
says *again* may be given several times. How commands end, exit codes included: [limits](limits.md#how-a-command-ends).

Generated from the commands in `simulator/cli/` by `make docs`.
"""


def command_page() -> str:
    """The page as Markdown."""
    root: Any = typer.main.get_command(app)
    parts = [_HEAD]
    for path, command in commands(root, "systolic"):
        parts.append(f"\n## `{path}`\n\n{_help(command)}\n\n    {_usage(path, command)}\n")
        kinds = _kinds(command)
        shown = [each for each in command.params if not getattr(each, "hidden", False)]
        rows = [_row(each, kinds.get(each.name, str)) for each in shown]
        if rows:
            head = "\n| argument or option | value | default | meaning |\n|---|---|---|---|\n"
            parts.append(head + "\n".join(rows) + "\n")
    return "".join(parts)


def commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every command below `command` that does something, with its full name, in the order of the help."""
    below = getattr(command, "commands", None)
    if below is None:
        yield path, command
        return
    if command.invoke_without_command and command.name != "systolic":
        yield path, command
    for name, each in below.items():
        yield from commands(each, f"{path} {name}")


def _help(command: Any) -> str:
    """What the help says, without its examples."""
    text = inspect.cleandoc(command.help or "").split("\nExamples:")[0]
    return _escaped(text.replace("\x08", "").strip())


def _usage(path: str, command: Any) -> str:
    pieces = [path]
    for each in command.params:
        if each.param_type_name == "argument":
            name = _metavar(each)
            name = f"{name}..." if each.nargs == -1 else name
            pieces.append(name if each.required else f"[{name}]")
    options = any(each.param_type_name == "option" for each in command.params)
    return " ".join([*pieces, "[OPTIONS]"] if options else pieces)


def _row(parameter: Any, kind: Any) -> str:
    text = _escaped(parameter.help or "")
    if parameter.param_type_name == "argument":
        needed = "required" if parameter.required else ""
        return f"| `{_metavar(parameter)}` | | {needed} | {text} |"
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    if parameter.is_flag:
        return f"| {names} | | | {text} |"
    value = _metavar(parameter, kind).replace("|", "\\|")
    again = " *again*" if parameter.multiple else ""
    return f"| {names} | `{value}`{again} | {_default(parameter)} | {text} |"


def _metavar(parameter: Any, kind: Any = str) -> str:
    if parameter.metavar:
        return str(parameter.metavar)
    if parameter.param_type_name == "argument":
        return str(parameter.name).upper()
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "|".join(str(each.value) for each in kind)
    return "NUMBER" if kind in (int, float) else "FILE" if kind is Path else "TEXT"


def _kinds(command: Any) -> dict[str, Any]:
    """What a value of each parameter is: the type inside `list[...]` and `... | None`."""
    kinds = {}
    for name, hint in get_type_hints(command.callback).items():
        inside = [each for each in get_args(hint) if each is not type(None)] or [hint]
        kinds[name] = (get_args(inside[0]) or inside)[0]
    return kinds


def _default(parameter: Any) -> str:
    default = parameter.default
    if parameter.required:
        return "required"
    if (
        default is None
        or callable(default)
        or default in ((), [], False)
        or "Sentinel" in type(default).__name__
    ):
        return ""
    return f"`{getattr(default, 'value', default)}`"


def _escaped(text: str) -> str:
    """Text in a cell or paragraph: links to pages, no bars that end a cell, no names taken for HTML."""
    text = re.sub(r"\bdocs/(\w+)\.md\b", r"[\1](\1.md)", text)
    return re.sub(r"<(?=[a-zA-Z])", "&lt;", text.replace("|", "\\|"))
