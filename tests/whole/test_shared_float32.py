"""Several plans on the same images share one run in float32, and each result is that of a run of its own."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from simulator.inference import chunk_runs, load_images, load_model, plan_network
from simulator.inference.arithmetic import float32_product, mac_product
from simulator.inference.run_inference import InferenceResult, run_plan, run_plans
from simulator.measured_runs import Tensors
from simulator.numerics.array_types import Tensor
from simulator.result import Result
from simulator.simulation import simulate
from simulator.spread_inference.block_groups import Limits, groups_of_blocks
from simulator.spread_inference.inference_store import InferenceStore
from simulator.spread_inference.opened_source import InferenceSource, OpenedSource
from simulator.spread_inference.planning import Arithmetic
from simulator.spread_inference.spread_options import Spread
from simulator.spread_inference.spread_run import SpreadRun
from simulator.spread_inference.variant_runs import compare_on_images
from simulator.sweep.executors import Workers
from tests.inference_documents import figures_of

MACS = ("int8", "elma8", "fp16")
IMAGES = 120
"""Three chunks of lenet5_fashion, the last of 20."""

IN_FLOAT32 = 3
"""Times that a run takes each layer through float32: once for each chunk."""


def figures(result: InferenceResult) -> str:
    """All that a result says but outputs, with floats to the last bit."""
    return json.dumps(figures_of(result))


@pytest.fixture
def chunks_in_float32(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each layer has run in float32 as part of a chunk."""
    counted: Counter[str] = Counter()
    product: Callable[..., Tensor] = float32_product

    def counting(layer: Any, *operands: Any) -> Tensor:
        counted[layer.name] += 1
        return product(layer, *operands)

    monkeypatch.setattr(chunk_runs, "float32_product", counting)
    return counted


def test_results_are_those_of_runs_by_themselves(chunks_in_float32: Counter[str]) -> None:
    model, data = load_model("lenet5_fashion"), load_images("fashion_mnist_1000").first(IMAGES)
    plans = [plan_network(model, data, mac) for mac in MACS]
    alone = [figures(run_plan(model, data, plan)) for plan in plans]
    assert set(chunks_in_float32.values()) == {3 * IN_FLOAT32}
    chunks_in_float32.clear()
    together = run_plans(model, data, plans)
    assert [figures(result) for result in together] == alone
    assert len(set(alone)) == 3
    assert set(chunks_in_float32.values()) == {IN_FLOAT32}
    assert chunks_in_float32.keys() == {product.name for product in model.products}


def test_attention_compares_every_execution_of_a_product() -> None:
    """Products that run once for each head or step are compared in their order, by every plan."""
    model, data = load_model("vit_fashion"), load_images("fashion_mnist_1000").first(6)
    plans = [plan_network(model, data, mac) for mac in ("int8", "fp8")]
    together = run_plans(model, data, plans)
    assert [figures(result) for result in together] == [
        figures(run_plan(model, data, plan)) for plan in plans
    ]


@pytest.mark.parametrize("spread", [Spread(), Spread(jobs=2)], ids=["here", "over processes"])
def test_a_comparison_has_the_results_of_single_simulations(spread: Spread) -> None:
    policies = (("int8", "mse"), ("elma8", "max"), ("fp16", "percentile"))
    tensors = Tensors("fashion_mnist_1000", images=60, policies=policies)
    runs, shares = compare_on_images("lenet5_fashion", tensors, spread, macs=MACS)
    assert runs.failures == {}
    alone = [simulate("lenet5_fashion", mac=mac, tensors=tensors.of_macs([mac])) for mac in MACS]
    assert [_figures_of(result) for result in runs.results] == [_figures_of(result) for result in alone]
    assert (shares is None) == (not spread.is_asked)


def _figures_of(result: Result) -> dict[str, Any]:
    return result.model_dump(mode="json", exclude={"origin"})


def test_blocks_of_several_plans_share_float32(chunks_in_float32: Counter[str], tmp_path: Path) -> None:
    """Two workers get two groups of plans: each block runs in float32 twice instead of four times."""
    opened = OpenedSource.of(InferenceSource("lenet5_fashion", "fashion_mnist_1000", images=IMAGES))
    arithmetics = [Arithmetic.of(mac, None) for mac in (*MACS, "fp8")]
    with ThreadPoolExecutor(2) as threads, InferenceStore(tmp_path / "store", opened) as store:
        run = SpreadRun(opened, store, Workers(threads, 3), Spread())
        planned, shares = run.compute(arithmetics, keeps="figures")
        assert shares.blocks == 4 * 3
        assert set(chunks_in_float32.values()) == {2 * IN_FLOAT32}
        found = [figures(run.result(each)) for each in planned]
    model, data = opened.model, opened.data
    assert found == [figures(run_plan(model, data, plan_network(model, data, a.mac))) for a in arithmetics]


@pytest.mark.parametrize("spread", [Spread(), Spread(jobs=1)], ids=["here", "by one process"])
def test_a_variant_that_fails_leaves_the_others(spread: Spread) -> None:
    tensors = Tensors("fashion_mnist_1000", images=20)
    runs, _ = compare_on_images("lenet5_fashion", tensors, spread, macs=("int8", "no such mac", "fp8"))
    assert [result.arch["array"]["mac"] for result in runs.results] == ["int8", "fp8"]
    assert list(runs.failures) == ["int8_32x32 · no such mac"]


def test_a_defect_in_one_plan_is_told_of_that_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    product: Callable[..., Any] = mac_product

    def broken(layer: Any, plan: Any, *operands: Any) -> Any:
        if plan.mac.name == "elma8":
            raise AttributeError("it")
        return product(layer, plan, *operands)

    monkeypatch.setattr(chunk_runs, "mac_product", broken)
    tensors = Tensors("fashion_mnist_1000", images=60)
    runs, _ = compare_on_images("lenet5_fashion", tensors, Spread(), macs=MACS)
    assert [result.accuracy.images for result in runs.results if result.accuracy] == [60, 60]
    assert runs.failures == {"int8_32x32 · elma8": "a defect of systolic: AttributeError: it"}
    assert "in broken" in runs.tracebacks["int8_32x32 · elma8"]


@pytest.mark.parametrize(
    ("least_groups", "most_plans", "sizes"),
    [(1, 9, [3, 3]), (2, 9, [3, 3]), (4, 9, [2, 2, 1, 1]), (99, 9, [1] * 6), (1, 2, [2, 2, 1, 1])],
)
def test_groups_hold_every_job_once(least_groups: int, most_plans: int, sizes: list[int]) -> None:
    """Three plans of two blocks, in groups of one block each; groups of the same plans come together."""
    plans = [[(plan, block) for block in range(2)] for plan in range(3)]
    groups = groups_of_blocks(plans, Limits(least_groups, most_plans))
    assert [len(group) for group in groups] == sizes
    assert sorted(job for group in groups for job in group) == sorted(job for plan in plans for job in plan)
    assert all(len({block for _, block in group}) == 1 for group in groups)


def test_no_plans_make_no_groups() -> None:
    assert groups_of_blocks([], Limits(4, 4)) == []
