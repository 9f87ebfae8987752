"""A trained residual CNN whose maps are 16 x 16, its images, and how it was trained, in numpy alone.

`python -m tests.trained_network` trains it again and writes `trained_network.npz`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from simulator.inference import Images, load_model
from tests.small_network import SmallNetwork

SIDE, CLASSES = 16, 10
TRAINED_ON, TESTED_ON, CALIBRATED_ON = 4000, 3000, 256
WEIGHTS = Path(__file__).with_suffix(".npz")

CONVOLUTIONS = {"stem": (1, 8), "inner1": (8, 8), "inner2": (8, 8), "wide": (8, 16)}
FEATURES = 16 * 2 * 2
OUTLIER_CHANNEL, OUTLIER_GAIN = 3, 4.0

EPOCHS, BATCH, RATE = 8, 64, 3e-3

Reals = NDArray[np.float32]
Parameters = dict[str, Reals]

# Ends of the seven strokes of a digit, as row and column, and the strokes of each digit.
STROKES = {
    "a": (2, 4, 2, 11),
    "b": (2, 11, 7, 11),
    "c": (7, 11, 13, 11),
    "d": (13, 4, 13, 11),
    "e": (7, 4, 13, 4),
    "f": (2, 4, 7, 4),
    "g": (7, 4, 7, 11),
}
DIGITS = ("abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg")


def digits(random: np.random.Generator, count: int) -> tuple[Reals, NDArray[np.int64]]:
    """Seven-stroke digits: shifted, slanted, scaled, of various width and brightness, in sparse noise.

    Never negative, dark towards the edges: columns and channels differ in their magnitudes.
    """
    labels = random.integers(CLASSES, size=count)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    images = np.zeros((count, 1, SIDE, SIDE), np.float32)
    for image, label in zip(images, labels.tolist(), strict=True):
        shift, slant, size = random.normal(size=2), 0.15 * random.normal(), random.uniform(0.75, 1.1)
        width, drawn = random.uniform(0.5, 1.1), np.zeros((SIDE, SIDE))
        for name in DIGITS[label]:
            ends = np.reshape(STROKES[name], (2, 2)) + 0.7 * random.normal(size=(2, 2))
            ends = (ends - 7.5) * size + 7.5 + shift
            ends[:, 1] += slant * (ends[:, 0] - 7.5)
            start, along = ends[0], ends[1] - ends[0]
            share = ((rows - start[0]) * along[0] + (columns - start[1]) * along[1]) / (along @ along)
            share = np.clip(share, 0, 1)
            distance = np.hypot(rows - start[0] - share * along[0], columns - start[1] - share * along[1])
            drawn = np.maximum(drawn, np.exp(-((distance / width) ** 2)))
        specks = (random.random((SIDE, SIDE)) < 0.12) * random.random((SIDE, SIDE)) * 0.9
        noise = 0.15 * random.normal(size=(SIDE, SIDE)) * (drawn > 0.05)
        image[0] = np.clip(drawn * random.uniform(0.5, 1) + specks + noise, 0, 1)
    return images, labels


def trained_network(folder: Path) -> SmallNetwork:
    """The network in an ONNX file, with images that it was not trained on; those for calibration it was."""
    images, labels = digits(np.random.default_rng(2), TESTED_ON)
    known, known_labels = digits(np.random.default_rng(1), TRAINED_ON)
    with np.load(WEIGHTS) as file:
        parameters = {name: file[name] for name in file.files}
    path = folder / "trained16.onnx"
    _write(path, parameters)
    data = Images("digits16", images, labels, known[:CALIBRATED_ON], known_labels[:CALIBRATED_ON])
    return SmallNetwork(load_model(path), data)


def _write(path: Path, parameters: Parameters) -> None:
    def convolution(source: str, name: str) -> onnx.NodeProto:
        inputs, outputs = [source, f"{name}.w", f"{name}.b"], [name]
        return helper.make_node("Conv", inputs, outputs, name=name, kernel_shape=[3, 3], pads=[1, 1, 1, 1])

    nodes = [
        convolution("image", "stem"),
        helper.make_node("Relu", ["stem"], ["stem_relu"]),
        convolution("stem_relu", "inner1"),
        helper.make_node("Relu", ["inner1"], ["inner1_relu"]),
        convolution("inner1_relu", "inner2"),
        helper.make_node("Add", ["stem_relu", "inner2"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["sum_relu"]),
        convolution("sum_relu", "wide"),
        helper.make_node("Relu", ["wide"], ["wide_relu"]),
        helper.make_node("MaxPool", ["wide_relu"], ["pool"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Flatten", ["pool"], ["flat"]),
        helper.make_node("Gemm", ["flat", "fc.w", "fc.b"], ["logits"], name="fc"),
    ]
    shaped = {
        name: value.reshape(-1, 3, 3, value.shape[1]).transpose(3, 0, 1, 2)
        if name[:-2] in CONVOLUTIONS and value.ndim == 2
        else value
        for name, value in parameters.items()
    }
    graph = helper.make_graph(
        nodes,
        "trained16",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in shaped.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)


# -- training ---------------------------------------------------------------------------------------------


def train() -> Parameters:
    """Adam with a cosine schedule on softmax and cross entropy; then one channel's gain goes up."""
    images, labels = digits(np.random.default_rng(1), TRAINED_ON)
    random = np.random.default_rng(3)
    parameters: Parameters = {}
    shapes = {name: (9 * inputs, outputs) for name, (inputs, outputs) in CONVOLUTIONS.items()}
    for name, shape in {**shapes, "fc": (FEATURES, CLASSES)}.items():
        parameters[f"{name}.w"] = (random.normal(size=shape) * np.sqrt(2 / shape[0])).astype(np.float32)
        parameters[f"{name}.b"] = np.zeros(shape[1], np.float32)
    moments = {name: (np.zeros_like(value), np.zeros_like(value)) for name, value in parameters.items()}
    steps = EPOCHS * (TRAINED_ON // BATCH)
    for step, batch in enumerate(_batches(random), start=1):
        rate = RATE * 0.5 * (1 + np.cos(np.pi * step / steps))
        for name, slope in _slopes(parameters, images[batch], labels[batch]).items():
            first, second = moments[name]
            first += 0.1 * (slope - first)
            second += 0.01 * (slope * slope - second)
            unbiased = first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)
            parameters[name] -= (rate * unbiased).astype(np.float32)
    _raise_a_channel(parameters)
    return parameters


