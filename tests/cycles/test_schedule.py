"""Are the closed-form cycles right? Values worked out by hand, SCALE-Sim's own results, and laws."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from simulator.array import ArrayTiming, ProductSchedule, schedule_product
from simulator.array.schedule import fold_grid
from simulator.foundation import UserError
from simulator.foundation.defects import DefectError
from tests.reference.scalesim import reports

PIPELINES = [(1, 1), (3, 1), (3, 2), (4, 4)]
DATAFLOWS = ["os", "ws", "is"]
OVERLAPS = ["none", "drain", "full"]


class TestOneFold:
    @pytest.mark.parametrize(("tile", "k", "multiply_edges"), [(4, 12, 18), (8, 12, 26), (32, 64, 126)])
    def test_multiply_edges_of_the_published_circuit(self, tile: int, k: int, multiply_edges: int) -> None:
        schedule = schedule_product(ArrayTiming(tile, tile), m=tile, n=tile, k=k)
        assert schedule.compute_cycles + schedule.fill_cycles == multiply_edges
        assert schedule.drain_cycles == tile
        # Back to back without reset edges the period is K + 3T - 2.
        assert schedule.total_cycles == k + 3 * tile - 2

    def test_phases_are_counted_from_the_first_operand(self) -> None:
        phases = schedule_product(ArrayTiming(4, 4), m=4, n=4, k=12).phases_of(0)
        assert (phases.fill.first_cycle, phases.fill.last_cycle) == (0, 5)
        assert (phases.compute.first_cycle, phases.compute.last_cycle) == (6, 17)
        assert (phases.drain.first_cycle, phases.drain.last_cycle) == (18, 21)
        assert [phase.cycles for phase in (phases.fill, phases.compute, phases.drain)] == [6, 12, 4]
        assert (phases.first_cycle, phases.last_cycle) == (0, 21)

    def test_a_single_pe_has_no_fill(self) -> None:
        assert schedule_product(ArrayTiming(1, 1), m=1, n=1, k=3).phases_of(0).fill.cycles == 0

    def test_utilization_and_decoded_operands(self) -> None:
        schedule = schedule_product(ArrayTiming(4, 4), m=4, n=3, k=12)
        assert schedule.utilization == pytest.approx(4 * 3 * 12 / (16 * 22))
        assert schedule.accesses.activation_reads + schedule.accesses.weight_reads == 4 * 12 + 3 * 12

    @pytest.mark.parametrize(("dataflow", "m", "n", "k"), [("ws", 7, 3, 4), ("is", 3, 7, 4)])
    def test_stationary_operands_cost_preload_and_the_way_down(
        self, dataflow: str, m: int, n: int, k: int
    ) -> None:
        schedule = schedule_product(ArrayTiming(4, 3, dataflow), m=m, n=n, k=k)
        split = (schedule.fill_cycles, schedule.compute_cycles, schedule.drain_cycles)
        assert split == (2 * 4 - 1, 7, 3 - 1)

    def test_a_pipelined_adder_slows_operands_where_outputs_stay_and_hops_where_they_move(self) -> None:
        # Four cycles to a sum, all in the adder: every operand step takes four.
        staying = schedule_product(
            ArrayTiming(2, 2, "os", pipeline_depth=4, accumulation_interval=4), m=2, n=2, k=5
        )
        assert staying.total_cycles == 4 * (5 + 2 + 2 - 2) + 2
        # Moving sums meet a free adder every cycle; only their way down takes four a row.
        moving = schedule_product(
            ArrayTiming(2, 2, "ws", pipeline_depth=4, accumulation_interval=4), m=5, n=2, k=2
        )
        assert moving.total_cycles == 2 + 5 + 4 * 2 - 1 + 1

    def test_a_deep_multiplier_costs_its_depth_once(self) -> None:
        flat = schedule_product(ArrayTiming(4, 4), m=4, n=4, k=9)
        deep = schedule_product(ArrayTiming(4, 4, pipeline_depth=3), m=4, n=4, k=9)
        assert deep.total_cycles - flat.total_cycles == 2


class TestManyFolds:
    def test_four_tools_one_product(self) -> None:
        # ../shared/specs/timing.md, section 3: 16 x (K + 2R + C - 2)
        assert schedule_product(ArrayTiming(), m=128, n=128, k=128).total_cycles == 3552

    def test_full_overlap_leaves_fill_and_drain_once(self) -> None:
        schedule = schedule_product(ArrayTiming(overlap="full"), m=128, n=128, k=128)
        assert schedule.total_cycles == 16 * 128 + (32 + 32 - 2) + 32

    def test_drain_overlap_leaves_the_drain_once(self) -> None:
        schedule = schedule_product(ArrayTiming(overlap="drain"), m=128, n=128, k=128)
        assert schedule.total_cycles == 16 * (128 + 32 + 32 - 2) + 32

    def test_shadow_weights_leave_preload_and_way_down_once(self) -> None:
        schedule = schedule_product(ArrayTiming(dataflow="ws", overlap="full"), m=128, n=128, k=128)
        assert schedule.total_cycles == 16 * 128 + (2 * 32 - 1) + (32 - 1)

    def test_short_sums_wait_for_the_drain_path(self) -> None:
        # Two row tiles of K = 3 on 8 rows: the second fold's sums follow 8 cycles behind the first one's.
        schedule = schedule_product(ArrayTiming(8, 2, overlap="full"), m=16, n=2, k=3)
        assert schedule.start_of(1) == 8

    def test_partial_sums_wait_until_they_have_left(self) -> None:
        # Three streamed operands on 8 rows: the second K tile reads back what takes 8 rows to come out.
        schedule = schedule_product(ArrayTiming(8, 2, "ws", "full"), m=3, n=2, k=16)
        assert schedule.start_of(1) == 8

    def test_slow_sums_need_their_cycles_in_every_row_before_they_return(self) -> None:
        timing = ArrayTiming(8, 2, "ws", "full", pipeline_depth=3, accumulation_interval=3)
        # Two K tiles: three cycles in each of 8 rows. Two column tiles: 7 shadows wait two cycles, 8 load.
        assert schedule_product(timing, m=3, n=2, k=16).start_of(1) == 3 * 8
        assert schedule_product(timing, m=3, n=4, k=8).start_of(1) == 2 * 7 + 8

    @pytest.mark.parametrize(
        ("overlap", "compute", "fill", "drain", "issue"),
        [
            ("none", 4 * 12, 4 * 6, 4 * 4, 4 * 22),
            ("drain", 4 * 12, 4 * 6, 4, 4 * 18),
            ("full", 4 * 12, 6, 4, 4 * 12),
        ],
    )
    def test_four_folds_spend_their_cycles_on(
        self, overlap: str, compute: int, fill: int, drain: int, issue: int
    ) -> None:
        # 2 x 2 folds of K = 12 on 4 x 4: each fills for 6, computes for 12 and drains for 4 cycles.
        schedule = schedule_product(ArrayTiming(4, 4, overlap=overlap), m=8, n=8, k=12)  # type: ignore[arg-type]
        split = (schedule.compute_cycles, schedule.fill_cycles, schedule.drain_cycles)
        assert split == (compute, fill, drain)
        assert schedule.shifting_cycles == drain
        assert (schedule.issue_cycles, schedule.tail_cycles) == (issue, sum(split) - issue)

    def test_one_group_is_the_default(self) -> None:
        tiles = fold_grid(ArrayTiming(4, 4), m=9, n=7, k=5)
        assert (tiles.groups, tiles.folds) == (1, 3 * 2)
        assert schedule_product(ArrayTiming(4, 4), m=9, n=7, k=5).groups == 1

    def test_trimmed_folds_end_with_their_last_used_pe(self) -> None:
        full = schedule_product(ArrayTiming(4, 4), m=5, n=4, k=9)
        trimmed = schedule_product(ArrayTiming(4, 4, partial_folds="trimmed"), m=5, n=4, k=9)
        assert full.total_cycles - trimmed.total_cycles == 3


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (4, 4), (5, 3)])
@pytest.mark.parametrize(("depth", "interval"), PIPELINES)
def test_laws_of_every_schedule(rows: int, columns: int, depth: int, interval: int) -> None:
    shapes = [(1, 1, 1), (9, 7, 6), (4, 4, 12), (13, 1, 2), (1, 13, 2)]
    for dataflow, partial, (m, n, k), groups in product(DATAFLOWS, ["full", "trimmed"], shapes, [1, 3]):
        totals = []
        for overlap in OVERLAPS:
            timing = ArrayTiming(
                rows,
                columns,
                dataflow,
                overlap,  # type: ignore[arg-type]
                partial,  # type: ignore[arg-type]
                pipeline_depth=depth,
                accumulation_interval=interval,
            )
            schedule = schedule_product(timing, m=m, n=n * groups, k=k, groups=groups)
            check_laws(schedule)
            totals.append(schedule.total_cycles)
        assert totals[0] >= totals[1] >= totals[2], "more overlap never takes longer"


def check_laws(schedule: ProductSchedule) -> None:
    folds = list(schedule.phases())
    assert len(folds) == schedule.folds
    assert folds == [schedule.phases_of(fold) for fold in range(schedule.folds)]
    assert max(fold.last_cycle for fold in folds) == schedule.total_cycles - 1
    pe_cycles = schedule.useful_pe_cycles + schedule.idle_pe_cycles + schedule.shifting_pe_cycles
    assert pe_cycles == schedule.timing.pe_count * schedule.total_cycles
    assert schedule.useful_pe_cycles == schedule.m * schedule.n * schedule.k
    used = sum(fold.shape.rows * fold.shape.columns * fold.shape.streamed for fold in folds)
    assert used == schedule.macs, "the folds cut the product into pieces without loss"
    twice = replace_groups(schedule, 2)
    assert schedule.interval_to(schedule) + schedule.total_cycles == twice.total_cycles


def replace_groups(schedule: ProductSchedule, times: int) -> ProductSchedule:
    return schedule_product(
        schedule.timing,
        m=schedule.m,
        n=schedule.n * times,
        k=schedule.k,
        groups=schedule.groups * times,
    )


class TestEdgeTraffic:
    def test_output_stationary_reads_operands_once_per_fold_beside_it(self) -> None:
        accesses = schedule_product(ArrayTiming(4, 4), m=9, n=7, k=5).accesses
        assert (accesses.activation_reads, accesses.weight_reads) == (9 * 5 * 2, 7 * 5 * 3)
        assert (accesses.partial_sum_reads, accesses.partial_sum_writes) == (0, 0)
        assert accesses.output_writes == 9 * 7

    def test_weight_stationary_sends_partial_sums_out_and_back(self) -> None:
        accesses = schedule_product(ArrayTiming(4, 4, "ws"), m=9, n=7, k=10).accesses
        assert (accesses.activation_reads, accesses.weight_reads) == (9 * 10 * 2, 7 * 10)
        assert (accesses.partial_sum_reads, accesses.partial_sum_writes) == (9 * 7 * 2, 9 * 7 * 2)
        assert accesses.output_writes == 9 * 7

    def test_input_stationary_keeps_activations(self) -> None:
        accesses = schedule_product(ArrayTiming(4, 4, "is"), m=9, n=7, k=10).accesses
        assert (accesses.activation_reads, accesses.weight_reads) == (9 * 10, 7 * 10 * 3)


class TestScaleSim:
    @pytest.mark.parametrize("dataflow", DATAFLOWS)
    @pytest.mark.parametrize("network", ["alexnet", "resnet18"])
    def test_its_cycles_and_sram_accesses_come_out(self, network: str, dataflow: str) -> None:
        timing = ArrayTiming(dataflow=dataflow, timing="scalesim")
        layers = 0
        for row in reports(network, dataflow):
            schedule = schedule_product(timing, m=row.M, n=row.N, k=row.K)
            accesses = schedule.accesses
            assert schedule.total_cycles == row.compute_cycles, row
            assert accesses.activation_reads == row.sram_ifmap_reads, row
            assert accesses.weight_reads == row.sram_filter_reads, row
            stray = schedule.folds * (32 + 32) if dataflow == "os" else 0
            writes = accesses.output_writes + accesses.partial_sum_writes
            assert writes + stray == row.sram_ofmap_writes, row
            layers += 1
        assert layers == {"alexnet": 5, "resnet18": 21}[network]

    @pytest.mark.parametrize(
        ("dataflow", "folds", "per_fold"), [("os", 6, 99), ("ws", 8, 83), ("is", 12, 71)]
    )
    def test_the_formula(self, dataflow: str, folds: int, per_fold: int) -> None:
        # R = 8, C = 16; worked out from P = T + R + C - 2 (os) and T + 2R + C - 2.
        shape = {"os": (20, 30, 77), "ws": (53, 30, 30), "is": (40, 41, 30)}[dataflow]
        timing = ArrayTiming(8, 16, dataflow, timing="scalesim")
        m, n, k = shape
        schedule = schedule_product(timing, m=m, n=n, k=k)
        assert (schedule.folds, schedule.total_cycles) == (folds, folds * per_fold - 1)

    def test_partial_sums_are_written_and_never_read_back(self) -> None:
        accesses = schedule_product(ArrayTiming(4, 4, "ws", timing="scalesim"), m=9, n=7, k=10).accesses
        assert (accesses.partial_sum_writes, accesses.partial_sum_reads) == (9 * 7 * 2, 0)

    def test_options_it_does_not_know_are_refused(self) -> None:
        with pytest.raises(UserError, match="overlap"):
            ArrayTiming(timing="scalesim", overlap="full")
        with pytest.raises(UserError, match="more than one PE"):
            ArrayTiming(1, 1, timing="scalesim")


class TestRefusals:
    def test_unknown_names_suggest_the_nearest(self) -> None:
        with pytest.raises(UserError, match="did you mean 'full'"):
            ArrayTiming(overlap="ful")  # type: ignore[arg-type]
        with pytest.raises(UserError, match="dataflow: is unknown"):
            ArrayTiming(dataflow="rs")

    def test_empty_arrays_products_and_impossible_pipelines(self) -> None:
        with pytest.raises(UserError, match="rows: must be positive"):
            ArrayTiming(rows=0)
        with pytest.raises(UserError, match="pipeline_depth = 2"):
            ArrayTiming(pipeline_depth=2, accumulation_interval=3)
        with pytest.raises(UserError, match="k: must be positive"):
            schedule_product(ArrayTiming(), m=1, n=1, k=0)
        with pytest.raises(UserError, match="multiple of groups"):
            schedule_product(ArrayTiming(), m=1, n=3, k=1, groups=2)

    @pytest.mark.parametrize("part", ["compute_cycles", "fill_cycles", "drain_cycles", "shifting_cycles"])
    def test_no_part_of_a_schedule_is_negative(self, part: str) -> None:
        schedule = schedule_product(ArrayTiming(4, 4), m=4, n=4, k=12)
        with pytest.raises(DefectError, match="must not be negative"):
            replace(schedule, **{part: -1})  # type: ignore[arg-type]

    def test_no_schedule_has_more_products_than_pe_cycles(self) -> None:
        # One PE with one cycle each to fill, compute and drain has three PE-cycles.
        schedule = schedule_product(ArrayTiming(1, 1), m=1, n=1, k=1)
        whole = replace(schedule, compute_cycles=1, fill_cycles=1, drain_cycles=1, shifting_cycles=0)
        assert replace(whole, k=3).idle_pe_cycles == 0
        with pytest.raises(DefectError, match="must not be negative"):
            replace(whole, k=4)

    def test_a_fold_that_does_not_exist(self) -> None:
        with pytest.raises(UserError, match="has 6 folds"):
            schedule_product(ArrayTiming(4, 4), m=9, n=7, k=5).phases_of(6)


def test_a_product_costs_no_more_time_when_it_is_larger() -> None:
    huge = replace(ArrayTiming(), overlap="full", partial_folds="trimmed")
    schedule = schedule_product(huge, m=10**9 + 7, n=10**6 + 3, k=10**6)
    assert schedule.folds == 31250001 * 31251
    assert schedule.phases_of(schedule.folds - 1).last_cycle == schedule.total_cycles - 1
