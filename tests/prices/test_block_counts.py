"""Do the parts of a layer that fall to blocks of columns sum to it, and follow channels or columns?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.cost.block_counts import block_counts, dealt, part_of
from simulator.cost.register_toggles import SwitchingActivity
from simulator.system.counts import ActionCounts, CycleBreakdown, PECycles


def counts(**changes: Any) -> ActionCounts:
    """800 useful PE-cycles (4 for each of 200 results), 2,000 idle, 300 shifting, 100 holding: 3,200."""
    whole = ActionCounts(
        macs=800,
        cycles=CycleBreakdown(1, 0, 0),
        pe_cycles=PECycles(800, 2000, 300, 100),
        activation_codes=70,
        weight_codes=400,
        converter_operations=200,
        output_path_operations={},
        sram={},
        dram={},
        results_by_block=(150, 50),
        hidden_shifts=1000,
        handovers=64,
    )
    return replace(whole, **changes)


def test_one_block_has_all_of_it() -> None:
    (done,) = block_counts(counts(results_by_block=(200,)), [32])
    assert done.cycles == PECycles(800, 2000, 300, 100)
    assert (done.results, done.weight_codes, done.hidden_shifts, done.handovers) == (200, 400, 1000, 64)


def test_results_weights_and_macs_follow_channels_and_the_rest_follows_columns() -> None:
    """Blocks of 8 and 24 columns: a quarter and three quarters of 3,200 PE-cycles."""
    one, other = block_counts(counts(), [8, 24])
    assert one.cycles == PECycles(useful=600, idle=100, shifting=75, holding=25)
    assert other.cycles == PECycles(useful=200, idle=1900, shifting=225, holding=75)
    assert (one.results, one.weight_codes, one.hidden_shifts, one.handovers) == (150, 300, 250, 16)
    assert (other.results, other.weight_codes, other.hidden_shifts, other.handovers) == (50, 100, 750, 48)


def test_a_block_that_is_never_idle_has_no_idle_cycles() -> None:
    """All 800 MACs in 8 of 32 columns, which have 700 PE-cycles beside shifting and holding ones."""
    one, other = block_counts(counts(results_by_block=(200, 0)), [8, 24])
    assert one.cycles.idle == 0
    assert other.cycles == PECycles(0, 2100, 225, 75)


@given(count=st.integers(0, 10**20), shares=st.lists(st.integers(0, 1000), min_size=1, max_size=5))
def test_what_is_dealt_sums_to_the_whole(count: int, shares: list[int]) -> None:
    parts = dealt(count, shares)
    assert sum(parts) == count
    assert len(parts) == len(shares)
    whole = sum(shares)
    for part, share in zip(parts, shares, strict=True):
        assert part >= 0
        if whole:
            assert abs(part * whole - count * share) < whole


def test_parts_end_at_the_whole_number_below_their_share() -> None:
    """7 in halves ends at 3.5 and 7; in thirds at 2.33, 4.67 and 7."""
    assert dealt(7, [1, 1]) == [3, 4]
    assert dealt(7, [5, 5, 5]) == [2, 2, 3]


def test_of_no_shares_the_first_takes_it() -> None:
    assert dealt(7, [0, 0, 0]) == [7, 0, 0]


def test_toggles_are_dealt_by_share() -> None:
    toggled = SwitchingActivity(10, 20, 30, 40, 50)
    assert part_of(toggled, 0.25) == SwitchingActivity(2.5, 5, 7.5, 10, 12)
    assert part_of(toggled, 1) is toggled
    assert part_of(toggled, 0) == SwitchingActivity(0, 0, 0, 0, 0)
    assert part_of(None, 0.5) is None


@pytest.mark.parametrize("results", [(), (200,), (100, 50, 50)])
def test_results_of_another_number_of_blocks_are_refused(results: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"2 column blocks, but results of {len(results)}"):
        block_counts(counts(results_by_block=results), [8, 24])
