"""Images spread over workers: the same bytes for any number of them, in any order, and from a store."""

from __future__ import annotations

import itertools
import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from simulator.foundation import UserError
from simulator.inference import infer, load_data, load_images, load_model, plan_network
from simulator.inference.blocks import Block, blocks_of
from simulator.inference.images import Images
from simulator.inference.output_sink import saved_outputs
from simulator.inference.run_inference import InferenceResult
from simulator.spread_inference.array_document import ArraySection
from simulator.spread_inference.block_document import Keeps
from simulator.spread_inference.inference_store import InferenceStore
from simulator.spread_inference.opened_source import InferenceSource, OpenedSource
from simulator.spread_inference.plan_document import plan_text, read_plan
from simulator.spread_inference.planning import Arithmetic
from simulator.spread_inference.spread_options import Spread
from simulator.spread_inference.spread_run import Shares, SpreadRun
from simulator.sweep.executors import Workers
from tests.image_data import save_channel_network, save_image
from tests.inference_documents import figures_of

LENET = InferenceSource("lenet5_fashion", "fashion_mnist_1000", images=210)
"""Five blocks: four of 50 images, and one of 10."""


def spread_run(
    source: InferenceSource,
    arithmetic: Arithmetic,
    folder: Path,
    executor: Executor,
    count: int,
    *,
    keeps: Keeps = "judged",
    save: Path | None = None,
) -> tuple[InferenceResult, Shares]:
    """A run whose workers are threads of this process."""
    opened = OpenedSource.of(source)
    with InferenceStore(folder, opened) as store:
        each = SpreadRun(opened, store, Workers(executor, count), Spread())
        planned, shares = each.compute([arithmetic], keeps=keeps)
        if save is None:
            return each.result(planned[0]), shares
        with saved_outputs(save) as sink:
            result = each.result(planned[0], sink=sink)
            sink.finish()
        return result, shares


def document(result: InferenceResult) -> str:
    """All that a result says, with floats to the last bit."""
    return json.dumps(
        figures_of(result)
        | {
            "logits": result.logits.tobytes().hex(),
            "float32_logits": result.float32_logits.tobytes().hex(),
            "shapes": [result.logits.shape, str(result.logits.dtype), result.float32_logits.shape],
        }
    )


def in_one_process(source: InferenceSource, mac: str, policy: str | None) -> str:
    model = load_model(source.model)
    if source.output is not None:
        model = model.judged_by(source.output)
    data = load_data(source.data, model, preprocess=source.preprocess, labels=source.labels)
    return document(infer(model, data.first(source.images), mac, policy))


