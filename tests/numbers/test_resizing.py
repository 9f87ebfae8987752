"""Does Resize have every attribute as the standard defines it? One place at a time, and by ONNX Runtime."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import numpy as np
import pytest
from onnx import helper

from simulator.workload.onnx.evaluate import evaluator_of
from simulator.workload.onnx.graph import Node
from tests.reference.onnx_counts import session_of

Case = tuple[int, dict[str, Any], list[Any]]
"""Operator set, attributes, and the operands: None for one that is left out."""


def cases(count: int) -> list[Case]:
    return [case_of(random.Random(f"resize {index}"), np.random.default_rng(index)) for index in range(count)]


def case_of(dice: random.Random, values: np.random.Generator) -> Case:
    version = dice.choice([11, 13, 18, 19])
    rank = dice.choice([2, 3, 4, 4, 4, 5])
    fixed = 2 if rank > 2 else 0
    shape = [1, dice.choice([1, 2])][:fixed] + [dice.randint(2, 7) for _ in range(rank - fixed)]
    element = dice.choice([np.float32] * 4 + [np.uint8, np.int8])
    x = np.asarray(values.normal(size=shape) * (1 if element is np.float32 else 40))
    x = (np.abs(x) if element is np.uint8 else x).astype(element)
    mode = dice.choice(["nearest", "linear", "cubic"])
    attributes: dict[str, Any] = {"mode": mode}
    transformations = [
        "half_pixel",
        "pytorch_half_pixel",
        "align_corners",
        "asymmetric",
        "tf_crop_and_resize",
    ]
    if version == 11 and mode == "nearest":
        transformations.append("tf_half_pixel_for_nn")
    if version >= 19:
        transformations.append("half_pixel_symmetric")
    transformation = dice.choice(transformations)
    attributes["coordinate_transformation_mode"] = transformation
    if mode == "nearest":
        attributes["nearest_mode"] = dice.choice(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
    if mode == "cubic":
        attributes["cubic_coeff_a"] = dice.choice([-0.5, -0.75])
        attributes["exclude_outside"] = dice.randint(0, 1)
    axes = list(range(rank))
    if version >= 18:
        if mode != "nearest":
            attributes["antialias"] = dice.randint(0, 1)
        if dice.random() < 0.4:
            axes = sorted(dice.sample(range(fixed, rank), dice.randint(1, rank - fixed)))
            attributes["axes"] = [axis - dice.choice([0, rank]) for axis in axes]
    scales = [
        1.0 if axis < fixed else dice.choice([0.5, 0.6, 0.75, 1, 1.3, 1.5, 2, 2.25, 3, dice.uniform(0.4, 3)])
        for axis in axes
    ]
    roi = None if version > 11 else np.zeros(0, np.float32)
    if transformation == "tf_crop_and_resize":
        starts = [0.0 if axis < fixed else dice.uniform(-0.2, 0.5) for axis in axes]
        ends = [1.0 if axis < fixed else dice.uniform(0.5, 1.3) for axis in axes]
        roi = np.array(starts + ends, np.float32)
        attributes["extrapolation_value"] = dice.choice([0.0, 10.0])
    if dice.random() < 0.5:
        return version, attributes, [x, roi, np.array(scales, np.float32)]
    if version >= 18 and dice.random() < 0.4:
        attributes["keep_aspect_ratio_policy"] = dice.choice(["stretch", "not_larger", "not_smaller"])
    sizes = [max(1, int(shape[axis] * scale)) for axis, scale in zip(axes, scales, strict=True)]
    left_out = None if version > 11 else np.zeros(0, np.float32)
    return version, attributes, [x, roi, left_out, np.array(sizes, np.int64)]


def evaluated(case: Case) -> Any:
    version, attributes, operands = case
    names = tuple("" if each is None else f"i{index}" for index, each in enumerate(operands))
    evaluate = evaluator_of(Node("Resize", names, ("y",), version=version, attributes=attributes))
    assert evaluate is not None
    return evaluate(operands)[0]


def lengths_and_scales(case: Case) -> list[tuple[int, float, float, float]]:
    """Of every axis: the length of the result, the scale, and the crop."""
    _, attributes, (x, roi, *given) = case
    axes = [axis % x.ndim for axis in attributes.get("axes", range(x.ndim))]
    along = [(size, 1.0, 0.0, 1.0) for size in x.shape]
    policy = attributes.get("keep_aspect_ratio_policy", "stretch")
    ratios = [int(given[-1][place]) / x.shape[axis] for place, axis in enumerate(axes)] if given[1:] else []
    for place, axis in enumerate(axes):
        size = x.shape[axis]
        if not ratios:
            scale = float(given[0][place])
            length = int(np.float32(given[0][place]) * np.float32(size))
        elif policy == "stretch":
            scale, length = ratios[place], int(given[-1][place])
        else:
            scale = min(ratios) if policy == "not_larger" else max(ratios)
            length = math.floor(scale * size + 0.5)
        crop = (float(roi[place]), float(roi[place + len(axes)])) if roi is not None and roi.size else (0, 1)
        along[axis] = (length, scale, *crop)
    return along


def original(mode: str, place: int, size: int, length: int, scale: float, start: float, end: float) -> float:
    """The formulas of the standard, as they stand there."""
    if mode == "half_pixel" or (mode == "pytorch_half_pixel" and length > 1):
        return (place + 0.5) / scale - 0.5
    if mode == "pytorch_half_pixel":
        return 0
    if mode == "half_pixel_symmetric":
        return size / 2 * (1 - length / (scale * size)) + (place + 0.5) / scale - 0.5
    if mode == "align_corners":
        return 0 if length == 1 else place * (size - 1) / (length - 1)
    if mode == "asymmetric":
        return place / scale
    if mode == "tf_half_pixel_for_nn":
        return place if scale == 1 else (place + 0.5) / scale
    if length == 1:
        return 0.5 * (start + end) * (size - 1)
    return start * (size - 1) + place * (end - start) * (size - 1) / (length - 1)


def kernel(mode: str, distance: float, a: float) -> float:
    t = abs(distance)
    if mode == "linear":
        return max(0.0, 1 - t)
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0


def shares(attributes: dict[str, Any], at: float, size: int, scale: float) -> dict[int, float]:
    """How much each element along an axis counts at a coordinate."""
    mode, a = attributes["mode"], attributes.get("cubic_coeff_a", -0.75)
    narrow = min(1.0, scale) if attributes.get("antialias") else 1.0
    around = range(math.floor(at - 3 / narrow), math.ceil(at + 3 / narrow) + 1)
    weights = {place: kernel(mode, (place - at) * narrow, a) for place in around}
    if attributes.get("exclude_outside"):
        weights = {place: weight for place, weight in weights.items() if 0 <= place < size}
    total = sum(weights.values())
    found: dict[int, float] = {}
    for place, weight in weights.items():
        inside = min(max(place, 0), size - 1)
        found[inside] = found.get(inside, 0.0) + weight / total
    return found


ROUNDED = {
    "floor": math.floor,
    "ceil": math.ceil,
    "round_prefer_floor": lambda at: math.ceil(at - 0.5),
    "round_prefer_ceil": lambda at: math.floor(at + 0.5),
}


def by_definition(case: Case) -> tuple[Any, Any]:
    """Values in float64, and where the nearest place hangs on the last bits of a coordinate."""
    _, attributes, (x, *_) = case
    along = lengths_and_scales(case)
    transformation = attributes["coordinate_transformation_mode"]
    values = np.zeros([length for length, *_ in along])
    unclear = np.zeros(values.shape, bool)
    for index in itertools.product(*(range(length) for length in values.shape)):
        places = [
            original(transformation, place, size, *axis)
            for place, size, axis in zip(index, x.shape, along, strict=True)
        ]
        limits = [(at, size - 1) for at, size in zip(places, x.shape, strict=True)]
        if transformation == "tf_crop_and_resize":
            unclear[index] = any(min(abs(at), abs(at - last)) < 1e-5 and last > 0 for at, last in limits)
            if any(at < 0 or at > last for at, last in limits):
                values[index] = attributes["extrapolation_value"]
                continue
        if attributes["mode"] == "nearest":
            mode = attributes["nearest_mode"]
            nearest = [min(max(ROUNDED[mode](at), 0), last) for at, last in limits]
            moved = [
                {min(max(ROUNDED[mode](at + step), 0), last) for step in (-1e-5, 1e-5)} for at, last in limits
            ]
            unclear[index] |= any(len(each) > 1 for each in moved)
            values[index] = x[tuple(nearest)]
            continue
        weighted = [
            shares(attributes, at, size, axis[1])
            for at, size, axis in zip(places, x.shape, along, strict=True)
        ]
        values[index] = sum(
            math.prod(share for _, share in picked) * float(x[tuple(place for place, _ in picked)])
            for picked in itertools.product(*(each.items() for each in weighted))
        )
    return values, unclear


def test_resize_is_that_of_the_definition() -> None:
    clear = 0
    for case in cases(150):
        _, attributes, (x, *_) = case
        if x.ndim > 4:
            continue
        found = evaluated(case)
        values, unclear = by_definition(case)
        assert found.shape == values.shape, case[:2]
        assert found.dtype == x.dtype
        if x.dtype.kind in "iu" and attributes["mode"] != "nearest":
            limits = np.iinfo(x.dtype)
            values = np.clip(values, limits.min, limits.max)
            error = np.abs(found - values)
            assert np.where(unclear, 0, error).max(initial=0) < 1.001, case[:2]
        else:
            error = np.abs(found - values)
            assert np.where(unclear, 0, error).max(initial=0) < 1e-4, case[:2]
        clear += int((~unclear).sum())
    assert clear > 4000


def differs_in_onnx_runtime(case: Case) -> bool:
    """Where it does not follow the standard, or has no answer."""
    _, attributes, (x, *_) = case
    along = lengths_and_scales(case)
    is_cropped = attributes["coordinate_transformation_mode"] == "tf_crop_and_resize"
    stands = any(
        length == size and scale != 1 for (length, scale, *_), size in zip(along, x.shape, strict=True)
    )
    return (
        stands
        or (is_cropped and any(scale == 1 and (start, end) != (0, 1) for _, scale, start, end in along))
        or (x.dtype != np.float32 and bool(attributes.get("antialias")))
        or (
            attributes.get("keep_aspect_ratio_policy", "stretch") != "stretch"
            and any(axis < 0 for axis in attributes.get("axes", ()))
        )
    )


def by_onnx_runtime(case: Case) -> Any:
    version, attributes, operands = case
    named = {f"i{index}": values for index, values in enumerate(operands) if values is not None}
    names = ["" if values is None else f"i{index}" for index, values in enumerate(operands)]
    graph = helper.make_graph(
        [helper.make_node("Resize", names, ["y"], **attributes)],
        "one",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(values.dtype), values.shape)
            for name, values in named.items()
        ],
        [helper.make_empty_tensor_value_info("y")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=10)
    return session_of(model).run(None, named)[0]


def test_resize_is_that_of_onnx_runtime() -> None:
    """Where it follows the standard: it crops no axis of scale 1, copies what keeps its length, as 1.3 x 3,
    wraps antialiased int8, and takes policies of negative axes otherwise. Integers may differ by one where a
    sum in float32 is almost whole, and the nearest place where a coordinate is."""
    judged = 0
    for case in cases(400):
        if differs_in_onnx_runtime(case):
            continue
        try:
            wanted = by_onnx_runtime(case)
        except Exception:
            if case[1]["mode"] == "nearest":
                raise
            continue  # it has no cubic of 1, 3 or 5 dimensions, nor of integers
        judged += 1
        found = evaluated(case)
        assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype), case[:2]
        is_summed = case[2][0].dtype != np.float32 and case[1]["mode"] != "nearest"
        difference = np.abs(found.astype(np.float64) - wanted)
        if case[1]["mode"] == "nearest" and difference.any():
            difference = np.where(by_definition(case)[1], 0, difference)
        assert difference.max(initial=0) <= (1 if is_summed else 1e-4), case[:2]
    assert judged > 250


@pytest.mark.parametrize(
    ("attributes", "operands", "expected"),
    [
        # 5 x 0.6 is 3 places, at (0.5, 1.5, 2.5) / 0.6 - 0.5 = 0.33, 2, 3.67.
        ({"mode": "nearest", "nearest_mode": "floor"}, [None, np.array([0.6], np.float32)], [0, 20, 30]),
        # Places 0, 2, 4 of 0 to 4, as the corners are aligned.
        (
            {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
            [None, None, [3]],
            [0, 20, 40],
        ),
        # One place: the first element, and not half a place before it, which would be the same in linear.
        (
            {"mode": "cubic", "coordinate_transformation_mode": "pytorch_half_pixel"},
            [None, None, [1]],
            [0],
        ),
        # From 0.25 x 4 = 1 to 1.25 x 4 = 5 in five steps of one; place 5 lies outside.
        (
            {
                "mode": "linear",
                "coordinate_transformation_mode": "tf_crop_and_resize",
                "extrapolation_value": -1.0,
            },
            [np.array([0.25, 1.25], np.float32), None, [5]],
            [10, 20, 30, 40, -1],
        ),
    ],
)
def test_by_hand(attributes: dict[str, Any], operands: list[Any], expected: list[float]) -> None:
    x = np.array([0, 10, 20, 30, 40], np.float32)
    given = [None if each is None else np.asarray(each) for each in operands]
    assert evaluated((19, attributes, [x, *given])).tolist() == pytest.approx(expected)
