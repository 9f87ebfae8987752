"""Cells of a Liberty file: which can be used, and what the library says of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from simulator.foundation import UserError
from simulator.hardware.cell_functions import parse_function
from simulator.hardware.cell_library import Cell, CellOutput, FlipFlopCell, LookupTable, TimingArc
from simulator.hardware.liberty_syntax import LibertyGroup
from simulator.hardware.liberty_tables import LibertyUnits, TableReader, combined

_STATE: Final = ("ff", "ff_bank", "latch", "latch_bank", "statetable")
_SPECIAL: Final = ("pad_cell", "is_isolation_cell", "is_level_shifter", "clock_gating_integrated_cell")
MOST_INPUTS: Final = 6
_LONGEST_WIDTH: Final = 4
_LARGEST_AREA: Final = 1e9
_DELAY_TYPES: Final = ("", "combinational", "combinational_rise", "combinational_fall")
_CLOCK_TYPES: Final = ("rising_edge", "falling_edge")
_SETUP_TYPES: Final = ("setup_rising", "setup_falling")


@dataclass(frozen=True, slots=True)
class CellReader:
    """Reads cells of one library."""

    tables: TableReader
    default_input_ff: float
    source: object

    @property
    def _units(self) -> LibertyUnits:
        return self.tables.units

    def combinational(self, group: LibertyGroup) -> Cell:
        """A cell without state. Raises UserError for one that cannot be used, with the reason."""
        inputs, outputs = {}, {}
        for pin, body in pins_of(group):
            direction = body.values.get("direction", "")
            if direction == "input":
                inputs[pin] = self._capacitance(body)
            elif direction == "output":
                outputs[pin] = body
            elif direction != "internal":
                raise UserError("pins of other directions than input and output")
        if not outputs or not inputs:
            raise UserError("no inputs or no outputs")
        if len(inputs) > MOST_INPUTS:
            raise UserError(f"more than {MOST_INPUTS} inputs")
        read = {pin: self._output(body, tuple(inputs)) for pin, body in outputs.items()}
        return Cell(group.name, self.area(group), inputs, read, self.leakage(group))

    def _output(self, body: LibertyGroup, inputs: tuple[str, ...]) -> CellOutput:
        if "three_state" in body.values or "function" not in body.values:
            raise UserError("outputs without a function, or with a third state")
        function = parse_function(body.values["function"])
        if not function.pins or not set(function.pins) <= set(inputs):
            raise UserError("functions of something else than inputs")
        arcs = {}
        for pin in inputs:
            arc = self.arc(body, pin, _DELAY_TYPES)
            if arc is not None:
                arcs[pin] = arc
        if set(function.pins) - set(arcs):
            raise UserError("no delays (neither cell_rise and cell_fall nor intrinsic_rise)")
        if any(arc.delay_ns.values.max() <= 0 for arc in arcs.values()):
            raise UserError("delays that are nowhere above zero, which ABC does not take")
        return CellOutput(function, arcs, self.internal_energy(body))

    def flip_flop(self, group: LibertyGroup) -> FlipFlopCell:
        """A D flip-flop. Raises UserError for one that cannot be used, with the reason."""
        state = next(group.of_kind("ff", "ff_bank"), None)
        if state is None:
            raise UserError("no flip-flop")
        clock = _single(state.values.get("clocked_on", ""))
        next_state = parse_function(state.values.get("next_state", "0"))
        pins = dict(pins_of(group))
        # `D` before `DE`: the enable of a flip-flop may begin with the same letter.
        named = sorted((pin for pin in next_state.pins if pin.upper().startswith("D")), key=len)
        data = named[0] if named else next_state.text.strip()
        if clock not in pins or data not in pins:
            raise UserError("no data pin, or another clock than the rising edge of a pin")
        bits = _bits(group, state)
        outputs = {
            body.values.get("function", "").strip(): pin
            for pin, body in pins.items()
            if body.values.get("direction") == "output"
        }
        place = next((place for place, name in enumerate(state.arguments[:2]) if name in outputs), None)
        if place is None or bits < 1:
            raise UserError("no output that is the state")
        output = pins[outputs[state.arguments[place]]]
        leakage = self.leakage(group)
        other_data = {each.values.get("next_state", "").strip() for each in group.of_kind("ff")}
        used = {clock, data, *outputs.values(), *other_data}
        tied = tuple(pin for pin, body in pins.items() if pin not in used and _is_input(body))
        return FlipFlopCell(
            group.name,
            bits,
            "Q" if place == 0 else "QN",
            self.area(group) / bits,
            None if leakage is None else leakage / bits,
            self._capacitance(pins[data]),
            self._capacitance(pins[clock]) / bits,
            self._setup(pins[data]),
            self.arc(output, clock, _CLOCK_TYPES),
            self._clock_energy(pins[clock], bits),
            self.internal_energy(output),
            tied,
        )

    def area(self, group: LibertyGroup) -> float:
        """Area of a cell in the library's units."""
        area = self._number(group, "area", 0.0)
        if not 0 < area < _LARGEST_AREA:
            raise UserError("no area" if area <= 0 else f"an area of {_LARGEST_AREA:g} or more")
        return area

    def leakage(self, group: LibertyGroup) -> float | None:
        """Leakage power: the cell's own, or the mean over the states that the library tells apart."""
        if "cell_leakage_power" in group.values:
            return self._number(group, "cell_leakage_power", 0.0) * self._units.leakage_nw
        states = [self._number(each, "value", 0.0) for each in group.of_kind("leakage_power")]
        return float(np.mean(states)) * self._units.leakage_nw if states else None

    def arc(self, body: LibertyGroup, pin: str, kinds: Iterable[str]) -> TimingArc | None:
        """From a pin to an output, over all states that the library tells apart."""
        delays: list[LookupTable] = []
        transitions: list[LookupTable] = []
        for timing in body.of_kind("timing"):
            kind = timing.values.get("timing_type", "")
            if pin not in timing.values.get("related_pin", "").split() or kind not in kinds:
                continue
            delays += self._tables(timing, ("cell_rise", "cell_fall"), self._units.time_ns)
            transitions += self._tables(timing, ("rise_transition", "fall_transition"), self._units.time_ns)
            delays += self._linear(timing)
        if not delays:
            return None
        return TimingArc(
            combined(delays, largest=True),
            combined(transitions, largest=True) if transitions else LookupTable.constant(0.0),
        )

    def _linear(self, timing: LibertyGroup) -> Iterator[LookupTable]:
        """The older model: an intrinsic delay and a resistance that charges the load."""
        for edge in ("rise", "fall"):
            if f"intrinsic_{edge}" in timing.values:
                intrinsic = self._number(timing, f"intrinsic_{edge}", 0.0)
                slope = self._number(timing, f"{edge}_resistance", 0.0)
                units = self._units
                loads = np.array([0.0, units.capacitance_ff])
                yield LookupTable(
                    np.zeros(1), loads, np.array([[intrinsic, intrinsic + slope]]) * units.time_ns
                )

    def internal_energy(self, body: LibertyGroup) -> LookupTable | None:
        """Inside a cell when an output changes, the mean over edges, inputs and states; None if unknown."""
        tables = [
            table
            for power in body.of_kind("internal_power")
            for table in self._tables(power, ("rise_power", "fall_power", "power"), self._units.energy_fj)
        ]
        return combined(tables, largest=False) if tables else None

    def _clock_energy(self, body: LibertyGroup, bits: int) -> float | None:
        """Both edges of a cycle, by the bit, at the fastest transition of its tables."""
        edges = []
        for kinds in (("rise_power", "power"), ("fall_power", "power")):
            found = [
                table.values.flat[0]
                for power in body.of_kind("internal_power")
                for table in self._tables(power, kinds, self._units.energy_fj)
            ]
            if found:
                edges.append(float(np.mean(found)))
        return sum(edges) / bits if edges else None

    def _setup(self, body: LibertyGroup) -> float:
        tables = [
            table
            for timing in body.of_kind("timing")
            if timing.values.get("timing_type") in _SETUP_TYPES
            for table in self._tables(timing, ("rise_constraint", "fall_constraint"), self._units.time_ns)
        ]
        return max((float(np.median(table.values)) for table in tables), default=0.0)

    def _tables(self, body: LibertyGroup, kinds: tuple[str, ...], unit: float) -> list[LookupTable]:
        return [self.tables.table(group, unit) for group in body.of_kind(*kinds) if "values" in group.lists]

    def _capacitance(self, body: LibertyGroup) -> float:
        given = self._number(body, "capacitance", -1.0)
        return self.default_input_ff if given < 0 else given * self._units.capacitance_ff

    def _number(self, body: LibertyGroup, name: str, usual: float) -> float:
        if name not in body.values:
            return usual
        try:
            number = float(body.values[name])
        except ValueError:
            number = float("nan")
        if not np.isfinite(number):
            raise UserError(
                f"{name} is no number",
                source=self.source,
                location=f"line {body.line}",
                value=body.values[name],
            )
        return number


