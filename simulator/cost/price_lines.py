"""How one number was formed: count times unit price times factor, down to the table rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from simulator.cost.composition import UnitCost
from simulator.cost.price import NotPriced, Uses, total
from simulator.formation import NoPrice, UnitPrice, UsedPrice
from simulator.foundation.femtojoules import formed_fj, in_pj, picojoules
from simulator.foundation.sums import sum_known, with_total
from simulator.operands import Operand

Kind = Literal["dynamic", "static"]


@dataclass(frozen=True)
class Action:
    """Something that is counted, with its unit price or the reason why it has none.

    counted: what, in words; for leakage the nanoseconds of the layer.
    uses: the prices of one action, in picojoules (for leakage in milliwatts, which are picojoules per
        nanosecond).
    mac: the MACs that the price follows from, where `counted` does not name them.
    composed: whether the unit price was composed from parts rather than published.
    uncertainty: relative, of what was composed; None where it follows from the rows.
    composed_for: the MAC.
    less_leakage_pj: what is taken out of the rows' sum because leakage is priced by time.
    """

    component: str
    kind: Kind
    counted: str
    uses: Uses
    operand: Operand | None = None
    mac: str = ""
    less_leakage_pj: float = 0.0
    composed: bool = False
    uncertainty: float | None = None
    composed_for: str = ""

    @classmethod
    def of_cost(cls, cost: UnitCost, counted: str, mac: str = "") -> Action:
        """A dynamic action of logic; leakage is taken out of its price."""
        return cls(
            cost.component,
            "dynamic",
            counted,
            cost.energy,
            mac=mac,
            less_leakage_pj=cost.leakage_share_pj,
            composed=cost.composed,
            uncertainty=cost.uncertainty,
            composed_for=cost.composed_for,
        )

    @cached_property
    def unit_pj(self) -> float | None:
        """Picojoules each; None where not priced."""
        rows_pj = total(self.uses)
        return None if rows_pj is None else rows_pj - self.less_leakage_pj

    @cached_property
    def unit_name(self) -> str:
        """What the unit price is called: component, operand, what is counted, of which MACs."""
        # A memory of one operand is named after it; what several operands share has a line for each.
        named = self.operand is None or self.component.endswith(f"_{self.operand}")
        place = self.component if named else f"{self.component} {self.operand}"
        return f"{place}: {self.counted}{f' ({self.mac})' if self.mac else ''}"

    def unit_price(self, name: str) -> UnitPrice:
        """The unit price as it stands in a result, under a name."""
        return UnitPrice(
            name=name,
            component=self.component,
            kind=self.kind,
            operand=self.operand,
            counted=self.counted,
            price_pj=self.unit_pj,
            less_leakage_pj=self.less_leakage_pj,
            uncertainty=self.uncertainty,
            composed_for=self.composed_for,
            prices=shown_uses(self.uses),
            not_priced=shown_reason(self.uses),
        )


@dataclass(frozen=True, slots=True)
class FormationLine:
    """One line of a layer's energy: so many of an action, times a factor with its reason.

    A count of things is an int, so that no digit is lost; nanoseconds, toggled bits and parts of counts are
    floats.
    """

    action: Action
    count: float
    factor: float = 1.0
    factor_reason: str = ""

    @property
    def component(self) -> str:
        """The component that the line belongs to."""
        return self.action.component

    @property
    def kind(self) -> Kind:
        """Whether the energy is dynamic or leaked."""
        return self.action.kind

    @property
    def counted(self) -> str:
        """What is counted."""
        return self.action.counted

    @property
    def energy_fj(self) -> int | None:
        """The line's energy in whole femtojoules, by the rule of `formed_fj`; None: not priced."""
        unit_pj = self.action.unit_pj
        return None if unit_pj is None else formed_fj(self.count, unit_pj, self.factor)


@dataclass(frozen=True)
class LayerEnergy:
    """A layer's energy in whole femtojoules: lines sum to components, components to the total.

    A component that has a line without a price is None, and so is every sum that it is a part of.

    toggling_idle_fj: what registers of idle PEs would take beyond the lines if they toggled as busy ones do;
        None: not priced.
    """

    lines: tuple[FormationLine, ...]
    toggling_idle_fj: int | None = 0

    @cached_property
    def lines_fj(self) -> tuple[int | None, ...]:
        """Femtojoules by line."""
        return tuple([line.energy_fj for line in self.lines])

    @cached_property
    def parts_fj(self) -> dict[str, int | None]:
        """Femtojoules by component, in the order of the lines."""
        parts: dict[str, int | None] = {}
        for line, more in zip(self.lines, self.lines_fj, strict=True):
            component = line.action.component
            before = parts.get(component, 0)
            parts[component] = None if before is None or more is None else before + more
        return parts

    @cached_property
    def energy_fj(self) -> dict[str, int | None]:
        """Femtojoules by component with their exact `total`, as a result holds them."""
        return with_total(self.parts_fj)

    @cached_property
    def energy_pj(self) -> dict[str, float | None]:
        """Their rounded view in picojoules."""
        return picojoules(self.energy_fj)

    @property
    def total_fj(self) -> int | None:
        """All lines together."""
        return sum_known(self.parts_fj.values())

    @property
    def bound_fj(self) -> int | None:
        """All lines together if idle PEs toggled as busy ones do."""
        return sum_known((self.total_fj, self.toggling_idle_fj))

    @cached_property
    def static_fj(self) -> int | None:
        """What leaked."""
        lines = zip(self.lines, self.lines_fj, strict=True)
        return sum_known(energy_fj for line, energy_fj in lines if line.action.kind == "static")

    def formation(self, name_of: Callable[[Action], str]) -> list[dict[str, Any]]:
        """The lines as fields of `EnergyFormation`; `name_of` names the unit price of an action."""
        return [
            {
                "unit_price": name_of(line.action),
                "count": line.count,
                "factor": line.factor,
                "factor_reason": line.factor_reason,
                "energy_fj": energy_fj,
                "energy_pj": in_pj(energy_fj),
            }
            for line, energy_fj in zip(self.lines, self.lines_fj, strict=True)
        ]


def shown_reason(uses: Uses) -> NoPrice | None:
    """Why a unit price is missing, as it stands in a result; None where it is not."""
    return NoPrice(reason=uses.reason, needs=uses.needs) if isinstance(uses, NotPriced) else None


def shown_uses(uses: Uses) -> list[UsedPrice]:
    """The rows of a unit price as they stand in a result; none where one is missing."""
    if isinstance(uses, NotPriced):
        return []
    return [UsedPrice(row=use.price.row.reference, quantity=use.quantity, what=use.what) for use in uses]
