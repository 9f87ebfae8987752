"""A small CNN with maps of 16 x 16, without training: random filters, the last layer by least squares."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from simulator.inference import Images, Model, load_model

SIDE, CHANNELS, CLASSES = 16, 16, 10
FITTED_TO, TESTED_ON, CALIBRATED_ON = 1000, 500, 128
NOISE = 0.25

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SmallNetwork:
    """The network in an ONNX file, and its images; it was fitted to those for calibration, among others."""

    model: Model
    data: Images


def small_network(folder: Path, *, gain: float = 1.0) -> SmallNetwork:
    """Two 3 x 3 convolutions with ReLU, max pooling to 4 x 4, and a linear layer.

    `gain` scales one channel of the first convolution up and the weights behind it down, which changes
    nothing but the spread of magnitudes.
    """
    random = np.random.default_rng(20261126)
    images, labels = _images(random, FITTED_TO + TESTED_ON)
    first = random.normal(size=(CHANNELS, 1, 3, 3)) / 3
    second = random.normal(size=(CHANNELS, CHANNELS, 3, 3)) / 12
    offsets = random.normal(size=(2, CHANNELS)) / 8
    features = _features(images[:FITTED_TO], first, second, offsets)
    weights, bias = _least_squares(features, labels[:FITTED_TO])
    first[3], offsets[0, 3], second[:, 3] = gain * first[3], gain * offsets[0, 3], second[:, 3] / gain
    path = folder / "small16.onnx"
    _write(path, first, second, offsets, weights, bias)
    data = Images(
        "small16",
        images[FITTED_TO:],
        labels[FITTED_TO:],
        images[:CALIBRATED_ON],
        labels[:CALIBRATED_ON],
    )
    return SmallNetwork(load_model(path), data)


def _images(random: np.random.Generator, count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Ten smooth patterns, shifted, of various brightness, noisy; dark towards the edges, never negative."""
    waves = np.arange(-2, 3)
    places = 2 * np.pi * np.arange(SIDE) / SIDE
    basis = np.exp(1j * waves[:, None] * places)
    spectra = random.normal(size=(CLASSES, 5, 5)) + 1j * random.normal(size=(CLASSES, 5, 5))
    patterns = np.einsum("cij,ix,jy->cxy", spectra, basis, basis).real
    patterns /= np.abs(patterns).max(axis=(1, 2), keepdims=True)
    window = np.sin(places / 2 + np.pi / (2 * SIDE))
    labels = random.integers(CLASSES, size=count)
    shifts = random.integers(-1, 2, size=(count, 2))
    shifted = [
        np.roll(patterns[label], tuple(shift), axis=(0, 1))
        for label, shift in zip(labels.tolist(), shifts.tolist(), strict=True)
    ]
    brightness = random.uniform(0.5, 1.0, size=(count, 1, 1))
    noisy = brightness * np.stack(shifted) + random.normal(size=(count, SIDE, SIDE)) * NOISE
    return np.maximum(noisy * np.outer(window, window), 0)[:, None].astype(np.float32), labels


def convolved(images: Reals, filters: Reals, offsets: Reals) -> Reals:
    """A 3 x 3 convolution with zeros around the images, by its definition."""
    height, width = images.shape[2:]
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    total = np.zeros((len(images), len(filters), height, width)) + offsets[:, None, None]
    for row in range(3):
        for column in range(3):
            window = padded[:, :, row : row + height, column : column + width]
            total += np.einsum("nchw,fc->nfhw", window, filters[:, :, row, column])
    return total


def _features(images: NDArray[np.float32], first: Reals, second: Reals, offsets: Reals) -> Reals:
    hidden = np.maximum(convolved(images.astype(np.float64), first, offsets[0]), 0)
    maps = np.maximum(convolved(hidden, second, offsets[1]), 0)
    pooled = maps.reshape(len(maps), CHANNELS, SIDE // 4, 4, SIDE // 4, 4).max(axis=(3, 5))
    return np.asarray(pooled.reshape(len(maps), -1))


def _least_squares(features: Reals, labels: NDArray[np.int64]) -> tuple[Reals, Reals]:
    """Weights [classes, features] and bias of ridge regression on one-hot labels."""
    mean = features.mean(axis=0)
    centred, wanted = features - mean, np.eye(CLASSES)[labels]
    gram = centred @ centred.T
    ridge = 0.1 * np.trace(gram) / len(gram)
    dual = np.linalg.solve(gram + ridge * np.eye(len(gram)), wanted - wanted.mean(axis=0))
    weights = (centred.T @ dual).T
    return weights, wanted.mean(axis=0) - weights @ mean


def _write(path: Path, first: Reals, second: Reals, offsets: Reals, weights: Reals, bias: Reals) -> None:
    constants = {"w1": first, "b1": offsets[0], "w2": second, "b2": offsets[1], "w3": weights, "b3": bias}
    same: dict[str, Any] = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["conv1"], name="conv1", **same),
        helper.make_node("Relu", ["conv1"], ["relu1"], name="relu1"),
        helper.make_node("Conv", ["relu1", "w2", "b2"], ["conv2"], name="conv2", **same),
        helper.make_node("Relu", ["conv2"], ["relu2"], name="relu2"),
        helper.make_node("MaxPool", ["relu2"], ["pool"], name="pool", kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Flatten", ["pool"], ["flat"], name="flat"),
        helper.make_node("Gemm", ["flat", "w3", "b3"], ["logits"], name="fc", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "small16",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)


def linear_network(path: Path, weights: list[Reals], biases: list[Reals]) -> Model:
    """Layers [inputs, outputs] with their biases, a ReLU between them, in an ONNX file."""
    nodes, x = [], "image"
    constants: dict[str, Reals] = {}
    for index, (matrix, bias) in enumerate(zip(weights, biases, strict=True)):
        constants |= {f"w{index}": matrix, f"b{index}": bias}
        name = f"fc{index}"
        nodes.append(helper.make_node("Gemm", [x, f"w{index}", f"b{index}"], [name], name=name))
        if index < len(weights) - 1:
            nodes.append(helper.make_node("Relu", [name], [f"relu{index}"], name=f"relu{index}"))
        x = nodes[-1].output[0]
    nodes[-1].output[0] = "logits"
    sizes = weights[0].shape[0], weights[-1].shape[1]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", sizes[0]])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", sizes[1]])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
    return load_model(path)
