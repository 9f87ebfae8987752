"""The registers of one PE: from its own rows, from flip-flops of the same source, or as what its rows leave.

Registers are clocked in every cycle, so their price has three parts: that of a cycle of work as it was
characterised, that of the clock alone, and that of a bit that toggles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from simulator.cost.mac_rows import MacRows
from simulator.cost.mac_structure import MacStructure, RegisterClass
from simulator.cost.price import NotPriced, Price, Uses, times, together, total, use
from simulator.cost.price_tables import load_table
from simulator.cost.run_prices import Prices
from simulator.cost.variant_energies import REST, WHOLE, Energies, lacking, left_over
from simulator.cost.vocabulary import PARTS_VARIANT
from simulator.foundation.resources import bundled_names


@dataclass(frozen=True, slots=True)
class Registers:
    """Energy of a PE's registers, or of the whole PE where nothing tells them apart."""

    characterised: Uses
    clock: Uses
    toggle: Uses
    area: Uses | None = None
    component: str = "pe_registers"
    note: str = ""
    warning: str = ""


def registers_of(
    structure: MacStructure,
    rows: MacRows,
    energies: Energies,
    toggles: Mapping[RegisterClass, float],
    prices: Prices,
) -> Registers:
    """Registers by their own rows and flip-flops of the same source; else what the rest of the rows leave."""
    flip_flops = _flip_flops(rows, prices)
    given = energies.registers
    tell_the_clock = given is not None and energies.clock is not None
    if flip_flops is not None and not tell_the_clock:
        found = _from_flip_flops(structure, rows, given, flip_flops, sum(toggles.values()), prices)
        if given is not None or _fits(energies, found.characterised):
            return found
    row = rows.row("pe_registers", "area")
    area = None if row is None else use(prices.take(row), 1, f"{row.status} registers")
    table, variant = rows.table.name, rows.variant
    if given is not None and energies.clock is not None:
        moved = together((given, times(energies.clock, -1, "less the clock in ")))
        moved_pj, given_pj = total(moved), total(given)
        if moved_pj is not None and given_pj is not None and moved_pj < -REST * given_pj:
            why = NotPriced(
                f"at the conditions of this architecture pe_registers/{variant}/clock of table {table} costs "
                f"more than pe_registers/{variant}/operate, which contains it: give both rows at the same "
                "conditions",
                f"row pe_registers/{variant}/operate",
            )
            return Registers(why, why, why, area)
        return Registers(given, energies.clock, times(moved, 1 / sum(toggles.values()), "toggles, "), area)
    if given is not None:
        note = (
            f"{structure.name}: table {table} does not say what its registers cost in a cycle in which "
            f"nothing toggles; such cycles are charged like others, an upper bound: add the row "
            f"pe_registers/{variant}/clock"
        )
        return Registers(given, given, (), area, note=note)
    if energies.whole is None:
        why = lacking(structure, rows, "pe_registers", "operate")
        return Registers(why, why, why, area)
    inside = [energies.logic] if energies.logic is not None else list(energies.parts.values())
    left = left_over(rows, energies.whole, inside)
    warning = (
        f"{structure.name}: table {table} does not tell the registers of {variant} from its logic; "
        f"{'what its components leave of the PE' if inside else 'the whole PE'} is charged in every clocked "
        f"cycle, an upper bound for those without work: add the row pe_registers/{variant}/operate"
    )
    component = "pe_registers" if inside else WHOLE
    return Registers(left, left, (), area if inside else None, component, warning=warning)


def _from_flip_flops(
    structure: MacStructure,
    rows: MacRows,
    given: Uses | None,
    price: Callable[[str], Price | NotPriced],
    toggled: float,
    prices: Prices,
) -> Registers:
    count = structure.flip_flops
    clock, toggle = use(price("clock"), count, "flip-flops clocked"), use(price("toggle"), 1, "bits toggled")
    row = rows.row("pe_registers", "area")
    if row is None:
        area = use(price("area"), count, "flip-flops")
    else:
        area = use(prices.take(row), 1, f"{row.status} registers")
    return Registers(given or together((clock, times(toggle, toggled))), clock, toggle, area)


def _fits(energies: Energies, registers: Uses) -> bool:
    """Whether registers of flip-flops leave something of a whole, or there is no whole that they must fit."""
    whole, inside = total(energies.whole or ()), total(together((registers, *energies.parts.values())))
    return energies.whole is None or whole is None or inside is None or inside <= whole


def _flip_flops(rows: MacRows, prices: Prices) -> Callable[[str], Price | NotPriced] | None:
    """Prices of flip-flops that are of one source with the rows; None where there are none anywhere."""
    table = prices.book.parts_of_source(rows.table)
    if table is not None:

        def price(action: str) -> Price | NotPriced:
            row = table.row("flip_flop", PARTS_VARIANT, action)
            return (
                prices.book.missing("flip_flop", PARTS_VARIANT, action) if row is None else prices.take(row)
            )

        return price
    fitted = next(
        (name for name in bundled_names("energy_tables") if _is_fitted(name, rows.table.name)), None
    )
    if fitted is None:
        return None
    return lambda action: NotPriced(
        f"no table in `tables` has the price: add the bundled table {fitted}",
        f"row flip_flop/{PARTS_VARIANT}/{action}",
    )


def _is_fitted(table: str, to: str) -> bool:
    return to in load_table(table).fitted_to
