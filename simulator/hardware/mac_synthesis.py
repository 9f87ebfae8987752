"""A MAC synthesised with a cell library: area and delay of its candidates, and the energy of one of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from simulator.foundation import UserError
from simulator.hardware.candidates import EFFORTS, Candidate, Effort, candidates_of, mapped_candidates
from simulator.hardware.cell_library import CellLibrary
from simulator.hardware.cell_netlists import CellNetlist
from simulator.hardware.processing_element import mac_design
from simulator.hardware.static_timing import Timing, logic_time_ns, timing_of
from simulator.hardware.step_circuit import SumLayout, check_has_hardware
from simulator.hardware.switching_energy import StepEnergy, step_energy
from simulator.hardware.switching_stimuli import SwitchingStimuli
from simulator.hardware.yosys_runs import require_wheels
from simulator.numerics import Mac

_SLACK: Final = 1e-9


@dataclass(frozen=True, eq=False)
class Implementation:
    """A candidate in cells; areas in the library's unit, registers included in `area`."""

    candidate: Candidate
    netlist: CellNetlist
    timing: Timing
    register_area: float

    @property
    def area(self) -> float:
        """Logic and registers."""
        return self.netlist.area + self.register_area

    def meets(self, clock_mhz: float) -> bool:
        """Whether it reaches a clock."""
        return self.timing.period_ns <= 1000.0 / clock_mhz * (1 + _SLACK)


@dataclass(frozen=True, eq=False)
class MacSynthesis:
    """What synthesis made of a MAC.

    register_bits: flip-flops of operands and sum. implementations: of all candidates, smallest first.
    chosen: the smallest that meets the clock. meets_clock: False where none does and the fastest is chosen.
    leakage_nw: of logic and registers; None where the library does not tell.
    """

    mac: Mac
    library: CellLibrary
    clock_mhz: float | None
    register_bits: dict[str, int]
    implementations: tuple[Implementation, ...]
    chosen: Implementation
    meets_clock: bool
    energy: StepEnergy
    leakage_nw: float | None
    stimuli: SwitchingStimuli

    @property
    def curve(self) -> tuple[Implementation, ...]:
        """Area against delay: those that no other one is smaller and as fast than, smallest first."""
        best_ns, found = math.inf, []
        for each in self.implementations:
            if each.timing.period_ns < best_ns:
                found.append(each)
                best_ns = each.timing.period_ns
        return tuple(found)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know about the figures."""
        return (
            *self.library.notes,
            "before layout: nets have no wires, and the clock no tree",
            "a PE's registers hold no enables: reset, hold and shift-out multiplexers are not counted",
        )


def synthesise(
    mac: Mac,
    library: CellLibrary,
    stimuli: SwitchingStimuli,
    *,
    clock_mhz: float | None,
    must_meet: bool,
    efforts: Sequence[Effort] = EFFORTS,
    tell: Callable[[str], None] = lambda _: None,
) -> MacSynthesis:
    """Map all candidates of a MAC, choose the smallest that meets the clock, and take its energy.

    Args:
        mac: the MAC.
        library: its cells.
        stimuli: what it switches on.
        clock_mhz: the clock to meet; None chooses the smallest candidate.
        efforts: mappings to try; `small` alone is enough where no clock is to be met.
        must_meet: refuse a clock that no candidate meets; otherwise the fastest one is chosen.
        tell: is given a sentence about what comes next.

    Raises:
        UserError: no hardware, no wheels, a library that ABC refuses, or a clock that is not met, with the
            nearest one that is.
    """
    require_wheels()
    check_has_hardware(mac)
    design = mac_design(mac)
    if clock_mhz is not None and not 0 < clock_mhz < math.inf:
        raise UserError("must be a positive number", location="--clock-mhz", value=clock_mhz)
    bits = {
        "activation": mac.activation.register_bits,
        "weight": mac.weight.register_bits,
        "accumulator": SumLayout.of(mac).bits,
    }
    register_area = sum(bits.values()) * library.flip_flop.area

    def implementations(clock: float | None) -> tuple[Implementation, ...]:
        logic_ns = None if clock is None else logic_time_ns(library, 1000.0 / clock)
        candidates = candidates_of(design, efforts)
        tell(f"mapping {len(candidates)} candidates onto cells")
        netlists = mapped_candidates(design, library, candidates, logic_ns)
        found = [
            Implementation(candidate, netlist, timing_of(netlist, library), register_area)
            for candidate, netlist in zip(candidates, netlists, strict=True)
        ]
        return tuple(sorted(found, key=lambda each: (each.area, each.timing.period_ns)))

    found = implementations(clock_mhz)
    chosen = _smallest(found, clock_mhz)
    if chosen is None and must_meet and clock_mhz is not None:
        # Sizing for a clock may end before it is met where sizing for the least delay meets it.
        found = implementations(None)
        chosen = _smallest(found, clock_mhz)
        if chosen is None:
            raise _not_met(mac, clock_mhz, found)
    meets = chosen is not None
    if chosen is None:
        chosen = min(found, key=lambda each: each.timing.period_ns)
    tell("counting toggles")
    energy = step_energy(chosen.netlist, library, chosen.timing, stimuli)
    leakage_nw = None
    logic_nw, flip_flop_nw = chosen.netlist.leakage_nw, library.flip_flop.leakage_nw
    if logic_nw is not None and flip_flop_nw is not None:
        leakage_nw = logic_nw + flip_flop_nw * sum(bits.values())
    return MacSynthesis(mac, library, clock_mhz, bits, found, chosen, meets, energy, leakage_nw, stimuli)


def _smallest(found: Sequence[Implementation], clock_mhz: float | None) -> Implementation | None:
    return next((each for each in found if clock_mhz is None or each.meets(clock_mhz)), None)


def _not_met(mac: Mac, clock_mhz: float, fastest: Sequence[Implementation]) -> UserError:
    """The refusal, with the nearest clock that is met."""
    most_mhz = max(each.timing.most_mhz for each in fastest)
    near = f"{math.floor(most_mhz)}" if most_mhz >= 1 else f"{math.floor(most_mhz * 1e3) / 1e3:g}"
    return UserError(
        f"no candidate of MAC {mac.name!r} meets this clock",
        location="--clock-mhz",
        value=clock_mhz,
        allowed=None if near == "0" else f"{near}, the nearest that is met",
    )
