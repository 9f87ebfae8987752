"""Where the bundled data folders are: at the top of a checkout, or inside an installed package."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from simulator.foundation.errors import UserError
from simulator.foundation.reading.content import is_file, require_path

DataFolder = Literal["arch_configs", "energy_tables", "workloads"]

_PACKAGE = Path(__file__).resolve().parent.parent


def data_folder(name: DataFolder) -> Path:
    """The bundled folder `name`, in a checkout or in an installed package."""
    installed = _PACKAGE / "_data" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def own_text(path: Path) -> str:
    """The text of a file that this package brings."""
    return path.read_text(encoding="utf-8")


def bundled_names(folder: DataFolder, *suffixes: str) -> list[str]:
    """Sorted names (file stems) of the bundled documents of a folder; YAML unless suffixes are given."""
    wanted = suffixes or (".yaml",)
    return sorted(path.stem for path in data_folder(folder).iterdir() if path.suffix in wanted)


def relative_to(file: Path, name: str) -> str:
    """A document named in a file: a path taken relative to that file, any other name as it stands."""
    path = Path(name)
    if not path.suffix and len(path.parts) < 2:
        return name
    return os.path.normpath(file.parent / path)


def resolve_document(
    name: str,
    folder: DataFolder,
    *suffixes: str,
    what: str,
    more: Mapping[str, Path] | None = None,
    or_else: str | None = None,
) -> Path:
    """The file meant by `name`: a bundled document's name, one of `more` names, or a path.

    Anything with a separator or a suffix is a path; everything else must be bundled, as YAML unless
    suffixes are given. `or_else` says what may be given beside names, for the message.

    Raises:
        UserError: neither a bundled name nor an existing file.
    """
    require_path(name)
    path = Path(name)
    for suffix in suffixes or (".yaml",):
        if not path.suffix and name in bundled_names(folder, suffix):
            return data_folder(folder) / f"{name}{suffix}"
    if more is not None and name in more:
        return more[name]
    if is_file(path):
        return path
    if path.suffix or len(path.parts) > 1:
        raise UserError(f"{what} file cannot be found", source=name)
    names = [*bundled_names(folder, *suffixes), *(more or ())]
    allowed = None if or_else is None else ", ".join([*sorted(names), or_else])
    raise UserError(f"unknown {what}", value=name, allowed=allowed, candidates=names)
