"""What a PE costs, and a PE composed from the parts of its structure (`variant_pe` prices one from rows).

Published powers contain the PE's leakage at the clock they were taken at. It is taken out here, in
proportion to area, and comes back as static energy of every cycle: at full utilisation and that clock both
together are the published figure again, scaled to the architecture's node and voltage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from simulator.cost.mac_structure import REGISTER_CLASSES, MacStructure, RegisterClass
from simulator.cost.price import NotPriced, Uses, times, together, total, use
from simulator.cost.run_prices import Prices
from simulator.cost.table_schema import Status
from simulator.numerics.hardware import Composition, Parts

DEFAULT_TOGGLE_RATE: Final = 14.73 / 48
"""Bits that toggle per flip-flop and cycle where nothing better is known: the published int8 PE's."""

UNCERTAINTY: Final[Mapping[Composition, float]] = {"fixed": 0.25, "float": 0.5}
"""Of composed prices by kind of accumulator: the largest error against published PEs that the parts were not
fitted to (docs/validation.md): the 16-bit log PE for fixed accumulators, the float16 FMA for float ones."""

PeStatus = Status | Literal["composed"]
_PJ_PER_MW_PER_MHZ: Final = 1000.0


@dataclass(frozen=True, slots=True)
class UnitCost:
    """What one component costs per action, and the share of it that is leakage.

    Energy and area are priced apart: either may be missing without the other. `holds_leakage` says that the
    leakage inside the energy could not be told apart, for want of an area or a leakage row. `uncertainty` is
    that of what was composed, relative; None where it follows from the rows. `composed_for` is the MAC that
    its parts are of; empty where they are of none.
    """

    component: str
    energy: Uses
    area: Uses = ()
    leakage_share_pj: float = 0.0
    composed: bool = False
    holds_leakage: bool = False
    uncertainty: float | None = None
    composed_for: str = ""

    @property
    def energy_pj(self) -> float | None:
        """Picojoules per action, leakage included; None where not priced."""
        return total(self.energy)

    @property
    def dynamic_pj(self) -> float | None:
        """Picojoules per action without the leakage that is charged by time; None where not priced."""
        energy_pj = self.energy_pj
        return None if energy_pj is None else energy_pj - self.leakage_share_pj

    @property
    def area_um2(self) -> float | None:
        """Square micrometres; None where not priced."""
        return total(self.area)

    def unpriced(self, why: NotPriced) -> UnitCost:
        """The same component when none of its prices may be used."""
        return replace(self, energy=why, area=why, leakage_share_pj=0.0, holds_leakage=False)


@dataclass(frozen=True, slots=True)
class RegisterCost:
    """Flip-flops of a PE: what the clock costs each cycle, what a toggling bit costs, how many toggle."""

    characterised: UnitCost
    clock: UnitCost
    toggle: Uses
    bits: Mapping[RegisterClass, int]
    toggles_per_cycle: Mapping[RegisterClass, float]

    def shifting(self, moving: RegisterClass, share: float = 1.0) -> UnitCost:
        """A cycle in which all are clocked and one class changes as characterised, in a share of the PEs."""
        toggles = times(self.toggle, self.toggles_per_cycle[moving] * share, f"{moving} ")
        return replace(self.clock, energy=together((self.clock.energy, toggles)))

    def as_composed(self, mac: str) -> RegisterCost:
        """The same, told as composed from parts of a MAC."""
        characterised, clock = (
            replace(cost, composed=True, uncertainty=UNCERTAINTY["fixed"], composed_for=mac)
            for cost in (self.characterised, self.clock)
        )
        return replace(self, characterised=characterised, clock=clock)

    def unpriced(self, why: NotPriced) -> RegisterCost:
        """The same flip-flops when none of their prices may be used."""
        return replace(
            self,
            characterised=self.characterised.unpriced(why),
            clock=self.clock.unpriced(why),
            toggle=why,
        )

    @property
    def all_bits(self) -> int:
        """Flip-flops of a PE."""
        return sum(self.bits.values())


