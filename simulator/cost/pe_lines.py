"""The energy of the PEs: logic that switches with useful MACs, registers that are clocked and toggle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from simulator.arch.config import ArrayConfig
from simulator.cost.block_counts import BlockCounts
from simulator.cost.composition import PeCost
from simulator.cost.price_lines import Action, FormationLine
from simulator.cost.register_toggles import SUM_SHARE, SwitchingActivity, relative_activity
from simulator.cost.second_registers import SecondRegisters, moving_share
from simulator.dataflow import DATAFLOWS, SUMS_MOVE, SUMS_STAY, Circuit, DataflowName, Motion
from simulator.system.counts import PECycles

_SHIFTING_NOTES: Final[Mapping[Motion, str]] = {
    "nowhere": "",
    "down": "; it changes with operands of its own row and of those below",
    "right": "; it changes with operands of its own column and of those to the right",
}
"""What is shifted in, the operands of the last PEs of a lane first, changes the registers on its way."""

_DEFAULT_ACTIVITY: Final = "activity at which the price was taken"


class PeLines:
    """Energy lines of the PEs in a block of columns with the same MAC; its actions are made once.

    Args:
        array: how the PEs are clocked and gated.
        pe: one of them.
        second: their second registers.
    """

    def __init__(self, array: ArrayConfig, pe: PeCost, second: SecondRegisters) -> None:
        self.pe = pe
        self.second = second
        self._array = array
        name, registers = pe.name, pe.registers
        self._logic = [Action.of_cost(cost, f"useful MACs of {name}") for cost in pe.combinational]
        adders = [
            Action.of_cost(cost, f"shifting PE-cycles of {name}")
            for cost in pe.combinational
            if cost.component == "pe_add"
        ]
        self._shifting_adders: Mapping[Circuit, list[Action]] = {SUMS_STAY: adders, SUMS_MOVE: []}
        self._working = Action.of_cost(registers.characterised, f"useful PE-cycles of {name}")
        self._toggling_idle = Action.of_cost(
            registers.characterised, f"idle PE-cycles of {name}, as if useful"
        )
        self._shifting = {
            dataflow: Action.of_cost(
                registers.shifting(flow.stationary, moving_share(dataflow, array)),
                f"shifting PE-cycles of {name}, the {flow.stationary} moving",
            )
            for dataflow, flow in DATAFLOWS.items()
        }
        self._resting = Action.of_cost(registers.clock, f"idle and holding PE-cycles of {name}, clock alone")
        self._clocked = Action.of_cost(registers.clock, f"clocked PE-cycles of {name}")
        self._gated = Action.of_cost(
            registers.clock, f"PE-cycles of {name} with a zero operand, accumulator not clocked"
        )
        self._toggling = Action(
            "pe_registers",
            "dynamic",
            f"register bits toggled in PEs of {name}",
            registers.toggle,
            composed=registers.clock.composed,
            uncertainty=registers.clock.uncertainty,
            composed_for=registers.clock.composed_for,
        )

    def lines(
        self, done: BlockCounts, activity: SwitchingActivity | None, dataflow: DataflowName
    ) -> Iterator[FormationLine]:
        """The energy of what a block did; `activity` is what toggled in it, None without tensors."""
        cycles = done.cycles
        if self.second.serves(dataflow):  # second registers move, the first ones rest
            cycles = PECycles(cycles.useful, cycles.idle, 0, cycles.holding + cycles.shifting)
        yield from self._combinational(cycles, activity)
        yield from self._moving_sums(cycles, activity, dataflow)
        yield from (
            self._untold(cycles, dataflow) if activity is None else self._measured(cycles, activity, dataflow)
        )
        yield from self.second.lines(done, activity, dataflow)

    def toggling_idle_fj(self, cycles: PECycles, activity: SwitchingActivity | None) -> int | None:
        """Femtojoules that `lines` would have more if idle PEs toggled as many register bits as useful ones.

        An upper bound where no tensors tell what toggled; 0 with tensors or clock gating; None: not priced.
        """
        if activity is not None or self._array.clock_gating:
            return 0
        least = FormationLine(self._resting, cycles.idle).energy_fj
        most = FormationLine(self._toggling_idle, cycles.idle).energy_fj
        return None if least is None or most is None else max(0, most - least)

    def _combinational(self, cycles: PECycles, activity: SwitchingActivity | None) -> Iterator[FormationLine]:
        if activity is None:
            for action in self._logic:
                yield FormationLine(action, cycles.useful, 1.0, _DEFAULT_ACTIVITY)
            return
        gated = activity.zero_operand_macs if self._array.zero_gating else 0
        relative = relative_activity(activity, cycles.useful, self.pe.registers.toggles_per_cycle, gated)
        reason = "bits toggled, relative to the characterised"
        if self._array.zero_gating:
            reason += f"; {gated} MACs with a zero operand gated"
        for action in self._logic:
            yield FormationLine(action, cycles.useful - gated, relative.of(action.component), reason)

    def _moving_sums(
        self, cycles: PECycles, activity: SwitchingActivity | None, dataflow: DataflowName
    ) -> Iterator[FormationLine]:
        """Sums that shift out pass the adder's input, which nothing isolates, while the product rests."""
        moved = 1.0
        if activity is not None and cycles.shifting:
            characterised = self.pe.registers.toggles_per_cycle["accumulator"]
            moved = activity.shift / cycles.shifting / characterised
        for action in self._shifting_adders[DATAFLOWS[dataflow].circuit]:
            yield FormationLine(
                action,
                cycles.shifting,
                moved * SUM_SHARE,
                "the moving sum is one of the adder's two inputs, the product rests",
            )

    def _untold(self, cycles: PECycles, dataflow: DataflowName) -> Iterator[FormationLine]:
        """Registers without tensors: busy ones toggle as when the price was taken, idle ones rest."""
        yield FormationLine(self._working, cycles.useful, factor_reason=_DEFAULT_ACTIVITY)
        flow = DATAFLOWS[dataflow]
        reason = f"only the {flow.stationary} register moves, as often as when the price was taken"
        reason += _SHIFTING_NOTES[flow.sums_move]
        yield FormationLine(self._shifting[dataflow], cycles.shifting, factor_reason=reason)
        yield FormationLine(self._resting, self._without_work(cycles))

    def _measured(
        self, cycles: PECycles, activity: SwitchingActivity, dataflow: DataflowName
    ) -> Iterator[FormationLine]:
        """Registers with tensors: the clock in every clocked cycle, and each bit that toggled."""
        registers = self.pe.registers
        # Where sums do not stay, those of other PEs pass.
        stays = self._array.zero_gating * DATAFLOWS[dataflow].circuit.sums_stay
        gated = activity.zero_operand_macs * stays
        clocked = cycles.useful + cycles.shifting + self._without_work(cycles)
        yield FormationLine(self._clocked, clocked - gated)
        yield FormationLine(
            self._gated,
            gated,
            1 - registers.bits["accumulator"] / registers.all_bits,
            "operands' share of the flip-flops",
        )
        yield FormationLine(self._toggling, activity.toggles)

    def _without_work(self, cycles: PECycles) -> int:
        """Idle and holding PE-cycles that are clocked."""
        return 0 if self._array.clock_gating else cycles.idle + cycles.holding
