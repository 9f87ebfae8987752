"""Liberty files as cell libraries; what MACs cannot use of them is left out and said."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from simulator.foundation import UserError
from simulator.foundation.reading.content import read_bytes
from simulator.hardware.cell_library import Cell, CellLibrary, FlipFlopCell
from simulator.hardware.liberty_cells import CellReader, has_state, why_left_out
from simulator.hardware.liberty_syntax import LibertyGroup, parse_liberty
from simulator.hardware.liberty_tables import LibertyUnits, TableReader

LARGEST_LIBERTY_BYTES: Final = 256 << 20
_INCLUDE: Final = "include_file"
_TWO_INPUTS: Final = {(2, 0b0111), (2, 0b0001), (2, 0b1000), (2, 0b1110)}


def read_library(path: Path) -> CellLibrary:
    """The library of a Liberty file.

    Raises:
        UserError: the file cannot be read, is no Liberty, or has no cells that a MAC can be built of.
    """
    content = read_bytes(path, most_bytes=LARGEST_LIBERTY_BYTES)
    return parse_library(_decoded(content, path), source=path, sha256=hashlib.sha256(content).hexdigest())


def _decoded(content: bytes, source: object) -> str:
    """Text in UTF-8 with or without a mark, else in Latin-1, as vendors' comments have it."""
    if b"\0" in content:
        raise UserError("is no text: it holds zero bytes", source=source)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_library(
    text: str, *, source: object, sha256: str = "", area_unit: str = "um2", energy_unit: str = "fJ"
) -> CellLibrary:
    """The library of a Liberty text; `sha256` is that of its file. Raises UserError as `read_library`."""
    library = parse_liberty(text, source=source)
    if _INCLUDE in library.lists:
        raise UserError(
            "includes another file, which is not read", source=source, allowed="one file that holds it all"
        )
    units = LibertyUnits.of(library, source)
    default_ff = _number(library, "default_input_pin_cap", 0.0) * units.capacitance_ff
    reader = CellReader(TableReader(library, units, source), default_ff, source)
    cells, flip_flops, left_out = _cells(library, reader)
    reasons = f"; cells left out: {_reasons(left_out)}" if left_out else ""
    if not cells:
        raise UserError(f"has no combinational cell that can be used{reasons}", source=source)
    if not flip_flops:
        raise UserError(
            f"has no D flip-flop of the rising clock edge, so registers cannot be built of it{reasons}",
            source=source,
        )
    flip_flop = min(flip_flops, key=_preference)
    voltage_v = _number(library, "nom_voltage", 0.0) * units.volts
    if not 0 < voltage_v < 100:
        raise UserError("needs nom_voltage, from which energies follow", source=source, value=voltage_v)
    temperature = _number(library, "nom_temperature", math.nan)
    found = CellLibrary(
        name="given",
        sha256=sha256 or hashlib.sha256(text.encode()).hexdigest(),
        voltage_v=voltage_v,
        temperature_c=temperature if math.isfinite(temperature) else None,
        area_unit=area_unit,
        energy_unit=energy_unit,
        cells=cells,
        flip_flop=flip_flop,
        notes=tuple(_notes(cells, flip_flop, left_out)),
    )
    _check_complete(found, reasons, source)
    if not found.has_buffer:
        note = "the library has no buffer: cells are not sized for the clock, and nets not buffered"
        found = replace(found, notes=(*found.notes, note))
    return found


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


def _check_complete(library: CellLibrary, reasons: str, source: object) -> None:
    """An inverter and a NAND2 or NOR2 are enough for any logic; without them the mapper has no answer."""
    functions = library.functions
    if (1, 0b01) not in functions or not functions.keys() & _TWO_INPUTS:
        raise UserError(
            "lacks an inverter or a two-input NAND, NOR, AND or OR that can be used, so logic cannot be "
            f"mapped onto it{reasons}",
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
        # Pins are counted, as no name of a library is shown.
        yield f"other input pins of its flip-flops are tied off: {len(flip_flop.tied_pins)}"
    if flip_flop.arc is None:
        yield "its flip-flops have no delay from clock to output: 0 is taken"


def _reasons(left_out: Counter[str]) -> str:
    return "; ".join(f"{count} with {reason}" for reason, count in left_out.most_common())


def _number(group: LibertyGroup, name: str, usual: float) -> float:
    try:
        return float(group.values.get(name, usual))
    except ValueError:
        return usual
