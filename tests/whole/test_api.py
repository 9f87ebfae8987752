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
from simulator.foundation.python_arguments import in_python_terms
from simulator.inference import load_images
from simulator.notebook_views import ComparisonView
from simulator.numerics import get_mac
from simulator.result import Result
from simulator.workload import Network
from simulator.workload.layer import matrix_layer
from tests.command import run
from tests.prices.own_table import row, write

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
        (("network", NETWORK), "network: is of another kind (got Network(name='two products'"),
        (("network", None), "network: is of another kind (got None); allowed: a name or a path"),
        (("archs", [5]), "archs: is of another kind (got 5); allowed: a list, each a name or a path"),
        (("jobs", -1), "jobs: cannot run on that many processes (got -1); allowed: 1 to 1,024"),
        (("jobs", "2"), "jobs: cannot run on that many processes (got '2'); allowed: 1 to 1,024"),
        (("progress", 5), "progress: is of another kind (got 5); allowed: a function of what is done"),
        (
            ("overrides", ["array.rows=8"]),
            "overrides: is of another kind (got ['array.rows=8']); allowed: a mapping such as",
        ),
        (
            ("macs", [{1: "int8"}]),
            "mac: the fields of a MAC have names (got 1); allowed: activation, weight,",
        ),
        (("tensors", "photos"), "tensors: is of another kind (got 'photos'); allowed: a Tensors, such as"),
        (("batch", 2.0), "batch: must be a whole number (got 2.0)"),
    ],
)
def test_compare_names_an_argument_of_another_kind(given: tuple[str, Any], told: str) -> None:
    field, value = given
    with pytest.raises(UserError) as refused:
        api.compare(**{"network": "lenet5_fashion", field: value})
    assert str(refused.value).startswith(told)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("tensors", "photos"), "tensors: is of another kind (got 'photos'); allowed: a Tensors, such as"),
        (("sizes", {"N": 4}), "sizes: is of another kind (got {'N': 4}); allowed: a Sizes, such as"),
        (("arch", 5), "arch: is of another kind (got 5); allowed: a name, a path or an ArchConfig"),
        (("dataflow", 5), "dataflow: is of another kind (got 5); allowed: os, ws, is or wst"),
        (("scalesim_cfg", 5), "scalesim_cfg: is of another kind (got 5); allowed: a path"),
        (
            ("skip_unsupported", "no"),
            "skip_unsupported: is of another kind (got 'no'); allowed: True or False",
        ),
        (("progress", 5), "progress: is of another kind (got 5); allowed: a function of what is done"),
        (("overrides", ["array.rows=8"]), "overrides: is of another kind (got ['array.rows=8']); allowed: a"),
        (("overrides", {1: 8}), "overrides: is of another kind (got 1); allowed: a mapping such as"),
        (("mac", {1: "int8"}), "mac: the fields of a MAC have names (got 1); allowed: activation, weight,"),
        (("batch", "4"), "batch: must be a whole number (got '4')"),
        (("batch", 2.0), "batch: must be a whole number (got 2.0)"),
    ],
)
def test_simulate_names_an_argument_of_another_kind(given: tuple[str, Any], told: str) -> None:
    field, value = given
    with pytest.raises(UserError) as refused:
        api.simulate(NETWORK, **{field: value})
    assert str(refused.value).startswith(told)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("model", 5), "model: is of another kind (got 5); allowed: a name or a path"),
        (("data", None), "data: is of another kind (got None); allowed: a name or a path"),
        (("mac", {1: "int8"}), "mac: the fields of a MAC have names (got 1); allowed: activation, weight,"),
        (("policy", 5), "policy: is of another kind (got 5); allowed: text"),
        (("labels", "a.csv"), "labels: is for images in files; arrays bring their labels (got 'a.csv')"),
        (("preprocess", "scale=x"), "preprocess scale: "),
        (("jobs", 0), "jobs: cannot run on that many processes (got 0); allowed: 1 to 1,024"),
        (("dask", 5), "dask: is of another kind (got 5); allowed: tcp://HOST:PORT"),
        (("store", 5), "store: is of another kind (got 5); allowed: the path of a folder"),
        (("progress", 5), "progress: is of another kind (got 5); allowed: a function of what is done"),
    ],
)
def test_infer_names_an_argument_of_another_kind(given: tuple[str, Any], told: str) -> None:
    field, value = given
    arguments: dict[str, Any] = {"model": "lenet5_fashion", "data": "fashion_mnist_1000", "images": 2}
    with pytest.raises(UserError) as refused:
        api.infer(**{**arguments, field: value})
    assert str(refused.value).startswith(told)


