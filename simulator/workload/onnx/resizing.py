"""Resize and Upsample of every operator set, along one axis after the other.

Coordinates and sizes are computed in float32, in which scales are given: 5 x 0.6 is 3, and not 3.0000001.
Where the standard, ONNX's reference evaluator and ONNX Runtime differ, this holds:

- `length_resized` is the whole length of the result, as in ONNX Runtime; the reference takes scale x length.
- `pytorch_half_pixel` has the coordinate 0 for a length of 1, as the standard says; the reference has -0.5.
- `tf_crop_and_resize` crops every axis, as the standard says; ONNX Runtime does not where the scale is 1.
- Integers are cut off towards zero (rounded with `antialias`) and kept in the range of their type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulator.workload.onnx.evaluator import Evaluator, given
from simulator.workload.onnx.graph import Node, Tensor

_HALF = np.float32(0.5)


@dataclass(frozen=True)
class _Axis:
    """One axis: its length before and after, and the part of it that is cropped."""

    axis: int
    length: int
    resized: int
    scale: np.float32
    start: np.float32
    end: np.float32


def resize(node: Node) -> Evaluator:
    """The tensor, with as many places along each axis as scales or sizes ask for."""
    if node.operator == "Upsample" or node.version < 11:
        return _old_resize(node)
    is_antialiased = bool(node.get("antialias", 0)) and node.get("mode", "nearest") != "nearest"

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        x = given(inputs, 0)
        axes = _axes(node, x, inputs)
        if node.get("mode", "nearest") == "nearest":
            resized: Tensor = x
            for each in axes:
                picked = _nearest(
                    _coordinates(node, each), str(node.get("nearest_mode", "round_prefer_floor"))
                )
                resized = np.take(resized, np.clip(picked, 0, each.length - 1), axis=each.axis)
        else:
            resized = x.astype(np.float64 if x.dtype == np.float64 else np.float32)
            for each in axes:
                resized = _interpolated(node, resized, each)
            resized = _in_range(resized, x.dtype, is_rounded=is_antialiased)
        return (_extrapolated(node, resized, axes),)

    return evaluate


def _axes(node: Node, x: Tensor, inputs: Sequence[Tensor | None]) -> list[_Axis]:
    roi, scales, sizes = (
        value if value is not None and value.size else None for value in (*inputs[1:4], *[None] * 3)[:3]
    )
    axes = [int(axis) % x.ndim for axis in node.get("axes", range(x.ndim))]
    lengths = [x.shape[axis] for axis in axes]
    if sizes is not None:
        by_axis = sizes.astype(np.float32) / np.asarray(lengths, np.float32)
        resized = [int(size) for size in sizes]
        policy = node.get("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch":
            common = by_axis.min() if policy == "not_larger" else by_axis.max()
            by_axis = np.full(len(axes), common, np.float32)
            resized = [int(np.floor(common * np.float32(length) + _HALF)) for length in lengths]
    else:
        assert scales is not None
        by_axis = scales.astype(np.float32)
        resized = [
            int(np.floor(scale * np.float32(length))) for scale, length in zip(by_axis, lengths, strict=True)
        ]
    is_cropped = roi is not None and node.get("coordinate_transformation_mode") == "tf_crop_and_resize"
    starts, ends = np.zeros(len(axes), np.float32), np.ones(len(axes), np.float32)
    if is_cropped:
        assert roi is not None
        starts, ends = roi.astype(np.float32).reshape(2, -1)
    return [_Axis(*values) for values in zip(axes, lengths, resized, by_axis, starts, ends, strict=True)]


def _half_pixel(places: Tensor, axis: _Axis) -> Tensor:
    return np.asarray((places + _HALF) / axis.scale - _HALF)


def _symmetric(places: Tensor, axis: _Axis) -> Tensor:
    adjustment = np.float32(axis.resized) / (axis.scale * np.float32(axis.length))
    offset = np.float32(axis.length) / np.float32(2) * (np.float32(1) - adjustment)
    return np.asarray(offset + (places + _HALF) / axis.scale - _HALF)


def _pytorch(places: Tensor, axis: _Axis) -> Tensor:
    return _half_pixel(places, axis) if axis.resized > 1 else np.zeros_like(places)


def _aligned(places: Tensor, axis: _Axis) -> Tensor:
    last = np.float32(axis.length - 1)
    return np.asarray(places * last / np.float32(max(axis.resized - 1, 1)))


def _asymmetric(places: Tensor, axis: _Axis) -> Tensor:
    return np.asarray(places / axis.scale)


def _cropped(places: Tensor, axis: _Axis) -> Tensor:
    last = np.float32(axis.length - 1)
    if axis.resized == 1:
        return np.asarray(_HALF * (axis.start + axis.end) * last + places)
    return np.asarray(
        axis.start * last + places * ((axis.end - axis.start) * last / np.float32(axis.resized - 1))
    )


def _for_nearest(places: Tensor, axis: _Axis) -> Tensor:
    """Without the half place back: at a scale of 1 this would move every place, so nothing is done there."""
    return places if axis.scale == 1 else np.asarray((places + _HALF) / axis.scale)


_COORDINATES: dict[str, Callable[[Tensor, _Axis], Tensor]] = {
    "half_pixel": _half_pixel,
    "half_pixel_symmetric": _symmetric,
    "pytorch_half_pixel": _pytorch,
    "align_corners": _aligned,
    "asymmetric": _asymmetric,
    "tf_crop_and_resize": _cropped,
    "tf_half_pixel_for_nn": _for_nearest,
}


def _coordinates(node: Node, axis: _Axis) -> Tensor:
    """Where each place of the result lies in the tensor, in float32."""
    mode = str(node.get("coordinate_transformation_mode", "half_pixel"))
    return _COORDINATES[mode](np.arange(axis.resized, dtype=np.float32), axis)


def _nearest(places: Tensor, mode: str) -> Tensor:
    if mode == "floor":
        rounded = np.floor(places)
    elif mode == "ceil":
        rounded = np.ceil(places)
    elif mode == "round_prefer_ceil":
        rounded = np.floor(places + _HALF)
    else:
        rounded = np.ceil(places - _HALF)
    return rounded.astype(np.int64)


def _interpolated(node: Node, x: Tensor, axis: _Axis) -> Tensor:
    """Weighted sums of neighbours; those beyond an end are the end, or count nothing (`exclude_outside`)."""
    places = _coordinates(node, axis).astype(np.float64)
    is_cubic = node.get("mode") == "cubic"
    reach = 2 if is_cubic else 1
    stretch = min(float(axis.scale), 1.0) if node.get("antialias", 0) else 1.0
    if stretch == 1 and np.array_equal(places, np.arange(axis.length)):
        return x
    first = np.floor(places).astype(np.int64)
    span = int(np.ceil(reach / stretch))
    neighbours = first[:, None] + np.arange(1 - span, span + 1)
    distances = np.abs(neighbours - places[:, None]) * stretch
    if is_cubic:
        weights = _cubic(distances, float(node.get("cubic_coeff_a", -0.75)))
    else:
        weights = np.maximum(1 - distances, 0)
    if node.get("exclude_outside", 0):
        weights[(neighbours < 0) | (neighbours >= axis.length)] = 0
    if node.get("exclude_outside", 0) or stretch != 1:
        weights /= weights.sum(axis=1, keepdims=True)
    neighbours = np.clip(neighbours, 0, axis.length - 1)
    spread = (-1, *[1] * (x.ndim - axis.axis - 1))
    total: Any = 0
    for column in range(weights.shape[1]):
        share = weights[:, column].astype(x.dtype).reshape(spread)
        if share.any():
            total = total + np.take(x, neighbours[:, column], axis=axis.axis) * share
    return np.asarray(total)


def _cubic(distances: Tensor, a: float) -> Tensor:
    """Keys' kernel."""
    near = ((a + 2) * distances - (a + 3)) * distances**2 + 1
    far = (((distances - 5) * distances + 8) * distances - 4) * a
    return np.asarray(np.where(distances <= 1, near, np.where(distances < 2, far, 0)))


