"""What the rows of one PE cost, and what the components among them leave of their whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from simulator.cost.mac_rows import MacRows
from simulator.cost.mac_structure import MacStructure
from simulator.cost.price import NotPriced, Uses, times, together, total, use
from simulator.cost.run_prices import Prices
from simulator.cost.vocabulary import PE_PARTS

WHOLE: Final = "pe_multiply_add"
"""What the logic of a PE is called where its rows do not split it, or leave some of it unlisted."""

REST: Final = 1e-9
"""What components leave of their whole, relative to it, below which it is binary rounding."""


@dataclass(frozen=True, slots=True)
class Energies:
    """What the rows of a PE cost at the conditions of an architecture; None where there is no row.

    parts: components of the logic by name.
    """

    parts: Mapping[str, Uses]
    logic: Uses | None
    registers: Uses | None
    clock: Uses | None
    whole: Uses | None

    @classmethod
    def of(cls, rows: MacRows, prices: Prices) -> Energies:
        """Every row of an energy, looked up."""

        def priced(component: str, action: str = "operate") -> Uses | None:
            row = rows.row(component, action)
            return None if row is None else use(prices.take(row), 1, f"{row.status} {_called(component)}")

        parts = {name: energy for name in PE_PARTS if (energy := priced(name)) is not None}
        return cls(
            parts,
            priced("pe_combinational"),
            priced("pe_registers"),
            priced("pe_registers", "clock"),
            priced("pe"),
        )

    @property
    def is_empty(self) -> bool:
        """Whether no row gives an energy of work."""
        return not self.parts and (self.logic, self.registers, self.whole) == (None, None, None)


def _called(component: str) -> str:
    return {"pe": "PE", "pe_registers": "registers"}.get(component, "component")


def left_over(rows: MacRows, whole: Uses, inside: list[Uses]) -> Uses:
    """What components leave of their whole; not priced where scaling made them larger than it."""
    left = together((whole, *(times(each, -1, "less ") for each in inside)))
    energy_pj, whole_pj = total(left), total(whole)
    if energy_pj is None or whole_pj is None or energy_pj >= -REST * whole_pj:
        return left
    return NotPriced(
        f"at the conditions of this architecture the components of {rows.variant} in table {rows.table.name} "
        "cost more than the whole: add rows of it that hold at the same conditions",
        f"row pe/{rows.variant}/operate",
    )


def lacking(structure: MacStructure, rows: MacRows, component: str, action: str) -> NotPriced:
    """Why a figure that the rows of a MAC do not have is not taken from elsewhere."""
    figure, other = ("area", "energy") if action == "area" else ("energy", "area")
    return NotPriced(
        f"table {rows.table.name} prices {rows.variant} and does not give its {figure}, which no other "
        f"source fills up: add the row {component}/{rows.variant}/{action} to table {rows.table.name}, or "
        f"set macs.{structure.name}.price to {{{figure}: composed, {other}: {rows.variant}}}",
        f"row {component}/{rows.variant}/{action}",
    )
