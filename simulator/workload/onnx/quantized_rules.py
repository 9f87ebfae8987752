"""Products on the integers of a quantized file: the same products, on the values that the integers stand for.

The number format is the architecture's choice. Zero points are subtracted and scales multiplied where values
enter, which is no work; a result becomes integers again where the file says so.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simulator.workload.onnx.builder import Builder, UnsupportedError
from simulator.workload.onnx.convolution_rules import conv
from simulator.workload.onnx.graph import OWN_DOMAIN, Node
from simulator.workload.onnx.matrix_rules import product, write_matmul

MICROSOFT = "com.microsoft"


def dequantized(builder: Builder, name: str, scale: str, zero: str, *, axis: int | None = None) -> str:
    """Write the real values of quantized ones; `axis` is that of scales and zero points per channel."""
    scale_shape, zero_shape = builder.shape(scale), builder.shape(zero) if zero else ()
    if max(len(scale_shape), len(zero_shape)) > 1:
        raise UnsupportedError("scales or zero points of more than one dimension")
    # One element in a list is a scalar: it has no axis.
    scale = builder.op("Reshape", scale, builder.integers()) if scale_shape == (1,) else scale
    zero = builder.op("Reshape", zero, builder.integers()) if zero_shape == (1,) else zero
    scale_shape, zero_shape = builder.shape(scale), builder.shape(zero) if zero else ()
    if zero and scale_shape != zero_shape:
        size = builder.integers(*max(scale_shape, zero_shape))
        scale, zero = builder.op("Expand", scale, size), builder.op("Expand", zero, size)
    operands = (name, scale, zero) if zero else (name, scale)
    return builder.op("DequantizeLinear", *operands, axis=axis if builder.shape(scale) else None)


def quantized(builder: Builder, name: str, scale: str, zero: str, result: str) -> None:
    """Write the integers of real values."""
    scale = builder.op("Reshape", scale, builder.integers()) if builder.shape(scale) == (1,) else scale
    zero = builder.op("Reshape", zero, builder.integers()) if zero and builder.shape(zero) == (1,) else zero
    operands = (name, scale, zero) if zero else (name, scale)
    builder.ops("QuantizeLinear", *operands, outputs=[result])


def _shifted(builder: Builder, name: str, zero: str, axis: int) -> str:
    """Write integers minus their zero point, as real numbers."""
    if not zero:
        return builder.op("Cast", name, to=1)
    one = builder.constant(1, np.float32)
    return dequantized(builder, name, one, zero, axis=axis)


def qlinear_conv(builder: Builder, node: Node) -> None:
    """x, scale, zero, w, scale, zero, y scale, y zero, bias in units of both scales."""
    x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero = node.inputs[:8]
    real = f"{node.outputs[0]}::real"
    operands = [
        dequantized(builder, x, x_scale, x_zero, axis=1),
        dequantized(builder, w, w_scale, w_zero, axis=0),
    ]
    if node.input(8):
        scale = builder.op("Mul", x_scale, w_scale)
        operands.append(builder.op("Mul", builder.op("Cast", node.input(8), to=1), scale))
    conv(builder, _like(node, operands, real))
    quantized(builder, real, y_scale, y_zero, node.outputs[0])


def conv_integer(builder: Builder, node: Node) -> None:
    """A convolution of integers, each minus its zero point."""
    operands = [
        _shifted(builder, node.inputs[0], node.input(2), 1),
        _shifted(builder, node.inputs[1], node.input(3), 0),
    ]
    real = f"{node.outputs[0]}::real"
    conv(builder, _like(node, operands, real))
    builder.ops("RoundToInteger", real, outputs=[node.outputs[0]], domain=OWN_DOMAIN)


def matmul_integer(builder: Builder, node: Node) -> None:
    """A product of integers, each minus its zero point, which A has per row and B per column."""
    first = _shifted(builder, node.inputs[0], node.input(2), -2)
    second = _shifted(builder, node.inputs[1], node.input(3), -1)
    real = write_matmul(builder, first, second)
    builder.ops("RoundToInteger", real, outputs=[node.outputs[0]], domain=OWN_DOMAIN)


def qlinear_matmul(builder: Builder, node: Node) -> None:
    """a, scale, zero, b, scale, zero, y scale, y zero."""
    a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero = node.inputs[:8]
    first = dequantized(builder, a, a_scale, a_zero, axis=-2)
    second = dequantized(builder, b, b_scale, b_zero, axis=-1)
    quantized(builder, write_matmul(builder, first, second), y_scale, y_zero, node.outputs[0])


def qgemm(builder: Builder, node: Node) -> None:
    """a, scale, zero, b, scale, zero, C in units of alpha and both scales, and optionally y scale, zero."""
    a, a_scale, a_zero, b, b_scale, b_zero = node.inputs[:6]
    transposed = bool(node.get("transB"))
    first = dequantized(builder, a, a_scale, a_zero, axis=1)
    second = dequantized(builder, b, b_scale, b_zero, axis=0 if transposed else 1)
    if node.get("transA"):
        first = builder.op("Transpose", first, perm=(1, 0))
    if transposed:
        second = builder.op("Transpose", second, perm=(1, 0))
    alpha = node.get("alpha", 1.0)
    offset = ""
    if node.input(6):
        scale = builder.op("Mul", a_scale, b_scale)
        scale = scale if alpha == 1 else builder.op("Mul", scale, builder.constant(alpha, np.float32))
        offset = builder.op("Mul", builder.op("Cast", node.input(6), to=1), scale)
    real = f"{node.outputs[0]}::real" if node.input(7) else node.outputs[0]
    product(builder, first, second, real, scale=alpha, offset=offset)
    if node.input(7):
        quantized(builder, real, node.input(7), node.input(8), node.outputs[0])


def dynamic_quantize_matmul(builder: Builder, node: Node) -> None:
    """A is quantized by its own range, B was: A, B, b scale, b zero, bias."""
    names = [f"{node.outputs[0]}::{part}" for part in ("codes", "scale", "zero")]
    builder.ops("DynamicQuantizeLinear", node.inputs[0], outputs=names)
    first = dequantized(builder, *names)
    second = dequantized(builder, node.inputs[1], node.inputs[2], node.input(3), axis=-1)
    product(builder, first, second, node.outputs[0], offset=node.input(4))


def matmul_integer_to_float(builder: Builder, node: Node) -> None:
    """A, B, a scale, b scale, a zero, b zero, bias."""
    first = dequantized(builder, node.inputs[0], node.inputs[2], node.input(4), axis=-2)
    second = dequantized(builder, node.inputs[1], node.inputs[3], node.input(5), axis=-1)
    product(builder, first, second, node.outputs[0], offset=node.input(6))


def matmul_nbits(builder: Builder, node: Node) -> None:
    """A by weights of 2 to 8 bits in blocks along K: A, B, scales, zeros, group index, bias."""
    if node.input(4):
        raise UnsupportedError("a group index for each row of weights")
    given = [name for name in node.inputs[1:4] if name]
    weights = builder.op(
        "DequantizeBlocks",
        *given,
        domain=OWN_DOMAIN,
        bits=node.get("bits", 4),
        block_size=node.get("block_size"),
        K=node.get("K"),
        N=node.get("N"),
    )
    product(builder, node.inputs[0], weights, node.outputs[0], offset=node.input(5))


def qlinear_elementwise(operator: str, operands: int = 1) -> Any:
    """A rule for an elementwise operator on quantized values: value, scale and zero point of each operand."""

    def rule(builder: Builder, node: Node) -> None:
        reals = [
            dequantized(builder, *(node.input(3 * index + part) for part in range(3)))
            for index in range(operands)
        ]
        attributes = {
            name: value for name, value in node.attributes.items() if name not in ("opset", "channels_last")
        }
        if node.get("channels_last"):
            raise UnsupportedError("channels last")
        real = builder.op(operator, *reals, **attributes)
        quantized(builder, real, node.input(3 * operands), node.input(3 * operands + 1), node.outputs[0])

    return rule


def qlinear_concat(builder: Builder, node: Node) -> None:
    """Y scale, y zero, then value, scale and zero point of each operand."""
    reals = [dequantized(builder, *node.inputs[start : start + 3]) for start in range(2, len(node.inputs), 3)]
    real = builder.op("Concat", *reals, axis=node.get("axis"))
    quantized(builder, real, node.inputs[0], node.inputs[1], node.outputs[0])


def _like(node: Node, operands: list[str], result: str) -> Node:
    """A convolution with the attributes of another and these operands."""
    from dataclasses import replace

    return replace(node, operator="Conv", domain="", inputs=tuple(operands), outputs=(result,))
