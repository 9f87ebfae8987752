"""The batch that a file leaves open at its inputs and fixes inside, in the target of a Reshape."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from simulator.foundation import UserError
from simulator.workload.onnx.build import build_graph
from simulator.workload.onnx.constant_folding import constant_of
from simulator.workload.onnx.graph import Constant, Graph, Shape, Source
from simulator.workload.onnx.sizes import ClosedSizes, Sizes, close_sizes

_MOST_TRIED = 16
"""Exports have few different targets; each one that is tried is another pass over the graph."""
_LONGEST_TARGET = 64


def fixed_batch(source: Source, sizes: Sizes) -> int | None:
    """The batch that the file's Reshapes ask for, or None where one inference at a time is right.

    A network exported for 4 inferences may say that its batch is open, and yet reshape to `4 x -1`. A single
    inference then gives sizes that contradict each other, or results that are no single inference. The batch
    is the first length of a target for which all sizes agree and every known result has it in front.

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
    candidates = _candidates(source)
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
    """First lengths above 1 of constant Reshape targets, in the file's order."""
    constants: dict[str, Constant] = dict(source.body.constants)
    for node in source.body.nodes:
        if node.operator == "Constant" and node.is_standard and node.outputs:
            constants[node.outputs[0]] = constant_of(node)
    found: dict[int, None] = {}
    for node in source.body.nodes:
        target = constants.get(node.input(1)) if node.operator == "Reshape" and node.is_standard else None
        if target is None or len(target.shape) != 1 or not 2 <= target.shape[0] <= _LONGEST_TARGET:
            continue
        if target.dtype == np.int64 and (first := int(target.values()[0])) > 1:
            found[first] = None
    return list(found)[:_MOST_TRIED]


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
