"""Do grid, closed form and matrix product agree? Random arrays, folds and MACs: every phase to the cycle,
every sum to the bit.
"""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from simulator.arch.config import Overlap
from simulator.array import ArrayTiming, run_product, schedule_product
from simulator.array.controllers import OutputStationaryController, StationaryController
from simulator.array.timing import PartialFolds
from simulator.dataflow import DataflowName
from simulator.foundation import UserError
from simulator.numerics import FixedAccumulator, Mac, get_mac, multiply

CASES = 5000
BATCHES = 10

SATURATING: dict[str, Any] = {
    "activation": "int8",
    "weight": "int8",
    "accumulator": {"kind": "fixed", "bits": 16, "overflow": "saturate"},
}
MACS: list[str | dict[str, Any]] = [
    "int8",
    "elma8",
    "fp16",
    "posit8",
    "fp8_fp16",
    "int4 x int8",
    "e2m3 x e4m3",
    SATURATING,
]
PLAIN_MACS: list[str | dict[str, Any]] = ["elma16", "fp32"]
"""No compiled step: these take the numpy grid."""


def random_timing(rng: np.random.Generator) -> ArrayTiming:
    depth = int(rng.integers(1, 5))
    return ArrayTiming(
        rows=int(rng.integers(1, 6)),
        columns=int(rng.integers(1, 6)),
        dataflow=rng.choice(get_args(DataflowName)),
        overlap=rng.choice(get_args(Overlap)),
        partial_folds=rng.choice(get_args(PartialFolds)),
        pipeline_depth=depth,
        accumulation_interval=int(rng.integers(1, depth + 1)),
    )


def check(rng: np.random.Generator, timing: ArrayTiming, mac: Mac, largest: int) -> None:
    m, n, k = (int(length) for length in rng.integers(1, largest, 3))
    groups = int(rng.integers(1, 3))
    a = rng.integers(0, 1 << mac.activation.bits, (groups, m, k))
    w = rng.integers(0, 1 << mac.weight.bits, (groups, k, n))
    run = run_product(timing, mac, a, w, observe_phases=True)
    schedule = schedule_product(timing, m=m, n=n * groups, k=k, groups=groups)
    case = f"{timing}, {mac}, m={m}, n={n}, k={k}, groups={groups}"
    assert run.cycles == schedule.total_cycles, case
    assert list(run.phases) == list(schedule.phases()), case
    for group in range(groups):
        expected = multiply(mac, a[group], w[group])
        assert np.array_equal(run.accumulators[group], expected.accumulators), case
        if isinstance(mac.accumulator, FixedAccumulator):
            assert np.array_equal(run.is_infinite[group], expected.is_infinite), case
        if expected.overflow is not None:
            assert np.array_equal(run.overflow[group], expected.overflow), case


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_products_on_random_arrays(batch: int) -> None:
    rng = np.random.default_rng(batch)
    for _ in range(CASES // BATCHES):
        check(rng, random_timing(rng), get_mac(MACS[int(rng.integers(len(MACS)))]), largest=8)


@pytest.mark.parametrize("dataflow", get_args(DataflowName))
@pytest.mark.parametrize("overlap", get_args(Overlap))
def test_every_dataflow_and_overlap(dataflow: DataflowName, overlap: Overlap) -> None:
    rng = np.random.default_rng(99)
    for partial in get_args(PartialFolds):
        check(rng, ArrayTiming(3, 2, dataflow, overlap, partial), get_mac("int8"), largest=14)
        deep = ArrayTiming(3, 2, dataflow, overlap, partial, pipeline_depth=4, accumulation_interval=3)
        check(rng, deep, get_mac("fp16"), largest=14)


@pytest.mark.parametrize("name", PLAIN_MACS)
def test_macs_without_a_compiled_step(name: str) -> None:
    rng = np.random.default_rng(7)
    for _ in range(12):
        check(rng, random_timing(rng), get_mac(name), largest=7)


class TestNoFoldCouldFollowSooner:
    """One cycle earlier than the closed form says, the circuit collides or computes something else."""

    @pytest.mark.parametrize(
        ("timing", "shape"),
        [
            (ArrayTiming(6, 2, "os", "full"), (12, 2, 3)),
            (ArrayTiming(6, 2, "os", "full", pipeline_depth=3, accumulation_interval=2), (12, 2, 3)),
            (ArrayTiming(6, 2, "os", "full"), (12, 2, 9)),
            (ArrayTiming(6, 2, "ws", "full"), (3, 2, 12)),
            (ArrayTiming(6, 2, "ws", "full"), (3, 4, 6)),
            (ArrayTiming(6, 2, "ws", "full", pipeline_depth=3, accumulation_interval=3), (3, 4, 6)),
            (ArrayTiming(6, 2, "is", "full"), (4, 3, 6)),
        ],
    )
    def test_an_impatient_controller_fails(
        self, timing: ArrayTiming, shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        m, n, k = shape
        rng = np.random.default_rng(3)
        a, w = rng.integers(-128, 128, (m, k)), rng.integers(-128, 128, (k, n))
        expected = multiply(get_mac("int8"), a, w).accumulators
        assert np.array_equal(run_product(timing, "int8", a, w).accumulators, expected)
        for controller in (OutputStationaryController, StationaryController):
            patient = controller.next_start
            sooner = timing.accumulation_interval if timing.dataflow == "os" else 1
            monkeypatch.setattr(
                controller,
                "next_start",
                lambda *arguments, patient=patient, sooner=sooner: patient(*arguments) - sooner,
            )
        try:
            hurried = run_product(timing, "int8", a, w).accumulators
        except UserError:
            return
        assert not np.array_equal(hurried, expected)


def test_the_drain_path_hazard_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    timing = ArrayTiming(6, 2, "os", "full")
    monkeypatch.setattr(
        OutputStationaryController, "next_start", lambda _self, start, shape, _next: start + shape.streamed
    )
    with pytest.raises(UserError, match="drain register that still held another"):
        run_product(timing, "int8", np.ones((12, 3), int), np.ones((3, 2), int))


def test_scalesim_timing_is_no_circuit() -> None:
    with pytest.raises(UserError, match="no circuit"):
        run_product(ArrayTiming(timing="scalesim"), "int8", [[1]], [[1]])
