"""Static timing of a netlist of cells: when each net settles at the latest, by the library's tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator.hardware.cell_library import CellLibrary
from simulator.hardware.cell_netlists import CellNetlist

Times = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Timing:
    """When nets settle after the clock edge.

    arrivals_ns, transitions_ns: of each net. delays_ns: of each cell in the netlist's order, from its latest
    input. loads_ff: of each net. logic_ns: of the latest output, from where the flip-flops' outputs change.
    period_ns: the shortest clock period: clock to output, logic, and setup.
    """

    arrivals_ns: Times
    transitions_ns: Times
    delays_ns: Times
    loads_ff: Times
    logic_ns: float
    period_ns: float

    @property
    def most_mhz(self) -> float:
        """The fastest clock."""
        return 1000.0 / self.period_ns


def timing_of(netlist: CellNetlist, library: CellLibrary) -> Timing:
    """Of a MAC between its flip-flops: each input is the output of one, and each output the data of one."""
    flip_flop = library.flip_flop
    loads = netlist.loads_ff(flip_flop.data_ff)
    arrivals, transitions = np.zeros(netlist.nets), np.zeros(netlist.nets)
    slowest_ns = 0.0
    for nets in netlist.inputs.values():
        for net in nets:
            # The operand register of the next PE stores the same bit.
            load = float(loads[net]) + flip_flop.data_ff
            if flip_flop.arc is not None:
                arrivals[net] = flip_flop.arc.delay_ns.at(0.0, load)
                transitions[net] = flip_flop.arc.transition_ns.at(0.0, load)
                slowest_ns = max(slowest_ns, float(arrivals[net]))
    delays = np.zeros(len(netlist.cells))
    for place, placed in enumerate(netlist.cells):
        pins = dict(zip(placed.cell.inputs, placed.inputs, strict=True))
        for pin, net in placed.outputs:
            load = float(loads[net])
            for related, arc in placed.cell.outputs[pin].arcs.items():
                source = pins[related]
                delay = arc.delay_ns.at(float(transitions[source]), load)
                delays[place] = max(delays[place], delay)
                arrivals[net] = max(arrivals[net], arrivals[source] + delay)
                transitions[net] = max(
                    transitions[net], arc.transition_ns.at(float(transitions[source]), load)
                )
    last = max((float(arrivals[net]) for nets in netlist.outputs.values() for net in nets), default=0.0)
    return Timing(
        arrivals, transitions, delays, loads, max(last - slowest_ns, 0.0), last + flip_flop.setup_ns
    )


def logic_time_ns(library: CellLibrary, period_ns: float) -> float:
    """What a clock period leaves for logic behind a flip-flop of usual load."""
    flip_flop = library.flip_flop
    usual_ff = 4 * flip_flop.data_ff
    output_ns = 0.0 if flip_flop.arc is None else flip_flop.arc.delay_ns.at(0.0, usual_ff)
    return period_ns - flip_flop.setup_ns - output_ns
