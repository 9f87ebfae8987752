"""The skew registers at the array's edges: row r and column c get their codes r and c cycles late.

They stand in front of the decoders and hold codes: r registers in row r, c in column c. A 32x32 array of int8
has 2 x 496 of them, 7,936 flip-flops.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final

from simulator.arch.config import ArchConfig
from simulator.cost.area import AreaLine
from simulator.cost.array_edges import Edge, codes_at_columns, codes_at_rows, operand_at, operands_at
from simulator.cost.block_counts import BlockCounts
from simulator.cost.composition import UNCERTAINTY, PeCost, flip_flops_cost
from simulator.cost.mac_structure import OPERAND_CLASSES, MacStructure, OperandClass
from simulator.cost.price import Uses, times, use
from simulator.cost.price_lines import Action, FormationLine
from simulator.cost.register_toggles import SwitchingActivity
from simulator.cost.run_prices import Prices
from simulator.dataflow import DATAFLOWS, DataflowName
from simulator.system.counts import ActionCounts

COMPONENT: Final = "skew_registers"


@dataclass(frozen=True, slots=True)
class SkewBlock:
    """Neighbouring columns with one MAC, as far as their edges matter."""

    structure: MacStructure
    pe: PeCost
    columns: int


class SkewRegisters:
    """Energy and area of the skew registers of an array.

    Args:
        arch: size, dataflows and gating.
        blocks: the MACs of its columns, left to right. All have the same activations.
        prices: of flip-flops.
    """

    def __init__(self, arch: ArchConfig, blocks: Sequence[SkewBlock], prices: Prices) -> None:
        self._gated = arch.array.clock_gating
        rows = arch.array.rows
        ends = list(accumulate((block.columns for block in blocks), initial=0))
        self._lanes = [_Lanes("rows", range(rows), blocks[0], arch, prices)]
        for block, (start, end) in zip(blocks, pairwise(ends), strict=True):
            self._lanes.append(_Lanes("columns", range(start, end), block, arch, prices))
        self.flip_flops = sum(lanes.flip_flops for lanes in self._lanes)
        self.cost = flip_flops_cost(prices, COMPONENT, self.flip_flops, "flip-flops of skew registers")
        macs = " | ".join(block.structure.name for block in blocks)
        self._clocked = Action.of_cost(self.cost, "cycles of all skew registers, clock alone", macs)

    def lines(
        self,
        counts: ActionCounts,
        done: Sequence[BlockCounts],
        activities: Sequence[SwitchingActivity | None],
    ) -> Iterator[FormationLine]:
        """Energy of the codes that enter a layer.

        Args:
            counts: of the layer.
            done: what each block did of it.
            activities: what toggled in the PEs of each block; None without tensors.
        """
        if not self._gated:
            yield FormationLine(self._clocked, counts.cycles.total)
        codes = [codes_at_rows(counts), *(codes_at_columns(counts, each) for each in done)]
        whole = None if activities[0] is None else _sum_of(activities)
        for lanes, entering, activity in zip(self._lanes, codes, [whole, *activities], strict=True):
            yield from lanes.lines(entering, activity, counts.dataflow, gated=self._gated)

    def area_lines(self) -> Iterator[AreaLine]:
        """Area of all flip-flops."""
        if self.flip_flops:
            counted, uncertainty = "skew registers of two edges", self.cost.uncertainty
            yield AreaLine(COMPONENT, counted, 1, self.cost.area, composed=True, uncertainty=uncertainty)


class _Lanes:
    """Rows, or the columns of a block, that codes enter through skew registers.

    A code passes as many registers as its lane's number, in the mean over the lanes `depth`.
    """

    def __init__(self, edge: Edge, lanes: range, block: SkewBlock, arch: ArchConfig, prices: Prices) -> None:
        self._edge = edge
        self._passed = {"rows": arch.array.columns, "columns": arch.array.rows}[edge]
        structure, registers = block.structure, block.pe.registers
        self._depth = sum(lanes) / len(lanes)
        widest = max(structure.code_bits(operand) for operand in operands_at(edge, arch.dataflows))
        self.flip_flops = sum(lanes) * widest
        toggle = use(prices.part("flip_flop", "toggle"), 1, "bits toggled")
        # Codes are narrower than the numbers that decoders make of them and toggle in proportion.
        self._share_of_bits = {
            each: structure.code_bits(each) / structure.registers[each] for each in OPERAND_CLASSES
        }
        what = f"codes that enter {edge} of {structure.name}"
        self._clocking = {
            operand: Action.of_cost(
                flip_flops_cost(
                    prices, COMPONENT, self._depth * structure.code_bits(operand), "flip-flops passed"
                ),
                f"{operand} {what}, clock alone",
            )
            for operand in OPERAND_CLASSES
        }
        self._toggling = {
            operand: _action(
                f"{operand} {what}",
                times(
                    toggle,
                    self._depth * registers.toggles_per_cycle[operand] * self._share_of_bits[operand],
                    f"{operand} codes passing, ",
                ),
            )
            for operand in OPERAND_CLASSES
        }
        self._toggled = {
            operand: _action(f"{operand} bits toggled in PEs of {structure.name}, {edge}", toggle)
            for operand in OPERAND_CLASSES
        }

    def lines(
        self, codes: int, activity: SwitchingActivity | None, dataflow: DataflowName, *, gated: bool
    ) -> Iterator[FormationLine]:
        if not self._depth:
            return
        operand = operand_at(self._edge, dataflow)
        if gated:
            yield FormationLine(self._clocking[operand], codes)
        if activity is None:
            reason = "as often as when the price was taken"
            yield FormationLine(self._toggling[operand], codes, factor_reason=reason)
            return
        factor = self._depth / self._passes(dataflow) * self._share_of_bits[operand]
        reason = "skew registers over PE registers that a code passes, and code bits over register bits"
        yield FormationLine(self._toggled[operand], _toggles(activity, operand), factor, reason)

    def _passes(self, dataflow: DataflowName) -> float:
        """PE registers that a code passes: all of its row or column, half of those where it stays."""
        if DATAFLOWS[dataflow].stationary == operand_at(self._edge, dataflow):
            return (self._passed + 1) / 2
        return self._passed


def _action(counted: str, uses: Uses) -> Action:
    return Action(COMPONENT, "dynamic", counted, uses, composed=True, uncertainty=UNCERTAINTY["fixed"])


def _toggles(activity: SwitchingActivity, operand: OperandClass) -> float:
    return activity.activation if operand == "activation" else activity.weight


def _sum_of(activities: Sequence[SwitchingActivity | None]) -> SwitchingActivity:
    known = [each for each in activities if each is not None]
    return SwitchingActivity(
        sum(each.activation for each in known),
        sum(each.weight for each in known),
        sum(each.accumulator for each in known),
    )
