"""How long does a fold take, and how soon may the next one follow? Worked out by hand, circuit by circuit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulator.array.fold import CycleSplit, FoldShape, alone, before
from simulator.array.timing import ArrayTiming

# A float adder of two cycles behind one of multiplication, on five rows and three columns.
OUTPUTS_STAY = ArrayTiming(5, 3, "os", pipeline_depth=3, accumulation_interval=2)
WEIGHTS_STAY = replace(OUTPUTS_STAY, dataflow="ws")
WHOLE, SMALL = FoldShape(5, 3, streamed=4), FoldShape(2, 2, streamed=4)


def test_splits_add_and_repeat_part_by_part() -> None:
    split = CycleSplit(compute=2, fill=3, drain=5, shifting=7)
    assert split + CycleSplit(10, 20, 30, 40) == CycleSplit(12, 23, 35, 47)
    assert split * 3 == CycleSplit(6, 9, 15, 21)
    assert split.total == 10, "shifting cycles are part of fill and drain"
    assert CycleSplit() + split == split


class TestAlone:
    def test_outputs_stay(self) -> None:
        # The far PE is 4 + 2 steps away, each of 2 cycles; 4 products take 3 steps and the depth; 5 rows.
        assert alone(OUTPUTS_STAY, WHOLE) == CycleSplit(compute=9, fill=12, drain=5, shifting=5)

    def test_trimmed_outputs_cross_only_the_used_rows_and_leave_by_all(self) -> None:
        timing = replace(OUTPUTS_STAY, partial_folds="trimmed")
        assert alone(timing, SMALL) == CycleSplit(compute=9, fill=4, drain=5, shifting=5)

    def test_unused_rows_cost_what_used_ones_do_unless_trimmed(self) -> None:
        assert alone(OUTPUTS_STAY, SMALL) == alone(OUTPUTS_STAY, WHOLE)

    def test_weights_stay(self) -> None:
        # 5 rows of preload; the first sum needs 4 hops of 2 cycles and the depth, less the cycle it shows in.
        assert alone(WEIGHTS_STAY, WHOLE) == CycleSplit(compute=4, fill=5 + 8 + 2, drain=2, shifting=5)

    def test_trimmed_weights_load_the_used_rows_and_pass_all(self) -> None:
        timing = replace(WEIGHTS_STAY, partial_folds="trimmed")
        assert alone(timing, SMALL) == CycleSplit(compute=4, fill=2 + 8 + 2, drain=1, shifting=2)

    def test_scalesim_leaves_the_drain_of_outputs_out(self) -> None:
        timing = ArrayTiming(5, 3, "os", timing="scalesim")
        assert alone(timing, WHOLE) == CycleSplit(compute=4, fill=6, drain=0, shifting=0)


class TestBefore:
    @pytest.mark.parametrize("timing", [OUTPUTS_STAY, WEIGHTS_STAY])
    def test_without_overlap_the_next_fold_waits_for_the_end(self, timing: ArrayTiming) -> None:
        assert before(timing, WHOLE, SMALL, adds_to_sums=False) == alone(timing, WHOLE)

    def test_a_second_register_hides_the_drain_of_outputs(self) -> None:
        timing = replace(OUTPUTS_STAY, overlap="drain")
        assert before(timing, WHOLE, SMALL, adds_to_sums=False) == CycleSplit(compute=9, fill=12)

    def test_a_second_register_hides_the_columns_behind_the_first(self) -> None:
        timing = replace(WEIGHTS_STAY, overlap="drain")
        assert before(timing, WHOLE, SMALL, adds_to_sums=True) == CycleSplit(compute=4, fill=15, shifting=5)

    @pytest.mark.parametrize(("streamed_next", "waiting"), [(4, 2), (5, 0), (7, 0), (1, 8)])
    def test_sums_wait_until_five_rows_have_left(self, streamed_next: int, waiting: int) -> None:
        # 4 steps of 2 cycles; the next sums may follow 5 steps behind, and come K' steps behind.
        timing = replace(OUTPUTS_STAY, overlap="full")
        following = FoldShape(5, 3, streamed=streamed_next)
        apart = before(timing, WHOLE, following, adds_to_sums=False)
        assert apart == CycleSplit(compute=8, drain=waiting, shifting=waiting)

    def test_sums_of_a_trimmed_fold_wait_for_its_own_rows(self) -> None:
        timing = replace(OUTPUTS_STAY, overlap="full", partial_folds="trimmed")
        apart = before(timing, SMALL, FoldShape(5, 3, streamed=1), adds_to_sums=False)
        assert apart == CycleSplit(compute=8, drain=2, shifting=2)

    @pytest.mark.parametrize(
        ("rows", "rows_next", "streamed", "adds", "streams_apart"),
        [
            (8, 8, 3, False, 2 * 7 + 8),  # the shadow of row 7 is free after 7 x 2, then 8 come in
            (8, 5, 3, False, 2 * 4 + 5),  # only the rows that both folds use make the chain wait
            (5, 8, 3, False, 2 * 4 + 8),
            (8, 8, 3, True, 3 * 8),  # sums need three cycles a row before they can return
            (8, 5, 3, True, 3 * 8),
            (1, 1, 3, False, 3),  # one row: its shadow is free at once, and the stream is longest
            (8, 8, 30, True, 30),
        ],
    )
    def test_streams_follow_shadow_registers_and_returning_sums(
        self, rows: int, rows_next: int, streamed: int, adds: bool, streams_apart: int
    ) -> None:
        timing = ArrayTiming(8, 2, "ws", "full", "trimmed", pipeline_depth=3, accumulation_interval=3)
        fold, following = FoldShape(rows, 2, streamed), FoldShape(rows_next, 2, 3)
        apart = before(timing, fold, following, adds_to_sums=adds)
        # Streams begin behind the preload of r cycles: folds are r - r' further apart than streams.
        assert apart.total == streams_apart + rows - rows_next
        assert apart == CycleSplit(
            compute=streamed, fill=apart.total - streamed, drain=0, shifting=rows - rows_next
        )
