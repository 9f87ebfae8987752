"""Do networks run on data as people have it: folders, tables of files, arrays? Colours are the classes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simulator.foundation import UserError
from simulator.inference import Model, StreamedImages, data, infer, load_data, load_model
from simulator.inference import array_files as arrays
from simulator.inference.data import data_files
from tests.command import run
from tests.image_data import save_channel_network, save_image

RED, GREEN, BLUE = (200, 20, 10), (10, 210, 30), (30, 20, 190)
COLOURS = (RED, GREEN, BLUE)


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return load_model(save_channel_network(tmp_path))


def class_folders(folder: Path, names: tuple[str, ...], counts: tuple[int, ...] = (2, 2, 2)) -> Path:
    for name, colour, count in zip(names, COLOURS, counts, strict=True):
        for place in range(count):
            save_image(folder / name / f"{place}.png", colour)
    return folder


def labels_of(model: Model, source: Path, labels: str | None = None) -> list[int] | None:
    found = load_data(source, model, labels=labels).labels
    return None if found is None else found.tolist()


def refused(action: Callable[[], object], *parts: str) -> None:
    with pytest.raises(UserError) as caught:
        action()
    for part in parts:
        assert part in str(caught.value)


def test_class_folders_by_name_come_by_turns(tmp_path: Path, model: Model) -> None:
    folder = class_folders(tmp_path / "images", ("a_red", "b_green", "c_blue"), (3, 1, 2))
    found = load_data(folder, model)
    assert isinstance(found, StreamedImages)
    assert found.labels is not None
    assert found.labels.tolist() == [0, 1, 2, 0, 2, 0]
    assert found.facts.labels_from == "class folders in the order of their names"
    # Default preprocessing: pixel / 255.
    expected = np.array([COLOURS[label] for label in (0, 1, 2, 0, 2, 0)]) / 255
    images = found.images[:]
    assert isinstance(images, np.ndarray)
    assert images.mean(axis=(2, 3)) == pytest.approx(expected, rel=1e-6)
    result = infer(model, found, "fp32")
    assert result.accuracy.top1 == result.accuracy.top1_float32 == 1.0
    assert result.float32_logits == pytest.approx(expected, rel=1e-5)
    assert result.accuracy.preprocess.startswith("scale=0.00392156862745098,mean=0,std=1,")


def test_class_folders_by_number(tmp_path: Path, model: Model) -> None:
    folder = class_folders(tmp_path / "images", ("2", "00", "1"))
    assert labels_of(model, folder) == [0, 1, 2, 0, 1, 2]
    assert infer(model, load_data(folder, model), "int8").accuracy.top1 == 0.0  # red is called 2, green 0


def test_folders_of_another_number_of_classes_are_refused(tmp_path: Path, model: Model) -> None:
    folder = tmp_path / "images"
    for name in ("cat", "dog"):
        save_image(folder / name / "x.png", RED)
    refused(lambda: load_data(folder, model), "2 class folders", "3 classes", "table")
    assert labels_of(model, folder, "none") is None
    save_image(folder / "stray.png", RED)
    refused(lambda: load_data(folder, model), "beside its class folders", "stray.png")


@pytest.mark.parametrize("name", ["{}.png", "{}_7.png", "000{}-b.jpg"])
def test_labels_in_file_names(tmp_path: Path, model: Model, name: str) -> None:
    folder = tmp_path / "images"
    for label in (2, 0, 1):
        save_image(folder / name.format(label), COLOURS[label])
    found = load_data(folder, model)
    assert found.facts.labels_from == "numbers in file names"
    assert found.labels is not None
    assert found.labels.tolist() == [0, 1, 2]
    assert infer(model, found, "fp32").accuracy.top1 == 1.0


def test_numbers_that_are_no_classes(tmp_path: Path, model: Model) -> None:
    folder = tmp_path / "images"
    for name in ("1.png", "3.png"):
        save_image(folder / name, RED)
    (folder / "notes.md").write_text("x")
    found = load_data(folder, model)
    assert found.labels is None
    notes = list(found.facts.notes.values())
    assert notes[0] == "left out 1 files of images that are no images"
    assert notes[1].startswith("no labels: number 3 is beyond the network's 3 classes")
    refused(lambda: load_data(folder, model, labels="names"), "number 3 is beyond", "--labels")
    save_image(folder / "cat.png", RED)
    assert "'cat.png' does not begin with a class number" in "".join(
        load_data(folder, model).facts.notes.values()
    )
    refused(lambda: load_data(folder, model, labels="folders"), "has no class folders")


@pytest.mark.parametrize(
    "text",
    [
        "x.png,2\nsub/y.png,0\n",
        "filename,split,label\nx.png,test,2\nsub/y.png,test,0\n",
        "LABEL\tImage\n2\tx.png\n0\tsub/y.png\n",
        "x.png 2\nsub/y.png 0\n",
        "\ufeffx;2\r\ny;0\r\n",  # stems, a byte order mark and lines as Windows ends them
    ],
)
def test_tables_of_labels(tmp_path: Path, model: Model, text: str) -> None:
    folder = tmp_path / "images"
    save_image(folder / "sub" / "y.png", RED)
    save_image(folder / "x.png", BLUE)
    table = tmp_path / "classes.csv"
    table.write_bytes(text.encode())
    found = load_data(folder, model, labels=str(table))
    assert found.labels is not None
    assert found.labels.tolist() == [0, 2]
    assert found.facts.labels_from == "table classes.csv"
    assert infer(model, found, "fp32").accuracy.top1 == 1.0
    (folder / "labels.csv").write_bytes(text.encode())
    assert labels_of(model, folder) == [0, 2]
    if "sub/" in text:
        assert labels_of(model, folder / "labels.csv") == [2, 0]  # the table's own order


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("x.png,cat\n", ("line 1", "'cat'", "number of a class")),
        ("file,label\nx.png,1\ny.png\n", ("line 3", "number of a class")),
        ("x.png,1\nx.png,2\n", ("line 2", "twice")),
        ("y.png,1\n", ("no row for an image", "x.png")),
        ("file,label\n", ("header and no rows",)),
        ("\n", ("is empty",)),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, model: Model, text: str, parts: tuple[str, ...]) -> None:
    folder = tmp_path / "images"
    save_image(folder / "x.png", RED)
    (folder / "labels.csv").write_text(text)
    refused(lambda: load_data(folder, model), str(folder / "labels.csv"), *parts)


def test_folders_and_options_that_cannot_be(tmp_path: Path, model: Model) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(lambda: load_data(empty, model), str(empty), "has no images")
    table = tmp_path / "t.csv"
    table.write_text("absent.png,1\n")
    refused(lambda: load_data(table, model), "t.csv", "is not there", "absent.png")
    array = tmp_path / "a.npy"
    np.save(array, np.zeros((2, 3, 8, 8), np.uint8))
    refused(lambda: load_data(array, model, labels="names"), "arrays bring their labels")
    refused(lambda: load_data(array, model, preprocess="imagenet,resize=9"), "resize is for images in files")
    refused(lambda: load_data(array, model, preprocess="mean=1,2"), "takes 3 channels", "'1,2'")
    (tmp_path / "images").mkdir()
    save_image(tmp_path / "images" / "0.png", RED)
    refused(lambda: load_data(tmp_path / "images", model, labels="4.csv"), "4.csv", "cannot be read")


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("how", ["imagenet,crop_fraction=1", "scale=1,mean=127,std=128,channels=bgr"])
def test_files_and_arrays_give_the_same_bits(tmp_path: Path, layout: str, how: str) -> None:
    model = load_model(save_channel_network(tmp_path, layout=layout))
    pixels = np.random.default_rng(3).integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    for place, image in enumerate(pixels):
        save_image(tmp_path / "images" / f"{place % 3}_{place}.png", image)
    order = sorted(range(5), key=lambda place: f"{place % 3}_{place}.png")
    from_files = infer(model, load_data(tmp_path / "images", model, preprocess=how), "elma8")
    results = [from_files]
    for name, stored in (
        ("last.npz", pixels[order]),
        ("first.npz", pixels[order].transpose(0, 3, 1, 2)),
        ("int.npz", pixels[order].astype(np.int32)),
        ("real.npz", pixels[order].astype(np.float64)),
    ):
        np.savez(tmp_path / name, images=stored, labels=np.array([place % 3 for place in order]))
        results.append(infer(model, load_data(tmp_path / name, model, preprocess=how), "elma8"))
    for other in results[1:]:
        assert (other.logits == from_files.logits).all()
        assert other.accuracy.images_hash == from_files.accuracy.images_hash
        assert other.accuracy.top1 == from_files.accuracy.top1
    # By hand: class means of (pixel * scale - mean) / std.
    means = pixels[order].astype(np.float64).mean(axis=(1, 2))
    if "bgr" in how:
        expected = (means[:, ::-1] - 127) / 128
    else:
        expected = (means / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert from_files.float32_logits == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("kind", ["npz", "npy", "compressed"])
def test_large_arrays_stay_on_disk_and_give_the_same(
    tmp_path: Path, model: Model, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.random.default_rng(4).random((130, 3, 8, 8)).astype(np.float32)
    labels = images.mean(axis=(2, 3)).argmax(axis=1)
    path = tmp_path / f"data.{'npy' if kind == 'npy' else 'npz'}"
    if kind == "npy":
        np.save(path, images)
    else:
        (np.savez if kind == "npz" else np.savez_compressed)(path, labels=labels, images=images)
    small = load_data(path, model)
    for module in (arrays, data):
        monkeypatch.setattr(module, "LARGE_BYTES", 1)
    large = load_data(path, model)
    assert isinstance(large, StreamedImages)
    if kind != "compressed":
        assert all(isinstance(each, np.memmap) for each in [arrays.read_arrays(path)["images"]])
    one, two = (infer(model, each, "int8") for each in (small, large))
    assert (one.logits == two.logits).all()
    assert one.accuracy == two.accuracy
    assert (infer(model, large.first(51), "int8").logits == one.logits[:51]).all()


def test_nan_in_a_large_array_is_named(tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (arrays, data):
        monkeypatch.setattr(module, "LARGE_BYTES", 1)
    images = np.zeros((120, 3, 8, 8), np.float32)
    images[101, 2, 7, 7] = np.nan
    np.save(tmp_path / "x.npy", images)
    found = load_data(tmp_path / "x.npy", model)
    refused(lambda: infer(model, found, "elma8"), "x.npy", "images[101]", "NaN or infinity")


def test_float32_at_chance_is_hinted_at(tmp_path: Path, model: Model) -> None:
    colours = [COLOURS[place % 3] for place in range(12)]
    images = np.array(colours, np.uint8)[:, :, None, None] * np.ones((12, 3, 8, 8), np.uint8)
    right = np.arange(12) % 3
    for labels, hinted in ((right, False), ((right + 1) % 3, True), (np.where(right, right, 1), False)):
        np.savez(tmp_path / "d.npz", images=images, labels=labels)
        warnings = infer(model, load_data(tmp_path / "d.npz", model), "int8").warnings
        assert any("no better than guesses among 3 classes" in each for each in warnings) is hinted
    # 4 of 12 are expected, with a standard deviation of sqrt(12 x 1/3 x 2/3) = 1.63: up to 7 are no better.
    for correct, hinted in ((7, True), (8, False)):
        labels = np.where(np.arange(12) < correct, right, (right + 1) % 3)
        np.savez(tmp_path / "d.npz", images=images, labels=labels)
        warnings = infer(model, load_data(tmp_path / "d.npz", model), "int8").warnings
        assert any("no better than guesses" in each for each in warnings) is hinted


def test_every_file_that_decides_is_known(tmp_path: Path, model: Model) -> None:
    folder = class_folders(tmp_path / "images", ("0", "1", "2"), (1, 1, 1))
    (folder / "labels.csv").write_text("0/0.png,0\n1/0.png,1\n2/0.png,2\n")
    named = [path.relative_to(folder).as_posix() for path in data_files(str(folder))]
    assert named == ["0/0.png", "1/0.png", "2/0.png", "labels.csv"]


def test_the_commands_take_a_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = save_channel_network(tmp_path)
    folder = class_folders(tmp_path / "images", ("0", "1", "2"), (4, 4, 4))
    how = "scale=1,mean=127,std=128"
    options = ("--data", folder, "--preprocess", how)
    shown = run(capsys, "infer", path, *options).must_succeed().stdout
    assert "class folders" in shown
    assert "mean=127" in shown
    printed = run(capsys, "infer", path, *options, "--json", "-n", "6").must_succeed().stdout
    accuracy = json.loads(printed)["accuracy"]
    assert accuracy["images"] == 6
    assert accuracy["top1"] == 1.0
    assert accuracy["labels_from"] == "numbers of class folders"
    assert "mean=127," in accuracy["preprocess"]
    run(capsys, "trace", path, "--input", folder, "--preprocess", how, "-o", tmp_path / "t").must_succeed()
    result = json.loads(run(capsys, "simulate", path, *options, "--json").must_succeed().stdout)
    assert result["accuracy"]["top1"] == 1.0
    assert result["made_from"]["preprocess"] == how
    run(capsys, "simulate", path, *options, "--out", tmp_path / "r").must_succeed()
    run(capsys, "reproduce", tmp_path / "r").must_succeed()
    compared = run(capsys, "compare", path, *options, "--mac", "int8", "--mac", "elma8").must_succeed()
    assert "100" in compared.stdout
    run(capsys, "simulate", path, "--preprocess", how).must_refuse("--preprocess", "give --data")


def test_images_for_calibration_come_first(tmp_path: Path, model: Model) -> None:
    folder = class_folders(tmp_path / "images", ("0", "1", "2"), (50, 50, 50))
    found = load_data(folder, model)
    assert len(found.for_calibration) == 128
    assert replace(found, calibration=found.images[:3]).for_calibration.shape == (3, 3, 8, 8)  # type: ignore[type-var]


def test_an_unknown_name_says_all_that_data_can_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = save_channel_network(tmp_path)
    run(capsys, "infer", network, "--data", "nope").must_refuse(
        "'nope'", "fashion_mnist_1000", ".npz or .npy", "a folder of images", ".csv, .txt"
    )


def test_a_single_picture_is_refused_with_what_to_give_instead(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = save_channel_network(tmp_path)
    save_image(tmp_path / "red.png", RED)
    run(capsys, "infer", network, "--data", tmp_path / "red.png").must_refuse(
        "red.png", "is a single image", "a folder of images"
    )
