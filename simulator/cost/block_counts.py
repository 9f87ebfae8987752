"""What each block of columns with the same MAC did of a layer, in whole counts that sum to the layer's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from simulator.cost.register_toggles import SwitchingActivity
from simulator.system.counts import ActionCounts, PECycles


@dataclass(frozen=True, slots=True)
class BlockCounts:
    """The part of a layer's counts that falls to one block of columns.

    results, weight_codes: those of the channels that the block computed.
    hidden_shifts, handovers: moves of second registers.
    """

    cycles: PECycles
    results: int
    weight_codes: int
    hidden_shifts: int
    handovers: int


def block_counts(counts: ActionCounts, columns: Sequence[int]) -> list[BlockCounts]:
    """What each block did, given the columns of all blocks, left to right.

    Useful cycles, results and weight codes follow the channels that a block computed, everything else its
    columns.

    Raises:
        ValueError: `results_by_block` is of another number of blocks.
    """
    if len(columns) == 1:
        whole = counts.pe_cycles, counts.converter_operations, counts.weight_codes
        return [BlockCounts(*whole, counts.hidden_shifts, counts.handovers)]
    results = counts.results_by_block
    if len(results) != len(columns):
        message = f"{len(columns)} column blocks, but results of {len(results)}: {results}"
        raise ValueError(message)
    cycles = counts.pe_cycles
    by_channels = zip(results, dealt(counts.macs, results), dealt(counts.weight_codes, results), strict=True)
    by_columns = zip(
        *(
            dealt(count, columns)
            for count in (
                cycles.total,
                cycles.shifting,
                cycles.holding,
                counts.hidden_shifts,
                counts.handovers,
            )
        ),
        strict=True,
    )
    blocks = []
    for (own, macs, weights), (total, shifting, holding, hidden, handovers) in zip(
        by_channels, by_columns, strict=True
    ):
        idle = max(0, total - macs - shifting - holding)
        blocks.append(BlockCounts(PECycles(macs, idle, shifting, holding), own, weights, hidden, handovers))
    return blocks


def dealt(count: int, shares: Sequence[int]) -> list[int]:
    """A count cut in proportion to shares into whole ones that sum to it; of no shares the first takes it."""
    whole = sum(shares)
    if not whole:
        return [count, *(0 for _ in shares[1:])]
    ends = [count * end // whole for end in accumulate(shares, initial=0)]
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
        int(activity.zero_operand_macs * share),
    )
