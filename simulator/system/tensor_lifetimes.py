"""What a network's graph says about a layer's results: how many are stored, which may stay on chip."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from simulator.arch import ArchConfig
from simulator.dataflow import DATAFLOWS
from simulator.foundation import UserError
from simulator.system.footprint import StorageBits, packed_bytes
from simulator.workload.layer import Layer, Network


@dataclass(frozen=True, slots=True)
class Reuse:
    """Where a layer's input is and where its result goes."""

    ifmap_on_chip: bool = False
    ofmap_stays: bool = False


class Readers:
    """Who reads each layer's result, found once for a network."""

    def __init__(self, network: Network) -> None:
        """Walk the graph."""
        self.of: dict[str, list[Layer]] = {layer.name: [] for layer in network.layers}
        self.adding: dict[str, set[str]] = {layer.name: set() for layer in network.layers}
        for layer in network.layers:
            for name in dict.fromkeys(layer.inputs):
                self.of[name].append(layer)
            for post in layer.post_operations:
                for name in post.inputs:
                    self.adding[name].add(layer.name)

    def only_input_of(self, layer: Layer, reader: Layer) -> bool:
        """Whether `reader` alone reads a layer's result, as its only input and once, and no layer adds it."""
        if reader.weights_are_activations:
            return False  # both operands come from it, and only activations are copied on chip
        return (
            self.of[layer.name] == [reader] and reader.inputs == (layer.name,) and not self.adding[layer.name]
        )


def stored_results(layer: Layer, readers: Readers) -> int:
    """Results that are written to the ofmap buffer: fewer than M x N where pooling follows.

    A pooled layer stores what its readers fetch: the smallest ifmap of those that read it alone. Without such
    a reader the pooled size is not known and all results are counted.
    """
    results = layer.m * layer.n
    if not any(post.kind == "pool" for post in layer.post_operations):
        return results
    fetched = [reader.ifmap_elements for reader in readers.of[layer.name] if reader.inputs == (layer.name,)]
    return min([results, *(elements for elements in fetched if elements)])


Choices = tuple[bool, ...]
"""Whether a result may go to DRAM (False) and may stay on chip (True)."""


def may_stay(
    network: Network, arch: ArchConfig, readers: Readers, bits: Mapping[str, StorageBits]
) -> tuple[Choices, ...]:
    """For every layer, whether its result can stay on chip for the layer that follows.

    It can, with `tiling.keep_ofmap_on_chip`, when that layer is its only reader and reads nothing else, no
    layer adds it to another result, and it fits one half of a double-buffered ofmap buffer (the other takes
    the next result). Layers whose partial sums pass through the ofmap buffer write their results back, and so
    do layers that add more bytes than they store: those have no place to wait in.
    """
    layers, memory = network.layers, arch.sram.of("ofmap")
    choices: list[Choices] = [(False,)] * len(layers)
    if (
        not arch.tiling.keep_ofmap_on_chip
        or not memory.config.double_buffered
        or arch.array.timing != "reference"
    ):
        return tuple(choices)
    for index, layer in enumerate(layers[:-1]):
        widths, stored = bits[layer.name], stored_results(layer, readers)
        flow = DATAFLOWS[arch.dataflow_of(layer.name)]
        # More than a lane adds up, where sums leave the array with every fold.
        partial_sums = layer.k * flow.circuit.preloads > flow.lane_length(arch.array.rows, arch.array.columns)
        added = sum(post.elements for post in layer.post_operations if post.kind == "add")
        fits = packed_bytes(stored, widths.result) <= memory.tile_bytes("ofmap")
        in_place = added <= stored and widths.residual <= widths.result
        alone = readers.only_input_of(layer, layers[index + 1])
        if alone and fits and in_place and not partial_sums:
            choices[index] = _wanted(arch, layer.name)
    return tuple(choices)


def _wanted(arch: ArchConfig, layer: str) -> Choices:
    own = arch.layers.get(layer)
    keeps = own.tiling.keep_ofmap_on_chip if own is not None and own.tiling is not None else None
    return (False, True) if keeps is None else (keeps,)


def cheapest_reuse(
    choices: Sequence[Choices], cost: Callable[[int, Reuse], float | None]
) -> tuple[Reuse, ...]:
    """Which results stay so that all layers together cost least, the longest chains considered as a whole.

    Args:
        choices: by layer, whether its result may go to DRAM and may stay.
        cost: of a layer (by its place) with a reuse; None where it is impossible.

    Raises:
        UserError: results that have to stay, but cannot.
    """
    if not any(True in choice for choice in choices):
        return (Reuse(),) * len(choices)
    best: dict[bool, _Chain] = {False: _Chain(0.0, None, None)}
    for index, choice in enumerate(choices):
        found: dict[bool, _Chain] = {}
        for on_chip, chain in best.items():
            for stays in choice:
                price = cost(index, Reuse(on_chip, stays))
                if price is None:
                    continue
                longer = _Chain(chain.cost + price, chain, Reuse(on_chip, stays))
                if stays not in found or longer.cost < found[stays].cost:
                    found[stays] = longer
        if not found:
            raise UserError(
                "the results asked for do not fit beside the tiles of the layers that read them",
                location="layers.*.tiling.keep_ofmap_on_chip",
                value=True,
                allowed="null, to keep results where that fits",
            )
        best = found
    return best[False].reuses()


@dataclass(frozen=True, slots=True)
class _Chain:
    """The cheapest way to have played the layers so far."""

    cost: float
    before: _Chain | None
    reuse: Reuse | None

    def reuses(self) -> tuple[Reuse, ...]:
        found = []
        chain: _Chain | None = self
        while chain is not None and chain.reuse is not None:
            found.append(chain.reuse)
            chain = chain.before
        return tuple(reversed(found))
