"""Does `simulator.api` answer as the commands do, and refuse with the same error?"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulator import api
from simulator.foundation import UserError
from simulator.inference import load_images
from simulator.numerics import get_mac
from simulator.result import Result
from simulator.workload import Network
from simulator.workload.layer import matrix_layer
from tests.command import run

TOPOLOGY = "name, M, N, K,\nfirst, 40, 33, 17,\nsecond, 5, 64, 100,\n"
"""As SCALE-Sim writes matrix products: 40 x 33 x 17 + 5 x 64 x 100 = 54,440 multiply-accumulates."""

NETWORK = Network(
    "two products",
    (matrix_layer("first", "matmul", m=40, n=33, k=17), matrix_layer("second", "matmul", m=5, n=64, k=100)),
)


def comparable(result: Result) -> dict[str, object]:
    """A result without what names the run rather than what it gave."""
    document: dict[str, object] = json.loads(result.model_dump_json())
    document.pop("made_from", None)
    return document


def test_everything_exported_is_there() -> None:
    assert sorted(api.__all__) == ["DEFAULT_ARCH", "MacChoice", "Tensors", "compare", "infer", "simulate"]
    assert all(hasattr(api, name) for name in api.__all__)
    assert api.DEFAULT_ARCH == "int8_32x32"


def test_a_network_object_is_simulated() -> None:
    result = api.simulate(NETWORK, overrides={"array.rows": 8, "array.columns": 8})
    assert result.totals.macs == 40 * 33 * 17 + 5 * 64 * 100 == 54_440
    assert [layer.name for layer in result.layers] == ["first", "second"]


def test_the_batch_of_a_network_object_is_taken() -> None:
    """Weights are shared by the batch, so M is 3 x 40 and 3 x 5."""
    result = api.simulate(NETWORK, batch=3)
    assert result.totals.macs == 3 * 54_440
    assert [(layer.m, layer.n, layer.k) for layer in result.layers] == [(120, 33, 17), (15, 64, 100)]


def test_simulate_gives_the_result_that_the_command_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ("--mac", "e4m3 x e4m3", "--rows", "16", "--cols", "16", "--dataflow", "ws", "--batch", "2")
    run(capsys, "simulate", "lenet5_fashion", *arguments, "--out", "out").must_succeed()
    written = Result.model_validate_json(Path("out/result.json").read_text(encoding="utf-8"))
    made = api.simulate(
        "lenet5_fashion",
        mac="e4m3 x e4m3",
        dataflow="ws",
        batch=2,
        overrides={"array.rows": 16, "array.columns": 16},
    )
    assert comparable(made) == comparable(written)


def test_progress_is_told_for_every_layer() -> None:
    told: list[tuple[str, int, int]] = []
    api.simulate(NETWORK, progress=lambda what, done, total: told.append((what, done, total)))
    assert told == [("two products", 1, 2), ("two products", 2, 2)]


def test_a_result_is_a_data_frame_with_a_row_a_layer() -> None:
    frame = api.simulate(NETWORK).to_dataframe()
    assert len(frame) == 2
    assert frame["macs"].tolist() == [40 * 33 * 17, 5 * 64 * 100]


def test_compare_holds_every_mac_on_every_architecture_to_simulate() -> None:
    view = api.compare(
        "lenet5_fashion", macs=["int8", "elma8"], archs=["int8_32x32", "elma8_32x32"], batch=3, jobs=1
    )
    expected = [
        comparable(api.simulate("lenet5_fashion", arch, mac=mac, batch=3))
        for arch in ("int8_32x32", "elma8_32x32")
        for mac in ("int8", "elma8")
    ]
    assert [comparable(result) for result in view] == expected
    assert len(view.to_dataframe()) == 4


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"network": "resnet51"}, ("resnet51", "resnet50")),
        ({"network": NETWORK, "arch": "int8_32x31"}, ("int8_32x31", "int8_32x32")),
        ({"network": NETWORK, "mac": "imt8"}, ("imt8",)),
        ({"network": NETWORK, "dataflow": "sw"}, ("sw", "ws")),
        ({"network": NETWORK, "batch": 0}, ("batch", "0")),
        ({"network": NETWORK, "overrides": {"array.row": 8}}, ("array.row", "rows")),
    ],
    ids=["network", "architecture", "MAC", "dataflow", "batch", "override"],
)
def test_simulate_refuses_as_the_command_does(arguments: dict[str, object], parts: tuple[str, ...]) -> None:
    with pytest.raises(UserError) as refused:
        api.simulate(**arguments)  # type: ignore[arg-type]
    for part in parts:
        assert part in str(refused.value)


def test_compare_names_every_variant_that_failed() -> None:
    with pytest.raises(UserError) as refused:
        api.compare("lenet5_fashion", macs=["int8", "imt8"], archs=["int8_32x32", "none_such"], jobs=1)
    message = str(refused.value)
    assert "int8_32x32 · imt8: " in message
    assert "none_such · int8: " in message
    assert "none_such · imt8: " in message


PLAIN: dict[str, Any] = {
    "activation": "int8",
    "weight": "int4",
    "accumulator": {"kind": "fixed", "bits": 24, "lsb": 0},
}
"""A MAC that is no preset: sums of 24 bits, where `int8 x int4` alone would derive a width."""


@pytest.mark.parametrize(
    "form", [dict, get_mac, lambda mac: get_mac(mac).spec], ids=["mapping", "Mac", "MacSpec"]
)
def test_a_mac_is_a_mapping_or_an_object_as_well_as_a_name(form: Callable[[object], Any]) -> None:
    made = api.simulate(NETWORK, mac=form(PLAIN))
    assert made.mac == "int8 x int4"
    array = made.arch["array"]["mac"]
    assert (array["accumulator"]["bits"], array["accumulator"]["kind"]) == (24, "fixed")
    written = api.simulate(NETWORK, overrides={"array.mac": PLAIN})
    assert made.totals == written.totals


@pytest.mark.parametrize("name", ["elma8", "fp16", "e4m3 x e4m3"])
def test_the_object_of_a_name_gives_what_the_name_gives(name: str) -> None:
    by_name, by_object = api.simulate(NETWORK, mac=name), api.simulate(NETWORK, mac=get_mac(name))
    assert by_object.mac == by_name.mac == name
    assert by_object.totals == by_name.totals


def test_compare_and_infer_take_macs_in_every_form() -> None:
    runs = api.compare("lenet5_fashion", macs=["int8", PLAIN, get_mac("elma8")], jobs=2)
    assert [each.mac for each in runs] == ["int8", "int8 x int4", "elma8"]
    result = api.infer("lenet5_fashion", "fashion_mnist_1000", mac=PLAIN, images=5)
    (mac,) = {layer.mac for layer in result.plan.layers.values()}
    assert mac.spec.document()["accumulator"] | PLAIN["accumulator"] == mac.spec.document()["accumulator"]


def test_what_is_no_mac_is_refused() -> None:
    with pytest.raises(UserError, match="a MAC is a name"):
        api.simulate(NETWORK, mac=8)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="weight"):
        api.simulate(NETWORK, mac={"activation": "int8"})


def test_the_short_form_of_an_inference_says_what_it_found() -> None:
    result = api.infer("lenet5_fashion", "fashion_mnist_1000", mac="elma8", images=20)
    top1, float32 = result.accuracy.top1, result.accuracy.top1_float32
    assert top1 is not None
    assert float32 is not None
    assert repr(result).startswith("<inference in elma8: 20 images, 5 layers, ")
    assert f"top-1 {top1 * 100:.1f}%, float32 {float32 * 100:.1f}%" in repr(result)
    assert len(repr(result)) < 120


def test_infer_counts_images_and_gives_the_reference_beside_the_mac() -> None:
    result = api.infer("lenet5_fashion", "fashion_mnist_1000", mac="elma8", images=20)
    assert result.logits.shape == result.float32_logits.shape == (20, 10)
    labels = load_images("fashion_mnist_1000").first(20).labels
    assert labels is not None
    assert result.accuracy.top1 == np.mean(result.logits.argmax(axis=1) == labels)
    assert {layer.mac.name for layer in result.plan.layers.values()} == {"elma8"}


def test_infer_refuses_images_that_are_not_there() -> None:
    with pytest.raises(UserError, match="fashion_mnist_100"):
        api.infer("lenet5_fashion", "fashion_mnist_10O0")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("macs", "int8"), "macs: is not a list (got 'int8')"),
        (("macs", {"activation": "int8"}), "macs: is not a list (got {'activation': 'int8'})"),
        (("archs", "int8_32x32"), "archs: is not a list (got 'int8_32x32')"),
        (("jobs", -1), "(got -1); allowed: 1 to 1,024"),
        (("jobs", "2"), "(got '2'); allowed: 1 to 1,024"),
        (("tensors", "photos"), "tensors: is of another kind (got 'photos'); allowed: a Tensors, such as"),
        (("batch", 2.0), "batch: must be a whole number (got 2.0)"),
    ],
)
def test_compare_names_an_argument_of_another_kind(given: tuple[str, Any], told: str) -> None:
    field, value = given
    with pytest.raises(UserError) as refused:
        api.compare("lenet5_fashion", **{field: value})
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("tensors", "photos"), "tensors: is of another kind (got 'photos'); allowed: a Tensors, such as"),
        (("sizes", {"N": 4}), "sizes: is of another kind (got {'N': 4}); allowed: a Sizes, such as"),
        (("batch", "4"), "batch: must be a whole number (got '4')"),
        (("batch", 2.0), "batch: must be a whole number (got 2.0)"),
    ],
)
def test_simulate_names_an_argument_of_another_kind(given: tuple[str, Any], told: str) -> None:
    field, value = given
    with pytest.raises(UserError) as refused:
        api.simulate(NETWORK, **{field: value})
    assert told in str(refused.value)


@pytest.mark.parametrize("images", ["8", 8.0])
def test_infer_names_a_number_of_images_that_is_none(images: Any) -> None:
    with pytest.raises(UserError) as refused:
        api.infer("lenet5_fashion", "fashion_mnist_1000", images=images)
    assert f"(got {images!r}); allowed: 1 to 1000" in str(refused.value)


def test_compare_takes_a_path_and_a_numpy_batch(tmp_path: Path) -> None:
    path = tmp_path / "two.csv"
    path.write_text(TOPOLOGY, encoding="utf-8")
    batch: Any = np.int64(3)
    results = api.compare(path, batch=batch)
    assert results[0].totals.macs == 3 * 54_440
