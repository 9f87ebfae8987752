"""The published array bench: what it does in 225 cycles, and the bits that toggle on its kind of data.

One run of the 32x32 arrays of J. Johnson, arXiv 1811.01721: a reset edge, K + 2T + 1 multiply edges with K
= 128 and T = 32, then T - 1 shift edges. Operands are drawn from N(0,1); int8 codes from N(0,64), clipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from simulator.cost.activity import SwitchingActivity
from simulator.numerics.formats import Format
from simulator.numerics.formats.log import LogBase
from simulator.numerics.mac import Mac
from simulator.system.counts import OPERANDS, ActionCounts, CycleBreakdown, PECycles, Traffic

TILE: Final = 32
LENGTH: Final = 128
MULTIPLY_EDGES: Final = LENGTH + 2 * TILE + 1
SHIFT_EDGES: Final = TILE - 1
CYCLES: Final = 1 + MULTIPLY_EDGES + SHIFT_EDGES
_INT8_SIGMA: Final = 64

Codes = npt.NDArray[np.int64]


def bench_counts() -> ActionCounts:
    """The actions of one run: a 32x32x128 product, nothing outside the array."""
    pes = TILE * TILE
    useful = pes * LENGTH
    idle = pes * (1 + MULTIPLY_EDGES - LENGTH)
    return ActionCounts(
        macs=useful,
        cycles=CycleBreakdown(compute=LENGTH, fill=1 + MULTIPLY_EDGES - LENGTH, drain=SHIFT_EDGES),
        pe_cycles=PECycles(useful, idle, pes * SHIFT_EDGES, 0),
        decoder_operations=2 * TILE * LENGTH,
        converter_operations=pes,
        output_path_operations={},
        sram={operand: Traffic() for operand in OPERANDS},
        dram={operand: Traffic() for operand in OPERANDS},
    )


def bench_activity(mac: Mac, runs: int = 2, seed: int = 1) -> SwitchingActivity:
    """Mean bits toggled in one run, through the MAC's real numerics, over `runs` runs of fresh data.

    Every PE of a row holds the same activations and every PE of a column the same weights, one cycle apart,
    so operand toggles follow from the sequences. Accumulators are followed product by product, then shift
    by shift.
    """
    random = np.random.default_rng(seed)
    toggles = [_one_run(mac, random) for _ in range(runs)]
    activation, weight, accumulator, shift = np.mean([[*one] for one in toggles], axis=0)
    return SwitchingActivity(float(activation), float(weight), float(accumulator), float(shift))


def _one_run(mac: Mac, random: np.random.Generator) -> tuple[int, int, int, int]:
    a_codes = _draw(mac.activation, (TILE, LENGTH), random)
    w_codes = _draw(mac.weight, (LENGTH, TILE), random)
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


def _draw(fmt: Format, shape: tuple[int, int], random: np.random.Generator) -> npt.NDArray[Any]:
    reals = random.standard_normal(shape)
    return fmt.encode(np.rint(reals * _INT8_SIGMA) if fmt.family == "integer" else reals)


def _operand_toggles(fmt: Format, streams: npt.NDArray[Any]) -> int:
    """Bits toggled in the registers that each stream passes, one a PE; zeros stand around it."""
    zero = fmt.encode(np.zeros((streams.shape[0], 1)))
    words = _register_words(fmt, np.hstack([zero, streams, zero]))
    return TILE * _changed(words[:, :-1], words[:, 1:], -1)


def _register_words(fmt: Format, codes: npt.NDArray[Any]) -> Codes:
    """What an operand register holds: codes, but log numbers unpacked as sign, flags, exponent, fraction."""
    if not isinstance(fmt, LogBase) or fmt.family == "flat log":
        return np.asarray(codes, np.int64)
    values = fmt.decode(codes)
    fields = fmt.unpack(np.asarray(codes, np.int64))
    flags = np.isinf(values).astype(np.int64) << 1 | (values == 0)
    exponent = np.asarray(fields.exponent, np.int64) & ((1 << fmt.exponent_bits) - 1)
    high = (np.asarray(fields.sign, np.int64) << 2 | flags) << fmt.exponent_bits | exponent
    return np.asarray(high << fmt.log_fraction_bits | np.asarray(fields.fraction, np.int64))


def _changed(before: Codes, after: Codes, mask: int) -> int:
    return int(np.bitwise_count(((before ^ after) & mask).astype(np.uint64)).sum())


@dataclass(frozen=True, slots=True)
class BenchRates:
    """Mean bits toggled per operand edge in one PE."""

    activation: float
    weight: float
    accumulator: float


def bench_rates(activity: SwitchingActivity) -> BenchRates:
    """Toggles per useful MAC, to compare with those simulated from the published circuits."""
    macs = TILE * TILE * LENGTH
    return BenchRates(activity.activation / macs, activity.weight / macs, activity.accumulator / macs)
