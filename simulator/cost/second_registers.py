"""The second registers that let folds overlap: what their clock, their hidden moves and their area cost.

The accumulator is there twice where outputs stay, else the operand that stays (docs/timing.md). An array
that runs several dataflows has what each of them needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from simulator.arch.config import ArchConfig, ArrayConfig
from simulator.cost.area import AreaLine
from simulator.cost.block_counts import BlockCounts
from simulator.cost.composition import UNCERTAINTY, PeCost, UnitCost, flip_flops_cost
from simulator.cost.mac_structure import MacStructure, RegisterClass
from simulator.cost.price import NotPriced, times, use
from simulator.cost.price_lines import Action, FormationLine
from simulator.cost.register_toggles import SwitchingActivity
from simulator.cost.run_prices import Prices
from simulator.dataflow import DATAFLOWS, DataflowName


def moving_share(dataflow: DataflowName, array: ArrayConfig) -> float:
    """The share of PEs whose register changes in a step of shifting, in the mean over the steps."""
    flow = DATAFLOWS[dataflow]
    return flow.circuit.moving_share(flow.lane_length(array.rows, array.columns))


class SecondRegisters:
    """Energy and area of the second registers of PEs in a block of columns.

    Args:
        arch: which dataflows run, and how folds overlap.
        structure: of a PE.
        pe: its cost.
        prices: of flip-flops; what has no price in the PE, registers or area, has none here either.
    """

    def __init__(self, arch: ArchConfig, structure: MacStructure, pe: PeCost, prices: Prices) -> None:
        self._gated = arch.array.clock_gating
        self._toggles = pe.registers.toggles_per_cycle
        self._name = pe.name
        self._of = {
            name: DATAFLOWS[name].stationary
            for name in arch.dataflows
            if DATAFLOWS[name].circuit.is_doubled(arch.array.overlap)
        }
        self.costs: dict[RegisterClass, UnitCost] = {}
        for register in self._of.values():
            bits = structure.registers[register]
            cost = flip_flops_cost(prices, "pe_registers", bits, f"second {register} register", pe.name)
            self.costs[register] = _priced_like(pe, cost)
        self._clocked = {
            register: Action.of_cost(cost, f"clocked PE-cycles of {pe.name}, second {register} register")
            for register, cost in self.costs.items()
        }
        toggle = pe.registers.clock.energy
        if not isinstance(toggle, NotPriced):
            toggle = use(prices.part("flip_flop", "toggle"), 1, "bits toggled")
        self._share = {name: moving_share(name, arch.array) for name in self._of}
        self._moving = {
            flow: Action(
                "pe_registers",
                "dynamic",
                f"{register} moves of second registers in PEs of {pe.name}",
                times(toggle, self._toggles[register], f"{register} "),
                composed=True,
                uncertainty=UNCERTAINTY["fixed"],
                composed_for=pe.name,
            )
            for flow, register in self._of.items()
        }
        self._handed = Action(
            "pe_registers",
            "dynamic",
            f"registers of {pe.name} that change in a handover",
            toggle,
            composed=True,
            uncertainty=UNCERTAINTY["fixed"],
            composed_for=pe.name,
        )

    def serves(self, dataflow: DataflowName) -> bool:
        """Whether results or operands move through second registers with this dataflow."""
        return dataflow in self._of

    def lines(
        self, done: BlockCounts, activity: SwitchingActivity | None, dataflow: DataflowName
    ) -> Iterator[FormationLine]:
        """Energy of the second registers; `activity` is what toggled in a run whose folds do not overlap."""
        steps = done.cycles.shifting + done.hidden_shifts
        circuit = DATAFLOWS[dataflow].circuit
        loads = done.handovers * circuit.handover_loads
        moving = self._of.get(dataflow)
        for register, action in self._clocked.items():
            moves = steps + loads if register == moving else 0
            yield FormationLine(action, moves if self._gated else done.cycles.total)
        if moving is None:
            return
        handed = done.handovers * circuit.handover_changes
        if activity is None:
            reason = f"share of PEs that change; {done.hidden_shifts} shifts are hidden behind other work"
            yield FormationLine(self._moving[dataflow], steps, self._share[dataflow], reason)
            yield FormationLine(self._moving[dataflow], handed, factor_reason="handovers")
        elif steps:
            moved = {
                "accumulator": activity.shift,
                "weight": activity.weight,
                "activation": activity.activation,
            }
            reason = (
                "bits that toggle in a step of shifting; those of the steps are counted with all bits toggled"
            )
            yield FormationLine(self._handed, handed, moved[moving] / steps, reason)

    def area_lines(self, pes: int) -> Iterator[AreaLine]:
        """Area of the second registers of so many PEs."""
        for register, cost in self.costs.items():
            yield AreaLine(
                "pe_array",
                f"second {register} registers of {self._name}",
                pes,
                cost.area,
                composed=True,
                uncertainty=cost.uncertainty,
                composed_for=self._name,
            )


def _priced_like(pe: PeCost, cost: UnitCost) -> UnitCost:
    """Flip-flops without the prices that the PE does not have, for the same reason."""
    clock = pe.registers.clock.energy
    return replace(
        cost,
        energy=clock if isinstance(clock, NotPriced) else cost.energy,
        leakage_share_pj=0.0 if isinstance(clock, NotPriced) else cost.leakage_share_pj,
        area=pe.area if isinstance(pe.area, NotPriced) else cost.area,
    )
