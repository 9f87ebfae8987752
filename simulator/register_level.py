"""Whole layers through the register-level grid, held against the closed form and the fast matrix product."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from simulator.arch import ArchConfig
from simulator.array import ArrayTiming, schedule_product
from simulator.numerics import Format, Mac, get_mac
from simulator.workload import Layer, Network

if TYPE_CHECKING:
    from pathlib import Path

Codes = npt.NDArray[np.unsignedinteger[Any]]
Progress = Callable[[str, int, int], None]


class GridMismatchError(AssertionError):
    """The grid and the fast engines disagree: a defect of the simulator, never of its input."""


@dataclass(frozen=True, slots=True)
class GridLayer:
    """A layer that went through the grid, its cycles as in closed form, its sums as in the matrix product."""

    name: str
    cycles: int
    outputs: int


def verify_on_grid(
    arch: ArchConfig, network: Network, *, seed: int = 0, progress: Progress | None = None
) -> Iterator[GridLayer]:
    """Step the grid through every layer of a network on synthetic tensors, layer by layer.

    Raises:
        GridMismatchError: cycles or a sum differ; the first wrong output's coordinates are in the message.
    """
    from simulator.array.drive import run_product

    for layer in network.layers:
        timing, blocks = _array_of(arch, layer)
        activations, weights = synthetic_operands(layer, blocks[0][0], seed)

        def advance(done: int, total: int, name: str = layer.name) -> None:
            if progress is not None:
                progress(name, done, total)

        run = run_product(timing, blocks, activations, weights, progress=advance)
        schedule = schedule_product(timing, m=layer.m, n=layer.n, k=layer.k, groups=layer.groups)
        if run.cycles != schedule.total_cycles:
            message = (
                f"{layer.name}: the grid took {run.cycles} cycles, the closed form {schedule.total_cycles}"
            )
            raise GridMismatchError(message)
        _require_equal_sums(layer, blocks, activations, weights, run.accumulators)
        yield GridLayer(layer.name, run.cycles, run.accumulators.size)


def dump_fold(arch: ArchConfig, layer: Layer, path: Path, *, fold: int, seed: int = 0) -> tuple[int, int]:
    """Write the grid's registers during one fold of a layer as a VCD; returns its first and last cycle.

    Raises:
        UserError: no such fold, or an array too large for a dump.
    """
    from simulator.array.vcd import write_fold_vcd

    timing, blocks = _array_of(arch, layer)
    activations, weights = synthetic_operands(layer, blocks[0][0], seed)
    return write_fold_vcd(path, timing, blocks, activations, weights, fold=fold, clock_mhz=arch.clock_mhz)


def synthetic_operands(layer: Layer, mac: Mac, seed: int) -> tuple[Codes, Codes]:
    """Codes of rectified normal activations [groups, M, K] and normal weights [groups, K, N / groups].

    The same layer name, shape, MAC and seed give the same codes.
    """
    generator = np.random.default_rng([seed, crc32(layer.name.encode())])
    activations = np.maximum(generator.standard_normal((layer.groups, layer.m, layer.k)), 0)
    weights = generator.standard_normal((layer.groups, layer.k, layer.n_per_group))
    return (
        mac.activation.encode(activations * _deviation(mac.activation)),
        mac.weight.encode(weights * _deviation(mac.weight)),
    )


def _deviation(fmt: Format) -> float:
    """Integers and fixed point are spread over their range, floats take values as they are."""
    return fmt.largest / 4 if fmt.exponent_bits == 0 else min(1.0, fmt.largest / 4)


def _array_of(arch: ArchConfig, layer: Layer) -> tuple[ArrayTiming, list[tuple[Mac, int]]]:
    own = arch.layers.get(layer.name)
    if own is not None and own.mac is not None:
        choices = [(own.mac, arch.array.columns)]
    elif arch.array.column_blocks:
        choices = [(block.mac, block.columns) for block in arch.array.column_blocks]
    else:
        choices = [(arch.array.mac, arch.array.columns)]
    blocks = [(get_mac(choice, custom=arch.macs), columns) for choice, columns in choices]
    return ArrayTiming.of(arch.array, [mac.spec for mac, _ in blocks]), blocks


def _require_equal_sums(
    layer: Layer,
    blocks: list[tuple[Mac, int]],
    activations: Codes,
    weights: Codes,
    sums: npt.NDArray[Any],
) -> None:
    columns = sum(width for _, width in blocks)
    owner = np.repeat(np.arange(len(blocks)), [width for _, width in blocks])
    block_of_channel = owner[np.arange(layer.n_per_group) % columns]
    for group in range(layer.groups):
        for index, (mac, _) in enumerate(blocks):
            channels = np.flatnonzero(block_of_channel == index)
            expected = mac.matmul(activations[group], weights[group][:, channels])
            wrong = np.argwhere(np.asarray(sums[group][:, channels] != expected, bool))
            if wrong.size:
                pixel, channel = int(wrong[0][0]), int(channels[wrong[0][1]])
                message = (
                    f"{layer.name}: group {group}, output pixel {pixel}, channel {channel}: the grid has "
                    f"{sums[group][pixel, channel]}, the matrix product {expected[pixel, wrong[0][1]]}"
                )
                raise GridMismatchError(message)
