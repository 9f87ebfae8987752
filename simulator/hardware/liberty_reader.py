"""Liberty files as cell libraries; what MACs cannot use of them is left out and said."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from simulator.foundation import UserError
from simulator.foundation.reading.content import read_text
from simulator.hardware.cell_library import Cell, CellLibrary, FlipFlopCell
from simulator.hardware.liberty_cells import CellReader, has_state, why_left_out
from simulator.hardware.liberty_syntax import LibertyGroup, parse_liberty
from simulator.hardware.liberty_tables import LibertyUnits, TableReader

LARGEST_LIBERTY_BYTES: Final = 256 << 20


def read_library(path: Path) -> CellLibrary:
    """The library of a Liberty file.

    Raises:
        UserError: the file cannot be read, is no Liberty, or has no cells that a MAC can be built of.
    """
    return parse_library(read_text(path, most_bytes=LARGEST_LIBERTY_BYTES), source=path)


def parse_library(
    text: str, *, source: object, area_unit: str = "um2", energy_unit: str = "fJ"
) -> CellLibrary:
    """The library of a Liberty text. Raises UserError as `read_library`."""
    library = parse_liberty(text, source=source)
    units = LibertyUnits.of(library, source)
    default_ff = _number(library, "default_input_pin_cap", 0.0) * units.capacitance_ff
    reader = CellReader(TableReader(library, units, source), default_ff, source)
    cells, flip_flops, left_out = _cells(library, reader)
    if not cells:
        reasons = _reasons(left_out)
        raise UserError(
            f"has no combinational cell that can be used{reasons and f': {reasons}'}", source=source
        )
    _check_complete(cells, source)
    if not flip_flops:
        raise UserError(
            "has no D flip-flop of the rising clock edge, so registers cannot be built of it", source=source
        )
    flip_flop = min(flip_flops, key=_preference)
    voltage_v = _number(library, "nom_voltage", 0.0)
    if not 0 < voltage_v < 100:
        raise UserError("needs nom_voltage, from which energies follow", source=source, value=voltage_v)
    temperature = library.values.get("nom_temperature")
    return CellLibrary(
        name="given",
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        voltage_v=voltage_v,
        temperature_c=None if temperature is None else _number(library, "nom_temperature", 25.0),
        area_unit=area_unit,
        energy_unit=energy_unit,
        cells=cells,
        flip_flop=flip_flop,
        notes=tuple(_notes(cells, flip_flop, left_out)),
    )


def _cells(
    library: LibertyGroup, reader: CellReader
) -> tuple[dict[str, Cell], list[FlipFlopCell], Counter[str]]:
    cells: dict[str, Cell] = {}
    flip_flops: list[FlipFlopCell] = []
    left_out: Counter[str] = Counter()
    for group in library.of_kind("cell"):
        reason = why_left_out(group)
        try:
            if reason is not None:
                left_out[reason] += 1
            elif has_state(group):
                flip_flops.append(reader.flip_flop(group))
            else:
                cells[group.name] = reader.combinational(group)
        except UserError as error:
            if not has_state(group) or next(group.of_kind("ff", "ff_bank"), None) is not None:
                left_out[error.problem] += 1
    return cells, flip_flops, left_out


def _preference(cell: FlipFlopCell) -> tuple[bool, int, bool, bool, float]:
    """Plain flip-flops of one bit first, then the smallest."""
    return cell.arc is None, len(cell.tied_pins), cell.bits > 1, cell.output != "Q", cell.area


def _check_complete(cells: dict[str, Cell], source: object) -> None:
    """An inverter and a NAND2 or NOR2 are enough for any logic; without them the mapper has no answer."""
    tables = {
        (len(cell.inputs), out.function.table(cell.input_order))
        for cell in cells.values()
        if len(cell.outputs) == 1
        for out in cell.outputs.values()
    }
    if (1, 0b01) not in tables or not tables & {(2, 0b0111), (2, 0b0001), (2, 0b1000), (2, 0b1110)}:
        raise UserError(
            "lacks an inverter or a two-input NAND, NOR, AND or OR that can be used, so logic cannot be "
            "mapped onto it",
            source=source,
        )


def _notes(cells: dict[str, Cell], flip_flop: FlipFlopCell, left_out: Counter[str]) -> Iterable[str]:
    if left_out:
        yield f"cells left out: {_reasons(left_out)}"
    if not any(out.energy_fj is not None for cell in cells.values() for out in cell.outputs.values()):
        yield "the library has no power tables: energy is that of the nets' capacitance alone"
    if flip_flop.clock_energy_fj is None:
        yield "the library does not say what a clock edge costs in a flip-flop: only its clock pin is counted"
    if any(cell.leakage_nw is None for cell in cells.values()) or flip_flop.leakage_nw is None:
        yield "the library does not give the leakage of all its cells: leakage is not told"
    if flip_flop.bits > 1:
        yield f"registers are made of flip-flops of {flip_flop.bits} bits, the smallest that it has"
    if flip_flop.output != "Q":
        yield "its flip-flops have an inverted output only; the inversion is taken to cost nothing"
    if flip_flop.tied_pins:
        yield f"pins {', '.join(flip_flop.tied_pins)} of its flip-flops are tied off"
    if flip_flop.arc is None:
        yield "its flip-flops have no delay from clock to output: 0 is taken"


def _reasons(left_out: Counter[str]) -> str:
    return "; ".join(f"{count} with {reason}" for reason, count in left_out.most_common())


def _number(group: LibertyGroup, name: str, usual: float) -> float:
    try:
        return float(group.values.get(name, usual))
    except ValueError:
        return usual
