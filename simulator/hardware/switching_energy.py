"""Energy of a MAC and its registers from the toggles of their nets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from simulator.foundation.defects import DefectError
from simulator.hardware.cell_library import CellLibrary
from simulator.hardware.cell_netlists import CellNetlist
from simulator.hardware.gate_simulation import Words
from simulator.hardware.glitch_simulation import delay_steps, glitch_toggles, path_steps
from simulator.hardware.static_timing import Timing
from simulator.hardware.switching_stimuli import SwitchingStimuli

Toggles = npt.NDArray[np.int64]

_GLITCH_BITS: Final = 1 << 19
_GLITCH_EDGES: Final = 512
"""Clock edges that are simulated with delays, fewer of long paths; all are evaluated without delays."""


@dataclass(frozen=True, slots=True)
class StepEnergy:
    """Mean energy of a clock cycle in the library's unit.

    logic: of the combinational cells, zero-delay. glitches: what delays add to it.
    clock: of the registers' clock pins and what switches behind them in every cycle.
    registers: of the registers, with their clock.
    toggles: register bits that change in a cycle, by port of the MAC.
    """

    logic: float
    glitches: float
    clock: float
    registers: float
    toggles: dict[str, float]

    @property
    def whole(self) -> float:
        """Logic and registers without glitches."""
        return self.logic + self.registers


def next_patterns(values: Words) -> Words:
    """Every pattern replaced by the one behind it; the last one by zeros."""
    carried = np.zeros_like(values)
    carried[..., :-1] = values[..., 1:]
    return (values >> np.uint64(1)) | (carried << np.uint64(63))


def settled_toggles(values: Words, mask: Words) -> Toggles:
    """Toggles of each net between patterns that follow each other, without delays."""
    changed = (values ^ next_patterns(values)) & mask
    return np.asarray(np.bitwise_count(changed).sum(axis=-1, dtype=np.int64))


def step_energy(
    netlist: CellNetlist, library: CellLibrary, timing: Timing, stimuli: SwitchingStimuli
) -> StepEnergy:
    """Mean energy of a cycle over a stimulus.

    Raises:
        DefectError: the netlist does not compute what numerics expects.
    """
    values = netlist.settle(stimuli.ports)
    found = netlist.read(values, "sum_out", len(stimuli))
    if not np.array_equal(found.astype(object), stimuli.expected.astype(object)):
        message = f"the netlist of {netlist.name!r} does not compute the sums of its stimulus"
        raise DefectError(message)
    per_toggle = _logic_energies(netlist, library, timing)
    toggles = settled_toggles(values, stimuli.mask())
    logic = float(toggles @ per_toggle) / stimuli.changes
    glitches = _glitches(netlist, timing, stimuli, per_toggle)
    by_port = {
        port: float(toggles[list(nets)].sum()) / stimuli.changes for port, nets in netlist.inputs.items()
    }
    clock = _clock_energy(library) * sum(len(nets) for nets in netlist.inputs.values())
    registers = clock + _register_energy(netlist, library, timing, toggles) / stimuli.changes
    return StepEnergy(logic, glitches, clock, registers, by_port)


def _logic_energies(netlist: CellNetlist, library: CellLibrary, timing: Timing) -> npt.NDArray[np.float64]:
    """Of a toggle of each net that a cell drives: its load, and what the cell takes inside."""
    energies = np.zeros(netlist.nets)
    square = library.voltage_v**2
    for placed in netlist.cells:
        slowest = max(float(timing.transitions_ns[net]) for net in placed.inputs)
        for pin, net in placed.outputs:
            load = float(timing.loads_ff[net])
            inside = placed.cell.outputs[pin].energy_fj
            energies[net] = load * square / 2 + (0.0 if inside is None else inside.at(slowest, load))
    return energies


def _glitches(
    netlist: CellNetlist, timing: Timing, stimuli: SwitchingStimuli, per_toggle: npt.NDArray[np.float64]
) -> float:
    """What nets toggle more with delays, in energy a cycle."""
    delays = delay_steps(timing.delays_ns, timing.period_ns)
    part = stimuli.first(max(min(_GLITCH_EDGES, _GLITCH_BITS // max(path_steps(netlist, delays), 1)), 2))
    before, mask = netlist.settle(part.ports), part.mask()
    timed = glitch_toggles(netlist, before, next_patterns(before), mask, delays)
    return float((timed - settled_toggles(before, mask)) @ per_toggle) / max(part.changes, 1)


def _clock_energy(library: CellLibrary) -> float:
    """Of one bit in a cycle: its clock pin rises and falls."""
    flip_flop = library.flip_flop
    return flip_flop.clock_ff * library.voltage_v**2 + (flip_flop.clock_energy_fj or 0.0)


def _register_energy(netlist: CellNetlist, library: CellLibrary, timing: Timing, toggles: Toggles) -> float:
    """Of all toggles of register bits: inside the flip-flop, and what its output drives."""
    flip_flop, square = library.flip_flop, library.voltage_v**2
    inside = flip_flop.output_energy_fj
    total = 0.0
    for nets in netlist.inputs.values():
        for net in nets:
            load = float(timing.loads_ff[net]) + flip_flop.data_ff
            energy = load * square / 2 + (0.0 if inside is None else inside.at(0.0, load))
            total += float(toggles[net]) * energy
    return total
