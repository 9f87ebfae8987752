"""What the machine needs to know of a MAC: the widths it stores and the cycles it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from simulator.arch import ArchConfig
from simulator.arch.config import MacChoice
from simulator.foundation import UserError
from simulator.system.footprint import StorageBits


@dataclass(frozen=True, slots=True)
class MacTraits:
    """Widths in bits, pipeline in cycles; a clock beyond the MAC's own changes no cycles, only its price.

    `activation` is the activation format's name, which MACs that share rows must have in common;
    `depends_on_order` whether the order of a sum can change its bits; `block` the elements that share a
    scale, 0 without scales.
    """

    name: str
    bits: StorageBits
    activation: str = ""
    pipeline_depth: int = 1
    accumulation_interval: int = 1
    depends_on_order: bool = False
    block: int = 0


TraitsOf = Callable[[MacChoice], MacTraits]


def configured_traits(arch: ArchConfig) -> TraitsOf:
    """How to get the traits of a MAC that an architecture names; its own `macs` come before the presets."""
    from simulator.numerics import get_mac

    def traits_of(choice: MacChoice) -> MacTraits:
        mac = get_mac(choice, custom=arch.macs)
        return MacTraits(
            name=mac.name,
            bits=StorageBits(*mac.stored_bits, mac.accumulator_bits),
            activation=mac.spec.activation,
            pipeline_depth=mac.spec.pipeline_depth,
            accumulation_interval=mac.spec.accumulation_interval,
            depends_on_order=mac.accumulator.depends_on_order,
            block=0 if mac.spec.blocks is None else mac.spec.blocks.block,
        )

    return traits_of


def merged_traits(macs: Sequence[MacTraits]) -> MacTraits:
    """What neighbouring MACs need together: the widest storage, the slowest pipeline.

    Raises:
        UserError: activation formats of different width, which cannot pass through the same row.
    """
    for mac in macs:
        if (mac.activation, mac.block) != (macs[0].activation, macs[0].block):
            raise UserError(
                f"blocks share their activations, and {macs[0].name!r} takes {macs[0].activation}",
                location="array.column_blocks",
                value=mac.activation,
                allowed=macs[0].activation,
            )
    return MacTraits(
        name=" | ".join(mac.name for mac in macs),
        bits=StorageBits(
            activation=macs[0].bits.activation,
            weight=max(mac.bits.weight for mac in macs),
            accumulator=max(mac.bits.accumulator for mac in macs),
        ),
        activation=macs[0].activation,
        pipeline_depth=max(mac.pipeline_depth for mac in macs),
        accumulation_interval=max(mac.accumulation_interval for mac in macs),
        depends_on_order=any(mac.depends_on_order for mac in macs),
        block=macs[0].block,
    )
