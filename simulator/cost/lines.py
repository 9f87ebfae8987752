"""How one number was formed: count times unit price times factor, down to the table rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from simulator.cost.book import PriceUse
from simulator.cost.scaling import Price
from simulator.result import EnergyLine, PriceSource, UsedPrice, femtojoules

Kind = Literal["dynamic", "static"]
Operand = Literal["ifmap", "filter", "ofmap"]


@dataclass(frozen=True, slots=True)
class FormationLine:
    """One line of a layer's energy.

    count: how often, in words of `counted`; for leakage the nanoseconds of the layer.
    unit_pj: picojoules each (for leakage milliwatts, which are picojoules per nanosecond).
    factor: activity or gating, with its reason; 1 where nothing applies.
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

    @property
    def energy_fj(self) -> int:
        """The line's energy in whole femtojoules, the unit that results are summed in."""
        return femtojoules(self.count * self.unit_pj * self.factor)

    def shown(self) -> EnergyLine:
        """The line as it stands in a result."""
        return EnergyLine(
            component=self.component,
            kind=self.kind,
            operand=self.operand,
            counted=self.counted,
            count=self.count,
            unit_price_pj=self.unit_pj,
            less_leakage_pj=self.less_leakage_pj,
            factor=self.factor,
            factor_reason=self.factor_reason,
            energy_pj=self.energy_fj / 1000,
            prices=[
                UsedPrice(row=use.price.row.reference, quantity=use.quantity, what=use.what)
                for use in self.uses
            ],
        )


@dataclass(frozen=True, slots=True)
class AreaLine:
    """One line of an area: how many of something, each of some square micrometres."""

    component: str
    counted: str
    count: float
    uses: tuple[PriceUse, ...]

    @property
    def area_um2(self) -> float:
        """Count times the sum of the rows."""
        return self.count * sum(use.value for use in self.uses)


def price_sources(lines: Iterable[FormationLine | AreaLine]) -> list[PriceSource]:
    """The provenance of every price in `lines`, each row once, in the order of first use."""
    used: dict[str, tuple[Price, list[str]]] = {}
    for line in lines:
        for use in line.uses:
            _, components = used.setdefault(use.price.row.reference, (use.price, []))
            if line.component not in components:
                components.append(line.component)
    return [_source(price, components) for price, components in used.values()]


def _source(price: Price, components: list[str]) -> PriceSource:
    row, conditions = price.row, price.row.conditions
    return PriceSource(
        component=row.component,
        action=row.action,
        value=price.value,
        unit=row.unit,
        status="composed" if row.is_part else row.status,
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
