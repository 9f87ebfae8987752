"""What a network's graph says about a layer's results: how many are stored, which may stay on chip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simulator.arch import ArchConfig
from simulator.system.footprint import packed_bytes
from simulator.workload.layer import Layer, Network


@dataclass(frozen=True, slots=True)
class Reuse:
    """Where a layer's input is and where its result goes."""

    ifmap_on_chip: bool = False
    ofmap_stays: bool = False


def stored_results(layer: Layer, network: Network) -> int:
    """Results that are written to the ofmap buffer: fewer than M x N where pooling follows.

    A pooled layer stores what its readers fetch: the smallest ifmap of those that read it alone. Without such
    a reader the pooled size is not known and all results are counted.
    """
    results = layer.m * layer.n
    if not any(post.kind == "pool" for post in layer.post_operations):
        return results
    fetched = [reader.ifmap_elements for reader in network.layers if reader.inputs == (layer.name,)]
    return min([results, *(elements for elements in fetched if elements)])


def on_chip_reuse(network: Network, arch: ArchConfig, activation_bits: Sequence[int]) -> tuple[Reuse, ...]:
    """For every layer, whether it finds its input on chip and leaves its result there.

    A result stays, with `tiling.keep_ofmap_on_chip`, when the layer that follows is its only reader and reads
    nothing else, and it fits one half of a double-buffered ofmap buffer (the other takes the next result).
    Layers whose partial sums pass through the ofmap buffer write their results back.
    """
    layers, buffer = network.layers, arch.sram.ofmap
    stays = [False] * len(layers)
    if arch.tiling.keep_ofmap_on_chip and buffer.double_buffered and arch.array.timing == "reference":
        for index, layer in enumerate(layers[:-1]):
            readers = [other.name for other in layers if layer.name in _all_inputs(other)]
            size = packed_bytes(stored_results(layer, network), activation_bits[index])
            alone = layers[index + 1].inputs == (layer.name,) and readers == [layers[index + 1].name]
            partial_sums = arch.array.dataflow != "os" and layer.k > arch.array.rows
            stays[index] = alone and size <= buffer.tile_bytes and not partial_sums
    return tuple(
        Reuse(ifmap_on_chip=before, ofmap_stays=here)
        for before, here in zip([False, *stays[:-1]], stays, strict=True)
    )


def _all_inputs(layer: Layer) -> tuple[str, ...]:
    return layer.inputs + tuple(name for post in layer.post_operations for name in post.inputs)
