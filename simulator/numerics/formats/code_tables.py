"""Tables by code: looking arrays of codes up, and finding which codes an array holds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from simulator.numerics.array_types import Codes, Reals

Real = TypeVar("Real", bound=np.floating[Any])

TABLE_BITS: Final = 16
"""Formats up to this width have a table of all their values."""

COMPILED_FROM: Final = 1 << 16
"""Elements, of one array or of all small ones so far, from which the compiled loops' import pays off."""

_TINY: Final = 512
"""So few elements take NumPy no longer than the call of a compiled loop."""

_BLOCK: Final = 1 << 16

_FEW: Final = 4
"""So many comparisons take less time than looking codes up."""


class _Loops:
    """When arrays go through the compiled loops; both ways give the same bits.

    Their import takes longer than NumPy takes for `COMPILED_FROM` elements, whether they come as one array or
    as many: a process that only looks at a few values never imports the compiler.
    """

    def __init__(self) -> None:
        self._elements = 0

    def pay_off(self, size: int) -> bool:
        """Whether to compile for an array of `size` elements, which are counted."""
        if size < _TINY:
            return False
        if self._elements < COMPILED_FROM:
            self._elements += size
        return self._elements >= COMPILED_FROM


compiled_loops: Final = _Loops()
"""The process's own."""


class ValueFormat(Protocol):
    """What telling special values apart needs to know of a number format."""

    @property
    def bits(self) -> int:
        """Width of a code."""

    def values(self) -> Reals:
        """The value of every code, for formats of up to `TABLE_BITS` bits."""

    def decode(self, codes: npt.ArrayLike) -> Reals:
        """The values of codes."""

    def reals(self, codes: Codes) -> npt.NDArray[np.floating[Any]]:
        """The values of codes, in float32 or float64."""

    def __hash__(self) -> int: ...


def look_up(table: npt.NDArray[Real], codes: Codes) -> npt.NDArray[Real]:
    """`table[codes]`, contiguous, of the table's dtype; codes beyond the table are undefined."""
    if not compiled_loops.pay_off(codes.size):
        return np.asarray(table[codes])
    from simulator.numerics.formats import code_kernels as kernels

    found = np.empty(codes.shape, table.dtype)
    kernels.look_up(np.ascontiguousarray(codes).reshape(-1), table, found.reshape(-1))
    return found


def present_codes(codes: Codes, number: int) -> npt.NDArray[np.bool_]:
    """Which of the codes 0 .. number - 1 an array holds, bool[number]."""
    present = np.zeros(number, np.bool_)
    if not compiled_loops.pay_off(codes.size):
        present[codes] = True
        return present
    from simulator.numerics.formats import code_kernels as kernels

    kernels.mark_present(np.ascontiguousarray(codes).reshape(-1), present)
    return present


@lru_cache(maxsize=256)
def _special_codes(fmt: ValueFormat) -> npt.NDArray[np.intp]:
    return np.flatnonzero(~np.isfinite(fmt.values()))


def has_special(fmt: ValueFormat, codes: Codes) -> bool:
    """Whether any code stands for infinity or NaN."""
    if fmt.bits > TABLE_BITS:
        return not all(np.isfinite(fmt.reals(block)).all() for block in blocks_of(codes))
    special = _special_codes(fmt)
    return bool(special.size) and bool(present_codes(codes, 1 << fmt.bits)[special].any())


def blocks_of(codes: Codes) -> Iterator[Codes]:
    """All codes in parts that stay in a core's cache with what is made of them."""
    flat = codes.reshape(-1)
    return (flat[start : start + _BLOCK] for start in range(0, flat.size, _BLOCK))


def is_special(fmt: ValueFormat, codes: Codes) -> npt.NDArray[np.bool_]:
    """Where codes of a format of up to 16 bits stand for infinity or NaN, in the shape of `codes`."""
    special = _special_codes(fmt)
    if special.size > _FEW:
        return np.asarray(~np.isfinite(fmt.values())[codes])
    found = np.zeros(codes.shape, np.bool_)
    for code in special.tolist():
        found |= codes == code
    return found
