"""Which columns compute which output channels when blocks of columns hold MACs of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from simulator.arch import ArchConfig
from simulator.foundation import UserError
from simulator.system.mac_traits import MacTraits, TraitsOf, checked_clock, merged_traits
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
    """The output channels of a layer dealt to blocks of columns, fold by fold.

    In every fold each block first takes channels listed for it, in ascending order; columns left over take
    the channels that no block lists, in ascending order from left to right. Groups are dealt one by one; all
    of them take as many folds as the slowest.

    Raises:
        UserError: a channel that the layer does not have, or one listed twice.
    """
    _check_lists(layer, blocks)
    totals = [0] * len(blocks)
    folds = 0
    for group in range(layer.groups):
        channels = range(group * layer.n_per_group, (group + 1) * layer.n_per_group)
        group_folds, counts = _deal_group(channels, blocks)
        folds = max(folds, group_folds)
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
    columns = sum(block.columns for block in blocks)
    listed = any(block.listed for block in blocks)
    return Dealt(tuple(totals), folds * columns if listed else layer.n_per_group)


def _deal_group(channels: range, blocks: Sequence[Block]) -> tuple[int, list[int]]:
    own = [sum(channel in channels for channel in block.listed) for block in blocks]
    free = len(channels) - sum(own)
    counts = [0] * len(blocks)
    folds = 0
    while any(own) or free:
        folds += 1
        for index, block in enumerate(blocks):
            from_list = min(own[index], block.columns)
            from_rest = min(free, block.columns - from_list)
            own[index] -= from_list
            free -= from_rest
            counts[index] += from_list + from_rest
    return folds, counts


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
        UserError: an entry for a layer that the network does not have, a MAC too slow for the clock, or
            blocks in an input-stationary array.
    """
    layers = {layer.name: layer for layer in network.layers}
    _check_names(arch, network, arch.layers, "layers")
    for index, config in enumerate(arch.array.column_blocks):
        _check_names(arch, network, config.channels, f"array.column_blocks.{index}.channels")
    if arch.array.column_blocks and arch.array.dataflow == "is":
        raise UserError(
            "needs output channels along the columns, which hold output pixels when inputs stay",
            source=arch.name,
            location="array.column_blocks",
            value="is",
            allowed="dataflow os or ws",
        )
    result: dict[str, LayerMacs] = {}
    for name in layers:
        own = arch.layers.get(name)
        if own is not None and own.mac is not None:
            mac = checked_clock(arch, traits_of(own.mac), f"layers.{name}.mac")
            result[name] = LayerMacs((Block(mac, arch.array.columns),))
        else:
            result[name] = _array_macs(arch, name, traits_of)
    return result


def _array_macs(arch: ArchConfig, layer: str, traits_of: TraitsOf) -> LayerMacs:
    if not arch.array.column_blocks:
        mac = checked_clock(arch, traits_of(arch.array.mac), "array.mac")
        return LayerMacs((Block(mac, arch.array.columns),))
    blocks = (
        Block(
            checked_clock(arch, traits_of(config.mac), f"array.column_blocks.{index}.mac"),
            config.columns,
            tuple(sorted(config.channels.get(layer, ()))),
        )
        for index, config in enumerate(arch.array.column_blocks)
    )
    return LayerMacs(tuple(blocks))


def _check_names(arch: ArchConfig, network: Network, names: Iterable[str], location: str) -> None:
    known = [layer.name for layer in network.layers]
    for name in names:
        if name not in known:
            raise UserError(
                f"network {network.name!r} has no such layer",
                source=arch.name,
                location=location,
                value=name,
                candidates=known,
            )
