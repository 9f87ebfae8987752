"""Posit quires to posit codes, as the circuit of Johnson 2018 (arXiv 1811.01721) rounds them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.foundation import UserError
from simulator.numerics.array_types import Codes
from simulator.numerics.formats.code_tables import compiled_loops
from simulator.numerics.formats.posit import Posit
from simulator.numerics.tapered import IntArray, leading_one

_FLOAT64_BITS = 54


def quire_to_code(
    quires: npt.ArrayLike,
    is_infinite: npt.ArrayLike | None,
    fmt: Posit,
    *,
    overflow_sign: npt.ArrayLike | None = None,
) -> npt.NDArray[np.unsignedinteger[Any]]:
    """Codes of quires: exact fixed-point sums of posit products, rounded once.

    Args:
        quires: two's complement sums in units of 2**fmt.accumulator_lsb, `fmt.accumulator_bits` wide, any
            shape.
        is_infinite: the sticky infinity flags; None where there are none.
        fmt: the posit format of the codes.
        overflow_sign: 0 where the quire has not overflowed, +1 or -1 where it has, past the top or the
            bottom; None where overflow is not detected.

    Returns:
        Codes of dtype `fmt.code_dtype`. Infinity flags give infinity. Overflow and the most negative quire
        give the largest magnitude. Below the smallest value more than half of it rounds up to it, and the
        rest to zero. In between, round to nearest even on the tapered bit string; never infinity.

    Raises:
        UserError: quires wider than 64 bits.
    """
    if fmt.accumulator_bits > 64:
        raise UserError(
            f"the quire of {fmt.spec} is too wide to convert",
            value=fmt.accumulator_bits,
            allowed="up to 64 bits",
        )
    sums = np.asarray(quires, np.int64)
    if fmt.accumulator_bits <= _FLOAT64_BITS and compiled_loops.pay_off(sums.size):
        codes = _convert_as_floats(sums, fmt)
    else:
        codes = _convert(sums, fmt).astype(fmt.code_dtype)
    if overflow_sign is not None:
        flags = np.asarray(overflow_sign)
        codes[flags > 0] = fmt.layout.largest_code
        codes[flags < 0] = fmt.layout.largest_code | 1 << (fmt.bits - 1)
    if is_infinite is not None:
        codes[np.asarray(is_infinite, np.bool_)] = fmt.code_of_infinity
    return codes


def _convert(sums: IntArray, fmt: Posit) -> IntArray:
    """Codes of quires: leading one, bits behind it and a sticky bit, rounded on the tapered string."""
    layout = fmt.layout
    magnitude = np.abs(sums)
    position = leading_one(np.maximum(magnitude, 1))
    kept_bits = layout.fraction_bits + 2
    drop = np.maximum(position - kept_bits, 0)
    kept = (magnitude >> drop) << np.maximum(kept_bits - position, 0)
    sticky = (magnitude & ((np.int64(1) << drop) - 1)) != 0
    fraction = ((kept & ((1 << kept_bits) - 1)) << 1) | sticky
    exponent = position + fmt.accumulator_lsb
    codes = layout.round_to_magnitude(np.maximum(exponent, -layout.greatest_exponent), fraction, 3)
    codes = np.where(exponent < -layout.greatest_exponent, magnitude > _half_of_smallest(fmt), codes)
    return np.where((sums < 0) & (codes != 0), codes | (1 << (fmt.bits - 1)), codes)


def _convert_as_floats(sums: IntArray, fmt: Posit) -> Codes:
    """The same where float64 holds the quires: the encoder, and the values that it does not round up."""
    codes = fmt.encode(sums.astype(np.float64) * 2.0**fmt.accumulator_lsb)
    half = _half_of_smallest(fmt)
    codes[(sums > half) & (codes == 0)] = 1
    codes[(sums < -half) & (codes == 0)] = 1 | 1 << (fmt.bits - 1)
    return codes


def _half_of_smallest(fmt: Posit) -> int:
    """Half of the smallest posit, in units of the quire's lowest bit."""
    return 1 << (-fmt.layout.greatest_exponent - fmt.accumulator_lsb - 1)