@dataclass(frozen=True, slots=True)
class PeCost:
    """One PE: its combinational components per useful MAC, its registers per clocked cycle, its area.

    status: where its energy comes from.
    area_status: likewise.
    notes: what a reader must know about them.
    warnings: where its rows do not fit the MAC.
    max_clock_mhz: up to which its rows meet timing.
    """

    name: str
    status: PeStatus
    combinational: tuple[UnitCost, ...]
    registers: RegisterCost
    area: Uses
    uncertainty: float | None
    area_status: PeStatus = "composed"
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    max_clock_mhz: float | None = None

    @property
    def area_um2(self) -> float | None:
        """The whole PE; None where not priced."""
        return total(self.area)

    @property
    def energy_pj(self) -> float | None:
        """One useful MAC in one cycle at the characterised activity, leakage included; None: not priced."""
        costs = [*self.combinational, self.registers.characterised]
        return total(together(cost.energy for cost in costs))

    @property
    def is_priced(self) -> bool:
        """Whether all its energies and its area have a price."""
        return self.energy_pj is not None and self.area_um2 is not None

    def unpriced(self, why: NotPriced) -> PeCost:
        """The same PE when none of its prices may be used."""
        combinational = tuple(cost.unpriced(why) for cost in self.combinational)
        registers = self.registers.unpriced(why)
        return replace(self, combinational=combinational, registers=registers, area=why, notes=())


def too_fast(structure: MacStructure, clock_mhz: float) -> NotPriced | None:
    """Why a MAC has no price at a clock beyond its published timing closure; None where it keeps up."""
    limit_mhz = structure.max_clock_mhz
    if limit_mhz is None or clock_mhz <= limit_mhz:
        return None
    return NotPriced(
        f"MAC {structure.name!r} meets timing up to {limit_mhz:g} MHz only, clock_mhz is {clock_mhz:g}: "
        f"set clock_mhz to {limit_mhz:g} or choose a MAC that reaches {clock_mhz:g} MHz",
        f"MAC {structure.name} at {clock_mhz:g} MHz",
    )


def composed_pe_cost(
    structure: MacStructure, prices: Prices, toggles_per_cycle: Mapping[RegisterClass, float] | None = None
) -> PeCost:
    """The cost of a PE from parts alone, even where a published row exists.

    Args:
        structure: what the PE is made of.
        prices: of the parts.
        toggles_per_cycle: bits that toggle by register class; by default the published int8 PE's rate per
            bit.
    """
    combinational = tuple(
        composed_cost(component, parts, prices, structure.accumulator, structure.name)
        for component, parts in structure.combinational.items()
    )
    toggles = toggles_per_cycle or {
        name: bits * DEFAULT_TOGGLE_RATE for name, bits in register_bits(structure).items()
    }
    registers = _registers(structure, prices, toggles).as_composed(structure.name)
    area = together(cost.area for cost in (*combinational, registers.characterised))
    notes = (
        () if toggles_per_cycle else (f"{structure.name}: of its register bits {assumed_toggles(structure)}",)
    )
    return PeCost(
        structure.name,
        "composed",
        combinational,
        registers,
        area,
        UNCERTAINTY[structure.accumulator],
        notes=notes,
    )


def assumed_toggles(structure: MacStructure) -> str:
    """What is assumed of a PE's registers where nothing better is known, in words."""
    bits = sum(register_bits(structure).values())
    return (
        f"{DEFAULT_TOGGLE_RATE:.2f} a flip-flop and cycle are assumed in useful PE-cycles, the rate of the "
        f"published int8 PE ({bits * DEFAULT_TOGGLE_RATE:.2f} of {bits})"
    )


def part_uses(prices: Prices, parts: Parts, action: str = "operate") -> Uses:
    """Each part's price times its count; of energy, times its share of MACs in which the part works."""
    is_area = action == "area"
    return together(
        use(prices.part(part.part, action), part.count * (1.0 if is_area else part.uses), part.what)
        for part in parts
    )