def _raise_a_channel(parameters: Parameters) -> None:
    """Scale a channel between the inner convolutions up, and the weights behind it down: nothing changes."""
    parameters["inner1.w"][:, OUTLIER_CHANNEL] *= OUTLIER_GAIN
    parameters["inner1.b"][OUTLIER_CHANNEL] *= OUTLIER_GAIN
    parameters["inner2.w"].reshape(8, 9, 8)[OUTLIER_CHANNEL] /= OUTLIER_GAIN


def _batches(random: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    for _ in range(EPOCHS):
        order = random.permutation(TRAINED_ON)
        yield from order[: TRAINED_ON // BATCH * BATCH].reshape(-1, BATCH)


def _windows(maps: Reals) -> Reals:
    """[N, channels, rows, columns] as rows of 3 x 3 windows, [N rows columns, channels 9]."""
    padded = np.pad(maps, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = sliding_window_view(padded, (3, 3), axis=(2, 3)).transpose(0, 2, 3, 1, 4, 5)
    return windows.reshape(-1, maps.shape[1] * 9)


def _maps(rows: Reals, count: int) -> Reals:
    return rows.reshape(count, SIDE, SIDE, -1).transpose(0, 3, 1, 2)


def _slopes(parameters: Parameters, images: Reals, labels: NDArray[np.int64]) -> Parameters:
    """The derivatives of the mean cross entropy, forwards and backwards by hand."""
    count = len(images)
    seen: dict[str, Reals] = {}

    def forward(name: str, maps: Reals) -> Reals:
        seen[name] = _windows(maps)
        return _maps(seen[name] @ parameters[f"{name}.w"] + parameters[f"{name}.b"], count)

    slopes: Parameters = {}

    def backward(name: str, slope: Reals) -> Reals:
        rows = slope.transpose(0, 2, 3, 1).reshape(-1, slope.shape[1])
        slopes[f"{name}.w"], slopes[f"{name}.b"] = seen[name].T @ rows, rows.sum(axis=0)
        windows = (rows @ parameters[f"{name}.w"].T).reshape(count, SIDE, SIDE, -1, 3, 3)
        padded = np.zeros((count, windows.shape[3], SIDE + 2, SIDE + 2), np.float32)
        for row in range(3):
            for column in range(3):
                part = windows[:, :, :, :, row, column].transpose(0, 3, 1, 2)
                padded[:, :, row : row + SIDE, column : column + SIDE] += part
        return padded[:, :, 1:-1, 1:-1]

    stem = np.maximum(forward("stem", images), 0)
    inner = np.maximum(forward("inner1", stem), 0)
    total = np.maximum(stem + forward("inner2", inner), 0)
    wide = np.maximum(forward("wide", total), 0)
    blocks = wide.reshape(count, 16, 2, 8, 2, 8)
    pooled = blocks.max(axis=(3, 5), keepdims=True)
    features = pooled.reshape(count, FEATURES)
    logits = features @ parameters["fc.w"] + parameters["fc.b"]

    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    shares[np.arange(count), labels] -= 1
    slope = (shares / count).astype(np.float32)
    slopes["fc.w"], slopes["fc.b"] = features.T @ slope, slope.sum(axis=0)
    largest = (blocks == pooled) & (blocks > 0)
    back = (largest * (slope @ parameters["fc.w"].T).reshape(pooled.shape)).reshape(wide.shape)
    back = backward("wide", back.astype(np.float32)) * (total > 0)
    return_to_stem = backward("inner1", backward("inner2", back) * (inner > 0))
    backward("stem", (back + return_to_stem) * (stem > 0))
    return slopes


if __name__ == "__main__":
    np.savez_compressed(WEIGHTS, allow_pickle=False, **train())
