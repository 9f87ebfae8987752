"""Which sums of real operands left their accumulator: counted, and cheap where a bound excludes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simulator.foundation.messages import with_others
from simulator.numerics import Mac
from simulator.numerics.accumulators.lost_sums import largest_magnitude
from simulator.numerics.array_types import Codes
from simulator.numerics.engines.exact import ExactSums

if TYPE_CHECKING:
    from simulator.inference.arithmetic import MacOutput, Operands


@dataclass(frozen=True, slots=True)
class SumsOutside:
    """How many of some sums their accumulator could not hold."""

    outside: int = 0
    sums: int = 0

    @classmethod
    def of(cls, mac: Mac, activations: Codes, weights: Codes, sums: Codes) -> SumsOutside:
        """Of one product; arguments as `overflowed_sums`."""
        return cls(overflowed_sums(mac, activations, weights, sums), sums.size)

    @classmethod
    def of_layer(cls, mac: Mac, output: MacOutput) -> SumsOutside:
        """Of one layer; its operands are lowered only where a bound on all of them excludes nothing."""
        operands, held = output.operands, output.sums.held
        if mac.block_formats is not None:
            lost = ~np.isfinite(mac.to_real(output.accumulators))
            return cls(int(np.count_nonzero(lost)), lost.size)
        if isinstance(held, ExactSums):
            return cls(held.outside, output.sums.size)
        if _all_fit(mac, operands):
            return cls(0, output.sums.size)
        return cls.of(mac, operands.activations, operands.weights, output.accumulators)

    def __add__(self, other: SumsOutside) -> SumsOutside:
        return SumsOutside(self.outside + other.outside, self.sums + other.sums)


def outside_warnings(sums: Mapping[str, SumsOutside], macs: Mapping[str, Mac]) -> list[str]:
    """One sentence for each MAC whose accumulator could not hold some sum; layers by name."""
    warnings = []
    for name in dict.fromkeys(macs[layer].name for layer, each in sums.items() if each.outside):
        layers = {layer: each for layer, each in sums.items() if macs[layer].name == name and each.outside}
        worst = max(layers, key=lambda layer: layers[layer].outside)
        total = sum(layers.values(), SumsOutside())
        warnings.append(
            f"{with_others(worst, len(layers))}: {total.outside:,} of {total.sums:,} sums left the"
            f" accumulator of {name} ({macs[worst].accumulator.on_overflow})"
        )
    return warnings


def overflowed_sums(mac: Mac, activations: Codes, weights: Codes, sums: Codes) -> int:
    """How many sums of finite operands their accumulator could not hold.

    Fixed accumulators: sums whose exact value lies outside, where the accumulator wraps (to leave it on the
    way and come back does no harm); that lie outside on the way, where it remembers; that differ from the
    exact value, where it saturates; and those with a log product past the top, which vanishes. Float
    accumulators: sums that became infinite or NaN, or ended at the largest value where they saturate.

    Args:
        mac: the arithmetic.
        activations: codes [groups, M, K].
        weights: codes [groups, K, N].
        sums: what the MAC made of them, [groups, M, N].
    """
    groups = zip(activations, weights, sums, strict=True)
    return sum(mac.accumulator.lost_sums(mac.pair, *group) for group in groups)


def _all_fit(mac: Mac, operands: Operands) -> bool:
    """Whether a bound on the activations, lowered or not, and on each output's weights excludes overflow."""
    largest = operands.encoded.largest
    if largest is None:
        largest = largest_magnitude(mac.activation, operands.encoded.codes)
    bound = largest * operands.largest_weights(mac)
    return bound < mac.accumulator.undisturbed
