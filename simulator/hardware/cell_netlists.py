"""Combinational netlists of library cells, in an order in which each cell finds its inputs settled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.foundation.defects import DefectError
from simulator.foundation.reading.json_documents import parse_json
from simulator.hardware.cell_library import Cell
from simulator.hardware.gate_simulation import Words, from_words, to_words
from simulator.hardware.netlists import ONE, ZERO, nets_of, settling_order


@dataclass(frozen=True, slots=True)
class PlacedCell:
    """A cell with the nets at its pins; `inputs` in the order of the cell's own."""

    cell: Cell
    inputs: tuple[int, ...]
    outputs: tuple[tuple[str, int], ...]


@dataclass(frozen=True, eq=False)
class CellNetlist:
    """A module of library cells; nets 0 and 1 are constants, ports are nets from the lowest bit up."""

    name: str
    inputs: Mapping[str, tuple[int, ...]]
    outputs: Mapping[str, tuple[int, ...]]
    cells: tuple[PlacedCell, ...]
    nets: int

    @cached_property
    def area(self) -> float:
        """Area of all cells in the library's unit."""
        return sum(placed.cell.area for placed in self.cells)

    @cached_property
    def counts(self) -> Counter[str]:
        """How many of each cell."""
        return Counter(placed.cell.name for placed in self.cells)

    @property
    def leakage_nw(self) -> float | None:
        """Leakage of all cells; None where the library does not give that of each."""
        known = [placed.cell.leakage_nw for placed in self.cells]
        found = [each for each in known if each is not None]
        return sum(found) if len(found) == len(known) else None

    def loads_ff(self, at_outputs: float) -> npt.NDArray[np.float64]:
        """Capacitance of the pins that each net drives; `at_outputs` for each output port that it is."""
        loads = np.zeros(self.nets)
        for placed in self.cells:
            for net, capacitance in zip(placed.inputs, placed.cell.inputs.values(), strict=True):
                loads[net] += capacitance
        for nets in self.outputs.values():
            for net in nets:
                loads[net] += at_outputs
        return loads

    def settle(self, ports: Mapping[str, npt.NDArray[Any]]) -> Words:
        """Values of all nets [nets, words] for unsigned numbers at the input ports."""
        patterns = len(next(iter(ports.values())))
        values = np.zeros((self.nets, -(-patterns // 64)), np.uint64)
        values[ONE] = ~np.uint64(0)
        for port, nets in self.inputs.items():
            values[np.array(nets, np.int64)] = to_words(ports[port], len(nets))
        for placed in self.cells:
            pins = {pin: values[net] for pin, net in zip(placed.cell.inputs, placed.inputs, strict=True)}
            for pin, net in placed.outputs:
                values[net] = placed.cell.outputs[pin].function.evaluate(pins)
        return values

    def read(self, values: Words, port: str, patterns: int) -> npt.NDArray[Any]:
        """Unsigned numbers of an output port."""
        return from_words(values[np.array(self.outputs[port], np.int64)], patterns)


def read_cell_netlist(text: str, name: str, cells: Mapping[str, Cell]) -> CellNetlist:
    """A module of a JSON netlist that Yosys wrote, of cells by the names that it was given.

    Raises:
        DefectError: a cell that is not among them, a loop, or a net without a driver.
    """
    body: Mapping[str, Any] = parse_json(text, source="the netlist")["modules"][name]
    placed = []
    for about in body["cells"].values():
        kind = str(about["type"])
        if kind.startswith("$scopeinfo"):
            continue
        if kind not in cells:
            message = f"module {name!r} has a cell of unknown type {kind!r}"
            raise DefectError(message)
        cell = cells[kind]
        pins = {pin: nets_of(bits)[0] for pin, bits in about["connections"].items()}
        outputs = tuple((pin, pins[pin]) for pin in cell.outputs if pin in pins)
        placed.append(PlacedCell(cell, tuple(pins[pin] for pin in cell.inputs), outputs))
    ports = {"input": dict[str, tuple[int, ...]](), "output": dict[str, tuple[int, ...]]()}
    for port, about in body["ports"].items():
        ports[about["direction"]][port] = nets_of(about["bits"])
    return cell_netlist(name, ports["input"], ports["output"], placed)


def cell_netlist(
    name: str,
    inputs: Mapping[str, tuple[int, ...]],
    outputs: Mapping[str, tuple[int, ...]],
    placed: list[PlacedCell],
) -> CellNetlist:
    """A netlist of cells in any order. Raises DefectError for a loop or a net without a driver."""
    nets = 2 + max(
        [net for ports in (inputs, outputs) for each in ports.values() for net in each]
        + [net for cell in placed for net in (*cell.inputs, *(net for _, net in cell.outputs))]
    )
    order = settling_order(
        [cell.inputs for cell in placed],
        [[net for _, net in cell.outputs] for cell in placed],
        {ZERO, ONE, *(net for each in inputs.values() for net in each)},
    )
    if order is None:
        message = f"netlist {name!r} has a loop of cells or a net without a driver"
        raise DefectError(message)
    ordered = tuple(placed[place] for place in order)
    return CellNetlist(name, inputs, outputs, ordered, nets)
