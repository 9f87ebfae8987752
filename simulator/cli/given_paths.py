"""Which files a command reads and which it writes, so that none is both, and none is written twice.

All of it is known from the arguments before anything runs. Links, symbolic and hard, are the file that they
lead to.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import wraps
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from simulator.cli.result_files import result_files
from simulator.foundation.errors import UserError
from simulator.foundation.reading.content import exists, identity_of, is_file, is_folder, names_in

Found = TypeVar("Found")

THE_FILE: Final[tuple[str, ...]] = ()
"""What is written is the file itself, not files in a folder."""

_STORE: Final = ("store.json", "claims", "defects.log", "points/*", "blocks/*")
_PICTURES: Final = ("*.png", "*.svg", "*.pdf")

WRITTEN: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "simulate": {
        "out": ("result.json", "layers.csv", "outputs/*"),
        "mapping_out": THE_FILE,
        "trace": THE_FILE,
        "access_trace": THE_FILE,
        "vcd": THE_FILE,
    },
    "infer": {"save": ("*.npy",), "store": _STORE},
    "trace": {"out": ("trace.json", "*.npy")},
    "compare": {"csv": THE_FILE, "out": ("[0-9]*_*.json",), "store": _STORE},
    "report": {"out": THE_FILE, "plots": _PICTURES},
    "sweep": {"csv": THE_FILE, "plots": _PICTURES, "store": _STORE},
    "tables new": {"file": THE_FILE},
    "tables export": {"out": ("*.ert.yaml", "*.art.yaml")},
    "tables import": {"out": THE_FILE},
    "rtl emit": {"folder": ("*.v", "*.hex", "*.py", "README.txt")},
    "rtl synth": {"report": THE_FILE},
    "rtl price": {"out": THE_FILE},
}
"""By command and parameter, what is written: the file, or files in a folder that fit one of the patterns."""

READ: Final = frozenset(
    {"network", "model", "targets", "results", "result", "spec", "table", "files", "arch", "archs"}
    | {"data", "labels", "mapping", "scalesim_cfg", "assignments", "liberty", "operands"}
)
"""Parameters that name what is read: a path, a bundled name, or FIELD=VALUE with one of them for a value."""


_PARTS: Final = re.compile(r"[\[\]{},'\"\s]+")
"""What stands between names in a list of `--set FIELD=[NAME, NAME]`."""

_NAME_OTHERS: Final = frozenset({"spec", "arch", "archs"})
"""Parameters whose documents name other files: networks, architectures, tables, data."""


class Parameter(Protocol):
    """An option or argument of a command, as Typer has it."""

    name: str
    opts: list[str]


class _Output(NamedTuple):
    """A file or folder to be written; `option` as the user gives it."""

    option: str
    path: Path
    names: tuple[str, ...]

    def would_write(self, file: Path) -> bool:
        """Whether `file`, which may not be there yet, is or will be what is written."""
        if self.names == THE_FILE:
            own = _told(self.path, identity_of)
            return own is not None and own == _told(file, identity_of)
        folder, place = os.path.realpath(self.path), os.path.realpath(file)
        if place.startswith(folder.rstrip(os.sep) + os.sep):
            name = place[len(folder.rstrip(os.sep)) + 1 :]
            if any(fnmatchcase(name, pattern) for pattern in self.names):
                return True
        return self._has_link_to(file)

    def _has_link_to(self, file: Path) -> bool:
        own = _told(file, identity_of)
        if own is None or not _told(self.path, is_folder):
            return False
        entries = (
            name for name in names_in(self.path) if any(fnmatchcase(name, pattern) for pattern in self.names)
        )
        return any(_told(self.path / name, identity_of) == own for name in entries)


def apart(name: str, parameters: Sequence[Parameter], callback: Callable[..., Any]) -> Callable[..., Any]:
    """A command that refuses, before it runs, to write over what it reads, or two things to one place."""
    if name not in WRITTEN:
        return callback
    options = {
        each.name: max(each.opts, key=len) if each.opts[0].startswith("-") else each.name.upper()
        for each in parameters
    }

    @wraps(callback)
    def checked(**given: object) -> object:
        require_apart(name, given, options)
        return callback(**given)

    return checked


def require_apart(command: str, given: Mapping[str, Any], options: Mapping[str, str]) -> None:
    """Refuse to write over what is read, or two outputs to one place.

    Args:
        command: as in `WRITTEN`.
        given: the values of its parameters.
        options: what the user calls each of them.

    Raises:
        UserError: the option and path that would overwrite something, and what.
    """
    outputs = [
        _Output(options[name], Path(given[name]), names)
        for name, names in WRITTEN[command].items()
        if given.get(name) is not None
    ]
    inputs = list(_inputs(given)) if any(_told(output.path, exists) for output in outputs) else []
    for place, output in enumerate(outputs):
        for file in inputs:
            if output.would_write(file):
                raise UserError(
                    f"would overwrite {file}, which is read",
                    source=output.option,
                    value=str(output.path),
                    allowed="another place",
                )
        for other in outputs[:place]:
            if _clash(output, other):
                raise UserError(
                    f"would write to the same place as {other.option}",
                    source=output.option,
                    value=str(output.path),
                    allowed="another place",
                )


def _clash(one: _Output, other: _Output) -> bool:
    """Whether two outputs would be at one place; folders may be one unless their files have equal names."""
    if one.names == THE_FILE:
        return (
            other.would_write(one.path)
            or _told(one.path, identity_of) == _told(other.path, identity_of) is not None
        )
    if other.names == THE_FILE:
        return _clash(other, one)
    same = os.path.realpath(one.path) == os.path.realpath(other.path)
    return same and (_STORE in (one.names, other.names) or not set(one.names).isdisjoint(other.names))


def _inputs(given: Mapping[str, Any]) -> Iterator[Path]:
    """Files that the arguments name; of a folder of results or of a trace those that tell what it holds."""
    for name, value in given.items():
        if name not in READ or value is None:
            continue
        for each in value if isinstance(value, list | tuple) else (value,):
            text = str(each)
            parts = _PARTS.split(text.partition("=")[2]) if name == "assignments" else [text]
            for path in map(Path, filter(None, parts)):
                yield from _files_of(path)
                if name in _NAME_OTHERS:
                    yield from _named_in(path)


def _named_in(path: Path) -> Iterator[Path]:
    """Files that a YAML document names, from the current folder or from its own."""
    if path.suffix not in (".yaml", ".yml") or not _told(path, is_file):
        return
    from simulator.foundation.reading.yaml_documents import load_yaml

    try:
        waiting = [load_yaml(path)]
    except UserError:  # which its reader tells
        return
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, str):
            for named in (Path(value), path.parent / value):
                yield from _files_of(named)


def _files_of(path: Path) -> Iterator[Path]:
    if not _told(path, exists):
        return
    if not is_folder(path):
        yield path
        return
    for name in ("trace.json", "result.json"):
        if _told(path / name, exists):
            yield path / name
            return
    yield from (file for file in result_files(path) if file != path)


def _told(path: Path, look: Callable[[Path], Found]) -> Found | None:
    """What a look at a path finds; None where that cannot be told, which its reader or writer says."""
    with suppress(UserError):
        return look(path)
    return None