def composed_cost(
    component: str, parts: Parts, prices: Prices, accumulator: Composition = "fixed", mac: str = ""
) -> UnitCost:
    """Whatever is composed from parts: a PE's component, a boundary decoder or converter, an output step.

    Args:
        component: what it is called.
        parts: what it is made of.
        prices: of the parts.
        accumulator: of the MAC it belongs to, `fixed` or `float`: how well its price is known.
        mac: the MAC that it is of; empty where it is of none.
    """
    cost = with_leakage(prices, component, part_uses(prices, parts), part_uses(prices, parts, "area"))
    return replace(cost, composed=True, uncertainty=UNCERTAINTY[accumulator], composed_for=mac)


def flip_flops_cost(prices: Prices, component: str, bits: float, what: str, mac: str = "") -> UnitCost:
    """Flip-flops beside those of a PE: the energy of a clocked cycle without toggles, and their area.

    `mac` is the MAC whose PEs they stand in; empty where they stand elsewhere.
    """
    clock = use(prices.part("flip_flop", "clock"), bits, f"{what}, clocked")
    area = use(prices.part("flip_flop", "area"), bits, what)
    cost = with_leakage(prices, component, clock, area)
    return replace(cost, composed=True, uncertainty=UNCERTAINTY["fixed"], composed_for=mac)


def register_bits(structure: MacStructure) -> dict[RegisterClass, int]:
    """Flip-flops by register class, pipeline registers counted with the accumulator."""
    bits = dict(structure.registers)
    bits["accumulator"] += structure.pipeline_bits
    return bits


def _registers(
    structure: MacStructure, prices: Prices, toggles: Mapping[RegisterClass, float]
) -> RegisterCost:
    bits = register_bits(structure)
    count = sum(bits.values())
    clock = use(prices.part("flip_flop", "clock"), count, "flip-flops clocked")
    toggle = use(prices.part("flip_flop", "toggle"), 1, "bits toggled")
    toggled = sum(toggles[name] for name in REGISTER_CLASSES)
    area = use(prices.part("flip_flop", "area"), count, "flip-flops")
    return register_cost(
        prices,
        characterised=together((clock, times(toggle, toggled))),
        clock=clock,
        toggle=toggle,
        area=area,
        bits=bits,
        toggles=toggles,
    )


def register_cost(
    prices: Prices,
    *,
    characterised: Uses,
    clock: Uses,
    toggle: Uses,
    area: Uses,
    bits: Mapping[RegisterClass, int],
    toggles: Mapping[RegisterClass, float],
    component: str = "pe_registers",
) -> RegisterCost:
    """Flip-flops of a PE, the leakage of their area told apart; `component` is what results call them."""
    return RegisterCost(
        characterised=with_leakage(prices, component, characterised, area),
        clock=with_leakage(prices, component, clock, area),
        toggle=toggle,
        bits=bits,
        toggles_per_cycle=toggles,
    )


def with_leakage(prices: Prices, component: str, energy: Uses, area: Uses) -> UnitCost:
    """A unit cost with its leakage share: what its area leaks here in a cycle of its own rows' clock.

    The density of leakage comes from another source than the energy, so the share is at most all of it.
    """
    energy_pj = total(energy)
    if isinstance(energy, NotPriced) or not energy or energy_pj is None:
        return UnitCost(component, energy, area)
    clock_mhz = energy[0].price.row.conditions.clock_mhz
    if clock_mhz is None:
        return UnitCost(component, energy, area)
    leakage = prices.get("logic", "28nm", "leakage")
    area_um2 = total(area)
    if isinstance(leakage, NotPriced) or area_um2 is None:
        return UnitCost(component, energy, area, holds_leakage=True)
    share_pj = leakage.value * area_um2 / clock_mhz * _PJ_PER_MW_PER_MHZ
    return UnitCost(component, energy, area, max(0.0, min(share_pj, energy_pj)))
