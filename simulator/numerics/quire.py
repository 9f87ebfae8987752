"""Posit quires to posit codes, as the circuit of Johnson 2018 (arXiv 1811.01721) rounds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from simulator.foundation import UserError
from simulator.numerics.tapered import leading_one

if TYPE_CHECKING:
    from simulator.numerics.formats.posit import Posit


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
            bottom;
            None where overflow is not detected.

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
    layout = fmt.layout
    sums = np.asarray(quires, np.int64)
    negative = sums < 0
    most_negative = sums == -(1 << (fmt.accumulator_bits - 1))
    magnitude = np.maximum(np.abs(np.where(most_negative, 0, sums)), 1)
    position = leading_one(magnitude)
    kept_bits = layout.fraction_bits + 2  # and a sticky bit behind them
    drop = np.maximum(position - kept_bits, 0)
    kept = (magnitude >> drop) << np.maximum(kept_bits - position, 0)
    sticky = (magnitude & ((np.int64(1) << drop) - 1)) != 0
    fraction = ((kept & ((1 << kept_bits) - 1)) << 1) | sticky
    exponent = position + fmt.accumulator_lsb
    codes = layout.round_to_magnitude(np.maximum(exponent, -layout.greatest_exponent), fraction, 3)
    half_of_smallest = 1 << (-layout.greatest_exponent - fmt.accumulator_lsb - 1)
    codes = np.where(
        exponent < -layout.greatest_exponent, (magnitude > half_of_smallest).astype(np.int64), codes
    )
    codes = np.where(sums == 0, 0, codes)
    largest = most_negative
    if overflow_sign is not None:
        flags = np.asarray(overflow_sign)
        largest = largest | (flags != 0)
        negative = np.where(flags != 0, flags < 0, negative)
    codes = np.where(largest, layout.largest_code, codes)
    codes = np.where(codes == 0, 0, codes | (negative.astype(np.int64) << (fmt.bits - 1)))
    if is_infinite is not None:
        codes = np.where(np.asarray(is_infinite, np.bool_), fmt.code_of_infinity, codes)
    return np.asarray(codes, fmt.code_dtype)