@pytest.fixture(scope="module")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> InferenceSource:
    """Ids [N, 8] to logits [N, 8, 12] by a table and a product, and 40 rows of ids."""
    folder = tmp_path_factory.mktemp("tokens")
    draw = np.random.default_rng(5)
    table, head = (draw.normal(size=shape).astype(np.float32) for shape in ((12, 6), (6, 12)))
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "ids"], ["x"], name="embed"),
            helper.make_node("MatMul", ["x", "head"], ["logits"], name="head"),
        ],
        "language",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["N", 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 8, 12])],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(head, "head")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, folder / "language.onnx")
    np.savez(folder / "ids.npz", ids=draw.integers(0, 12, size=(140, 8)))
    return InferenceSource(str(folder / "language.onnx"), str(folder / "ids.npz"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> InferenceSource:
    """Sixty noisy images in files, without labels."""
    folder = tmp_path_factory.mktemp("photos")
    draw = np.random.default_rng(6)
    for number in range(60):
        save_image(folder / "data" / f"{number:03}.png", draw.integers(0, 256, (8, 8, 3)).astype(np.uint8))
    return InferenceSource(str(save_channel_network(folder)), str(folder / "data"), labels="none")


def test_blocks_follow_from_network_and_data_alone() -> None:
    model, data = load_model("lenet5_fashion"), load_images("fashion_mnist_1000").first(120)
    assert blocks_of(model, data) == [Block(0, 50, 50), Block(50, 100, 50), Block(100, 120, 50)]


def test_small_chunks_are_added_up_to_blocks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Three images at a time: blocks of 18, the fewest whole chunks with 16 images or more."""
    monkeypatch.setattr("simulator.inference.chunks.MOST_IMAGES", 3)
    model, data = load_model("lenet5_fashion"), load_images("fashion_mnist_1000").first(41)
    assert blocks_of(model, data) == [Block(0, 18, 3), Block(18, 36, 3), Block(36, 41, 3)]
    source = InferenceSource("lenet5_fashion", "fashion_mnist_1000", images=41)
    expected = in_one_process(source, "elma8", None)
    for count in (1, 3):
        with ThreadPoolExecutor(count) as threads:
            got, _ = spread_run(source, Arithmetic.of("elma8", None), tmp_path / str(count), threads, count)
        assert document(got) == expected


@pytest.mark.parametrize("form", ["labels", "no labels", "tokens", "a tensor inside"])
def test_any_number_of_workers_gives_the_bytes_of_one_process(
    form: str, language_model: InferenceSource, photos: InferenceSource, tmp_path: Path
) -> None:
    source, mac, policy = {
        "labels": (LENET, "elma8", None),
        "no labels": (photos, "fp8", None),
        "tokens": (language_model, "int8", "max"),
        "a tensor inside": (InferenceSource("lenet5_fashion", LENET.data, 60, "conv1"), "int4 x int4", "max"),
    }[form]
    expected = in_one_process(source, mac, policy)
    said = json.loads(expected)["accuracy"]
    assert (said["top1"] is not None) == (form == "labels")
    assert (said["perplexity"] is not None) == (form == "tokens")
    for count in (1, 2, 3, 7):
        with ThreadPoolExecutor(count) as threads:
            got, shares = spread_run(
                source, Arithmetic.of(mac, policy), tmp_path / str(count), threads, count
            )
        assert document(got) == expected
        assert shares.resumed == 0


class LateFirst(ThreadPoolExecutor):
    """Three threads; of three jobs handed over one after the other the first takes longest."""

    def __init__(self) -> None:
        super().__init__(3)
        self._delays_s = itertools.cycle((0.4, 0.2, 0.0))

    def submit(self, fn: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        return super().submit(self._late, next(self._delays_s), fn, *arguments, **named)

    @staticmethod
    def _late(delay_s: float, fn: Callable[..., Any], *arguments: Any) -> Any:
        time.sleep(delay_s)
        return fn(*arguments)


def test_blocks_that_finish_in_another_order_give_the_same_bytes(tmp_path: Path) -> None:
    with LateFirst() as threads:
        got, _ = spread_run(LENET, Arithmetic.of("elma8", None), tmp_path / "store", threads, 3)
    assert document(got) == in_one_process(LENET, "elma8", None)


def test_saved_outputs_are_those_of_one_process(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as threads:
        spread_run(
            LENET,
            Arithmetic.of("elma8", None),
            tmp_path / "store",
            threads,
            2,
            keeps="outputs",
            save=tmp_path / "saved",
        )
    saved = np.load(tmp_path / "saved" / "logits.npy")
    alone = infer(load_model("lenet5_fashion"), load_images("fashion_mnist_1000").first(210), "elma8")
    assert saved.dtype == np.float32
    assert (saved == alone.logits).all()


def test_a_later_run_goes_on_from_the_store(tmp_path: Path) -> None:
    """Blocks of the first 100 images serve a run of 210; the result is that of a run of its own."""
    arithmetic = Arithmetic.of("elma8", None)
    first = InferenceSource(LENET.model, LENET.data, images=100)
    with ThreadPoolExecutor(2) as threads:
        _, shares = spread_run(first, arithmetic, tmp_path / "store", threads, 2)
        assert (shares.blocks, shares.resumed) == (2, 0)
        got, shares = spread_run(LENET, arithmetic, tmp_path / "store", threads, 2)
        assert (shares.blocks, shares.resumed, shares.unused) == (5, 2, 0)
        assert document(got) == in_one_process(LENET, "elma8", None)
        _, shares = spread_run(first, arithmetic, tmp_path / "store", threads, 2)
    assert (shares.blocks, shares.resumed, shares.unused, shares.workers) == (2, 2, 3, 0)
    assert shares.describe() == (
        "2 blocks of images: 2 from the store, 0 computed; 3 parts of the store are not of this run"
    )
    assert Shares(1, 0, 1, 1).describe() == (
        "1 block of images: 0 from the store, 1 computed by 1 worker; 1 part of the store is not of this run"
    )


def test_whatever_decides_a_block_makes_another_one_of_it(
    tmp_path: Path, photos: InferenceSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Image, preprocessing, MAC, policy and code: none finds the blocks of another."""
    folder = Path(photos.data)
    copy = tmp_path / "data"
    shutil.copytree(folder, copy)
    source = InferenceSource(photos.model, str(copy), labels="none")
    with ThreadPoolExecutor(1) as threads:
        plain = Arithmetic.of("fp16", None)
        _, shares = spread_run(source, plain, tmp_path / "store", threads, 1)
        assert (shares.blocks, shares.resumed) == (2, 0)
        save_image(copy / "055.png", (1, 2, 3))
        _, shares = spread_run(source, plain, tmp_path / "store", threads, 1)
        assert (shares.blocks, shares.resumed) == (2, 1)  # the image is in the second block
        for version in ("0.1+a", "0.1+b"):
            for module in ("sweep.jobs", "spread_inference.block_jobs"):
                monkeypatch.setattr(f"simulator.{module}.code_version", lambda version=version: version)
            _, shares = spread_run(source, plain, tmp_path / "store", threads, 1)
            assert shares.resumed == 0
        _, shares = spread_run(source, plain, tmp_path / "store", threads, 1)
        assert shares.resumed == 2


@pytest.mark.parametrize(
    ("mac", "policy"),
    [
        ("elma8", None), ("fp16", "drop_in+last_exponent=-3"), ("int4 x int4", "mse+bias_correction"),
        ("e4m3 x e4m3", "max+smooth=0.7"), ("fp8", "ffp8"), ("int8", "mse+per_tensor"),
    ],
)  # fmt: skip
def test_a_plan_comes_back_from_its_document_to_the_last_bit(mac: str, policy: str | None) -> None:
    model, data = load_model("lenet5_fashion"), load_images("fashion_mnist_1000").first(2)
    data = Images(data.source, data.images, data.labels, data.for_calibration[:20])
    plan = plan_network(model, data, mac, policy)
    again = read_plan(plan_text(plan, "label"), source="test")
    assert (again.policy, again.warnings) == (plan.policy, plan.warnings)
    assert json.dumps(again.choices) == json.dumps(dict(plan.choices))
    assert list(again.layers) == list(plan.layers)
    for name, layer in plan.layers.items():
        assert again.layers[name].mac == layer.mac
        for field in fields(layer):
            before, after = (getattr(each, field.name) for each in (layer, again.layers[name]))
            if field.compare and field.name != "mac":
                assert np.array_equal(before, after), (name, field.name)
                assert np.asarray(before).dtype == np.asarray(after).dtype


def test_arrays_come_back_with_type_shape_and_every_bit() -> None:
    odd = np.array([[0.0, -0.0, np.inf, -np.inf], [np.nan, 5e-324, 1.5, -2.0]])
    for array in (
        odd,
        odd.astype(np.float32),
        np.arange(6, dtype=np.uint16).reshape(1, 2, 3),
        np.zeros((0, 3)),
    ):
        back = ArraySection.of(array).array()
        assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())
    for wrong in (
        ArraySection(dtype="|O", shape=(0,), base64=""),
        ArraySection(dtype="<f4", shape=(2,), base64="AAAA"),
        ArraySection(dtype="<f4", shape=(1,), base64="?"),
        ArraySection(dtype="nothing", shape=(1,), base64="AAAAAA=="),
    ):
        with pytest.raises(UserError):
            wrong.array()
