"""Encoding by a table over the leading bits of a float: for formats whose rounding is more than a cut."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from simulator.numerics.array_types import Codes
from simulator.numerics.tapered import IntArray

Entry = TypeVar("Entry", bound=np.generic)


@dataclass(frozen=True, slots=True)
class FloatLayout:
    """How a binary float is laid out."""

    fraction_bits: int
    exponent_bits: int
    pattern: type[np.unsignedinteger[Any]]

    @property
    def bias(self) -> int:
        """Exponent field of 1.0."""
        return (1 << (self.exponent_bits - 1)) - 1


BINARY32 = FloatLayout(23, 8, np.uint32)
BINARY64 = FloatLayout(52, 11, np.uint64)


class PatternTable:
    """The code of every (sign, exponent, leading fraction bits), and one code for infinity and NaN.

    Args:
        least_exponent: exponent of the first entries; smaller magnitudes, zero included, share the first.
        greatest_exponent: exponent of the last entries; larger magnitudes share the very last.
        fraction_bits: leading fraction bits that are told apart.
        sticky: True cuts the fraction and tells whether anything was cut, in one bit more; False rounds it
            to nearest even, a carry going to the next exponent.
        float32_range: True makes magnitudes from 2**128 on count as infinite.
        code_of_infinity: their code, and that of NaN.
        code_of: maps sign, exponent and fraction (with the sticky bit lowest) to codes.
        dtype: dtype of the codes.
    """

    def __init__(
        self,
        *,
        least_exponent: int,
        greatest_exponent: int,
        fraction_bits: int,
        sticky: bool,
        float32_range: bool,
        code_of_infinity: int,
        code_of: Callable[[IntArray, IntArray, IntArray], IntArray],
        dtype: np.dtype[np.unsignedinteger[Any]],
    ) -> None:
        self._least_exponent = least_exponent
        self._fraction_bits = fraction_bits
        self._sticky = sticky
        self._float32_range = float32_range
        self._index_bits = fraction_bits + sticky
        self._per_sign = (greatest_exponent - least_exponent + 1) << self._index_bits
        index = np.arange(self._per_sign, dtype=np.int64)
        exponent = (index >> self._index_bits) + least_exponent
        fraction = index & ((1 << self._index_bits) - 1)
        by_sign = [code_of(np.full_like(index, sign), exponent, fraction) for sign in (0, 1)]
        self._codes: Codes = np.concatenate([*by_sign, [code_of_infinity]]).astype(dtype)

    @property
    def codes(self) -> Codes:
        """Entries of positive numbers, of negative ones, and the code of infinity."""
        return self._codes

    @property
    def binary64_places(self) -> tuple[int, int, int, int, bool]:
        """Of float64 patterns: bits dropped, first and last leading bits, least infinite pattern, sticky."""
        drop, first, infinite = self._cut(BINARY64)
        return drop, first, first + self._per_sign - 1, infinite, self._sticky

    def encode(self, reals: npt.NDArray[np.float64]) -> Codes:
        """Codes of float64 values with plain numpy."""
        drop, first, infinite = self._cut(BINARY64)
        patterns = reals.view(np.int64)
        magnitude = patterns & 0x7FFF_FFFF_FFFF_FFFF
        if self._sticky:
            leading = ((magnitude >> drop) << 1) | ((magnitude & ((1 << drop) - 1)) != 0)
        else:
            leading = (magnitude + ((1 << (drop - 1)) - 1) + ((magnitude >> drop) & 1)) >> drop
        index = np.clip(leading - first, 0, self._per_sign - 1) + np.where(patterns < 0, self._per_sign, 0)
        return np.asarray(self._codes[np.where(magnitude >= infinite, 2 * self._per_sign, index)])

    def encode_compiled(self, reals: npt.NDArray[np.float32 | np.float64], codes: Codes) -> None:
        """The same for a contiguous vector of float32 or float64, by a compiled loop."""
        self._look_up(reals, self._codes, codes)

    def looked_up(
        self, reals: npt.NDArray[np.float32 | np.float64], entries: npt.NDArray[Entry]
    ) -> npt.NDArray[Entry]:
        """What `entries` has in the places of `codes`, for each real, by a compiled loop."""
        found = np.empty(reals.shape, entries.dtype)
        self._look_up(np.ascontiguousarray(reals).reshape(-1), entries, found.reshape(-1))
        return found

    def _look_up(self, reals: npt.NDArray[Any], entries: npt.NDArray[Any], found: npt.NDArray[Any]) -> None:
        from simulator.numerics.formats import code_kernels as kernels

        # float32 patterns serve as they are unless their denormals would have to be told apart.
        direct = reals.dtype == np.float32 and self._least_exponent >= -BINARY32.bias
        layout = BINARY32 if direct else BINARY64
        drop, first, infinite = self._cut(layout)
        patterns = (reals if direct else reals.astype(np.float64, copy=False)).view(layout.pattern)
        kernels.encode_by_table(
            patterns,
            layout.pattern(drop),
            layout.pattern(first),
            layout.pattern(first + self._per_sign - 1),
            layout.pattern(infinite),
            layout.pattern(8 * patterns.dtype.itemsize - 1),
            self._sticky,
            entries,
            found,
        )

    def _cut(self, layout: FloatLayout) -> tuple[int, int, int]:
        """Fraction bits to drop, the leading bits of the first entry, and the least infinite pattern."""
        first = (layout.bias + self._least_exponent) << self._index_bits
        ranging = BINARY32 if self._float32_range else layout
        field = ranging.bias + 1 + layout.bias
        return layout.fraction_bits - self._fraction_bits, first, field << layout.fraction_bits
