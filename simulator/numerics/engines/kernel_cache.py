"""The cache of compiled kernels on disk: valid while everything that was compiled into a kernel is the same.

numba looks at the file of the kernel itself. A kernel also contains the helpers and constants of other
modules, so its entry carries a fingerprint of all of them.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import CodeType, FunctionType
from typing import Any

import numpy as np
from numba.core.caching import FunctionCache

from simulator.numerics.engines.turn import Turn

LOG = logging.getLogger("simulator.kernels")
"""Says which kernel is compiled, which takes seconds; at level `INFO`."""

_PLAIN = (int, float, complex, str, bytes, bool, type(None), tuple, np.generic)


class KernelCache(FunctionCache):  # type: ignore[misc]
    """numba's cache of one kernel, whose entries are found by the kernel's fingerprint."""

    def __init__(self, py_func: Callable[..., Any]) -> None:
        super().__init__(py_func)
        self._turn = Turn()

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled kernel for some argument types; None where there is none of this fingerprint.

        After None it is this process's turn to compile it, until `save_overload`; others wait for the result.
        """
        compiled = super().load_overload(sig, target_context)
        if compiled is None and self._turn.take(self.cache_path, self._py_func.__qualname__):
            compiled = super().load_overload(sig, target_context)
        if compiled is None:
            LOG.info("compiling %s", self._py_func.__name__)
        else:
            self._turn.give_back()
        return compiled

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled kernel for later processes, and let those load it that wait for it.

        Where it cannot be written, as on a full disk, later processes compile it again.
        """
        try:
            with suppress(OSError):
                super().save_overload(sig, data)
        finally:
            self._turn.give_back()

    def end_turn(self) -> None:
        """Let others compile the kernel, where this process was to; nothing happens otherwise."""
        self._turn.give_back()

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        # Not before the first call: a kernel may call helpers that are defined below it. numba's own key
        # contains a closure as bytes, which differ in every process.
        return (sig, codegen.magic_tuple(), fingerprint(self._py_func))


def keep_on_disk(dispatcher: Any, function: Callable[..., Any]) -> None:
    """Give numba's dispatcher of a kernel the cache above; an interrupted compilation ends its turn."""
    cache, compile_types = KernelCache(function), dispatcher.compile

    def compile_in_turn(sig: Any) -> Any:
        try:
            return compile_types(sig)
        finally:
            cache.end_turn()

    dispatcher._cache, dispatcher.compile = cache, compile_in_turn


def fingerprint(function: Callable[..., Any]) -> str:
    """A digest of a kernel's code, and of all helpers, constants and named tuples that it reaches."""
    digest = hashlib.sha256()
    seen: set[int] = set()
    waiting: list[object] = [function]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        digest.update(repr(getattr(value, "targetoptions", None)).encode())
        code = _function_of(value)
        if code is not None:
            digest.update(f"{code.__module__}.{code.__qualname__}".encode())
            waiting.extend(_reached(code, digest))
        elif isinstance(value, np.ndarray):
            digest.update(f"{value.dtype}{value.shape}".encode() + value.tobytes())
        elif isinstance(value, _PLAIN):
            digest.update(repr(value).encode())
        elif hasattr(value, "_fields"):
            digest.update(repr(value._fields).encode())
        elif isinstance(value, type):
            digest.update(f"{value.__module__}.{value.__qualname__}".encode())
    return digest.hexdigest()


def _function_of(value: object) -> FunctionType | None:
    """The Python function behind a compiled one, an intrinsic or a function; None for anything else."""
    for wrapper in ("py_func", "_defn"):
        value = getattr(value, wrapper, value)
    return value if isinstance(value, FunctionType) else None


def _reached(function: FunctionType, digest: Any) -> Iterator[object]:
    """Add a function's own code to a digest; the globals and closure that it names, in a fixed order."""
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        digest.update(code.co_code)
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                codes.append(constant)
            else:
                digest.update(repr(constant).encode())
        for name in code.co_names:
            digest.update(name.encode())
            yield function.__globals__.get(name)
    for cell in function.__closure__ or ():
        yield cell.cell_contents
