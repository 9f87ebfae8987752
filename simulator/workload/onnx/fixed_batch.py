"""The batch that a file leaves open at its inputs and fixes inside: in Reshape targets, or in constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np

from simulator.foundation import UserError
from simulator.workload.onnx.build import build_graph
from simulator.workload.onnx.builder import MALFORMED
from simulator.workload.onnx.constant_folding import constant_of
from simulator.workload.onnx.graph import Constant, Graph, Node, Shape, Source
from simulator.workload.onnx.sizes import ClosedSizes, Sizes, close_sizes

_MOST_TRIED = 16
"""Exports have few different targets; each one that is tried is another pass over the graph."""
_LONGEST_TARGET = 64
_PARTS = ("Concat", "Unsqueeze", "Reshape", "Identity", "Cast")
"""What targets are put together with."""


def fixed_batch(source: Source, sizes: Sizes) -> int | None:
    """The batch that the file asks for inside, or None where one inference at a time is right.

    A network exported for 4 inferences may say that its batch is open, and yet reshape to `4 x -1`, or put 4
    class tokens in front. A single inference then gives sizes that contradict each other, or results that are
    no single inference. The batch is the first length of a target, or of a constant that is put beside data,
    for which all sizes agree and every known result has it in front.

    Args:
        source: the file.
        sizes: of its inputs; those of the batch are not to be given.
    """
    try:
        closed = close_sizes(source.inputs, sizes, source.path)
    except UserError:
        return None  # whoever needs these sizes says what is wrong with them
    if closed.batch != 1 or not source.inputs or source.inputs[0].name not in closed.batch_axes:
        return None
    try:
        candidates = _candidates(source)
    except (UserError, *MALFORMED):
        return None  # an operator is damaged; whoever builds the graph says which
    if not candidates or _fits(source, sizes, 1):
        return None
    return next((batch for batch in candidates if _fits(source, batched(sizes, closed, batch), batch)), None)


def with_fixed_batch(source: Source, sizes: Sizes) -> Sizes:
    """These sizes with the batch of `fixed_batch`, where the file leaves the batch open and `sizes` too."""
    batch = fixed_batch(source, sizes) if leaves_batch_open(source, sizes) else None
    return sizes if batch is None else batched(sizes, close_sizes(source.inputs, sizes, source.path), batch)


def leaves_batch_open(source: Source, sizes: Sizes) -> bool:
    """Whether neither the file nor `sizes` say how many inferences the first input has."""
    if not source.inputs or sizes.batch_axis == "none":
        return False
    first = source.inputs[0]
    axis = 0 if sizes.batch_axis == "auto" else sizes.batch_axis
    if first.sizes is None or axis >= len(first.sizes) or first.name in sizes.input_shapes:
        return False
    size = first.sizes[axis]
    return not isinstance(size, int) and size not in sizes.dims


def batched(sizes: Sizes, closed: ClosedSizes, batch: int) -> Sizes:
    """Sizes for this many inferences."""
    shapes: dict[str, Shape] = {}
    for name, axis in closed.batch_axes.items():
        shape = closed.shapes[name]
        shapes[name] = (*shape[:axis], batch, *shape[axis + 1 :])
    return replace(sizes, input_shapes={**sizes.input_shapes, **shapes})


def _candidates(source: Source) -> list[int]:
    """Lengths above 1 that may be the batch, in the file's order: of targets, of constants beside data."""
    constants: dict[str, Constant] = dict(source.body.constants)
    makers: dict[str, Node] = {}
    found: dict[int, None] = {}
    for node in source.body.nodes:
        makers.update(dict.fromkeys(node.outputs, node))
        if not node.is_standard:
            continue
        if node.operator == "Constant" and node.outputs:
            constants[node.outputs[0]] = constant_of(node)
        elif node.operator in ("Reshape", "Expand"):
            found[_first_value(node.input(1), constants, makers)] = None
        elif node.operator == "Concat" and node.get("axis") != 0:
            shapes = [constants[name].shape for name in node.inputs if name in constants]
            found.update(dict.fromkeys(shape[0] for shape in shapes if len(shape) > 1))
    return [length for length in found if length > 1][:_MOST_TRIED]


def _first_value(name: str, constants: Mapping[str, Constant], makers: Mapping[str, Node]) -> int:
    """The first of some whole numbers that the file states, also in parts; 0 where it does not."""
    for _ in range(_LONGEST_TARGET):
        maker = makers.get(name)
        if name in constants or maker is None or maker.operator not in _PARTS:
            break
        name = maker.input(0)
    target = constants.get(name)
    if target is None or target.dtype != np.int64 or not 1 <= prod(target.shape) <= _LONGEST_TARGET:
        return 0
    return int(target.values().reshape(-1)[0])


def _fits(source: Source, sizes: Sizes, batch: int) -> bool:
    """Whether all sizes agree for this batch, and every result whose size is known begins with it."""
    try:
        graph = build_graph(source, sizes)
    except UserError:
        return False
    return not graph.conflicts and all(_begins(graph, name, batch) for name in graph.outputs)


def _begins(graph: Graph, name: str, batch: int) -> bool:
    shape = graph.shapes.get(name)
    return not shape or shape[0] == batch
