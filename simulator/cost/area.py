"""Area by component, every square micrometre explained line by line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from simulator.cost.price import NotPriced, Uses, total
from simulator.cost.price_lines import shown_reason, shown_uses
from simulator.formation import AreaFormation
from simulator.foundation.sums import sum_known


@dataclass(frozen=True)
class AreaLine:
    """One line of an area: how many of something, each of some square micrometres.

    uncertainty: relative, of what was composed from parts.
    composed_for: the MAC that these are of.
    """

    component: str
    counted: str
    count: float
    uses: Uses
    composed: bool = False
    uncertainty: float | None = None
    composed_for: str = ""

    @cached_property
    def unit_um2(self) -> float | None:
        """The sum of the rows; None where not priced."""
        return total(self.uses)

    @property
    def area_um2(self) -> float | None:
        """Count times the sum of the rows; None where not priced."""
        return None if self.unit_um2 is None else self.count * self.unit_um2

    def shown(self) -> AreaFormation:
        """The line as it stands in a result."""
        return AreaFormation(
            component=self.component,
            counted=self.counted,
            count=self.count,
            unit_area_um2=self.unit_um2,
            area_um2=self.area_um2,
            uncertainty=self.uncertainty if self.composed else None,
            composed_for=self.composed_for if self.composed else "",
            prices=shown_uses(self.uses),
            not_priced=shown_reason(self.uses),
        )


@dataclass(frozen=True)
class Area:
    """Area by component with the lines that formed it; whatever lacks a part is None."""

    lines: tuple[AreaLine, ...]

    @cached_property
    def parts_um2(self) -> dict[str, float | None]:
        """Square micrometres by component."""
        components = dict.fromkeys(line.component for line in self.lines)
        return {component: sum_known(self._areas(component)) for component in components}

    @property
    def total_um2(self) -> float | None:
        """All components together."""
        return sum_known(self.parts_um2.values())

    @property
    def logic_um2(self) -> float | NotPriced:
        """Everything but memories, or why some of it is not known."""
        return self._known(line for line in self.lines if not line.component.startswith("sram_"))

    def of(self, component: str) -> float | NotPriced:
        """One component, or why it is not known."""
        return self._known(line for line in self.lines if line.component == component)

    def _areas(self, component: str) -> Iterable[float | None]:
        return (line.area_um2 for line in self.lines if line.component == component)

    @staticmethod
    def _known(lines: Iterable[AreaLine]) -> float | NotPriced:
        area_um2 = 0.0
        for line in lines:
            if isinstance(line.uses, NotPriced):
                return line.uses.for_lack_of(f"the area of {line.component}")
            area_um2 += line.area_um2 or 0.0
        return area_um2
