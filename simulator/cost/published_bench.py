"""The published array bench: what it does in 225 cycles, and the bits that toggle on its kind of data.

One run of the 32x32 arrays of J. Johnson, arXiv 1811.01721: a reset edge, K + 2T + 1 multiply edges with K
= 128 and T = 32, then T - 1 shift edges. Operands are drawn from N(0,1); int8 codes from N(0,64), clipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from simulator.cost.register_toggles import SwitchingActivity, counted_activity
from simulator.numerics.activity import switching_activity
from simulator.numerics.array_types import Codes
from simulator.numerics.formats import Format
from simulator.numerics.mac import Mac
from simulator.operands import OPERANDS
from simulator.system.counts import ActionCounts, CycleBreakdown, PECycles, Traffic

TILE: Final = 32
LENGTH: Final = 128
MULTIPLY_EDGES: Final = LENGTH + 2 * TILE + 1
SHIFT_EDGES: Final = TILE - 1
CYCLES: Final = 1 + MULTIPLY_EDGES + SHIFT_EDGES
_INT8_SIGMA: Final = 64


def bench_counts() -> ActionCounts:
    """The actions of one run: a 32x32x128 product, nothing outside the array."""
    pes = TILE * TILE
    useful = pes * LENGTH
    idle = pes * (1 + MULTIPLY_EDGES - LENGTH)
    return ActionCounts(
        macs=useful,
        cycles=CycleBreakdown(compute=LENGTH, fill=1 + MULTIPLY_EDGES - LENGTH, drain=SHIFT_EDGES),
        pe_cycles=PECycles(useful, idle, pes * SHIFT_EDGES, 0),
        activation_codes=TILE * LENGTH,
        weight_codes=TILE * LENGTH,
        converter_operations=pes,
        output_path_operations={},
        sram={operand: Traffic() for operand in OPERANDS},
        dram={operand: Traffic() for operand in OPERANDS},
    )


def bench_activity(mac: Mac, runs: int = 2, seed: int = 1) -> SwitchingActivity:
    """Mean bits toggled in one run, through the MAC's real numerics, over `runs` runs of fresh data."""
    random = np.random.default_rng(seed)
    counted = [
        counted_activity(switching_activity(mac, *bench_operands(mac, random), "os")) for _ in range(runs)
    ]
    return SwitchingActivity(
        *(
            sum(getattr(one, register) for one in counted) / runs
            for register in ("activation", "weight", "accumulator", "shift")
        )
    )


def bench_operands(mac: Mac, random: np.random.Generator) -> tuple[Codes, Codes]:
    """Activation codes [T, K] and weight codes [K, T] of one run."""
    return _draw(mac.activation, (TILE, LENGTH), random), _draw(mac.weight, (LENGTH, TILE), random)


def _draw(fmt: Format, shape: tuple[int, int], random: np.random.Generator) -> Codes:
    reals = random.standard_normal(shape)
    return fmt.encode(np.rint(reals * _INT8_SIGMA) if fmt.calibration.whole_numbers else reals)


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
