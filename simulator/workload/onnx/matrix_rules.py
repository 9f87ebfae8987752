"""Matrix products in the one form that an array computes, Gemm, and what other rules write products with.

The form: the right operand is one matrix, or both operands have the same leading dimensions, each of which is
a product of its own. A constant operand stands on the right.
"""

from __future__ import annotations

from math import prod

import numpy as np

from simulator.foundation import UserError
from simulator.workload.onnx.builder import Builder
from simulator.workload.onnx.graph import Node, Shape


def matmul(builder: Builder, node: Node) -> None:
    """A product of tensors, by NumPy's broadcasting rule."""
    write_matmul(builder, node.inputs[0], node.inputs[1], result=node.outputs[0])


def write_matmul(
    builder: Builder, first: str, second: str, *, result: str = "", label: str = "", step: int | None = None
) -> str:
    """Write a product and give the name of its result.

    Raises:
        UserError: the operands do not fit together.
    """
    a, b = builder.shape(first), builder.shape(second)
    if not a or not b:
        raise UserError(f"layer {label or builder.label!r}: a scalar is no matrix", value=(a, b))
    if len(a) == 1 or len(b) == 1:
        return _with_vector(builder, first, second, result, label, step)
    if a[-1] != b[-2]:
        raise UserError(f"layer {label or builder.label!r}: inner sizes of the product differ", value=(a, b))
    if builder.is_constant(first) and not builder.is_constant(second):
        swapped = write_matmul(
            builder, _transposed(builder, second), _transposed(builder, first), label=label, step=step
        )
        return _transposed(builder, swapped, result)
    lead = _broadcast(label or builder.label, a[:-2], b[:-2])
    if len(b) == 2 or (a[:-2] == b[:-2]):
        return _product(builder, first, second, result, label, step)
    if prod(b[:-2]) == 1:
        matrix = builder.op("Reshape", second, builder.integers(*b[-2:]))
        if len(lead) == len(a) - 2:
            return _product(builder, first, matrix, result, label, step)
        sums = _product(builder, first, matrix, "", label, step)
        return _reshaped(builder, sums, (*lead, a[-2], b[-1]), result)
    return _grouped(builder, first, second, lead, result, label, step)


def _grouped(
    builder: Builder, first: str, second: str, lead: Shape, result: str, label: str, step: int | None
) -> str:
    """One product for each right operand; dimensions that share one become rows of it."""
    a, b = builder.shape(first), builder.shape(second)
    rank = len(lead)
    m, k, n = a[-2], a[-1], b[-1]
    a_lead = (1,) * (rank - len(a) + 2) + a[:-2]
    b_lead = (1,) * (rank - len(b) + 2) + b[:-2]
    groups = [axis for axis in range(rank) if b_lead[axis] > 1]
    rows = [axis for axis in range(rank) if b_lead[axis] == 1]
    wide = tuple(b_lead[axis] if axis in groups else a_lead[axis] for axis in range(rank))
    left = _reshaped(builder, first, (*a_lead, m, k))
    if wide != a_lead:
        left = builder.op("Expand", left, builder.integers(*wide, m, k))
    order = (*groups, *rows)
    left = _permuted(builder, left, (*order, rank, rank + 1))
    products = prod(b_lead)
    left = _reshaped(builder, left, (products, prod(lead) // products * m, k))
    right = _reshaped(builder, second, (products, k, n))
    sums = _product(builder, left, right, "", label, step)
    sums = _reshaped(builder, sums, (*(lead[axis] for axis in order), m, n))
    back = tuple(order.index(axis) for axis in range(rank))
    return _permuted(builder, sums, (*back, rank, rank + 1), result)


def _product(builder: Builder, first: str, second: str, result: str, label: str, step: int | None) -> str:
    return builder.op("MatMul", first, second, outputs=[result] if result else 1, label=label, step=step)


def _with_vector(builder: Builder, first: str, second: str, result: str, label: str, step: int | None) -> str:
    """A vector on the left is a row, one on the right a column; the result loses that dimension again."""
    gone = []
    if len(builder.shape(second)) == 1:
        second = builder.op("Unsqueeze", second, builder.integers(1))
        gone.append(-1)
    if len(builder.shape(first)) == 1:
        first = builder.op("Unsqueeze", first, builder.integers(0))
        gone.append(-2)
    sums = write_matmul(builder, first, second, label=label, step=step)
    return builder.op("Squeeze", sums, builder.integers(*gone), outputs=[result] if result else 1)


def _transposed(builder: Builder, name: str, result: str = "") -> str:
    rank = len(builder.shape(name))
    order = (*range(rank - 2), rank - 1, rank - 2)
    return builder.op("Transpose", name, outputs=[result] if result else 1, perm=order)


def _permuted(builder: Builder, name: str, order: tuple[int, ...], result: str = "") -> str:
    if order == tuple(range(len(order))):
        return builder.op("Identity", name, outputs=[result]) if result else name
    return builder.op("Transpose", name, outputs=[result] if result else 1, perm=order)


def _reshaped(builder: Builder, name: str, shape: tuple[int, ...], result: str = "") -> str:
    if builder.shape(name) == shape and not result:
        return name
    return builder.op("Reshape", name, builder.integers(*shape), outputs=[result] if result else 1)


def _broadcast(name: str, first: Shape, second: Shape) -> Shape:
    """Leading dimensions of a product, by NumPy's broadcasting rule. Raises UserError."""
    try:
        return tuple(np.broadcast_shapes(first, second))
    except ValueError as error:
        raise UserError(
            f"layer {name!r}: leading sizes of the product differ", value=(first, second)
        ) from error


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
    sums = write_matmul(builder, first, second, result=result if plain else "", label=label)
    if scale != 1:
        last = not (offset and offset_scale)
        sums = builder.op("Mul", sums, factor, outputs=[result] if last else 1)
    if offset and offset_scale:
        if offset_scale != 1:
            offset = builder.op("Mul", offset, builder.constant(offset_scale, np.float32))
        builder.ops("Add", sums, offset, outputs=[result])
