"""Block-scaled layers as the machine holds them: whole blocks along input channels, zeros in their tails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from simulator.arch.config import TilingConfig
from simulator.dataflow import Dataflow
from simulator.foundation import UserError
from simulator.system.geometry import Geometry
from simulator.workload.layer import Layer


def in_whole_blocks(layer: Layer, block: int) -> Layer:
    """The layer with its input channels (of each group) padded to whole blocks; 0: no blocks, as it is.

    A convolution's blocks run along channels at every kernel position, those of a product along all of K.
    """
    if not block:
        return layer
    if layer.convolution is None:
        return replace(layer, k=_padded(layer.k, block))
    groups = layer.convolution.groups
    channels = _padded(layer.convolution.channels // groups, block)
    taps = layer.convolution.kernel[0] * layer.convolution.kernel[1]
    return replace(
        layer, k=channels * taps, convolution=replace(layer.convolution, channels=channels * groups)
    )


def padding_ratio(layer: Layer, block: int) -> Fraction:
    """Stored activations for each of the layer's own; 1 without tails."""
    return Fraction(in_whole_blocks(layer, block).k, layer.k)


def require_whole_folds(flow: Dataflow, rows: int, columns: int, block: int, mac: str) -> None:
    """Refuse arrays whose folds would cut blocks: those that lay K along a side that is no multiple of them.

    Raises:
        UserError: such an array.
    """
    side = flow.side_of("k") if block else None
    if side is None:
        return
    length = {"rows": rows, "columns": columns}[side]
    if length % block:
        raise UserError(
            f"MAC {mac!r} adds blocks of {block} elements, which {flow.name} lays along this side",
            location=f"array.{side}",
            value=length,
            allowed=f"a multiple of {block}, or dataflow os",
        )


def reductions_in_whole_blocks(
    name: str, g: Geometry, given: TilingConfig, block: int
) -> Iterator[TilingConfig]:
    """Tilings that cut the reduction between blocks alone: whole, then halved until one block is left.

    A piece has whole kernels of whole blocks of channels.

    Raises:
        UserError: a fixed piece of the reduction that cuts a block.
    """
    unit = block * g.kernel_size if g.k % (block * g.kernel_size) == 0 else block
    if given.tile_k is not None:
        if given.tile_k < g.k and given.tile_k % unit:
            raise UserError(
                f"cuts blocks of {block} elements in layer {name!r}",
                location="tiling.tile_k",
                value=given.tile_k,
                allowed=f"multiples of {unit}, or {g.k} and more for the whole reduction",
            )
        yield given
        return
    pieces = g.k // unit
    while True:
        yield given.model_copy(update={"tile_k": pieces * unit})
        if pieces == 1:
            return
        pieces = -(-pieces // 2)


def _padded(length: int, block: int) -> int:
    return -(-length // block) * block


def padding_warning(network_layers: Iterator[tuple[Layer, int, str]]) -> str | None:
    """What tails of blocks cost, in a sentence: the layers whose channels are padded; None where none are."""
    padded = [
        (padding_ratio(layer, block), layer.name, mac)
        for layer, block, mac in network_layers
        if block and padding_ratio(layer, block) > 1
    ]
    if not padded:
        return None
    ratio, name, mac = max(padded)
    layers = "1 layer" if len(padded) == 1 else f"{len(padded)} layers"
    return (
        f"{mac}: input channels of {layers} are no whole blocks; zeros fill the last block, are stored and"
        f" moved, and take cycles as elements do: most in {name}, {float(ratio):.3g} for each of its own"
    )