def pins_of(group: LibertyGroup) -> Iterator[tuple[str, LibertyGroup]]:
    """Pins of a cell by name; a bundle or bus of a multi-bit cell stands for each of its bits."""
    for pin in group.of_kind("pin", "bundle", "bus"):
        for name in pin.arguments:
            inner = next(pin.of_kind("pin"), None)
            if inner is None:
                yield name, pin
            else:
                both = {**inner.values, **pin.values}
                yield name, replace(pin, values=both, groups=[*pin.groups, *inner.groups])


def why_left_out(group: LibertyGroup) -> str | None:
    """Why a cell is not even looked at; None for one that may be used."""
    if group.values.get("dont_use", "false").lower() == "true":
        return "marked dont_use"
    if any(group.values.get(name, "false").lower() != "false" for name in _SPECIAL):
        return "pads, isolation, level shifters and clock gates"
    return None


def has_state(group: LibertyGroup) -> bool:
    """Whether a cell stores something."""
    return any(True for _ in group.of_kind(*_STATE))


def _single(text: str) -> str:
    """A pin by itself, without brackets; empty where a function is more than a pin."""
    try:
        function = parse_function(text) if text.strip() else None
    except UserError:
        return ""
    return function.steps[0] if function is not None and len(function.steps) == 1 else ""


def _bits(group: LibertyGroup, state: LibertyGroup) -> int:
    """Bits of a flip-flop: those of its bank, or one for each `ff` of the same clock; 0 where unknown."""
    if state.kind == "ff":
        clock = state.values.get("clocked_on")
        return sum(each.values.get("clocked_on") == clock for each in group.of_kind("ff"))
    width = state.arguments[2] if len(state.arguments) > 2 else ""
    return int(width) if width.isdecimal() and len(width) <= _LONGEST_WIDTH else 0


def _is_input(body: LibertyGroup) -> bool:
    return body.values.get("direction") == "input"
