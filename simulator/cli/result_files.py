"""Which files a command means by a folder of results."""

from __future__ import annotations

import re
from pathlib import Path

from simulator.foundation.reading.content import is_file, is_folder, names_in

_VARIANT = re.compile(r"(\d+)_.+\.json")


def result_files(path: Path) -> list[Path]:
    """The results in a folder of `systolic compare --out`, in its order; else `path` alone.

    A folder that holds `result.json` is one result of `systolic simulate --out`.
    """
    if not is_folder(path) or is_file(path / "result.json"):
        return [path]
    numbered = {int(match[1]): path / name for name in names_in(path) if (match := _VARIANT.fullmatch(name))}
    return [numbered[number] for number in sorted(numbered)] or [path]
