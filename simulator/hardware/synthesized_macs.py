"""A MAC's modules as gates: RTL built and mapped once, netlists of each module ready to be evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from simulator.hardware.array_circuit import ArrayShape, array_designs
from simulator.hardware.designs import Design
from simulator.hardware.gate_simulation import GateSimulation
from simulator.hardware.netlists import Netlist, flattened, read_netlists
from simulator.hardware.synthesis import mapping_script
from simulator.hardware.yosys_runs import run_yosys
from simulator.numerics import Mac

RTL_FILE: Final = "design.il"
NETLIST_FILE: Final = "netlist.json"


@dataclass(frozen=True, slots=True)
class SynthesizedMac:
    """An array of a MAC, as RTL and as gates.

    designs: RTL modules by role (`mac`, `pe`, `array`, `converter`, ...).
    netlist_text: the mapped netlist of all modules.
    netlists: its modules by name, one inside the other.
    """

    mac: Mac
    shape: ArrayShape
    designs: Mapping[str, Design]
    netlist_text: str
    netlists: Mapping[str, Netlist]

    @classmethod
    def of(cls, mac: Mac, shape: ArrayShape) -> SynthesizedMac:
        """Build and map. Raises UserError for a MAC without hardware, or without the extra."""
        return cls.mapped(mac, shape, array_designs(mac, shape))

    @classmethod
    def mapped(cls, mac: Mac, shape: ArrayShape, designs: Mapping[str, Design]) -> SynthesizedMac:
        """Map RTL that is there already."""
        run = run_yosys(mapping_script(RTL_FILE, NETLIST_FILE), {RTL_FILE: rtl_text(designs)}, [NETLIST_FILE])
        text = run.files[NETLIST_FILE]
        return cls(mac, shape, designs, text, read_netlists(text))

    def simulation(self, role: str) -> GateSimulation:
        """The gates of a module, those inside it included."""
        return GateSimulation(flattened(self.designs[role].name, self.netlists))


def rtl_text(designs: Mapping[str, Design]) -> str:
    """All modules as one RTLIL file."""
    return "\n".join(design.text for design in designs.values())
