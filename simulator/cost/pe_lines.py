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
        gated = array.clock_gating
        self._logic = [Action.of_cost(cost, f"useful MACs of {name}") for cost in pe.combinational]
        self._shifting_adders = [
            Action.of_cost(cost, f"shifting PE-cycles of {name}")
            for cost in pe.combinational
            if cost.component == "pe_add"
        ]
        self._working = Action.of_cost(
            registers.characterised, f"useful{'' if gated else ' and idle'} PE-cycles of {name}"
        )
        self._shifting = {
            dataflow: Action.of_cost(
                registers.shifting(moving), f"shifting PE-cycles of {name}, the {moving} moving"
            )
            for dataflow, moving in _MOVES_IN_SHIFTS.items()
        }
        self._holding = Action.of_cost(registers.clock, f"holding PE-cycles of {name}, clock alone")
        self._clocked = Action.of_cost(registers.clock, f"clocked PE-cycles of {name}")
        self._not_clocked = Action.of_cost(
            registers.clock, f"zero-operand MACs of {name}, accumulator not clocked"
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
        yield from self._untold(cycles, dataflow) if activity is None else self._measured(cycles, activity)

    def _combinational(self, cycles: PECycles, activity: SwitchingActivity | None) -> Iterator[FormationLine]:
        macs, gated = cycles.useful, ""
        if self._array.zero_gating and activity is not None:
            macs -= activity.zero_operand_macs
            gated = f"; {activity.zero_operand_macs} MACs with a zero operand gated"
        relative = (
            relative_activity(activity, macs, self.pe.registers.toggles_per_cycle) if activity else None
        )
        reason = "bits toggled, relative to the characterised" if relative else _DEFAULT_ACTIVITY
        for action in self._logic:
            factor = relative.of(action.component) if relative else 1.0
            yield FormationLine(action, macs, factor, reason + gated)

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
        """Registers without tensors: they toggle as often as when the price was taken."""
        gated = self._array.clock_gating
        working = cycles.useful + (0 if gated else cycles.idle)
        yield FormationLine(self._working, working, factor_reason=_DEFAULT_ACTIVITY)
        moving = _MOVES_IN_SHIFTS[dataflow]
        reason = f"only the {moving} register moves, as often as when the price was taken"
        yield FormationLine(self._shifting[dataflow], cycles.shifting, factor_reason=reason)
        yield FormationLine(self._holding, 0 if gated else cycles.holding)

    def _measured(self, cycles: PECycles, activity: SwitchingActivity) -> Iterator[FormationLine]:
        """Registers with tensors: the clock in every clocked cycle, and each bit that toggled."""
        registers = self.pe.registers
        without_work = 0 if self._array.clock_gating else cycles.idle + cycles.holding
        yield FormationLine(self._clocked, cycles.useful + cycles.shifting + without_work)
        if self._array.zero_gating and activity.zero_operand_macs:
            yield FormationLine(
                self._not_clocked,
                -activity.zero_operand_macs,
                registers.bits["accumulator"] / registers.all_bits,
                "accumulator's share of the flip-flops",
            )
        yield FormationLine(self._toggling, activity.toggles)


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
