"""How kernels are compiled: once, into a cache for later processes, and not before one of them is called.

numba takes longer to import than everything else together; a process that calls no kernel does without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import update_wrapper
from threading import RLock
from typing import Any, Final, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])

_ONE_AT_A_TIME: Final = RLock()
"""Held while a function is handed to numba, so that each has one dispatcher and one cache."""


class Compiled:
    """A Python function that numba compiles when it is first called, or by a kernel that calls it.

    Every attribute but its own is that of numba's dispatcher. With `NUMBA_DISABLE_JIT` there is none, and
    the Python function itself runs.
    """

    def __init__(self, function: Callable[..., Any], options: Mapping[str, Any], *, is_cached: bool) -> None:
        self._dispatcher: Any = None
        self._options, self._is_cached = options, is_cached
        self.py_func = function
        update_wrapper(self, function)

    def __call__(self, *arguments: Any) -> Any:
        """Call the compiled function."""
        return (self._dispatcher or self.dispatcher)(*arguments)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # such as what `copy` looks for
            raise AttributeError(name)
        return getattr(self.dispatcher, name)

    def __reduce__(self) -> str:
        """By name: another process imports it and compiles its own."""
        return self.py_func.__qualname__

    @property
    def dispatcher(self) -> Any:
        """What numba made of the function, imported and made when first asked for."""
        with _ONE_AT_A_TIME:
            if self._dispatcher is None:
                self._dispatcher = self._made()
        return self._dispatcher

    def _made(self) -> Any:
        import numba

        compiled = numba.njit(**self._options)(self.py_func)
        if self._is_cached and compiled is not self.py_func:
            from simulator.numerics.engines.kernel_cache import keep_on_disk

            keep_on_disk(compiled, self.py_func)
        return compiled

    @property
    def _numba_type_(self) -> Any:
        """Its type where a kernel names it: the dispatcher's."""
        from numba import typeof

        return typeof(self.dispatcher)


_OPTIONS: Final = {"nogil": True, "boundscheck": False, "error_model": "numpy"}


def kernel(function: Function) -> Function:
    """A function compiled by numba on its first call, cached on disk, running without the GIL."""
    # `forceinline` is said, as numba would pass it on from a `helper` that calls the kernel to all below it.
    return cast(Function, Compiled(function, {**_OPTIONS, "forceinline": False}, is_cached=True))


def still_kernel(function: Function) -> Function:
    """A kernel that allocates no arrays: numba then counts no references, whose atomic steps take time."""
    options = {**_OPTIONS, "_nrt": False, "forceinline": False}
    return cast(Function, Compiled(function, options, is_cached=True))


def helper(function: Function) -> Function:
    """A function that only kernels call: inlined, and without the wrappers that calls from Python need."""
    options = {**_OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True, "forceinline": True}
    return cast(Function, Compiled(function, options, is_cached=False))


def inlined(function: Function) -> Function:
    """A helper compiled into the kernels that call it."""
    return cast(Function, Compiled(function, {"inline": "always"}, is_cached=False))


@inlined
def block_length(N: int) -> int:
    """Weight rows of N elements (up to 8 bytes) to reuse from a core's cache; a multiple of 4."""
    return max(4, (32768 // max(N, 1)) // 4 * 4)
