"""How one number was formed: count times unit price times factor, down to the table rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from simulator.cost.book import PriceUse, total
from simulator.cost.scaling import Price
from simulator.result import (
    AreaFormation,
    EnergyFormation,
    PriceSource,
    UnitPrice,
    UsedPrice,
    close_energy,
    femtojoules,
)

Kind = Literal["dynamic", "static"]
Operand = Literal["ifmap", "filter", "ofmap"]

_SHARED = frozenset({"wires", "leakage_sram"})
"""Components that have a line for each operand."""


@dataclass(frozen=True, slots=True)
class FormationLine:
    """One line of a layer's energy.

    count: how often, in words of `counted`; for leakage the nanoseconds of the layer.
    unit_pj: picojoules each (for leakage milliwatts, which are picojoules per nanosecond).
    factor: activity or gating, with its reason; 1 where nothing applies.
    composed: whether the unit price was composed from parts rather than published.
    less_leakage_pj: what was taken out of the rows' sum because leakage is priced by time.
    """

    component: str
    kind: Kind
    counted: str
    count: float
    unit_pj: float
    uses: tuple[PriceUse, ...]
    factor: float = 1.0
    factor_reason: str = ""
    less_leakage_pj: float = 0.0
    operand: Operand | None = None
    composed: bool = False

    @property
    def energy_fj(self) -> int:
        """The line's energy in whole femtojoules, the unit that results are summed in."""
        return femtojoules(self.count * self.unit_pj * self.factor)

    @property
    def unit_name(self) -> str:
        """What the unit price is called in a result: component, operand and what is counted."""
        place = f"{self.component} {self.operand}" if self.component in _SHARED else self.component
        return f"{place}: {self.counted}"

    def shown(self) -> EnergyFormation:
        """The line as it stands in a result."""
        return EnergyFormation(
            unit_price=self.unit_name,
            count=self.count,
            factor=self.factor,
            factor_reason=self.factor_reason,
            energy_pj=self.energy_fj / 1000,
        )

    def unit_price(self) -> UnitPrice:
        """The line's unit price as it stands in a result."""
        return UnitPrice(
            name=self.unit_name,
            component=self.component,
            kind=self.kind,
            operand=self.operand,
            counted=self.counted,
            price_pj=self.unit_pj,
            less_leakage_pj=self.less_leakage_pj,
            prices=_shown(self.uses),
        )


@dataclass(frozen=True, slots=True)
class AreaLine:
    """One line of an area: how many of something, each of some square micrometres."""

    component: str
    counted: str
    count: float
    uses: tuple[PriceUse, ...]
    composed: bool = False

    @property
    def unit_um2(self) -> float:
        """The sum of the rows."""
        return total(self.uses)

    @property
    def area_um2(self) -> float:
        """Count times the sum of the rows."""
        return self.count * self.unit_um2

    def shown(self) -> AreaFormation:
        """The line as it stands in a result."""
        return AreaFormation(
            component=self.component,
            counted=self.counted,
            count=self.count,
            unit_area_um2=self.unit_um2,
            area_um2=self.area_um2,
            prices=_shown(self.uses),
        )


@dataclass(frozen=True, slots=True)
class LayerEnergy:
    """A layer's energy in whole femtojoules: lines sum to components, components to the total."""

    lines: tuple[FormationLine, ...]

    @property
    def parts_fj(self) -> dict[str, int]:
        """Femtojoules by component, in the order of the lines."""
        parts: dict[str, int] = {}
        for line in self.lines:
            parts[line.component] = parts.get(line.component, 0) + line.energy_fj
        return parts

    @property
    def energy_pj(self) -> dict[str, float]:
        """Picojoules by component with their exact `total`, as a result holds them."""
        return close_energy(self.parts_fj)

    @property
    def total_fj(self) -> int:
        """All lines together."""
        return sum(line.energy_fj for line in self.lines)

    @property
    def static_fj(self) -> int:
        """What leaked."""
        return sum(line.energy_fj for line in self.lines if line.kind == "static")


@dataclass(frozen=True, slots=True)
class Area:
    """Area by component with the lines that formed it."""

    lines: tuple[AreaLine, ...]

    @property
    def parts_um2(self) -> dict[str, float]:
        """Square micrometres by component."""
        parts: dict[str, float] = {}
        for line in self.lines:
            parts[line.component] = parts.get(line.component, 0.0) + line.area_um2
        return parts

    @property
    def total_um2(self) -> float:
        """All components together."""
        return sum(self.parts_um2.values())


def price_sources(lines: Iterable[FormationLine | AreaLine]) -> list[PriceSource]:
    """The provenance of every price in `lines`: each row once, again as a part of what is composed."""
    used: dict[tuple[str, bool], tuple[Price, list[str]]] = {}
    for line in lines:
        for use in line.uses:
            key = (use.price.row.reference, line.composed)
            _, components = used.setdefault(key, (use.price, []))
            if line.component not in components:
                components.append(line.component)
    return [
        _source(price, components, composed=composed) for (_, composed), (price, components) in used.items()
    ]


def unit_prices(lines: Iterable[FormationLine]) -> list[UnitPrice]:
    """Every unit price in `lines` once, in the order of first use."""
    return [line.unit_price() for line in {line.unit_name: line for line in lines}.values()]


def _shown(uses: Iterable[PriceUse]) -> list[UsedPrice]:
    return [UsedPrice(row=use.price.row.reference, quantity=use.quantity, what=use.what) for use in uses]


def _source(price: Price, components: list[str], *, composed: bool) -> PriceSource:
    row, conditions = price.row, price.row.conditions
    return PriceSource(
        component=row.component,
        action=row.action,
        value=price.value,
        unit=row.unit,
        status="composed" if composed else row.status,
        source=row.source,
        table=row.table,
        row=row.key,
        node_nm=conditions.node_nm,
        voltage_v=conditions.voltage_v,
        temperature_c=conditions.temperature_c,
        corner=conditions.corner,
        clock_mhz=conditions.clock_mhz,
        activity=conditions.activity,
        uncertainty=row.uncertainty,
        formula=row.formula,
        scaling=list(price.steps),
        used_for=components,
    )
