"""The energy and area of one PE, from the rows of one variant of one table, or composed from parts.

Rows may price a PE whole, by component, or both: what the components leave of the whole is priced as
`pe_multiply_add`. Registers are told apart from logic because they are clocked in every cycle. Rows that do
not tell them apart charge the whole PE in every clocked cycle, an upper bound for cycles without work.

Published powers contain the PE's leakage at the clock they were taken at. It is taken out here, in
proportion to area, and comes back as static energy of every cycle: at full utilisation both together are
the published figure again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from simulator.cost.composition import (
    DEFAULT_TOGGLE_RATE,
    PeCost,
    PeStatus,
    assumed_toggles,
    composed_pe_cost,
    register_bits,
    register_cost,
    too_fast,
    with_leakage,
)
from simulator.cost.mac_rows import MacRows, rows_of
from simulator.cost.mac_structure import MacStructure, RegisterClass
from simulator.cost.price import NotPriced, Uses, times, together, total, use
from simulator.cost.run_prices import Prices
from simulator.cost.variant_energies import REST, WHOLE, Energies, lacking, left_over
from simulator.cost.variant_registers import Registers, registers_of
from simulator.cost.vocabulary import PE_PARTS


def pe_cost(structure: MacStructure, prices: Prices) -> PeCost:
    """The cost of a PE from the rows that price it, from parts where none do; nothing beyond its clock."""
    energy = rows_of(structure, structure.price.energy, prices.book)
    area = rows_of(structure, structure.price.area, prices.book)
    area_uses, area_status = _area(structure, area, prices)
    if energy is None:
        cost = replace(composed_pe_cost(structure, prices), area=area_uses, area_status=area_status)
    elif isinstance(energy, NotPriced):
        cost = replace(composed_pe_cost(structure, prices).unpriced(energy), area=area_uses)
    else:
        cost = _from_rows(structure, energy, area_uses, prices)
        cost = replace(cost, area_status=area_status)
    sources = [rows for rows in (energy, area) if isinstance(rows, MacRows)]
    limits = [structure.max_clock_mhz, *(rows.max_clock_mhz for rows in sources)]
    limit_mhz = min((limit for limit in limits if limit is not None), default=None)
    mismatches = dict.fromkeys(text for rows in sources for text in rows.mismatches(structure))
    cost = replace(cost, warnings=(*cost.warnings, *mismatches), max_clock_mhz=limit_mhz)
    why = too_fast(structure, prices.clock_mhz) or _beyond_rows(structure, limit_mhz, prices)
    return cost if why is None else cost.unpriced(why)


def _beyond_rows(structure: MacStructure, limit_mhz: float | None, prices: Prices) -> NotPriced | None:
    """Why rows price nothing at a clock that their PE was not shown to reach."""
    clock_mhz = prices.clock_mhz
    if limit_mhz is None or clock_mhz <= limit_mhz:
        return None
    ways = [
        f"set clock_mhz to {limit_mhz:g}",
        f"add a table with rows of it at {clock_mhz:g} MHz",
        f"set macs.{structure.name}.price to composed and scaling.frequency to true, which prices it from "
        "parts as if it reached that clock",
    ]
    return NotPriced(
        f"the rows of MAC {structure.name!r} meet timing up to {limit_mhz:g} MHz only, clock_mhz is "
        f"{clock_mhz:g}: {', '.join(ways[:-1])}, or {ways[-1]}",
        f"MAC {structure.name} at {clock_mhz:g} MHz",
    )


def _area(structure: MacStructure, rows: MacRows | NotPriced | None, prices: Prices) -> tuple[Uses, PeStatus]:
    if rows is None:
        return composed_pe_cost(structure, prices).area, "composed"
    if isinstance(rows, NotPriced):
        return rows, "composed"
    whole = rows.row("pe", "area")
    if whole is not None:
        return use(prices.take(whole), 1, f"{whole.status} PE"), whole.status
    logic = [name for name in PE_PARTS if rows.row(name, "operate") or rows.row(name, "area")]
    if not logic or rows.row("pe_combinational", "area") is not None:
        logic = ["pe_combinational"]
    found = [rows.row(name, "area") for name in (*logic, "pe_registers")]
    known = [row for row in found if row is not None]
    if len(known) < len(found):
        return lacking(structure, rows, "pe", "area"), "composed"
    uses = together(use(prices.take(row), 1, f"{row.status} component") for row in known)
    return uses, known[0].status


def _assumed(structure: MacStructure, rows: MacRows) -> str:
    """A note where nothing says at which activity the energy was taken; empty where the table does."""
    known = rows.table.characterised.get(rows.variant)
    if known is not None and known.toggles_per_cycle is not None:
        return ""
    way = "" if rows.table.bundled else f": say so in the section characterised.{rows.variant}"
    return (
        f"{structure.name}: table {rows.table.name} does not say how many register bits toggled when the "
        f"energy of {rows.variant} was taken; {assumed_toggles(structure)}{way}"
    )


def _from_rows(structure: MacStructure, rows: MacRows, area: Uses, prices: Prices) -> PeCost:
    energies = Energies.of(rows, prices)
    status: PeStatus = next((row.status for row in rows.rows() if row.action == "operate"), "composed")
    if energies.is_empty:
        cost = composed_pe_cost(structure, prices).unpriced(lacking(structure, rows, "pe", "operate"))
        return replace(cost, area=area)
    toggles = _toggles(structure, rows)
    registers = registers_of(structure, rows, energies, toggles, prices)
    logic = _logic(structure, rows, energies, registers)
    areas = _areas(rows, prices, area, logic, registers)
    return PeCost(
        structure.name,
        status,
        tuple(with_leakage(prices, name, energy, areas[name]) for name, energy in logic.items()),
        register_cost(
            prices,
            characterised=registers.characterised,
            clock=registers.clock,
            toggle=registers.toggle,
            area=areas["registers"],
            bits=register_bits(structure),
            toggles=toggles,
            component=registers.component,
        ),
        area,
        None,
        notes=tuple(note for note in (registers.note, _assumed(structure, rows)) if note),
        warnings=(registers.warning,) if registers.warning else (),
    )


def _toggles(structure: MacStructure, rows: MacRows) -> Mapping[RegisterClass, float]:
    """Register bits that toggled per cycle while the energy was taken, as the table says or as usual."""
    known = rows.table.characterised.get(rows.variant)
    if known is not None and known.toggles_per_cycle is not None:
        return known.toggles_per_cycle
    return {name: bits * DEFAULT_TOGGLE_RATE for name, bits in register_bits(structure).items()}


def _logic(
    structure: MacStructure, rows: MacRows, energies: Energies, registers: Registers
) -> dict[str, Uses]:
    """The combinational components, with what they leave of their whole."""
    logic = dict(energies.parts)
    apart = energies.registers is not None or registers.toggle != ()
    if energies.logic is not None and not logic:
        logic[WHOLE] = energies.logic
    elif energies.logic is not None and _is_more(rows, "pe_combinational", PE_PARTS):
        logic[WHOLE] = left_over(rows, energies.logic, list(energies.parts.values()))
    listed = PE_PARTS if energies.logic is None else ("pe_combinational",)
    if (
        energies.whole is not None
        and apart
        and (not logic or _is_more(rows, "pe", (*listed, "pe_registers")))
    ):
        logic[WHOLE] = left_over(rows, energies.whole, [registers.characterised, *energies.parts.values()])
    if not logic and energies.whole is None:
        logic[WHOLE] = lacking(structure, rows, "pe_combinational", "operate")
    return logic


def _is_more(rows: MacRows, whole: str, parts: Iterable[str]) -> bool:
    """Whether a whole is more than its parts, as rows give them."""
    row = rows.row(whole, "operate")
    found = [part for name in parts if (part := rows.row(name, "operate")) is not None]
    if row is None:
        return False
    return row.value - sum(part.value for part in found) > REST * row.value


def _areas(
    rows: MacRows, prices: Prices, whole: Uses, logic: Mapping[str, Uses], registers: Registers
) -> dict[str, Uses]:
    """The area that each component's leakage follows: its own row, stretched so that all fill the PE.

    Where rows do not give them, components share the PE's area as they share its energy. Under `registers`
    stands the area of the registers.
    """
    given = {}
    for name in logic:
        row = rows.row(name, "area")
        if row is not None:
            given[name] = use(prices.take(row), 1, f"{row.status} component")
    own, whole_um2 = registers.area, total(whole)
    if isinstance(whole, NotPriced):
        return {**dict.fromkeys(logic, whole), "registers": own or whole}
    registers_um2 = None if own is None else total(own)
    if own is not None and registers_um2 is None:
        return {**dict.fromkeys(logic, own), "registers": own}
    left_um2 = None if whole_um2 is None or registers_um2 is None else whole_um2 - registers_um2
    if own is not None and left_um2 is not None and left_um2 > 0:
        if list(logic) == [WHOLE]:
            return {WHOLE: together((whole, times(own, -1, "less "))), "registers": own}
        listed = together(given.values())
        if len(given) == len(logic) and isinstance(listed, NotPriced):
            return {**dict.fromkeys(logic, listed), "registers": own}
        listed_um2 = total(listed)
        if len(given) == len(logic) and listed_um2:
            stretch = left_um2 / listed_um2
            return {**{name: times(area, stretch) for name, area in given.items()}, "registers": own}
    return _by_energy(whole, {**logic, "registers": registers.characterised})


def _by_energy(area: Uses, energies: Mapping[str, Uses]) -> dict[str, Uses]:
    """An area cut as energies are; what has no energy has no leakage that its area would tell."""
    known = {name: total(energy) or 0.0 for name, energy in energies.items()}
    all_pj = sum(known.values())
    if not all_pj:
        return dict.fromkeys(energies, area)
    return {name: times(area, energy_pj / all_pj) for name, energy_pj in known.items()}
