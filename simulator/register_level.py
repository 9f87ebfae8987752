"""Whole layers through the register-level grid, held against the closed form and the fast matrix product."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from simulator.arch import ArchConfig
from simulator.array import ArrayTiming, schedule_product
from simulator.foundation import UserError
from simulator.foundation.callbacks import Advance, Progress
from simulator.foundation.defects import DefectError
from simulator.numerics import Format, Mac, get_mac, multiply
from simulator.numerics.array_types import Codes
from simulator.system.column_blocks import macs_of_layer, place_channels
from simulator.system.mac_traits import configured_traits
from simulator.workload import Layer, Network

if TYPE_CHECKING:
    from pathlib import Path

MOST_VALUES: Final = 1 << 27
"""Operands and results of a layer in registers: about 4 GiB where all are held at once."""

BYTES_OF_VALUE: Final = 32
"""What each of them takes while a layer is stepped through, measured: 30 MiB for a million."""


class GridMismatchError(DefectError):
    """The grid and the fast engines disagree."""


@dataclass(frozen=True, slots=True)
class GridLayer:
    """A layer that went through the grid, its cycles as in closed form, its sums as in the matrix product."""

    name: str
    cycles: int
    outputs: int


def values_of(layer: Layer) -> int:
    """Operands and results of a layer, all of which the grid holds."""
    return layer.m * layer.k * layer.groups + layer.k * layer.n + layer.m * layer.n


def verify_on_grid(
    arch: ArchConfig, network: Network, *, seed: int = 0, progress: Progress | None = None
) -> Iterator[GridLayer]:
    """Step the grid through every layer of a network on synthetic tensors, layer by layer.

    Raises:
        GridMismatchError: cycles or a sum differ; the first wrong output's coordinates are in the message.
    """
    for layer in network.layers:
        product = GridProduct.of(arch, layer, seed)

        def advance(done: int, total: int, name: str = layer.name) -> None:
            if progress is not None:
                progress(name, done, total)

        cycles, sums = product.run(advance)
        if cycles != product.closed_form_cycles:
            message = (
                f"{layer.name}: the grid took {cycles} cycles, the closed form {product.closed_form_cycles}"
            )
            raise GridMismatchError(message)
        product.require_equal_sums(sums)
        yield GridLayer(layer.name, cycles, sums.size)


def dump_fold(arch: ArchConfig, layer: Layer, path: Path, *, fold: int, seed: int = 0) -> tuple[int, int]:
    """Write the grid's registers during one fold of a layer as a VCD; returns its first and last cycle.

    Raises:
        UserError: no such fold, or an array too large for a dump.
    """
    from simulator.array.vcd import write_fold_vcd

    product = GridProduct.of(arch, layer, seed)
    return write_fold_vcd(
        path,
        product.timing,
        product.blocks,
        product.activations,
        product.placed_weights,
        fold=fold,
        clock_mhz=arch.clock_mhz,
    )


@dataclass(frozen=True, slots=True)
class GridProduct:
    """A layer on synthetic tensors, its channels placed in the columns as the machine places them.

    blocks: MACs and their columns, left to right.
    slots: channel of every slot of a group, -1 for none [groups, slots]; see `place_channels`.
    activations: codes [groups, M, K].
    weights: for each block, all weights as codes of its MAC [groups, K, N / groups].
    """

    layer: Layer
    timing: ArrayTiming
    blocks: tuple[tuple[Mac, int], ...]
    slots: npt.NDArray[np.int64]
    activations: Codes
    weights: tuple[Codes, ...]

    @classmethod
    def of(cls, arch: ArchConfig, layer: Layer, seed: int = 0) -> GridProduct:
        """The product of a layer. The same layer name, shape, MACs and seed give the same codes.

        Activations are rectified normal, weights normal.

        Raises:
            UserError: blocks of columns that the layer cannot have, or more values than are stepped through.
        """
        values = values_of(layer)
        if values > MOST_VALUES:
            raise UserError(
                f"layer {layer.name!r} is too large for the register-level grid: operands and results are"
                f" {values:,} values",
                allowed=f"up to {MOST_VALUES:,}; the event engine has no such limit",
            )
        column_blocks = macs_of_layer(arch, layer, configured_traits(arch)).blocks
        macs = [get_mac(choice, custom=arch.macs) for choice, _ in arch.mac_choices(layer.name)]
        generator = np.random.default_rng([seed, crc32(layer.name.encode())])
        activations = np.maximum(generator.standard_normal((layer.groups, layer.m, layer.k)), 0)
        weights = generator.standard_normal((layer.groups, layer.k, layer.n_per_group))
        return cls(
            layer=layer,
            timing=ArrayTiming.of(arch.array, [mac.spec for mac in macs], arch.dataflow_of(layer.name)),
            blocks=tuple((mac, block.columns) for mac, block in zip(macs, column_blocks, strict=True)),
            slots=place_channels(layer, column_blocks),
            activations=_codes(macs[0].activation, activations),
            weights=tuple(_codes(mac.weight, weights) for mac in macs),
        )

    @property
    def block_of_slot(self) -> npt.NDArray[np.int64]:
        """Which block of columns a slot belongs to."""
        widths = [columns for _, columns in self.blocks]
        return np.repeat(np.arange(len(widths)), widths)[np.arange(self.slots.shape[1]) % sum(widths)]

    @property
    def placed_weights(self) -> Codes:
        """Weights as the columns get them, [groups, K, slots]; zero in empty ones."""
        groups, count = self.slots.shape
        dtype = np.result_type(*(codes.dtype for codes in self.weights))
        placed = np.zeros((groups, self.layer.k, count), dtype)
        owner = self.block_of_slot
        for slot, block in enumerate(owner):
            placed[:, :, slot] = self.blocks[block][0].weight.encode(0.0)
        for group, slots in enumerate(self.slots):
            for block, codes in enumerate(self.weights):
                own = np.flatnonzero((slots >= 0) & (owner == block))
                placed[group][:, own] = codes[group][:, slots[own]]
        return placed

    @property
    def closed_form_cycles(self) -> int:
        """Cycles of all its folds."""
        layer = self.layer
        slots = self.slots.size
        return schedule_product(self.timing, m=layer.m, n=slots, k=layer.k, groups=layer.groups).total_cycles

    def run(self, progress: Advance | None = None) -> tuple[int, npt.NDArray[Any]]:
        """Step the grid through it: cycles, and sums [groups, M, N / groups] by channel."""
        from simulator.array.drive import run_product

        run = run_product(self.timing, self.blocks, self.activations, self.placed_weights, progress=progress)
        sums = np.zeros((self.layer.groups, self.layer.m, self.layer.n_per_group), run.accumulators.dtype)
        for group, slots in enumerate(self.slots):
            used = np.flatnonzero(slots >= 0)
            sums[group][:, slots[used]] = run.accumulators[group][:, used]
        return run.cycles, sums

    def require_equal_sums(self, sums: npt.NDArray[Any]) -> None:
        """Compare with the matrix product of each channel's MAC. Raises GridMismatchError."""
        for group, slots in enumerate(self.slots):
            for block, (mac, _) in enumerate(self.blocks):
                channels = slots[(slots >= 0) & (self.block_of_slot == block)]
                weights = self.weights[block][group][:, channels]
                expected = multiply(mac, self.activations[group], weights).accumulators
                wrong = np.argwhere(np.asarray(sums[group][:, channels] != expected, bool))
                if wrong.size:
                    pixel, channel = int(wrong[0][0]), int(channels[wrong[0][1]])
                    where = f"{self.layer.name}: group {group}, output pixel {pixel}, channel {channel}"
                    found, right = sums[group][pixel, channel], expected[pixel, wrong[0][1]]
                    message = f"{where}: the grid has {found}, the matrix product {right}"
                    raise GridMismatchError(message)


def _codes(fmt: Format, values: npt.NDArray[np.float64]) -> Codes:
    """Integers and fixed point are spread over their range, floats take values as they are."""
    deviation = fmt.largest / 4 if fmt.exponent_bits == 0 else min(1.0, fmt.largest / 4)
    return fmt.encode(values * deviation)
