"""Documents that later processes of this user may find again: what takes long to compute and can be again.

Whatever cannot be read, written or understood counts as not kept; nothing here raises.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from simulator.foundation.errors import UserError

VARIABLE: Final = "SYSTOLIC_CACHE_DIR"
"""Environment variable with the folder to use; empty: keep nothing."""

MOST_DOCUMENTS: Final = 200
"""Of a kind; the oldest ones go."""

_LARGEST_BYTES: Final = 4_000_000
_SUFFIX: Final = ".json"
_FIELDS: Final = {"sha256", "document"}


def cache_folder() -> Path | None:
    """The user's folder for what can be computed again; None where nothing is to be kept or no home is known.

    The folder need not exist.
    """
    given = os.environ.get(VARIABLE)
    if given is not None:
        return Path(given) if given.strip() else None
    base = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME")
    if base:
        return Path(base) / "systolic"
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "systolic"


def kept_document(kind: str, name: str) -> object:
    """The document that was kept under a name; None where none is, or not as written."""
    from simulator.foundation.reading.content import read_text
    from simulator.foundation.reading.json_documents import parse_json

    folder = cache_folder()
    if folder is None:
        return None
    path = folder / kind / f"{name}{_SUFFIX}"
    try:
        found = parse_json(read_text(path, most_bytes=_LARGEST_BYTES), source=path)
    except UserError:
        return None
    if not isinstance(found, dict) or set(found) != _FIELDS:
        return None
    document = found["document"]
    return document if found["sha256"] == _checksum(kind, name, document) else None


def keep_document(kind: str, name: str, document: object) -> None:
    """Keep a document of dict, list, str, numbers, bool and None under a name, in place of an older one."""
    from simulator.foundation.documents import pretty_json
    from simulator.foundation.files import prepare_folder, write_text

    folder = cache_folder()
    if folder is None:
        return
    text = pretty_json({"sha256": _checksum(kind, name, document), "document": document})
    if len(text) > _LARGEST_BYTES // 4:  # UTF-8 takes at most four bytes a character
        return
    with suppress(UserError, OSError):
        write_text(prepare_folder(folder / kind) / f"{name}{_SUFFIX}", text)
        kept = sorted((folder / kind).glob(f"*{_SUFFIX}"), key=_age)
        for path in kept[:-MOST_DOCUMENTS]:
            path.unlink(missing_ok=True)


def _checksum(kind: str, name: str, document: object) -> str:
    """Of a document and its place: neither a changed nor a moved file passes for what was written."""
    content = json.dumps((kind, name, document), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _age(path: Path) -> float:
    return path.stat().st_mtime
