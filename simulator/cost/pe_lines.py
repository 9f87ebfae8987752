"""The energy of the PEs: logic that switches with useful MACs, registers that are clocked and toggle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Final

from simulator.arch.config import ArrayConfig, Dataflow
from simulator.cost.activity import SUM_SHARE, SwitchingActivity, relative_activity
from simulator.cost.composition import PeCost
from simulator.cost.lines import Action, FormationLine
from simulator.cost.mac_structure import RegisterClass
from simulator.system.counts import ActionCounts, PECycles

_MOVES_IN_SHIFTS: Final[Mapping[Dataflow, RegisterClass]] = {
    "os": "accumulator",
    "ws": "weight",
    "is": "activation",
}
"""Results shift out, or the stationary operand shifts in; the other registers hold meanwhile."""

_DEFAULT_ACTIVITY: Final = "activity at which the price was taken"


class PeLines:
    """Energy lines of the PEs in a block of columns with the same MAC; its actions are made once.

    Args:
        array: how the PEs are clocked and gated.
        pe: one of them.
    """

    def __init__(self, array: ArrayConfig, pe: PeCost) -> None:
        self.pe = pe
        self._array = array
        name, registers = pe.name, pe.registers
        self._logic = [Action.of_cost(cost, f"useful MACs of {name}") for cost in pe.combinational]
        self._shifting_adders = [
            Action.of_cost(cost, f"shifting PE-cycles of {name}")
            for cost in pe.combinational
            if cost.component == "pe_add"
        ]
        self._working = Action.of_cost(registers.characterised, f"useful PE-cycles of {name}")
        self._toggling_idle = Action.of_cost(
            registers.characterised, f"idle PE-cycles of {name}, as if useful"
        )
        self._shifting = {
            dataflow: Action.of_cost(
                registers.shifting(moving), f"shifting PE-cycles of {name}, the {moving} moving"
            )
            for dataflow, moving in _MOVES_IN_SHIFTS.items()
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
        )

    def lines(
        self, cycles: PECycles, activity: SwitchingActivity | None, dataflow: Dataflow
    ) -> Iterator[FormationLine]:
        """The energy of some PE-cycles; `activity` is what toggled in them, None without tensors."""
        yield from self._combinational(cycles, activity)
        if dataflow == "os":
            yield from self._moving_sums(cycles, activity)
        yield from (
            self._untold(cycles, dataflow) if activity is None else self._measured(cycles, activity, dataflow)
        )

    def toggling_idle_fj(self, cycles: PECycles, activity: SwitchingActivity | None) -> int | None:
        """Femtojoules that `lines` would have more if idle PEs toggled as many register bits as useful ones.

        An upper bound where no tensors tell what toggled; 0 with tensors or clock gating; None: not priced.
        """
        if activity is not None or self._array.clock_gating:
            return 0
        least = FormationLine(self._resting, cycles.idle).energy_fj
        most = FormationLine(self._toggling_idle, cycles.idle).energy_fj
        return None if least is None or most is None else most - least

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

    def _moving_sums(self, cycles: PECycles, activity: SwitchingActivity | None) -> Iterator[FormationLine]:
        """Sums that shift out pass the adder's input, which nothing isolates, while the product rests."""
        moved = 1.0
        if activity is not None and cycles.shifting:
            characterised = self.pe.registers.toggles_per_cycle["accumulator"]
            moved = activity.shift / cycles.shifting / characterised
        for action in self._shifting_adders:
            yield FormationLine(
                action,
                cycles.shifting,
                moved * SUM_SHARE,
                "the moving sum is one of the adder's two inputs, the product rests",
            )

    def _untold(self, cycles: PECycles, dataflow: Dataflow) -> Iterator[FormationLine]:
        """Registers without tensors: busy ones toggle as when the price was taken, idle ones rest."""
        yield FormationLine(self._working, cycles.useful, factor_reason=_DEFAULT_ACTIVITY)
        moving = _MOVES_IN_SHIFTS[dataflow]
        reason = f"only the {moving} register moves, as often as when the price was taken"
        yield FormationLine(self._shifting[dataflow], cycles.shifting, factor_reason=reason)
        yield FormationLine(self._resting, self._without_work(cycles))

    def _measured(
        self, cycles: PECycles, activity: SwitchingActivity, dataflow: Dataflow
    ) -> Iterator[FormationLine]:
        """Registers with tensors: the clock in every clocked cycle, and each bit that toggled."""
        registers = self.pe.registers
        stays = self._array.zero_gating and dataflow == "os"  # elsewhere the sums of other PEs pass
        gated = activity.zero_operand_macs if stays else 0
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


def cycles_by_block(counts: ActionCounts, blocks: Sequence[tuple[str, int]]) -> list[PECycles]:
    """PE-cycles of each block, given as MAC and columns.

    A block's useful cycles are known, the others follow its share of the columns. Counts stay whole and sum
    to those of the array, at any size.

    Raises:
        ValueError: `macs_by_name` names a MAC that no block has.
    """
    if len(blocks) == 1:
        return [counts.pe_cycles]
    unknown = set(counts.macs_by_name) - {name for name, _ in blocks}
    if unknown:
        message = f"counts name MACs that no column block has: {sorted(unknown)}"
        raise ValueError(message)
    useful = [0] * len(blocks)
    for name in dict.fromkeys(name for name, _ in blocks):
        places = [place for place, (other, _) in enumerate(blocks) if other == name]
        dealt = _dealt(counts.macs_by_name.get(name, 0), [blocks[place][1] for place in places])
        for place, macs in zip(places, dealt, strict=True):
            useful[place] = macs
    widths = [columns for _, columns in blocks]
    cycles = counts.pe_cycles
    others = zip(
        useful, *(_dealt(c, widths) for c in (cycles.total, cycles.shifting, cycles.holding)), strict=True
    )
    return [
        PECycles(macs, max(0, total - macs - shifting - holding), shifting, holding)
        for macs, total, shifting, holding in others
    ]


def _dealt(count: int, widths: Sequence[int]) -> list[int]:
    """A count cut in proportion to widths into whole ones that sum to it."""
    ends = [count * end // sum(widths) for end in accumulate(widths, initial=0)]
    return [end - start for start, end in pairwise(ends)]


def part_of(activity: SwitchingActivity | None, share: float) -> SwitchingActivity | None:
    """The part of a layer's toggles that falls to a block of columns."""
    if activity is None or share == 1:
        return activity
    return SwitchingActivity(
        activity.activation * share,
        activity.weight * share,
        activity.accumulator * share,
        activity.shift * share,
        round(activity.zero_operand_macs * share),
    )
