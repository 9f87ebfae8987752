"""An array's gates against the register-level grid: every register of every PE after every clock edge."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.array import Grid
from simulator.array import signals as sig
from simulator.dataflow import OperandClass
from simulator.hardware.array_circuit import ArrayShape
from simulator.hardware.array_stimuli import EdgeStimuli, array_stimuli
from simulator.hardware.comparisons import Comparison
from simulator.hardware.gate_simulation import Words, from_words
from simulator.hardware.netlists import Netlist
from simulator.hardware.processing_element import operand_format
from simulator.hardware.step_checks import sum_words
from simulator.hardware.step_circuit import SumLayout, needs_valid_bits
from simulator.hardware.synthesized_macs import SynthesizedMac
from simulator.numerics import Mac

Numbers = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class GridState:
    """All PEs of the upright array after an edge, and the codes that leave it.

    codes: in the registers of each operand; sums: with their flags (`SumLayout`); outputs: one a lane.
    """

    codes: dict[OperandClass, Numbers]
    sums: Numbers
    outputs: Numbers


def grid_states(mac: Mac, shape: ArrayShape, stimuli: EdgeStimuli) -> list[GridState]:
    """What the register-level grid holds after each edge of a run."""
    grid = Grid(mac, shape.rows, shape.columns, dataflow=shape.flow.name)
    turn = shape.flow.turn(0, 1)
    states = []
    for edge, control in enumerate(stimuli.control):
        moves = bool(control & (sig.SHIFT_OUT | sig.LOAD))
        stays = bool(shape.flow.circuit.sums_stay)
        grid.step(
            stimuli.codes["activation"][edge],
            stimuli.codes["weight"][edge],
            reset=bool(control & sig.RESET),
            multiply=bool(control & sig.MULTIPLY),
            shift_out=moves and stays,
            load=moves and not stays,
            partial_sums=None if stays else stimuli.sums[edge],
        )
        sums = grid.accumulators
        words = sum_words(mac, sums.values, sums.is_infinite, sums.overflow).transpose(turn)
        codes: dict[OperandClass, Numbers] = {
            "activation": grid.activations.transpose(turn),
            "weight": grid.weights.transpose(turn),
        }
        states.append(GridState(codes, words, grid.codes()))
    return states


@dataclass(slots=True)
class _Tally:
    """Counts of a comparison that goes on for many edges."""

    compared: int = 0
    differing: int = 0
    first: str | None = None
    names: list[str] = field(default_factory=list)

    def compare(self, what: str, edge: int, found: Numbers, expected: Numbers) -> None:
        """Compare a plane [runs, ...]; the first difference is told by its place."""
        wrong = np.argwhere(np.asarray(found.astype(object) != expected.astype(object), np.bool_))
        self.compared += expected.size
        self.differing += len(wrong)
        if len(wrong) and self.first is None:
            place = tuple(int(index) for index in wrong[0])
            where = ", ".join(str(index) for index in place[1:])
            values = f"the gates hold {int(found[place]):#x}, the grid {int(expected[place]):#x}"
            self.first = f"run {place[0]}, edge {edge}, {what} of PE ({where}): {values}"


def check_runs(
    synthesized: SynthesizedMac, seed: int, *, runs: int, length: int, random_edges: int
) -> Comparison:
    """Runs of an array side by side, edge by edge: reset, a product, shift-out, then control in any order."""
    mac, shape = synthesized.mac, synthesized.shape
    stimuli = [array_stimuli(mac, shape, seed + run, length, random_edges) for run in range(runs)]
    states = [grid_states(mac, shape, run) for run in stimuli]
    simulation = synthesized.simulation("array")
    nets = simulation.start(runs)
    pe_nets = _register_nets(synthesized.netlists[synthesized.designs["array"].name])
    tally = _Tally()
    for edge in range(len(stimuli[0])):
        for port, values in array_inputs(mac, shape, stimuli, edge).items():
            simulation.drive(nets, port, values)
        simulation.settle(nets)
        simulation.clock(nets)
        _compare_edge(mac, shape, tally, (nets, pe_nets), [run[edge] for run in states], edge)
        if "converter" in synthesized.designs:
            found = _split(simulation.read(nets, "codes", runs), shape.lanes, mac.activation.bits)
            tally.compare("output code", edge, found, np.stack([run[edge].outputs for run in states]))
    size = f"{shape.rows} x {shape.columns}"
    what = f"registers of a {size} {shape.flow.name} array, {runs} runs of {len(stimuli[0])} clock edges"
    return Comparison(what, tally.compared, tally.differing, tally.first)


def _register_nets(array: Netlist) -> dict[tuple[int, int], dict[str, npt.NDArray[np.int64]]]:
    """Output nets of every PE by port."""
    found = {}
    for instance in array.instances:
        if instance.name.startswith("pe_"):
            _, i, j = instance.name.split("_")
            ports = {
                port: np.array(nets, np.int64)
                for port, nets in instance.ports.items()
                if port.endswith("_out")
            }
            found[int(i), int(j)] = ports
    return found


def _compare_edge(
    mac: Mac,
    shape: ArrayShape,
    tally: _Tally,
    gates: tuple[Words, dict[tuple[int, int], dict[str, npt.NDArray[np.int64]]]],
    states: list[GridState],
    edge: int,
) -> None:
    nets, pe_nets = gates
    runs, size = len(states), (shape.lane_length, shape.lanes)

    def plane(port: str) -> Numbers:
        values = np.zeros((runs, *size), object)
        for place, ports in pe_nets.items():
            values[:, place[0], place[1]] = from_words(nets[ports[port]], runs)
        return values

    tally.compare("sum", edge, plane("sum_out"), np.stack([state.sums for state in states]))
    for operand in shape.flow.entering:
        fmt = operand_format(mac, operand)
        codes = np.stack([state.codes[operand] for state in states]).astype(fmt.code_dtype)
        tally.compare(operand, edge, plane(f"{operand}_out"), fmt.register_patterns(codes))


def array_inputs(mac: Mac, shape: ArrayShape, stimuli: list[EdgeStimuli], edge: int) -> dict[str, Numbers]:
    """Values of all input ports of an array at an edge, one for each run."""
    control = np.array([run.control[edge] for run in stimuli])
    stays = bool(shape.flow.circuit.sums_stay)
    moves = ((control & (sig.SHIFT_OUT | sig.LOAD)) != 0).astype(np.uint8)
    ports: dict[str, Numbers] = {
        "reset": ((control & sig.RESET) != 0).astype(np.uint8),
        "multiply": ((control & sig.MULTIPLY) != 0).astype(np.uint8),
        "shift_out" if stays else "load": moves,
    }
    for operand in shape.flow.entering:
        codes = np.stack([run.codes[operand][edge] for run in stimuli])
        ports[f"{operand}s"] = joined(codes, operand_format(mac, operand).bits)
        if needs_valid_bits(mac) and (stays or operand == shape.flow.entering[0]):
            ports[f"{operand}s_valid"] = joined(np.full(codes.shape, 1, np.uint8), 1)
    if not stays:
        sums = np.stack([run.sums[edge] for run in stimuli])
        none = np.zeros(sums.shape, np.int8)
        ports["sums_in"] = joined(sum_words(mac, sums, none, none), SumLayout.of(mac).bits)
    return ports


def joined(values: Numbers, bits: int) -> Numbers:
    """Numbers of a row [runs, places] side by side, the first one lowest."""
    total = np.zeros(len(values), object)
    for place in range(values.shape[1]):
        total |= values[:, place].astype(object) << (place * bits)
    return total


def _split(values: Numbers, places: int, bits: int) -> Numbers:
    """The reverse of `joined`."""
    whole = values.astype(object)
    return np.stack([(whole >> (place * bits)) & ((1 << bits) - 1) for place in range(places)], axis=1)
