"""Is the transposed weight-stationary grid the circuit it is said to be, and the mirror of the other one?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from simulator.arch.config import Overlap
from simulator.array import ArrayTiming, FoldPhases, Grid, run_product, schedule_product
from simulator.array.fold import FoldShape
from simulator.array.timing import PartialFolds
from simulator.array.vcd import write_fold_vcd
from simulator.foundation import UserError
from simulator.numerics import get_mac
from simulator.numerics.activity import expected_units, switching_activity
from tests.cycles.test_grid_reference import MACS, adder
from tests.cycles.test_vcd import read_vcd
from tests.numbers.test_activity import values
from tests.preset_macs import WITHOUT_BLOCKS
from tests.reference.grid import WeightStationaryTransposed

OVERLAPS = get_args(Overlap)


class TestOneEdgeAtATime:
    """Against one PE at a time in Python, whose sums move right in its own coordinates."""

    @pytest.mark.parametrize(("depth", "interval"), [(1, 1), (3, 1), (3, 2), (2, 2)])
    @pytest.mark.parametrize("name", MACS)
    def test_every_register_of_every_pe(self, name: str, depth: int, interval: int) -> None:
        rng = np.random.default_rng(depth * 10 + interval)
        rows, columns = 3, 4
        grid = Grid(name, rows, columns, dataflow="wst", pipeline_depth=depth, accumulation_interval=interval)
        twin = WeightStationaryTransposed(rows, columns, adder(MACS[name]), depth, interval)
        for edge in range(250):
            a, w = rng.integers(0, 256, columns).tolist(), rng.integers(0, 256, rows).tolist()
            load = edge < 8 or rng.random() < 0.2
            multiply = edge >= 8 and rng.random() < 0.8
            sums = rng.integers(-1000, 1000, rows).tolist()
            leaving = grid.step(a, w, multiply=multiply, load=load, partial_sums=sums)
            expected = twin.step(a, w, sums, multiply=multiply, load=load)
            assert leaving.tolist() == [value for value, _, _ in expected]
            found = grid.accumulators
            assert found.values.shape == (rows, columns)
            for (i, j), pe in twin.pes.items():
                place = found.values[i, j], found.is_infinite[i, j], found.overflow[i, j]
                assert (int(place[0]), bool(place[1]), int(place[2])) == pe.sum, (edge, i, j)
                assert (grid.activations[i, j], grid.weights[i, j]) == (pe.a, pe.w), (edge, i, j)

    def test_by_hand(self) -> None:
        """One row of two PEs with weights 3 and 5: the sum of an activation pair (2, 7) is 6, then 41."""
        grid = Grid("int8", 1, 2, dataflow="wst")
        nothing = [0, 0]
        grid.step(nothing, [5], load=True)  # the last column's weight goes in first
        grid.step(nothing, [3], load=True)
        assert grid.weights.tolist() == [[3, 5]]
        assert grid.step([2, 0], [0], multiply=True, partial_sums=[100]).tolist() == [0]
        assert grid.accumulators.values.tolist() == [[106, 0]]
        # The second activation enters one cycle after the first, when the sum arrives.
        assert grid.step([0, 7], [0], multiply=True).tolist() == [100 + 2 * 3 + 7 * 5]

    def test_vectors_have_the_length_of_their_edge(self) -> None:
        grid = Grid("int8", 2, 3, dataflow="wst")
        with pytest.raises(UserError, match="3 codes"):
            grid.step([1, 1], [1, 1], multiply=True)
        with pytest.raises(UserError, match="2 codes"):
            grid.step([1, 1, 1], [1, 1, 1], multiply=True)
        with pytest.raises(UserError, match="reset, multiply, load"):
            grid.step([1, 1, 1], [1, 1], shift_out=True)


def mirrored(timing: ArrayTiming) -> ArrayTiming:
    """The weight-stationary array that is `timing` turned over its diagonal."""
    return replace(timing, rows=timing.columns, columns=timing.rows, dataflow="ws")


def turned(phases: FoldPhases) -> FoldPhases:
    """A fold with rows and columns exchanged."""
    shape = FoldShape(phases.shape.columns, phases.shape.rows, phases.shape.streamed)
    return replace(phases, row=phases.column, column=phases.row, shape=shape)


@pytest.mark.parametrize("overlap", OVERLAPS)
def test_cycles_phases_counts_and_bits_are_those_of_the_mirror(overlap: Overlap) -> None:
    """R x C PEs with K along the columns are C x R PEs with K along the rows."""
    rng = np.random.default_rng(OVERLAPS.index(overlap))
    for case in range(40):
        mac = get_mac(["int8", "fp16", "elma8", "posit8", "e2m3 x e4m3"][case % 5])
        depth = int(rng.integers(1, 5))
        timing = ArrayTiming(
            int(rng.integers(1, 6)),
            int(rng.integers(1, 6)),
            "wst",
            overlap,
            rng.choice(get_args(PartialFolds)),
            pipeline_depth=depth,
            accumulation_interval=int(rng.integers(1, depth + 1)),
        )
        groups = int(rng.integers(1, 3))
        m, n, k = (int(length) for length in rng.integers(1, 14, 3))
        a = rng.integers(0, 1 << mac.activation.bits, (groups, m, k))
        w = rng.integers(0, 1 << mac.weight.bits, (groups, k, n))
        here = run_product(timing, mac, a, w, observe_phases=True)
        there = run_product(mirrored(timing), mac, a, w, observe_phases=True)
        assert here.cycles == there.cycles
        assert here.phases == tuple(turned(phases) for phases in there.phases)
        assert np.array_equal(here.accumulators, there.accumulators)
        assert np.array_equal(here.is_infinite, there.is_infinite)
        assert np.array_equal(here.overflow, there.overflow)
        ours = schedule_product(timing, m=m, n=n * groups, k=k, groups=groups)
        theirs = schedule_product(mirrored(timing), m=m, n=n * groups, k=k, groups=groups)
        assert ours.accesses == theirs.accesses
        assert (ours.compute_cycles, ours.fill_cycles) == (theirs.compute_cycles, theirs.fill_cycles)
        assert (ours.drain_cycles, ours.shifting_cycles) == (theirs.drain_cycles, theirs.shifting_cycles)
        assert ours.idle_pe_cycles == theirs.idle_pe_cycles
        assert list(ours.phases()) == list(here.phases)


class TestByHand:
    """2 x 3 PEs, so 2 channels along the rows and 3 of the reduction along the columns."""

    def test_one_fold(self) -> None:
        """Preload takes the 3 columns. The last of 4 activations enters column 0 at cycle 6, column 2 at
        cycle 8, where row 0 has its last sum; row 1 has it at cycle 9.
        """
        schedule = schedule_product(ArrayTiming(2, 3, "wst"), m=4, n=2, k=3)
        assert schedule.folds == 1
        assert schedule.total_cycles == 10
        phases = schedule.phases_of(0)
        assert (phases.fill.first_cycle, phases.compute.first_cycle) == (0, 5)
        assert (phases.compute.last_cycle, phases.drain.last_cycle) == (8, 9)
        assert schedule.accesses.activation_reads == 4 * 3
        assert schedule.accesses.weight_reads == 3 * 2

    def test_folds_along_the_reduction_follow_one_another(self) -> None:
        """3 channels are 2 row tiles; K = 7 are 3 column tiles. Partial sums leave and return twice."""
        schedule = schedule_product(ArrayTiming(2, 3, "wst"), m=4, n=3, k=7)
        places = [(phases.row, phases.column) for phases in schedule.phases()]
        assert places == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
        shapes = [(phases.shape.rows, phases.shape.columns) for phases in schedule.phases()]
        assert shapes == [(2, 3), (2, 3), (2, 1), (1, 3), (1, 3), (1, 1)]
        accesses = schedule.accesses
        assert accesses.activation_reads == 2 * 4 * 7
        assert accesses.weight_reads == 3 * 7
        assert accesses.partial_sum_writes == accesses.partial_sum_reads == 2 * 4 * 3
        assert accesses.output_writes == 4 * 3


@pytest.mark.parametrize("name", WITHOUT_BLOCKS)
def test_toggles_are_those_of_the_mirror(name: str) -> None:
    mac = get_mac(name)
    a, w = values(mac, 6, 9, 7, seed=3)
    here = switching_activity(mac, a, w, "wst", rows=4, columns=3)
    there = switching_activity(mac, a, w, "ws", rows=3, columns=4)
    assert here == replace(there, dataflow="wst", rows=4, columns=3)
    assert here.activation.toggles > 0


def test_units_of_a_sampled_count_are_those_of_the_mirror() -> None:
    """M = 300 streams in 3 blocks of 128; 10 channels on 4 rows are 3 tiles, K = 7 on 3 columns are 3."""
    assert expected_units(300, 10, 7, "wst", rows=4, columns=3) == 3 * 3 * 3


@pytest.mark.parametrize("overlap", ["none", "full"])
def test_a_dump_shows_the_registers_of_the_mirror(tmp_path: Path, overlap: Overlap) -> None:
    """What moves right there moves down here."""
    rng = np.random.default_rng(8)
    a, w = rng.integers(-128, 128, (4, 3)), rng.integers(-128, 128, (3, 2))
    timing = ArrayTiming(2, 3, "wst", overlap)
    cycles = write_fold_vcd(tmp_path / "here.vcd", timing, "int8", a, w, fold=0)
    assert cycles == write_fold_vcd(tmp_path / "there.vcd", mirrored(timing), "int8", a, w, fold=0)
    here, there = read_vcd(tmp_path / "here.vcd"), read_vcd(tmp_path / "there.vcd")
    names = {"across": "down", "down": "across", "valid": "valid", "sum": "sum", "infinite": "infinite"}
    if overlap == "full":
        names["held"] = "held"
    assert len(here) == 2 + 6 * len(names) == len(there)
    for row in range(2):
        for column in range(3):
            for ours, theirs in names.items():
                own = here[f"grid.pe_{row}_{column}.{ours}"]
                assert own == there[f"grid.pe_{column}_{row}.{theirs}"], (row, column, ours)
    assert len(here["grid.pe_1_2.sum"]) > 4


def test_scalesim_has_no_such_dataflow() -> None:
    with pytest.raises(UserError, match=r"timing: scalesim.*'wst'.*os, ws, is"):
        ArrayTiming(4, 4, "wst", timing="scalesim")


def test_blocks_of_columns_need_channels_there() -> None:
    with pytest.raises(UserError, match=r"columns hold the reduction.*need one MAC.*'wst'.*os, ws"):
        Grid([("int8", 1), ("int8 x int4", 1)], 2, 2, dataflow="wst")
    alike = Grid([("int8", 2), ("int8", 1)], 5, 3, dataflow="wst")
    assert (alike.lanes, alike.blocks[0][1]) == (5, 5)