@pytest.mark.parametrize("price", ["nope", {"energy": "nope"}, {"area": "nope"}])
def test_a_price_that_no_table_has_is_refused(price: object) -> None:
    """The bundled tables of the default architecture price four PEs; `composed` needs no row."""
    mac = {**PLAIN, "price": price}
    field = "price" if isinstance(price, str) else f"price.{next(iter(mac['price']))}"
    told = (
        "no price table of the architecture has rows of this variant (got 'nope');"
        " allowed: composed, elma16, elma8, fp16, int8"
    )
    with pytest.raises(UserError) as refused:
        api.simulate(NETWORK, mac=mac)
    assert str(refused.value).startswith(f"mac.{field}: {told}")
    with pytest.raises(UserError) as refused:
        api.compare("lenet5_fashion", macs=["int8", mac], jobs=1)
    assert str(refused.value).startswith(f"macs[1].{field}: {told}")
    assert api.simulate(NETWORK, mac={**PLAIN, "price": "composed"}).totals.area_um2 is not None


@pytest.mark.parametrize("price", ["elma9", {"energy": "elma9"}, {"area": "elma9"}])
def test_inference_refuses_a_price_that_no_bundled_table_has(price: object) -> None:
    """It prices nothing, so that a misspelt name would have no effect."""
    mac = {**PLAIN, "price": price}
    field = "price" if isinstance(price, str) else f"price.{next(iter(mac['price']))}"
    with pytest.raises(UserError) as refused:
        api.infer("lenet5_fashion", "fashion_mnist_1000", mac=mac, images=2)
    assert str(refused.value) == (
        f"mac.{field}: inference prices nothing and has no tables but the bundled ones, which have no rows of"
        " this variant: leave `price` out (got 'elma9'); allowed: composed, elma16, elma8, fp16, int8,"
        " synthesised; did you mean 'elma8'?"
    )


@pytest.mark.parametrize("price", ["elma8", "composed", {"energy": "composed", "area": "int8"}])
def test_inference_takes_a_price_that_there_is(price: object) -> None:
    mac = {**PLAIN, "price": price}
    result = api.infer("lenet5_fashion", "fashion_mnist_1000", mac=mac, images=2)
    plain = api.infer("lenet5_fashion", "fashion_mnist_1000", mac=PLAIN, images=2)
    assert result.logits.tobytes() == plain.logits.tobytes()


def test_a_price_of_tables_that_the_overrides_name_is_found(tmp_path: Path) -> None:
    """`mine` is in a table of the caller's own, which holds no other variant."""
    own = {"tables": [write(tmp_path, row("pe/mine/operate", 0.5), row("pe/mine/area", 250.0))]}
    with pytest.raises(
        UserError, match=r"mac\.price: .*allowed: composed, mine, synthesised; did you mean 'mine'"
    ):
        api.simulate(NETWORK, mac={**PLAIN, "price": "mien"}, overrides=own)
    priced = api.simulate(NETWORK, mac={**PLAIN, "price": "mine"}, overrides=own)
    assert 32 * 32 * 250 in priced.area_um2.values()


@pytest.mark.parametrize("file", [None, 5, ["a.json"]])
def test_what_is_no_path_is_refused_by_save(file: Any) -> None:
    result = api.simulate(NETWORK)
    told = f"file: is of another kind (got {file!r}); allowed: a name that ends in .json, .csv, .html"
    for shown in (result, ComparisonView([result])):
        with pytest.raises(UserError) as refused:
            shown.save(file)
        assert str(refused.value) == told
        with pytest.raises(UserError, match=r"^name: is of another kind"):
            shown.plot(file)


def test_options_are_called_by_their_arguments_but_quoted_values_are_kept() -> None:
    with (
        pytest.raises(UserError) as refused,
        in_python_terms({"--jobs": "jobs", "--batch-axis": "sizes.batch_axis"}),
    ):
        raise UserError(
            "is given with --batch-axis and --batch", source="--jobs", value="--jobs", allowed="--jobs 2"
        )
    assert str(refused.value) == (
        "jobs: is given with sizes.batch_axis and --batch (got '--jobs'); allowed: jobs 2"
    )
    assert refused.value.source == "jobs"


def test_the_command_line_calls_its_options_by_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "compare", "lenet5_fashion", "--mac", "int8", "--jobs", "2000").must_refuse("--jobs")


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
