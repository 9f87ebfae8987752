"""Gemm as a matrix product, and what other rules write a scaled product with."""

from __future__ import annotations

import numpy as np

from simulator.foundation import UserError
from simulator.workload.onnx.build import Builder
from simulator.workload.onnx.graph import Node


def gemm(builder: Builder, node: Node) -> None:
    """Alpha x A B + beta x C, with alpha in the operand that is constant."""
    first, second = node.inputs[:2]
    for name in (first, second):
        if len(builder.shape(name)) != 2:
            raise UserError(
                f"layer {node.label!r}: Gemm needs two matrices",
                value=(builder.shape(first), builder.shape(second)),
            )
    product(
        builder,
        builder.op("Transpose", first, perm=(1, 0)) if node.get("transA") else first,
        builder.op("Transpose", second, perm=(1, 0)) if node.get("transB") else second,
        node.outputs[0],
        scale=node.get("alpha", 1.0),
        offset=node.input(2),
        offset_scale=node.get("beta", 1.0),
    )


def product(
    builder: Builder,
    first: str,
    second: str,
    result: str,
    *,
    scale: float = 1.0,
    offset: str = "",
    offset_scale: float = 1.0,
    label: str = "",
) -> None:
    """Write scale x first second + offset_scale x offset.

    The scale goes into a constant operand, where it costs nothing, else into the result.
    """
    if scale != 1:
        factor = builder.constant(scale, np.float32)
        if builder.is_constant(second):
            second, scale = builder.op("Mul", second, factor), 1.0
        elif builder.is_constant(first):
            first, scale = builder.op("Mul", first, factor), 1.0
    plain = scale == 1 and not (offset and offset_scale)
    sums = builder.op("MatMul", first, second, outputs=[result] if plain else 1, label=label)
    if scale != 1:
        last = not (offset and offset_scale)
        sums = builder.op("Mul", sums, factor, outputs=[result] if last else 1)
    if offset and offset_scale:
        if offset_scale != 1:
            offset = builder.op("Mul", offset, builder.constant(offset_scale, np.float32))
        builder.ops("Add", sums, offset, outputs=[result])
