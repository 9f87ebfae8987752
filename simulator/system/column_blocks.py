"""Which columns compute which output channels when blocks of columns hold MACs of their own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.arch import ArchConfig
from simulator.dataflow import AXIS_TITLES, CHANNELS_IN_COLUMNS, DATAFLOWS, DataflowName
from simulator.foundation import UserError
from simulator.system.mac_traits import MacTraits, TraitsOf, merged_traits
from simulator.workload.layer import Layer, Network


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring columns with one MAC, and the output channels of a layer that are listed for it."""

    mac: MacTraits
    columns: int
    listed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Dealt:
    """Output channels dealt to blocks: how many each block computes, and the columns' slots of one group.

    slots_per_group: output channels with the columns that stay empty beside them, as the array and the filter
    buffer see a group. Equal to the group's channels when nothing is listed.
    """

    channels_by_block: tuple[int, ...]
    slots_per_group: int


def deal_channels(layer: Layer, blocks: Sequence[Block]) -> Dealt:
    """The output channels of a layer dealt to blocks of columns, as `place_channels` places them.

    Raises:
        UserError: a channel that the layer does not have, or one listed twice.
    """
    widths = [block.columns for block in blocks]
    if not any(block.listed for block in blocks):
        return Dealt(_dealt_in_turn(layer, widths), layer.n_per_group)
    slots = place_channels(layer, blocks)
    owner = np.repeat(np.arange(len(blocks)), widths)[np.arange(slots.shape[1]) % sum(widths)]
    taken = (slots >= 0).sum(axis=0)
    counts = np.bincount(owner, weights=taken, minlength=len(blocks)).astype(np.int64)
    return Dealt(tuple(counts.tolist()), slots.shape[1])


def _dealt_in_turn(layer: Layer, widths: Sequence[int]) -> tuple[int, ...]:
    """Channels of each block when columns take them from left to right, fold after fold."""
    folds, rest = divmod(layer.n_per_group, sum(widths))
    before, counts = 0, []
    for width in widths:
        counts.append((folds * width + min(width, max(0, rest - before))) * layer.groups)
        before += width
    return tuple(counts)


def place_channels(layer: Layer, blocks: Sequence[Block]) -> NDArray[np.int64]:
    """The output channel, counted inside its group, that every slot of every group computes.

    Slot `fold * columns + column` is a column in a fold; -1 where it stays empty. In every fold each block
    first takes channels listed for it, in ascending order; columns left over take the channels that no
    block lists, in ascending order from left to right. Groups are placed one by one; all of them take as
    many folds as the slowest. Without lists, slots are channels.

    Returns:
        int64 [groups, slots].

    Raises:
        UserError: a channel that the layer does not have, or one listed twice.
    """
    _check_lists(layer, blocks)
    if not any(block.listed for block in blocks):
        return np.broadcast_to(np.arange(layer.n_per_group), (layer.groups, layer.n_per_group))
    groups = [
        _place_group(range(group * layer.n_per_group, (group + 1) * layer.n_per_group), blocks)
        for group in range(layer.groups)
    ]
    slots = np.full((layer.groups, max(len(placed) for placed in groups)), -1, np.int64)
    for group, placed in enumerate(groups):
        slots[group, : len(placed)] = placed
    return slots


def _place_group(channels: range, blocks: Sequence[Block]) -> list[int]:
    own = [
        deque(channel - channels.start for channel in block.listed if channel in channels) for block in blocks
    ]
    listed = {channel for block_channels in own for channel in block_channels}
    free = deque(channel for channel in range(len(channels)) if channel not in listed)
    slots: list[int] = []
    while any(own) or free:
        for block, mine in zip(blocks, own, strict=True):
            for _ in range(block.columns):
                source = mine or free
                slots.append(source.popleft() if source else -1)
    return slots


def _check_lists(layer: Layer, blocks: Sequence[Block]) -> None:
    seen: set[int] = set()
    for index, block in enumerate(blocks):
        for channel in block.listed:
            location = f"array.column_blocks.{index}.channels.{layer.name}"
            if not 0 <= channel < layer.n:
                raise UserError(
                    "no such output channel", location=location, value=channel, allowed=f"0 to {layer.n - 1}"
                )
            if channel in seen:
                raise UserError("channel is listed twice", location=location, value=channel)
            seen.add(channel)


@dataclass(frozen=True, slots=True)
class LayerMacs:
    """The MACs that compute a layer: one for all columns, or a block of columns each."""

    blocks: tuple[Block, ...]

    @property
    def together(self) -> MacTraits:
        """What they need of storage and time."""
        return merged_traits([block.mac for block in self.blocks])

    def macs_by_name(self, layer: Layer, dealt: Dealt) -> dict[str, int]:
        """Useful multiply-accumulates by the MAC that does them."""
        counts: dict[str, int] = {}
        for block, channels in zip(self.blocks, dealt.channels_by_block, strict=True):
            counts[block.mac.name] = counts.get(block.mac.name, 0) + channels * layer.m * layer.k
        return counts


def macs_by_layer(arch: ArchConfig, network: Network, traits_of: TraitsOf) -> dict[str, LayerMacs]:
    """The MACs of every layer: the one its entry in `layers` names, else the array's, block by block.

    Raises:
        UserError: an entry for a layer that the network does not have, or blocks where columns are not
            output channels.
    """
    _check_names(arch, network, arch.layers, "layers")
    for index, config in enumerate(arch.array.column_blocks):
        _check_names(arch, network, config.channels, f"array.column_blocks.{index}.channels")
    if arch.array.column_blocks:
        _require_channels(arch, arch.array.dataflow, "array.column_blocks")
        for name, own in arch.layers.items():
            if own.mac is None and own.dataflow is not None:
                _require_channels(arch, own.dataflow, f"layers.{name}.dataflow", "array.column_blocks ")
    return {layer.name: macs_of_layer(arch, layer, traits_of) for layer in network.layers}


def _require_channels(arch: ArchConfig, dataflow: DataflowName, location: str, who: str = "") -> None:
    """Refuse blocks of columns where columns are not output channels."""
    flow = DATAFLOWS[dataflow]
    if flow.channels_in_columns:
        return
    held = f"{AXIS_TITLES[flow.columns]} when {flow.stays_title} stay"
    raise UserError(
        f"{who}needs output channels along the columns, which hold {held}",
        source=arch.name,
        location=location,
        value=flow.name,
        allowed=f"dataflow {' or '.join(CHANNELS_IN_COLUMNS)}",
    )


def macs_of_layer(arch: ArchConfig, layer: Layer, traits_of: TraitsOf) -> LayerMacs:
    """The MACs of one layer. Raises UserError for a MAC that cannot be."""
    own = arch.layers.get(layer.name)
    if own is not None and own.mac is not None:
        return LayerMacs((Block(traits_of(own.mac), arch.array.columns),))
    if not arch.array.column_blocks:
        return LayerMacs((Block(traits_of(arch.array.mac), arch.array.columns),))
    blocks = (
        Block(
            traits_of(config.mac),
            config.columns,
            tuple(sorted(config.channels.get(layer.name, ()))),
        )
        for config in arch.array.column_blocks
    )
    return LayerMacs(tuple(blocks))


def _check_names(arch: ArchConfig, network: Network, names: Iterable[str], location: str) -> None:
    known = {layer.name: layer for layer in network.layers}
    for name in names:
        if name not in known:
            raise UserError(
                f"network {network.name!r} has no such layer",
                source=arch.name,
                location=location,
                value=name,
                candidates=known,
            )
