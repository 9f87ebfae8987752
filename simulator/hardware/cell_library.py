"""A library of standard cells: area, capacitance, delay and energy of what MACs are mapped onto."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from simulator.hardware.cell_functions import CellFunction

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LookupTable:
    """A quantity over input transition time in ns and load in fF, bilinear inside and beyond its corners."""

    transitions: Numbers
    loads: Numbers
    values: Numbers

    def at(self, transition_ns: float, load_ff: float) -> float:
        """The value at a point."""
        row, above = _place(self.transitions, transition_ns)
        column, right = _place(self.loads, load_ff)
        corner = self.values[row : row + 2, column : column + 2]
        by_load = corner[:, 0] if corner.shape[1] == 1 else corner[:, 0] * (1 - right) + corner[:, 1] * right
        return float(by_load[0] if len(by_load) == 1 else by_load[0] * (1 - above) + by_load[1] * above)

    @classmethod
    def constant(cls, value: float) -> LookupTable:
        """The same everywhere."""
        return cls(np.zeros(1), np.zeros(1), np.array([[value]]))


def _place(axis: Numbers, value: float) -> tuple[int, float]:
    """The index below a value and how far it is to the next one; 0.0 where the axis is a single point."""
    if len(axis) == 1:
        return 0, 0.0
    index = int(np.clip(np.searchsorted(axis, value, side="right") - 1, 0, len(axis) - 2))
    return index, float((value - axis[index]) / (axis[index + 1] - axis[index]))


@dataclass(frozen=True, eq=False)
class TimingArc:
    """From one input to an output: the slower of rise and fall, and the longer transition."""

    delay_ns: LookupTable
    transition_ns: LookupTable


@dataclass(frozen=True, eq=False)
class CellOutput:
    """An output pin.

    arcs: by input pin; empty where the library gives no timing.
    energy_fj: inside the cell when the output changes, mean of rising and falling, without the load's.
    """

    function: CellFunction
    arcs: Mapping[str, TimingArc]
    energy_fj: LookupTable | None


@dataclass(frozen=True, eq=False)
class Cell:
    """A combinational cell; `leakage_nw` is None where the library has none."""

    name: str
    area: float
    inputs: Mapping[str, float]
    outputs: Mapping[str, CellOutput]
    leakage_nw: float | None

    @cached_property
    def input_order(self) -> tuple[str, ...]:
        """Input pins in the order in which tables count them."""
        return tuple(self.inputs)

    def renamed(self, name: str) -> Cell:
        """The same under another name, with pins `i0` and so on, `o0` and so on."""
        pins = {pin: f"i{place}" for place, pin in enumerate(self.inputs)}
        outputs = {
            f"o{place}": CellOutput(
                output.function.renamed(pins),
                {pins[pin]: arc for pin, arc in output.arcs.items()},
                output.energy_fj,
            )
            for place, output in enumerate(self.outputs.values())
        }
        return Cell(
            name, self.area, {pins[pin]: ff for pin, ff in self.inputs.items()}, outputs, self.leakage_nw
        )


@dataclass(frozen=True, eq=False)
class FlipFlopCell:
    """The D flip-flop that registers are made of, by the bit where the cell holds several.

    bits: of the cell.
    output: `Q`, or `QN` where only the inverted one leaves.
    clock_energy_fj: inside the cell in a clock cycle, both edges; None where the library has none.
    output_energy_fj: inside the cell when the output changes.
    """

    name: str
    bits: int
    output: str
    area: float
    leakage_nw: float | None
    data_ff: float
    clock_ff: float
    setup_ns: float
    arc: TimingArc | None
    clock_energy_fj: float | None
    output_energy_fj: LookupTable | None
    tied_pins: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class CellLibrary:
    """A library that is ready for use.

    name: `generic`, or `given` for a user's, whose own names are shown nowhere.
    sha256: of its text; nothing else of a library is ever written.
    area_unit: `um2`, or `NAND2` for equivalents; energy_unit: `fJ`, or `NAND2` for toggles of a NAND2.
    notes: what was left out of it or assumed.
    """

    name: str
    sha256: str
    voltage_v: float
    temperature_c: float | None
    area_unit: str
    energy_unit: str
    cells: Mapping[str, Cell]
    flip_flop: FlipFlopCell
    notes: tuple[str, ...]

    @property
    def has_leakage(self) -> bool:
        """Whether all that is used leaks a known power."""
        leaking = [cell.leakage_nw is not None for cell in self.cells.values()]
        return all(leaking) and self.flip_flop.leakage_nw is not None

    @property
    def has_internal_energy(self) -> bool:
        """Whether it says what switching costs inside cells."""
        return any(out.energy_fj is not None for cell in self.cells.values() for out in cell.outputs.values())

    @cached_property
    def functions(self) -> Mapping[tuple[int, int], float]:
        """Smallest area of cells of one output, by their number of inputs and their truth table."""
        found: dict[tuple[int, int], float] = {}
        for cell in self.cells.values():
            if len(cell.outputs) == 1:
                output = next(iter(cell.outputs.values()))
                key = len(cell.inputs), output.function.table(cell.input_order)
                found[key] = min(cell.area, found.get(key, cell.area))
        return found

    @property
    def has_buffer(self) -> bool:
        """Whether a cell has one input and gives it again."""
        return (1, 0b10) in self.functions

    @property
    def nand2_area(self) -> float:
        """Area of its smallest NAND2; 0 where it has none."""
        return self.functions.get((2, 0b0111), 0.0)
