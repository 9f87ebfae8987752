"""How wide each tensor is stored: one width a tensor, for the layer that writes it and all that read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from simulator.system.footprint import StorageBits
from simulator.workload.layer import Layer, Network


@dataclass(slots=True)
class _Shared:
    """Tensors by the layer that writes them, joined where a layer reads several; the widest code of each."""

    parent: dict[str, str]
    bits: dict[str, int]

    def root(self, name: str) -> str:
        while self.parent[name] != name:
            self.parent[name] = self.parent[self.parent[name]]
            name = self.parent[name]
        return name

    def read(self, names: tuple[str, ...], bits: int) -> None:
        """Note a layer that reads these tensors, together, in codes of `bits` bits."""
        roots = {self.root(name) for name in names}
        first = min(roots)
        for other in roots:
            self.parent[other] = first
        self.bits[first] = max(bits, *(self.bits[root] for root in roots))

    def width(self, name: str) -> int:
        """Stored bits of a tensor's elements; 0 where nobody reads it."""
        return self.bits[self.root(name)]


def stored_bits(network: Network, own: Mapping[str, StorageBits]) -> dict[str, StorageBits]:
    """Stored widths of every layer's operands.

    A result is stored in the codes of the layers that read it, in the widest of them; the tensors that one
    layer reads have one width. A result that no layer reads is stored in its own layer's activation codes.
    Readers take narrower codes out of wider ones behind the buffer.

    Args:
        network: the graph.
        own: by layer, the widths of its MAC's formats.
    """
    shared = _Shared(
        {layer.name: layer.name for layer in network.layers}, {n.name: 0 for n in network.layers}
    )
    for layer in network.layers:
        bits = own[layer.name]
        wanted = max(bits.activation, bits.weight) if layer.weights_are_activations else bits.activation
        if layer.inputs:
            shared.read(layer.inputs, wanted)
    return {layer.name: _of_layer(layer, own[layer.name], shared) for layer in network.layers}


def _of_layer(layer: Layer, own: StorageBits, shared: _Shared) -> StorageBits:
    read = shared.width(layer.inputs[0]) if layer.inputs else own.activation
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
