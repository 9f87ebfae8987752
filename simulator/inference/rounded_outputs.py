"""The real tensor behind a MAC's own output rule, without registers and codes where floats hold all of it.

A layer's sums are real numbers already. Its bias is added, the sum is rounded as the register and then as the
converter round it, and the value goes on: the bits are those of the detour over accumulators and codes. What
this cannot show, sums that leave their register and infinite ones, is left to the detour.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from simulator.inference.quantization import LayerPlan
from simulator.numerics import output_rules
from simulator.numerics.array_types import Reals, Tensor
from simulator.numerics.engines.blas import DOUBLE_BITS, SINGLE_BITS
from simulator.numerics.engines.exact import ExactSums
from simulator.numerics.engines.lane_sums import LaneSums
from simulator.numerics.formats import Format

_BLOCK = 1 << 15
"""Sums that go through all passes together, since they stay in a core's cache."""

Pass = Callable[[Tensor, Reals, Reals], int]
"""(sums [channels, pixels], offsets [channels], reals) fills the reals; how many need the detour."""

_SINGLE_RANGE = (-149, 127)
"""Exponents of the lowest bit and the largest value that float32 holds."""


def rounded_outputs(plan: LayerPlan, held: ExactSums | LaneSums) -> NDArray[np.float32] | None:
    """Values of sums [batch, channels, pixels] behind the output rule; None: only the detour is exact."""
    if plan.output_exponent:
        return None
    return _of_integers(plan, held) if isinstance(held, ExactSums) else _of_lanes(plan, held)


def _of_integers(plan: LayerPlan, held: ExactSums) -> NDArray[np.float32] | None:
    """Sums and offsets are integers of at most 53 bits, so that float64 adds them exactly."""
    from simulator.inference.tensor_kernels import integers_to_reals

    mac, target = plan.mac, plan.mac.activation
    rule = output_rules.as_rounded_reals(mac, mac.spec.output, target)
    if rule is None or held.outside:
        return None
    lsb, unit = mac.accumulator_lsb, float(2.0**held.shift)
    limit = float(min(1 << (mac.accumulator_bits - 1), 1 << DOUBLE_BITS))
    offsets = np.zeros(held.total.shape[1])
    if plan.bias is not None:
        offsets = np.rint(np.ldexp(plan.bias.reshape(-1).astype(np.float64), -lsb)) + 0.0
        if not (np.abs(offsets) < limit).all():
            return None
    numbers = (unit, limit, float(2.0**lsb), rule.lifted_from, rule.least)

    def reals_of(sums: Tensor, some: Tensor, reals: Reals) -> int:
        return integers_to_reals(sums, some, numbers, reals)

    return _in_blocks(held.total, offsets, reals_of, lambda reals: _converted(reals, target))


def _of_lanes(plan: LayerPlan, held: LaneSums) -> NDArray[np.float32] | None:
    """Float sums become reals by a power of two; with a bias they are rounded to their register again."""
    from simulator.inference.tensor_kernels import lanes_to_reals

    register, target = plan.mac.accumulator.number_format, plan.mac.activation
    if register is None or not _in_float32(register):
        return None
    inverse = 1.0 / held.unit
    has_bias = plan.bias is not None
    offsets = plan.bias.reshape(-1).astype(np.float64) if plan.bias is not None else np.zeros(0)

    def reals_of(sums: Tensor, some: Tensor, reals: Reals) -> int:
        return lanes_to_reals(sums, inverse, some, reals)

    def values_of(reals: Reals) -> NDArray[np.float32]:
        kept = register.nearest_values(reals) if has_bias else reals
        if target == register:
            return kept.astype(np.float32, copy=False)
        return _converted(kept, target)

    return _in_blocks(held.lanes, offsets, reals_of, values_of)


def _in_float32(fmt: Format) -> bool:
    least, greatest = _SINGLE_RANGE
    return fmt.significand_bits <= SINGLE_BITS and fmt.lsb >= least and fmt.exponent_range[1] <= greatest


def _converted(reals: NDArray[np.float32] | NDArray[np.float64], target: Format) -> NDArray[np.float32]:
    """Values of the target, with zero in place of false infinities (see `without_false_infinities`)."""
    values = target.nearest_values(reals)
    if target.infinity_of_tiny_values:
        infinite = ~np.isfinite(values)
        if infinite.any():
            values[infinite & (np.abs(reals) < target.smallest_positive)] = 0.0
    return values


def _in_blocks(
    sums: Tensor, offsets: Reals, reals_of: Pass, values_of: Callable[[Reals], NDArray[np.float32]]
) -> NDArray[np.float32] | None:
    """Values of all sums, some channels of an image at a time; None where any sum needs the detour."""
    values = np.empty(sums.shape, np.float32)
    channels, pixels = sums.shape[1:]
    together = max(1, _BLOCK // max(pixels, 1))
    room = np.empty((min(together, channels), pixels))
    for image, found in zip(sums, values, strict=True):
        for start in range(0, channels, together):
            block = slice(start, start + together)
            reals = room[: min(together, channels - start)]
            if reals_of(image[block], offsets[block], reals):
                return None
            found[block] = values_of(reals)
    return values
