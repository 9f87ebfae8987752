"""A small network for images, and images in files, for tests of data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

CLASSES = 3


def save_channel_network(folder: Path, *, layout: str = "nchw", side: int = 8, channels: int = 3) -> Path:
    """A network whose class c is the mean of channel c: classes are red, green, blue."""
    shape = ("N", channels, side, side) if layout == "nchw" else ("N", side, side, channels)
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[2, 3] if layout == "nchw" else [1, 2], keepdims=0),
        helper.make_node("MatMul", ["m", "w"], ["y"], name="fc"),
    ]
    graph = helper.make_graph(
        nodes,
        "channels",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", CLASSES])],
        [numpy_helper.from_array(np.eye(channels, CLASSES, dtype=np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    path = folder / f"channels_{layout}_{side}_{channels}.onnx"
    onnx.save(model, path)
    return path


def save_image(path: Path, pixels: np.ndarray | tuple[int, int, int], side: int = 8) -> Path:
    """An image in a file, from pixels [height, width(, 3)] or one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(pixels, tuple):
        Image.new("RGB", (side, side), pixels).save(path)
    else:
        Image.fromarray(pixels).save(path)
    return path


def antialiased(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear resizing by its definition in real numbers: a triangle over all pixels that one covers."""

    def weights(before: int, after: int) -> np.ndarray:
        ratio = before / after
        reach = max(ratio, 1.0)
        middles = (np.arange(after) + 0.5) * ratio
        distance = np.abs(np.arange(before) + 0.5 - middles[:, None]) / reach
        triangle = np.maximum(1 - distance, 0)
        return np.asarray(triangle / triangle.sum(axis=1, keepdims=True))

    down, across = weights(pixels.shape[0], height), weights(pixels.shape[1], width)
    return np.asarray(np.einsum("ih,jw,hwc->ijc", down, across, pixels.astype(np.float64)))
