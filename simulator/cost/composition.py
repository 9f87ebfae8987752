"""The energy and area of one PE: from its published row, or composed from the parts of its structure.

Published powers contain the PE's leakage at the clock they were taken at. It is taken out here, in
proportion to area, and comes back as static energy of every cycle: at full utilisation both together are
the published figure again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from simulator.cost.book import Prices, PriceUse, total
from simulator.cost.mac_structure import REGISTER_CLASSES, MacStructure, Parts, RegisterClass

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
    """What one component costs per action, and the share of it that is leakage."""

    component: str
    energy: tuple[PriceUse, ...]
    area: tuple[PriceUse, ...] = ()
    leakage_share_pj: float = 0.0
    composed: bool = False

    @property
    def energy_pj(self) -> float:
        """Picojoules per action, leakage included."""
        return total(self.energy)

    @property
    def dynamic_pj(self) -> float:
        """Picojoules per action without leakage."""
        return self.energy_pj - self.leakage_share_pj

    @property
    def area_um2(self) -> float:
        """Square micrometres."""
        return total(self.area)


@dataclass(frozen=True, slots=True)
class RegisterCost:
    """Flip-flops of a PE: what the clock costs each cycle, what a toggling bit costs, how many toggle."""

    characterised: UnitCost
    clock: UnitCost
    toggle: PriceUse
    bits: Mapping[RegisterClass, int]
    toggles_per_cycle: Mapping[RegisterClass, float]

    def shifting(self, moving: RegisterClass) -> UnitCost:
        """A cycle in which all are clocked and only one class changes, as often as characterised."""
        toggles = PriceUse(self.toggle.price, self.toggles_per_cycle[moving], f"{moving} bits toggled")
        return replace(self.clock, energy=(*self.clock.energy, toggles))

    def as_composed(self) -> RegisterCost:
        """The same, told as composed from parts."""
        characterised, clock = replace(self.characterised, composed=True), replace(self.clock, composed=True)
        return replace(self, characterised=characterised, clock=clock)

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
    area: tuple[PriceUse, ...]
    uncertainty: float | None

    @property
    def area_um2(self) -> float:
        """The whole PE."""
        return total(self.area)

    @property
    def energy_pj(self) -> float:
        """One useful MAC in one cycle at the characterised activity, leakage included."""
        return sum(cost.energy_pj for cost in self.combinational) + self.registers.characterised.energy_pj


def pe_cost(structure: MacStructure, prices: Prices) -> PeCost:
    """The cost of a PE of this structure, published where a row exists.

    Raises:
        UserError: a price that is missing or does not match the architecture.
    """
    if structure.published is not None and prices.find("pe", structure.published, "operate") is not None:
        return _published(structure, structure.published, prices)
    return composed_pe_cost(structure, prices)


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
    area = tuple(use for cost in (*combinational, registers.characterised) for use in cost.area)
    return PeCost(
        structure.name, "composed", combinational, registers, area, UNCERTAINTY[structure.accumulator]
    )


def part_uses(prices: Prices, parts: Parts, action: str = "operate") -> tuple[PriceUse, ...]:
    """Each part's price times its count."""
    return tuple(PriceUse(prices.part(part.part, action), part.count, part.what) for part in parts)


def composed_cost(component: str, parts: Parts, prices: Prices) -> UnitCost:
    """Whatever is composed from parts: a PE's component, a boundary decoder or converter, an output step."""
    cost = _with_leakage(prices, component, part_uses(prices, parts), part_uses(prices, parts, "area"))
    return replace(cost, composed=True)


def _published(structure: MacStructure, variant: str, prices: Prices) -> PeCost:
    whole_area = PriceUse(prices.get("pe", variant, "area"), 1, "published PE")
    characterisation = prices.book.characterisation(variant)
    toggles = characterisation.toggles_per_cycle if characterisation else None
    registers = _registers(
        structure,
        prices,
        toggles or {name: bits * DEFAULT_TOGGLE_RATE for name, bits in structure.registers.items()},
        variant=variant,
    )
    register_area_um2 = registers.characterised.area_um2
    listed = [name for name in COMPONENTS if prices.find(name, variant, "operate") is not None]
    if listed:
        listed_um2 = sum(prices.get(name, variant, "area").value for name in listed)
        unlisted = (whole_area.value - register_area_um2) / listed_um2  # spreads the remainder's leakage
        combinational = tuple(
            _with_leakage(
                prices,
                name,
                (PriceUse(prices.get(name, variant, "operate"), 1, "published component"),),
                (PriceUse(prices.get(name, variant, "area"), unlisted, "published component"),),
            )
            for name in listed
        )
    else:
        whole = PriceUse(prices.get("pe", variant, "operate"), 1, "published PE")
        less = tuple(
            PriceUse(use.price, -use.quantity, f"less {use.what}") for use in registers.characterised.energy
        )
        less_area = tuple(
            PriceUse(use.price, -use.quantity, f"less {use.what}") for use in registers.characterised.area
        )
        combinational = (_with_leakage(prices, WHOLE, (whole, *less), (whole_area, *less_area)),)
    return PeCost(structure.name, "published", combinational, registers, (whole_area,), None)


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
    clock = PriceUse(prices.part("flip_flop", "clock"), count, "flip-flops clocked")
    toggle = PriceUse(prices.part("flip_flop", "toggle"), 1, "bits toggled")
    area = (PriceUse(prices.part("flip_flop", "area"), count, "flip-flops"),)
    published = prices.find("pe_registers", variant, "operate") if variant else None
    if published is not None and variant is not None:
        characterised: tuple[PriceUse, ...] = (PriceUse(published, 1, "published registers"),)
        area = (PriceUse(prices.get("pe_registers", variant, "area"), 1, "published registers"),)
    else:
        toggled = sum(toggles[name] for name in REGISTER_CLASSES)
        characterised = (clock, PriceUse(toggle.price, toggled, "bits toggled"))
    return RegisterCost(
        characterised=_with_leakage(prices, "pe_registers", characterised, area),
        clock=_with_leakage(prices, "pe_registers", (clock,), area),
        toggle=toggle,
        bits=bits,
        toggles_per_cycle=toggles,
    )


def _with_leakage(
    prices: Prices, component: str, energy: Iterable[PriceUse], area: Iterable[PriceUse]
) -> UnitCost:
    """A unit cost with its leakage share, taken at the silicon and clock of its own rows."""
    energy, area = tuple(energy), tuple(area)
    first = energy[0].price
    clock_mhz = first.row.conditions.clock_mhz
    leakage = prices.get("logic", "28nm", "leakage").row.value
    area_um2 = sum(use.quantity * use.price.row.value for use in area)
    share_pj = leakage * area_um2 / clock_mhz * _PJ_PER_MW_PER_MHZ if clock_mhz else 0.0
    return UnitCost(component, energy, area, share_pj * first.factor)
