"""The energy and area of one PE: from its published row, or composed from the parts of its structure.

Published powers contain the PE's leakage at the clock they were taken at. It is taken out here, in
proportion to area, and comes back as static energy of every cycle: at full utilisation and that clock both
together are the published figure again, scaled to the architecture's node and voltage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from simulator.cost.book import Prices
from simulator.cost.mac_structure import REGISTER_CLASSES, MacStructure, Parts, RegisterClass
from simulator.cost.price import NotPriced, Uses, times, together, total, use

COMPONENTS: Final = ("pe_multiply", "pe_table", "pe_shift", "pe_add")
WHOLE: Final = "pe_multiply_add"
"""The combinational part of a PE that is published only as a whole."""

DEFAULT_TOGGLE_RATE: Final = 14.73 / 48
"""Bits that toggle per flip-flop and cycle where nothing better is known: the published int8 PE's."""

UNCERTAINTY: Final[Mapping[str, float]] = {"fixed": 0.2, "float": 0.45}
"""Of composed prices by kind of accumulator: the largest error against published PEs that the parts were not
fitted to (docs/validation.md): the 16-bit log PE for fixed accumulators, the float16 FMA for float ones."""

Status = Literal["published", "composed"]
_PJ_PER_MW_PER_MHZ: Final = 1000.0


@dataclass(frozen=True, slots=True)
class UnitCost:
    """What one component costs per action, and the share of it that is leakage.

    Energy and area are priced apart: either may be missing without the other. `holds_leakage` says that the
    leakage inside the energy could not be told apart, for want of an area or a leakage row.
    """

    component: str
    energy: Uses
    area: Uses = ()
    leakage_share_pj: float = 0.0
    composed: bool = False
    holds_leakage: bool = False

    @property
    def energy_pj(self) -> float | None:
        """Picojoules per action, leakage included; None where not priced."""
        return total(self.energy)

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

    def shifting(self, moving: RegisterClass) -> UnitCost:
        """A cycle in which all are clocked and only one class changes, as often as characterised."""
        toggles = times(self.toggle, self.toggles_per_cycle[moving], f"{moving} ")
        return replace(self.clock, energy=together((self.clock.energy, toggles)))

    def as_composed(self) -> RegisterCost:
        """The same, told as composed from parts."""
        characterised, clock = replace(self.characterised, composed=True), replace(self.clock, composed=True)
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
    """One PE: its combinational components per useful MAC, its registers per clocked cycle, its area."""

    name: str
    status: Status
    combinational: tuple[UnitCost, ...]
    registers: RegisterCost
    area: Uses
    uncertainty: float | None

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
        return replace(self, combinational=combinational, registers=self.registers.unpriced(why), area=why)


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


def pe_cost(structure: MacStructure, prices: Prices) -> PeCost:
    """The cost of a PE of this structure, published where a row exists; nothing at a clock beyond its own."""
    if structure.published is not None and prices.has("pe", structure.published, "operate"):
        cost = _published(structure, structure.published, prices)
    else:
        cost = composed_pe_cost(structure, prices)
    why = too_fast(structure, prices.clock_mhz)
    return cost if why is None else cost.unpriced(why)


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
        composed_cost(component, parts, prices) for component, parts in structure.combinational.items()
    )
    toggles = toggles_per_cycle or {
        name: bits * DEFAULT_TOGGLE_RATE for name, bits in _register_bits(structure).items()
    }
    registers = _registers(structure, prices, toggles).as_composed()
    area = together(cost.area for cost in (*combinational, registers.characterised))
    return PeCost(
        structure.name, "composed", combinational, registers, area, UNCERTAINTY[structure.accumulator]
    )


def part_uses(prices: Prices, parts: Parts, action: str = "operate") -> Uses:
    """Each part's price times its count."""
    return together(use(prices.part(part.part, action), part.count, part.what) for part in parts)


def composed_cost(component: str, parts: Parts, prices: Prices) -> UnitCost:
    """Whatever is composed from parts: a PE's component, a boundary decoder or converter, an output step."""
    cost = _with_leakage(prices, component, part_uses(prices, parts), part_uses(prices, parts, "area"))
    return replace(cost, composed=True)


