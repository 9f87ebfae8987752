"""Register toggles of the published array bench, counted one product and one shift at a time.

Shares no code with `simulator.numerics.activity`: accumulators are followed by the MAC's own steps, operand
registers by the words that log numbers are unpacked to.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.cost.published_bench import LENGTH, SHIFT_EDGES, TILE
from simulator.numerics.formats import Format
from simulator.numerics.formats.log import LogBase
from simulator.numerics.mac import Mac

Words = npt.NDArray[np.int64]


def toggles_of_one_run(
    mac: Mac, a_codes: npt.NDArray[Any], w_codes: npt.NDArray[Any]
) -> tuple[int, int, int, int]:
    """Bits toggled in activations, weights, accumulators that add, accumulators that shift out."""
    mask = (1 << mac.accumulator_bits) - 1
    sums = np.zeros((TILE, TILE), np.int64)
    accumulator = 0
    for k in range(LENGTH):
        following = np.asarray(mac.accumulate(sums, a_codes[:, k, None], w_codes[None, k, :]), np.int64)
        accumulator += _changed(sums, following, mask)
        sums = following
    shift = 0
    for _ in range(SHIFT_EDGES):
        following = np.vstack([np.zeros((1, TILE), np.int64), sums[:-1]])
        shift += _changed(sums, following, mask)
        sums = following
    shift += _changed(sums, np.zeros_like(sums), mask)  # the reset that opens the next run
    operands = (_operand_toggles(mac.activation, a_codes), _operand_toggles(mac.weight, w_codes.T))
    return *operands, accumulator, shift


def _operand_toggles(fmt: Format, streams: npt.NDArray[Any]) -> int:
    """Bits toggled in the registers that each stream passes, one a PE; zeros stand around it."""
    zero = fmt.encode(np.zeros((streams.shape[0], 1)))
    words = _register_words(fmt, np.hstack([zero, streams, zero]))
    return TILE * _changed(words[:, :-1], words[:, 1:], -1)


def _register_words(fmt: Format, codes: npt.NDArray[Any]) -> Words:
    """What an operand register holds: codes, but log numbers unpacked as sign, flags, exponent, fraction."""
    if not isinstance(fmt, LogBase) or fmt.family == "flat log":
        return np.asarray(codes, np.int64)
    values = fmt.decode(codes)
    fields = fmt.unpack(np.asarray(codes, np.int64))
    flags = np.isinf(values).astype(np.int64) << 1 | (values == 0)
    exponent = np.asarray(fields.exponent, np.int64) & ((1 << fmt.exponent_bits) - 1)
    high = (np.asarray(fields.sign, np.int64) << 2 | flags) << fmt.exponent_bits | exponent
    return np.asarray(high << fmt.log_fraction_bits | np.asarray(fields.fraction, np.int64))


def _changed(before: Words, after: Words, mask: int) -> int:
    return int(np.bitwise_count(((before ^ after) & mask).astype(np.uint64)).sum())
