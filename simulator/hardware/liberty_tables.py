"""Tables of Liberty: values over transition time and load, whatever the order, units and number of axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from simulator.foundation import UserError
from simulator.hardware.cell_library import LookupTable, Numbers
from simulator.hardware.liberty_syntax import LibertyGroup

_LOAD: Final = "total_output_net_capacitance"
_TRANSITIONS: Final = ("input_net_transition", "input_transition_time")
_MOST_VALUES: Final = 10_000
_PREFIXES: Final = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15}


@dataclass(frozen=True, slots=True)
class LibertyUnits:
    """What one unit of the file is: time in ns, capacitance in fF, energy in fJ, leakage in nW; volts."""

    time_ns: float
    capacitance_ff: float
    energy_fj: float
    leakage_nw: float
    volts: float

    @classmethod
    def of(cls, library: LibertyGroup, source: object) -> LibertyUnits:
        """Of a library; Liberty's own defaults where it states none. Raises UserError for unknown units."""
        time_ns = _unit(library, "time_unit", "1ns", "s", source) * 1e9
        volts = _unit(library, "voltage_unit", "1V", "v", source)
        leakage_nw = _unit(library, "leakage_power_unit", "1nW", "w", source) * 1e9
        loads = "".join((library.lists.get("capacitive_load_unit") or [("1", "pf")])[0])
        farads = _scaled(loads, "f", "capacitive_load_unit", source)
        return cls(time_ns, farads * 1e15, farads * 1e15 * volts**2, leakage_nw, volts)


def _unit(library: LibertyGroup, name: str, usual: str, base: str, source: object) -> float:
    return _scaled(library.values.get(name, usual), base, name, source)


def _scaled(text: str, base: str, name: str, source: object) -> float:
    """A unit such as `10ps` in units without a prefix."""
    written = text.replace(" ", "").lower()
    digits = written.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = written[len(digits) :]
    if unit.endswith(base) and unit[: -len(base)] in _PREFIXES:
        try:
            scale = float(digits or 1) * _PREFIXES[unit[: -len(base)]]
        except ValueError:
            scale = 0.0
        if 0 < scale < math.inf:
            return scale
    raise UserError("is no unit", source=source, location=name, value=text, allowed=f"such as 1n{base}")


class TableReader:
    """Reads tables of one library, whose templates give axes that a table leaves out."""

    def __init__(self, library: LibertyGroup, units: LibertyUnits, source: object) -> None:
        self._templates = {
            group.name: group for group in library.of_kind("lu_table_template", "power_lut_template")
        }
        self.units = units
        self._source = source

    def table(self, group: LibertyGroup, unit: float) -> LookupTable:
        """A table whose values are in `unit`. Raises UserError where its values do not fill its axes."""
        values = self._numbers(group, "values", joined=True) * unit
        template = self._templates.get(group.name)
        axes = [self._axis(group, template, place) for place in (1, 2, 3)]
        lengths = [len(axis) for _, axis in axes if len(axis)]
        if values.size == 1:
            return LookupTable.constant(float(values[0]))
        if int(np.prod(lengths)) != values.size or len(lengths) > 2:
            raise UserError(
                f"{group.kind} has {values.size} values for axes of {' x '.join(map(str, lengths)) or 'no'} "
                "points",
                source=self._source,
                location=f"line {group.line}",
            )
        by_kind = {kind: (place, axis) for place, (kind, axis) in enumerate(axes) if len(axis)}
        grid = values.reshape(lengths)
        transition = by_kind.get("transition")
        load = by_kind.get("load")
        if transition is None and load is None:
            return LookupTable.constant(float(np.median(values)))
        if len(lengths) == 1:
            axis = np.zeros(1)
            if load is None and transition is not None:
                return LookupTable(transition[1], axis, grid[:, None])
            return LookupTable(axis, axis if load is None else load[1], grid[None, :])
        if transition is None or load is None:
            other = 1 - (transition or load or (0, axes[0][1]))[0]
            return self._over_one(grid.mean(axis=other), transition, load)
        ordered = grid if transition[0] == 0 else grid.T
        return LookupTable(transition[1], load[1], np.ascontiguousarray(ordered))

    @staticmethod
    def _over_one(
        values: Numbers, transition: tuple[int, Numbers] | None, load: tuple[int, Numbers] | None
    ) -> LookupTable:
        axis = np.zeros(1)
        if transition is not None:
            return LookupTable(transition[1], axis, values[:, None])
        return LookupTable(axis, axis if load is None else load[1], values[None, :])

    def _axis(self, group: LibertyGroup, template: LibertyGroup | None, place: int) -> tuple[str, Numbers]:
        name = f"index_{place}"
        holder = group if name in group.lists or template is None else template
        if name not in holder.lists:
            return "", np.zeros(0)
        numbers = self._numbers(holder, name)
        variable = "" if template is None else template.values.get(f"variable_{place}", "")
        usual = "transition" if place == 1 else "load"
        kind = "load" if variable == _LOAD else "transition" if variable in _TRANSITIONS else "other"
        kind = usual if not variable else kind
        if np.any(np.diff(numbers) <= 0):
            raise UserError(f"{name} does not ascend", source=self._source, location=f"line {holder.line}")
        return kind, numbers * (self.units.capacitance_ff if kind == "load" else self.units.time_ns)

    def _numbers(self, group: LibertyGroup, name: str, *, joined: bool = False) -> Numbers:
        rows = group.lists.get(name, [()])
        texts: Sequence[str] = [text for row in rows for text in row] if joined else rows[0]
        words = " ".join(texts).replace(",", " ").split()
        if not words or len(words) > _MOST_VALUES:
            raise UserError(f"{group.kind} has no {name}", source=self._source, location=f"line {group.line}")
        try:
            numbers = np.array([float(word) for word in words])
        except ValueError as error:
            problem = f"{name} of {group.kind} are not all numbers"
            raise UserError(problem, source=self._source, location=f"line {group.line}") from error
        if not np.all(np.isfinite(numbers)):
            problem = f"{name} of {group.kind} are not all finite"
            raise UserError(problem, source=self._source, location=f"line {group.line}")
        return numbers


def combined(tables: Sequence[LookupTable], *, largest: bool) -> LookupTable:
    """The largest or the mean of tables at the points of the one with most of them."""
    if len(tables) == 1:
        return tables[0]
    first = max(tables, key=lambda table: table.values.size)
    grids = [
        np.array([[table.at(t, load) for load in first.loads.tolist()] for t in first.transitions.tolist()])
        for table in tables
    ]
    values = np.maximum.reduce(grids) if largest else np.mean(grids, axis=0)
    return LookupTable(first.transitions, first.loads, values)