def flip_flops_cost(prices: Prices, component: str, bits: float, what: str) -> UnitCost:
    """Flip-flops beside those of a PE: the energy of a clocked cycle without toggles, and their area."""
    clock = use(prices.part("flip_flop", "clock"), bits, f"{what}, clocked")
    area = use(prices.part("flip_flop", "area"), bits, what)
    return replace(_with_leakage(prices, component, clock, area), composed=True)


def _published(structure: MacStructure, variant: str, prices: Prices) -> PeCost:
    whole_area = use(prices.get("pe", variant, "area"), 1, "published PE")
    characterisation = prices.book.characterisation(variant)
    toggles = characterisation.toggles_per_cycle if characterisation else None
    registers = _registers(
        structure,
        prices,
        toggles or {name: bits * DEFAULT_TOGGLE_RATE for name, bits in structure.registers.items()},
        variant=variant,
    )
    register_area = registers.characterised.area
    listed = [name for name in COMPONENTS if prices.has(name, variant, "operate")]
    if listed:
        areas = [use(prices.get(name, variant, "area"), 1, "published component") for name in listed]
        combinational = tuple(
            _with_leakage(
                prices,
                name,
                use(prices.get(name, variant, "operate"), 1, "published component"),
                area,
            )
            for name, area in zip(listed, _filling(whole_area, register_area, areas), strict=True)
        )
    else:
        whole = use(prices.get("pe", variant, "operate"), 1, "published PE")
        less = times(registers.characterised.energy, -1, "less ")
        less_area = times(register_area, -1, "less ")
        combinational = (
            _with_leakage(prices, WHOLE, together((whole, less)), together((whole_area, less_area))),
        )
    return PeCost(structure.name, "published", combinational, registers, whole_area, None)


def _filling(whole: Uses, registers: Uses, components: list[Uses]) -> list[Uses]:
    """Areas of components, stretched alike so that they and the registers fill the whole PE.

    Published components add up to less than their PE; the stretch spreads the remainder's leakage.
    """
    whole_um2, registers_um2 = total(whole), total(registers)
    listed_um2 = total(together(components))
    if whole_um2 is None or registers_um2 is None or listed_um2 is None:
        return [together((whole, registers, *components)) for _ in components]
    if not listed_um2:
        return components
    return [times(component, (whole_um2 - registers_um2) / listed_um2) for component in components]


def _register_bits(structure: MacStructure) -> dict[RegisterClass, int]:
    bits = dict(structure.registers)
    bits["accumulator"] += structure.pipeline_bits
    return bits


def _registers(
    structure: MacStructure,
    prices: Prices,
    toggles: Mapping[RegisterClass, float],
    variant: str | None = None,
) -> RegisterCost:
    bits = _register_bits(structure)
    count = sum(bits.values())
    clock = use(prices.part("flip_flop", "clock"), count, "flip-flops clocked")
    toggle = use(prices.part("flip_flop", "toggle"), 1, "bits toggled")
    if variant is not None and prices.has("pe_registers", variant, "operate"):
        characterised = use(prices.get("pe_registers", variant, "operate"), 1, "published registers")
        area = use(prices.get("pe_registers", variant, "area"), 1, "published registers")
    else:
        toggled = sum(toggles[name] for name in REGISTER_CLASSES)
        characterised = together((clock, times(toggle, toggled)))
        area = use(prices.part("flip_flop", "area"), count, "flip-flops")
    return RegisterCost(
        characterised=_with_leakage(prices, "pe_registers", characterised, area),
        clock=_with_leakage(prices, "pe_registers", clock, area),
        toggle=toggle,
        bits=bits,
        toggles_per_cycle=toggles,
    )


def _with_leakage(prices: Prices, component: str, energy: Uses, area: Uses) -> UnitCost:
    """A unit cost with its leakage share: what its area leaks here in a cycle of its own rows' clock."""
    if isinstance(energy, NotPriced) or not energy:
        return UnitCost(component, energy, area)
    clock_mhz = energy[0].price.row.conditions.clock_mhz
    if clock_mhz is None:
        return UnitCost(component, energy, area)
    leakage = prices.get("logic", "28nm", "leakage")
    area_um2 = total(area)
    if isinstance(leakage, NotPriced) or area_um2 is None:
        return UnitCost(component, energy, area, holds_leakage=True)
    return UnitCost(component, energy, area, leakage.value * area_um2 / clock_mhz * _PJ_PER_MW_PER_MHZ)
