"""Cell libraries as Liberty text, in one plain form whatever form they were read in.

ABC is given this text and never a user's file: it refuses tables of one axis, and takes what it does not know
for an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from simulator.hardware.cell_library import (
    Cell,
    CellLibrary,
    CellOutput,
    FlipFlopCell,
    LookupTable,
    Numbers,
    TimingArc,
)

_GRID: Final = re.compile(r"\(grid_(\d+)_(\d+)\)")
_SPREAD: Final = 1.0
"""From the only point of an axis to the next: any will do, as values repeat."""
_FEWEST_POINTS: Final = 3
"""ABC takes a slope from the last but one point to the first, and stops where they are the same."""


def liberty_text(library: CellLibrary, cells: Iterable[Cell], *, with_flip_flop: bool = True) -> str:
    """A Liberty text of some cells; numbers in ns, fF, fJ and nW."""
    lines = [
        "library (cells) {",
        '  delay_model : "table_lookup";',
        '  time_unit : "1ns";',
        '  voltage_unit : "1V";',
        '  current_unit : "1mA";',
        '  leakage_power_unit : "1nW";',
        "  capacitive_load_unit (1, ff);",
        f"  nom_voltage : {library.voltage_v:g};",
        f"  nom_temperature : {25.0 if library.temperature_c is None else library.temperature_c:g};",
        "  nom_process : 1;",
        "  default_max_transition : 100;",
    ]
    body = [line for cell in cells for line in _cell(cell)]
    if with_flip_flop:
        body += _flip_flop(library.flip_flop)
    for rows, columns in sorted(set(_GRID.findall("\n".join(body)))):
        lines += _template(int(rows), int(columns))
    return "\n".join([*lines, *body, "}", ""])


def _template(rows: int, columns: int) -> Iterator[str]:
    """ABC wants a template with as many points as a table has."""
    yield f"  lu_table_template (grid_{rows}_{columns}) {{"
    yield "    variable_1 : input_net_transition;"
    yield "    variable_2 : total_output_net_capacitance;"
    yield f'    index_1 ("{_joined(range(rows))}");'
    yield f'    index_2 ("{_joined(range(columns))}");'
    yield "  }"


def _cell(cell: Cell) -> Iterator[str]:
    yield from _head(cell.name, cell.area, cell.leakage_nw)
    for pin, capacitance in cell.inputs.items():
        yield from _input(pin, capacitance)
    for pin, output in cell.outputs.items():
        yield from _output(pin, output)
    yield "  }"


def _head(name: str, area: float, leakage_nw: float | None) -> Iterator[str]:
    yield f'  cell ("{name}") {{'
    yield f"    area : {area:.9g};"
    if leakage_nw is not None:
        yield f"    cell_leakage_power : {leakage_nw:.9g};"


def _input(pin: str, capacitance: float, more: str = "") -> Iterator[str]:
    yield f'    pin ("{pin}") {{ direction : input; capacitance : {capacitance:.9g};{more} }}'


def _output(pin: str, output: CellOutput) -> Iterator[str]:
    yield f'    pin ("{pin}") {{'
    yield f'      direction : output; function : "{output.function.text}"; max_capacitance : 10000;'
    for related, arc in output.arcs.items():
        yield from _timing(related, arc, "")
    if output.energy_fj is not None:
        yield from _power(next(iter(output.arcs)), output.energy_fj)
    yield "    }"


def _timing(related: str, arc: TimingArc, kind: str) -> Iterator[str]:
    yield f'      timing () {{ related_pin : "{related}"; timing_sense : non_unate;{kind}'
    for name, table in (
        ("cell_rise", arc.delay_ns),
        ("cell_fall", arc.delay_ns),
        ("rise_transition", arc.transition_ns),
        ("fall_transition", arc.transition_ns),
    ):
        yield from _table(name, table)
    yield "      }"


def _power(related: str, table: LookupTable) -> Iterator[str]:
    yield f'      internal_power () {{ related_pin : "{related}";'
    yield from _table("rise_power", table)
    yield from _table("fall_power", table)
    yield "      }"


def _table(name: str, table: LookupTable) -> Iterator[str]:
    transitions, loads = _axis(table.transitions), _axis(table.loads)
    rows = [[table.at(t, load) for load in loads] for t in transitions]
    values = ", \\\n          ".join(f'"{", ".join(f"{value:.9g}" for value in row)}"' for row in rows)
    grid = f"grid_{len(transitions)}_{len(loads)}"
    indices = f'index_1 ("{_joined(transitions)}"); index_2 ("{_joined(loads)}");'
    yield f"        {name} ({grid}) {{ {indices}"
    yield f"          values ({values}); }}"


def _axis(points: Numbers) -> list[float]:
    axis = [float(point) for point in points]
    spread = axis[-1] - axis[-2] if len(axis) > 1 else _SPREAD
    while len(axis) < _FEWEST_POINTS:
        axis.append(axis[-1] + spread)
    return axis


def _joined(numbers: Iterable[float]) -> str:
    return ", ".join(f"{number:.9g}" for number in numbers)


def _flip_flop(cell: FlipFlopCell) -> Iterator[str]:
    yield from _head(cell.name, cell.area, cell.leakage_nw)
    yield '    ff ("IQ", "IQN") { clocked_on : "CK"; next_state : "D"; }'
    setup = f"{cell.setup_ns:.9g}"
    constraint = "".join(
        f'{edge}_constraint (scalar) {{ values ("{setup}"); }} ' for edge in ("rise", "fall")
    )
    more = f' timing () {{ related_pin : "CK"; timing_type : setup_rising; {constraint}}}'
    yield from _input("D", cell.data_ff, more)
    energy = cell.clock_energy_fj
    clock = ""
    if energy is not None:
        edges = "".join(
            f'{edge}_power (scalar) {{ values ("{energy / 2:.9g}"); }} ' for edge in ("rise", "fall")
        )
        clock = f" clock : true; internal_power () {{ {edges}}}"
    yield from _input("CK", cell.clock_ff, clock)
    yield f'    pin ("{cell.output}") {{'
    yield f'      direction : output; function : "{"IQ" if cell.output == "Q" else "IQN"}";'
    if cell.arc is not None:
        yield from _timing("CK", cell.arc, " timing_type : rising_edge;")
    if cell.output_energy_fj is not None:
        yield from _power("CK", cell.output_energy_fj)
    yield "    }"
    yield "  }"
