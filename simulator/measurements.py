"""What real tensors tell of a run: toggled bits, accuracy and sums that left their accumulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from simulator.arch import ArchConfig
from simulator.cost.register_toggles import SwitchingActivity
from simulator.result_accuracy import Accuracy, LayerAccuracy
from simulator.workload import Network


@dataclass(frozen=True, slots=True)
class MeasuredLayer:
    """What real tensors tell of a layer.

    Bits that toggled, how far its outputs are from float32, and how many sums left their accumulator.
    """

    activity: SwitchingActivity | None = None
    accuracy: LayerAccuracy | None = None
    overflowed_sums: int | None = None


@dataclass(frozen=True, slots=True)
class Measurements:
    """What real tensors tell of a whole run, layers by name."""

    layers: Mapping[str, MeasuredLayer]
    accuracy: Accuracy | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """A network with the architecture that runs it (layers' own MACs filled in) and what tensors told."""

    arch: ArchConfig
    network: Network
    measured: Measurements = field(default_factory=lambda: Measurements({}))


NO_LAYER = MeasuredLayer()
"""A layer on which no tensors ran."""
