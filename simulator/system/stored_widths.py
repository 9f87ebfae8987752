"""How wide each tensor is stored: one width a tensor, for the layer that writes it and all that read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from simulator.system.footprint import Bits, StorageBits
from simulator.system.whole_blocks import padding_ratio
from simulator.workload.layer import Layer, Network


@dataclass(slots=True)
class _Shared:
    """Tensors by the layer that writes them, joined where a layer reads several; the widest code of each."""

    parent: dict[str, str]
    bits: dict[str, Bits]

    def root(self, name: str) -> str:
        while self.parent[name] != name:
            self.parent[name] = self.parent[self.parent[name]]
            name = self.parent[name]
        return name

    def read(self, names: tuple[str, ...], bits: Bits) -> None:
        """Note a layer that reads these tensors, together, in codes of `bits` bits."""
        roots = {self.root(name) for name in names}
        first = min(roots)
        for other in roots:
            self.parent[other] = first
        self.bits[first] = max(bits, *(self.bits[root] for root in roots))

    def width(self, name: str) -> Bits:
        """Stored bits of a tensor's elements; 0 where nobody reads it."""
        return self.bits[self.root(name)]


def stored_bits(
    network: Network, own: Mapping[str, StorageBits], blocks: Mapping[str, int]
) -> dict[str, StorageBits]:
    """Stored widths of every layer's operands.

    A result is stored in the codes of the layers that read it, in the widest of them; the tensors that one
    layer reads have one width. A result that no layer reads is stored in its own layer's activation codes.
    Readers take narrower codes out of wider ones behind the buffer. Zeros that fill a reader's last blocks
    are stored with the result, which makes its elements wider; a reader counts them as elements of its own.

    Args:
        network: the graph.
        own: by layer, the widths of its MAC's formats.
        blocks: by layer, the elements along input channels that share a scale; 0 without scales.
    """
    shared = _Shared(
        {layer.name: layer.name for layer in network.layers}, {n.name: 0 for n in network.layers}
    )
    for layer in network.layers:
        bits = own[layer.name]
        wanted = max(bits.activation, bits.weight) if layer.weights_are_activations else bits.activation
        if layer.inputs:
            shared.read(layer.inputs, _plain(wanted * padding_ratio(layer, blocks[layer.name])))
    return {
        layer.name: _of_layer(layer, own[layer.name], shared, blocks[layer.name]) for layer in network.layers
    }


def _plain(bits: Bits) -> Bits:
    """A whole number as one."""
    return int(bits) if bits == int(bits) else bits


def _of_layer(layer: Layer, own: StorageBits, shared: _Shared, block: int) -> StorageBits:
    read = own.activation
    if layer.inputs:
        read = _plain(shared.width(layer.inputs[0]) / padding_ratio(layer, block))
    added = [name for post in layer.post_operations if post.kind == "add" for name in post.inputs]
    adds = any(post.kind == "add" for post in layer.post_operations)
    residual = max((shared.width(name) or own.activation for name in added), default=own.activation)
    return replace(
        own,
        activation=read,
        weight=read if layer.weights_are_activations and layer.inputs else own.weight,
        result=shared.width(layer.name) or own.activation,
        residual=residual if adds else 0,
    )
