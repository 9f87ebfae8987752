"""Settings of numba, which compiles the kernels: from variables `NUMBA_...` and a file in the current folder.

numba reads them when it is imported. What it cannot use it answers with a traceback, an assertion of LLVM, or
an error wherever a kernel is first called, so that they are looked at before a command runs.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from simulator.foundation.errors import UserError

_FILE: Final = ".numba_config.yaml"
_START: Final = "NUMBA_"
_USUAL: Final = frozenset({"NUMBA_CACHE_DIR", "NUMBA_NUM_THREADS", "NUMBA_DISABLE_JIT"})
"""What is told apart without an import of numba; any folder will do, as kernels are compiled without one."""

_MOST_THREADS_DIGITS: Final = 6
_FEATURES: Final = re.compile(r"([+-][\w.-]+(,[+-][\w.-]+)*)?", re.ASCII)


def require_usable_settings() -> None:
    """Refuse settings of numba with which no kernel can be compiled.

    Raises:
        UserError: the name and value of the variable, or the file.
    """
    in_file = _in_file() if os.path.isfile(_FILE) else {}  # noqa: PTH113 - may not be told apart
    in_environment = {name: value for name, value in os.environ.items() if name.startswith(_START)}
    settings = in_file | in_environment
    if not settings:
        return
    sources: dict[str, str | None] = {**dict.fromkeys(in_file, _FILE), **dict.fromkeys(in_environment)}
    _require_threads(settings, sources)
    if settings.get("NUMBA_DISABLE_JIT", "0") != "0":
        raise _error("NUMBA_DISABLE_JIT", settings, sources, "kernels must be compiled", "0, or leave it out")
    if _FEATURES.fullmatch(settings.get("NUMBA_CPU_FEATURES", "")) is None:
        raise _error(
            "NUMBA_CPU_FEATURES",
            settings,
            sources,
            "no features of a processor",
            "names that begin with + or -",
        )
    if settings.keys() - _USUAL:
        _let_numba_read(settings, sources)


def _in_file() -> dict[str, str]:
    """What the file sets, by the names of variables, as numba takes it. Raises UserError."""
    from simulator.foundation.reading.yaml_documents import load_yaml

    document = load_yaml(Path(_FILE))
    if document is None:
        return {}
    if not isinstance(document, dict) or not all(isinstance(name, str) for name in document):
        raise UserError("must be settings of numba by name", source=_FILE)
    return {_START + name.upper(): str(value) for name, value in document.items()}


def _require_threads(settings: Mapping[str, str], sources: Mapping[str, str | None]) -> None:
    name = "NUMBA_NUM_THREADS"
    text = settings.get(name, "1")
    is_number = text.isascii() and text.isdigit() and len(text) <= _MOST_THREADS_DIGITS
    if not (is_number and int(text) > 0):
        raise _error(name, settings, sources, "no number of threads", "1 or more")


def _let_numba_read(settings: Mapping[str, str], sources: Mapping[str, str | None]) -> None:
    """Import numba, which warns of each variable that it cannot use. Raises UserError for the first."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=f"(?s).*{_START}")
        try:
            from numba.core import caching, config
        except (RuntimeWarning, UserWarning) as warning:
            name = next((name for name in settings if re.search(rf"\b{name}\b", str(warning))), None)
            if name is None:
                raise
            raise _error(name, settings, sources, "cannot be used by numba") from warning
    for locator in filter(None, map(str.strip, config.CACHE_LOCATOR_CLASSES.split(","))):
        if not hasattr(caching, locator):
            raise _error("NUMBA_CACHE_LOCATOR_CLASSES", settings, sources, "names no cache of numba")


def _error(
    name: str,
    settings: Mapping[str, Any],
    sources: Mapping[str, str | None],
    problem: str,
    allowed: str | None = None,
) -> UserError:
    source = sources[name]
    return UserError(
        problem,
        source=name if source is None else source,
        location=None if source is None else name.removeprefix(_START).lower(),
        value=settings[name],
        allowed=allowed,
    )
