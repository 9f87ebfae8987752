"""Exact toggles of a layer's operands and sums: from codes, or as inference goes through its images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from simulator.arch import ArchConfig
from simulator.cost.register_toggles import SwitchingActivity, counted_activity
from simulator.numerics import Mac
from simulator.numerics.array_types import Codes
from simulator.workload import Layer

if TYPE_CHECKING:
    from simulator.inference.arithmetic import MacOutput
    from simulator.inference.layer_products import Product

COUNTED_BATCHES = 8
"""Toggles are counted exactly over this many batches at most and averaged."""


@dataclass(slots=True)
class ActivityCounter:
    """An observer of inference that counts toggles over the first batches of images.

    A batch is counted once all of its images have come, in however many chunks. Layers whose MACs have block
    scales are left out.
    """

    arch: ArchConfig
    layers: dict[str, Layer]
    macs: dict[str, Mac]
    counted: dict[str, list[SwitchingActivity]] = field(default_factory=dict)
    waiting: dict[str, tuple[Codes, Codes]] = field(default_factory=dict)

    def __call__(self, product: Product, output: MacOutput) -> None:
        """Count the toggles of every batch that is now whole."""
        name = product.name
        if self.macs[name].block_formats is not None:
            return
        counted = self.counted.setdefault(name, [])
        if len(counted) >= COUNTED_BATCHES:
            return
        layer, operands = self.layers[name], output.operands
        activations, weights = operands.activations, operands.weights
        computed = layer.weights_are_activations
        if name in self.waiting:
            earlier, earlier_weights = self.waiting.pop(name)
            activations = np.concatenate([earlier, activations], axis=0 if computed else 1)
            weights = np.concatenate([earlier_weights, weights]) if computed else weights
        size = layer.groups if computed else layer.m
        whole = min(activations.shape[0 if computed else 1] // size, COUNTED_BATCHES - len(counted))
        for batch in range(whole):
            part = slice(batch * size, (batch + 1) * size)
            a, w = (activations[part], weights[part]) if computed else (activations[:, part], weights)
            counted.append(activity_of(self.arch, name, self.macs[name], a, w))
        if len(counted) < COUNTED_BATCHES:
            rest = slice(whole * size, None)
            self.waiting[name] = (
                (activations[rest], weights[rest]) if computed else (activations[:, rest], weights)
            )

    @property
    def batches(self) -> int:
        """Batches that were counted of every layer."""
        return min(map(len, self.counted.values()), default=0)

    def activity(self, name: str) -> SwitchingActivity | None:
        """Mean over the counted batches; None of a MAC with block scales, whose toggles are not counted."""
        if name not in self.counted:
            return None
        counted = self.counted[name]
        count = len(counted)
        return SwitchingActivity(
            activation=sum(one.activation for one in counted) / count,
            weight=sum(one.weight for one in counted) / count,
            accumulator=sum(one.accumulator for one in counted) / count,
            shift=sum(one.shift for one in counted) / count,
            zero_operand_macs=sum(one.zero_operand_macs for one in counted) // count,
        )


def activity_of(
    arch: ArchConfig, layer: str, mac: Mac, activations: Codes, weights: Codes
) -> SwitchingActivity:
    """Toggles of a layer's product of codes, activations [groups, M, K] by weights [groups, K, N]."""
    array = arch.array
    from simulator.numerics.activity import switching_activity, total_activity

    counted = total_activity(
        [
            switching_activity(mac, a, w, arch.dataflow_of(layer), rows=array.rows, columns=array.columns)
            for a, w in by_group(activations, weights)
        ]
    )
    return counted_activity(counted, zero_operand_macs=_zero_operand_macs(mac, activations, weights))


def by_group(activations: Codes, weights: Codes) -> Iterator[tuple[Codes, Codes]]:
    """The operands of each group: [M, K] and [K, N]."""
    for group in range(activations.shape[0]):
        yield np.asarray(activations[group]), np.asarray(weights[group])


def _zero_operand_macs(mac: Mac, activations: Codes, weights: Codes) -> int:
    """MACs of which at least one operand is zero: all, less those where both are not."""
    both = 0
    for a, w in by_group(activations, weights):
        nonzero_a = np.count_nonzero(mac.activation.decode(a), axis=0)
        nonzero_w = np.count_nonzero(mac.weight.decode(w), axis=1)
        both += int(nonzero_a @ nonzero_w)
    groups, m, k = activations.shape
    return int(groups * m * k * weights.shape[2]) - both
