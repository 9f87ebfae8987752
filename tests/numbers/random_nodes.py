"""Random operators on data: attributes, ranks, element types and operator sets, for a comparison."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tensor = NDArray[Any]


@dataclass(frozen=True)
class RandomNode:
    """An operator with its operands, None for those that are left out; all but the first are constants."""

    operator: str
    version: int
    operands: tuple[Tensor | None, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    outputs: int = 1


class Dice:
    """Choices and tensors of one case, the same each time."""

    def __init__(self, name: str, number: int) -> None:
        self.of = random.Random(f"{name} {number}")
        self.numpy = np.random.default_rng([number, len(name)])

    def chance(self, share: float) -> bool:
        return self.of.random() < share

    def shape(self, least: int = 1, most: int = 4, longest: int = 5) -> list[int]:
        return [self.of.randint(1, longest) for _ in range(self.of.randint(least, most))]

    def tensor(self, shape: list[int], element: Any = None) -> Tensor:
        kind = np.dtype(element or self.of.choice(ELEMENTS))
        if kind.kind in "iu":
            return self.numpy.integers(0 if kind.kind == "u" else -50, 50, size=shape).astype(kind)
        return np.asarray(self.numpy.normal(size=shape)).astype(kind)

    def axis(self, rank: int, axis: int) -> int:
        """The axis, from the front or from behind."""
        return axis - rank if self.chance(0.4) else axis

    def index_type(self) -> Any:
        return self.of.choice([np.int32, np.int64])


ELEMENTS = [np.float32, np.float32, np.float64, np.int32, np.int64, np.uint8, np.int8]


def _slice(dice: Dice) -> RandomNode:
    shape = dice.shape()
    axes = dice.of.sample(range(len(shape)), dice.of.randint(1, len(shape)))
    starts, ends, steps = [], [], []
    for axis in axes:
        size, step = shape[axis], dice.of.choice([1, 1, 2, 3, -1, -2])
        anywhere = dice.of.randint(-size, size)
        starts.append(dice.of.choice([0, -1, anywhere, 1000, -1000] if step > 0 else [-1, 1000, size]))
        ends.append(dice.of.choice([size, 1000, -1, anywhere] if step > 0 else [0, -1000, -size - 1]))
        steps.append(step)
    kind = dice.index_type()
    named = [dice.axis(len(shape), axis) for axis in axes]
    operands = [np.array(each, kind) for each in (starts, ends, named, steps)]
    return RandomNode("Slice", dice.of.choice([10, 11, 13]), (dice.tensor(shape), *operands))


def _pad(dice: Dice) -> RandomNode:
    shape = [size + 1 for size in dice.shape(longest=4)]
    version = dice.of.choice([2, 13, 18, 19, 21])
    mode = dice.of.choice(["constant", "reflect", "edge", *(["wrap"] if version >= 19 else [])])
    axes = list(range(len(shape)))
    if version >= 18 and dice.chance(0.5):
        axes = dice.of.sample(axes, dice.of.randint(1, len(axes)))
    pads = [dice.of.randint(-1 if shape[axis] > 2 else 0, shape[axis] - 1) for axis in axes * 2]
    x = dice.tensor(shape, np.float32 if version == 2 else None)
    if version == 2:
        return RandomNode("Pad", version, (x,), {"mode": mode, "pads": pads})
    named = np.array([dice.axis(len(shape), axis) for axis in axes])
    around = dice.tensor([], x.dtype) if mode == "constant" and dice.chance(0.5) else None
    more = (around, named) if version >= 18 else ()
    return RandomNode("Pad", version, (x, np.array(pads), *more), {"mode": mode})


def _gather(dice: Dice) -> RandomNode:
    shape = dice.shape()
    axis = dice.of.randrange(len(shape))
    indices = dice.numpy.integers(-shape[axis], shape[axis], size=dice.shape(0, 3)).astype(dice.index_type())
    named = {"axis": dice.axis(len(shape), axis)}
    return RandomNode("Gather", dice.of.choice([11, 13]), (dice.tensor(shape), indices), named)


def _gather_elements(dice: Dice) -> RandomNode:
    shape = dice.shape()
    axis = dice.of.randrange(len(shape))
    taken = [dice.of.randint(1, 6 if place == axis else size) for place, size in enumerate(shape)]
    indices = dice.numpy.integers(-shape[axis], shape[axis], size=taken).astype(dice.index_type())
    named = {"axis": dice.axis(len(shape), axis)}
    return RandomNode("GatherElements", 13, (dice.tensor(shape), indices), named)


def _gather_nd(dice: Dice) -> RandomNode:
    shape = dice.shape()
    batch = dice.of.randint(0, min(len(shape) - 1, 2))
    depth = dice.of.randint(1, len(shape) - batch)
    places = shape[:batch] + dice.shape(0, 2)
    columns = [dice.numpy.integers(-size, size, size=places) for size in shape[batch : batch + depth]]
    operands = dice.tensor(shape), np.stack(columns, axis=-1)
    return RandomNode("GatherND", dice.of.choice([12, 13]), operands, {"batch_dims": batch})


def _reduction(dice: Dice, version: int) -> str:
    more = ["add", "mul"] if version >= 16 else []
    return dice.of.choice(["none", *more, *(["max", "min"] if version >= 18 else [])])


def _to_reduce(dice: Dice, shape: list[int], reduction: str) -> Tensor:
    """Of a type that holds products."""
    return dice.tensor(shape, np.float64 if reduction == "mul" else None)


def _scatter_elements(dice: Dice) -> RandomNode:
    shape, version = dice.shape(), dice.of.choice([13, 16, 18])
    axis = dice.of.randrange(len(shape))
    reduction = _reduction(dice, version)
    part = tuple(slice(dice.of.randint(1, size)) for size in shape)
    indices = np.argsort(dice.numpy.random(shape), axis=axis)[part]  # each element once
    if reduction != "none":
        indices = dice.numpy.integers(0, shape[axis], size=indices.shape)
    indices = np.where(dice.numpy.random(indices.shape) < 0.3, indices - shape[axis], indices)
    x = _to_reduce(dice, shape, reduction)
    operands = x, indices.astype(dice.index_type()), dice.tensor(list(indices.shape), x.dtype)
    attributes: dict[str, Any] = {"axis": dice.axis(len(shape), axis)}
    attributes |= {"reduction": reduction} if version >= 16 else {}
    return RandomNode("ScatterElements", version, operands, attributes)


def _scatter_nd(dice: Dice) -> RandomNode:
    shape, version = dice.shape(), dice.of.choice([13, 16, 18])
    depth = dice.of.randint(1, len(shape))
    reduction, space = _reduction(dice, version), int(np.prod(shape[:depth]))
    number = dice.of.randint(1, space)
    flat = dice.numpy.permutation(space)[:number]
    if reduction != "none":
        flat = dice.numpy.integers(0, space, size=number)
    indices = np.stack(np.unravel_index(flat, shape[:depth]), axis=-1).astype(np.int64)
    indices = np.where(dice.numpy.random(indices.shape) < 0.3, indices - np.array(shape[:depth]), indices)
    x = _to_reduce(dice, shape, reduction)
    operands = x, indices, dice.tensor([number, *shape[depth:]], x.dtype)
    return RandomNode("ScatterND", version, operands, {"reduction": reduction} if version >= 16 else {})


def _reduce(dice: Dice) -> RandomNode:
    operator = "Reduce" + dice.of.choice(
        ["Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare"]
    )
    shape, version = dice.shape(), dice.of.choice([11, 13, 18])
    whole = operator in ("ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSumSquare")
    x = dice.tensor(shape, dice.of.choice([np.float32, np.int32]) if whole else np.float32)
    x = np.clip(x, -2, 2) if operator == "ReduceProd" else x
    x = np.abs(x) + 1 if operator == "ReduceLogSum" else x
    axes = dice.of.sample(range(len(shape)), dice.of.randint(1, len(shape)))
    named = [dice.axis(len(shape), axis) for axis in axes]
    keeps = {"keepdims": dice.of.randint(0, 1)}
    if version >= 18 or (operator == "ReduceSum" and version >= 13):
        return RandomNode(operator, version, (x, np.array(named)), keeps)
    return RandomNode(operator, version, (x,), keeps | {"axes": named})


def _top_k(dice: Dice) -> RandomNode:
    shape = dice.shape()
    axis = dice.of.randrange(len(shape))
    x = dice.tensor(shape, dice.of.choice([np.float32, np.float64, np.int32, np.int64]))
    x = np.round(x) if dice.chance(0.3) else x  # with ties
    attributes = {"axis": dice.axis(len(shape), axis), "largest": dice.of.randint(0, 1)}
    return RandomNode("TopK", 11, (x, np.array([dice.of.randint(1, shape[axis])])), attributes, outputs=2)


def _grid_sample(dice: Dice) -> RandomNode:
    dimensions = dice.of.choice([2, 2, 3])
    modes = ["linear", "nearest", *(["cubic"] if dimensions == 2 else [])]
    images = dice.of.randint(1, 2)
    x = dice.tensor([images, 2, *(dice.of.randint(1, 6) for _ in range(dimensions))], np.float32)
    places = [images, *(dice.of.randint(1, 4) for _ in range(dimensions)), dimensions]
    grid = dice.numpy.uniform(-1.6, 1.6, size=places).astype(np.float32)
    attributes = {
        "mode": dice.of.choice(modes),
        "padding_mode": dice.of.choice(["zeros", "border", "reflection"]),
        "align_corners": dice.of.randint(0, 1),
    }
    return RandomNode("GridSample", 20, (x, grid), attributes)


def _non_max_suppression(dice: Dice) -> RandomNode:
    images, boxes = dice.of.randint(1, 2), dice.of.randint(1, 8)
    corners, sizes = dice.numpy.uniform(0, 1, (2, images, boxes, 2)) * [1, 0.6] + [0, 0.05]
    is_centred = dice.of.randint(0, 1)
    ends = sizes if is_centred else corners + sizes
    scores = dice.numpy.random((images, dice.of.randint(1, 3), boxes)).astype(np.float32)
    limits = (dice.of.choice([0, 1, 3]), dice.of.choice([0.0, 0.3, 0.9]), dice.of.choice([0.0, 0.4]))
    shape = () if dice.chance(0.4) else (1,)
    kinds = (np.int64, np.float32, np.float32)
    given = [np.full(shape, limit, kind) for limit, kind in zip(limits, kinds, strict=True)]
    operands = np.concatenate([corners, ends], axis=-1).astype(np.float32), scores
    named = {"center_point_box": is_centred}
    return RandomNode("NonMaxSuppression", 11, (*operands, *given[: dice.of.randint(0, 3)]), named)


def _quantize(dice: Dice) -> RandomNode:
    operator = dice.of.choice(["QuantizeLinear", "DequantizeLinear"])
    version, shape = dice.of.choice([13, 19, 21]), dice.shape()
    axis = dice.of.randrange(len(shape))
    per = dice.of.choice(["tensor", "axis", *(["block"] if version >= 21 else [])])
    attributes = {} if per == "tensor" else {"axis": dice.axis(len(shape), axis)}
    sizes = {"tensor": [], "axis": [shape[axis]], "block": list(shape)}[per]
    if per == "block":
        attributes["block_size"] = dice.of.choice([1, 2, 3])
        sizes[axis] = -(-shape[axis] // attributes["block_size"])
    kind = dice.of.choice([np.uint8, np.int8])
    scale = dice.numpy.uniform(0.02, 0.5, size=sizes).astype(np.float32)
    zero = dice.tensor(sizes, kind)
    x = dice.tensor(shape, np.float32) * 8 if operator == "QuantizeLinear" else dice.tensor(shape, kind)
    return RandomNode(operator, version, (x, scale, zero), attributes)


NODES: Mapping[str, Callable[[Dice], RandomNode]] = {
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "GridSample": _grid_sample,
    "NonMaxSuppression": _non_max_suppression,
    "Pad": _pad,
    "QuantizeLinear": _quantize,
    "Reduce": _reduce,
    "ScatterElements": _scatter_elements,
    "ScatterND": _scatter_nd,
    "Slice": _slice,
    "TopK": _top_k,
}
"""By operator, or by the family of operators."""
