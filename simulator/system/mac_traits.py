"""What the machine needs to know of a MAC: the widths it stores and the cycles it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simulator.arch import ArchConfig
from simulator.arch.config import MacChoice
from simulator.foundation import UserError
from simulator.system.footprint import StorageBits
from simulator.workload.layer import Network


@dataclass(frozen=True, slots=True)
class MacTraits:
    """Widths in bits, pipeline in cycles; `max_clock_mhz` is None where nobody published one."""

    name: str
    bits: StorageBits
    pipeline_depth: int = 1
    accumulation_interval: int = 1
    max_clock_mhz: float | None = None


TraitsOf = Callable[[MacChoice], MacTraits]


def configured_traits(arch: ArchConfig) -> TraitsOf:
    """How to get the traits of a MAC that an architecture names; its own `macs` come before the presets."""
    from simulator.numerics import get_mac

    def traits_of(choice: MacChoice) -> MacTraits:
        mac: Any = get_mac(choice, custom=arch.macs)
        return MacTraits(
            name=mac.name,
            bits=StorageBits(mac.activation.bits, mac.weight.bits, mac.accumulator_bits),
            pipeline_depth=mac.spec.pipeline_depth,
            accumulation_interval=mac.spec.accumulation_interval,
            max_clock_mhz=mac.spec.max_clock_mhz,
        )

    return traits_of


def traits_by_layer(arch: ArchConfig, network: Network, traits_of: TraitsOf) -> dict[str, MacTraits]:
    """The MAC of every layer: the one its entry in `layers` names, else the array's.

    Raises:
        UserError: an entry for a layer that the network does not have, or a MAC too slow for the clock.
    """
    names = [layer.name for layer in network.layers]
    for name in arch.layers:
        if name not in names:
            raise UserError(
                f"network {network.name!r} has no such layer",
                source=arch.name,
                location="layers",
                value=name,
                candidates=names,
            )
    general = _checked(arch, traits_of(arch.array.mac), "array.mac")
    own = {
        name: _checked(arch, traits_of(config.mac), f"layers.{name}.mac")
        for name, config in arch.layers.items()
        if config.mac is not None
    }
    return {name: own.get(name, general) for name in names}


def _checked(arch: ArchConfig, traits: MacTraits, location: str) -> MacTraits:
    limit = traits.max_clock_mhz
    if limit is not None and limit < arch.clock_mhz:
        raise UserError(
            f"MAC {traits.name!r} meets timing up to {limit:g} MHz only",
            source=arch.name,
            location=location,
            value=arch.clock_mhz,
            allowed=f"clock_mhz <= {limit:g}",
        )
    return traits