def _in_range(values: Tensor, element: np.dtype[Any], *, is_rounded: bool) -> Tensor:
    if element.kind not in "iu":
        return values.astype(element)
    limits = np.iinfo(element)
    whole = np.rint(values) if is_rounded else np.trunc(values)
    return np.clip(whole, limits.min, limits.max).astype(element)


def _extrapolated(node: Node, resized: Tensor, axes: Sequence[_Axis]) -> Tensor:
    """`extrapolation_value` where a coordinate of `tf_crop_and_resize` lies outside of the tensor."""
    if node.get("coordinate_transformation_mode") != "tf_crop_and_resize":
        return resized
    for axis in axes:
        places = _coordinates(node, axis)
        outside = (places < 0) | (places > axis.length - 1)
        if outside.any():
            resized = resized.copy()
            where: tuple[Any, ...] = (*[slice(None)] * axis.axis, outside)
            resized[where] = node.get("extrapolation_value", 0.0)
    return resized


def _old_resize(node: Node) -> Evaluator:
    """Upsample, and Resize of operator set 10: places i / scale, the nearest one or between two.

    The standard leaves open which neighbour is the nearest: it is the lower one, and the upper one where
    Resize makes a tensor smaller, as ONNX Runtime has it.
    """
    is_linear = node.get("mode", "nearest") in ("linear", "bilinear")

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        x = given(inputs, 0)
        scales = node.get("scales", None) if len(inputs) < 2 else given(inputs, 1)
        if scales is None:  # operator set 1
            scales = [*[1.0] * (x.ndim - 2), node.get("height_scale"), node.get("width_scale")]
        for axis, scale in enumerate(np.asarray(scales, np.float32)):
            is_smaller = node.operator == "Resize" and scale < 1
            if scale != 1:
                x = _resampled(x, axis, scale, upwards=is_smaller, is_linear=is_linear)
        return (x,)

    return evaluate


def _resampled(x: Tensor, axis: int, scale: np.float32, *, upwards: bool, is_linear: bool) -> Tensor:
    length = x.shape[axis]
    places = np.arange(int(np.float32(length) * scale), dtype=np.float32) / scale
    if not is_linear:
        nearest = np.ceil(places) if upwards else np.floor(places)
        return np.asarray(np.take(x, np.minimum(nearest.astype(np.int64), length - 1), axis=axis))
    below = np.minimum(places.astype(np.int64), length - 1)
    lower = np.take(x, below, axis=axis)
    upper = np.take(x, np.minimum(below + 1, length - 1), axis=axis)
    share = np.minimum(places, length - 1) - below
    share = share.reshape(-1, *[1] * (x.ndim - axis - 1))
    return np.asarray(lower * (1 - share) + upper * share).astype(x.dtype)
