"""Operators that ONNX Runtime writes when it optimizes a graph, as the operators that they were made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from simulator.workload.onnx.builder import Builder, UnsupportedError
from simulator.workload.onnx.convolution_rules import conv
from simulator.workload.onnx.graph import Node
from simulator.workload.onnx.matrix_rules import gemm, product

_ACTIVATION_PARAMETERS = {
    "LeakyRelu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
    "Elu": ("alpha",),
    "Relu": (),
    "Sigmoid": (),
    "Tanh": (),
}


def fused_conv(builder: Builder, node: Node) -> None:
    """A convolution, optionally plus a tensor, then an activation."""
    inputs = node.inputs[:3]
    if not node.input(2):
        inputs = inputs[:2]
    sums = f"{node.outputs[0]}::conv"
    conv(builder, replace(node, operator="Conv", domain="", inputs=inputs, outputs=(sums,)))
    if node.input(3):
        sums = builder.op("Add", sums, node.input(3))
    _activate(builder, sums, node.get("activation", ""), node.get("activation_params", ()), node.outputs[0])


def fused_gemm(builder: Builder, node: Node) -> None:
    """Gemm, then an activation."""
    sums = f"{node.outputs[0]}::gemm"
    gemm(builder, replace(node, operator="Gemm", domain="", outputs=(sums,)))
    parameters = [
        node.attributes[name]
        for name in ("activation_alpha", "activation_beta", "activation_gamma")
        if name in node.attributes
    ]
    _activate(builder, sums, node.get("activation", ""), parameters, node.outputs[0])


def _activate(builder: Builder, name: str, kind: str, parameters: Any, result: str) -> None:
    if not kind:
        builder.ops("Identity", name, outputs=[result])
    elif kind == "Clip":
        low, high = (builder.constant(value, np.float32) for value in parameters)
        builder.ops("Clip", name, low, high, outputs=[result])
    elif kind == "HardSwish":
        builder.ops("HardSwish", name, outputs=[result])
    elif kind in _ACTIVATION_PARAMETERS:
        attributes = dict(zip(_ACTIVATION_PARAMETERS[kind], parameters, strict=False))
        builder.ops(kind, name, outputs=[result], **attributes)
    else:
        raise UnsupportedError(f"activation {kind!r}")


def fused_matmul(builder: Builder, node: Node) -> None:
    """Alpha x A B; in each operand batches may stand behind the first dimension, the last two be swapped."""
    operands = []
    for name, side in zip(node.inputs[:2], "AB", strict=True):
        rank = len(builder.shape(name))
        order = list(range(rank))
        if node.get(f"transBatch{side}") and rank > 2:
            order = [*order[1:-1], 0, rank - 1]
        if node.get(f"trans{side}") and rank > 1:
            order = [*order[:-2], order[-1], order[-2]]
        is_turned = order != sorted(order)
        operands.append(builder.op("Transpose", name, perm=tuple(order)) if is_turned else name)
    first, second = operands
    product(builder, first, second, node.outputs[0], scale=node.get("alpha", 1.0))


def gelu(builder: Builder, node: Node) -> None:
    """x, and a bias where there is one."""
    x = builder.op("Add", *node.inputs[:2]) if node.input(1) else node.inputs[0]
    approximate = "tanh" if node.operator == "FastGelu" else "none"
    builder.ops("Gelu", x, outputs=[node.outputs[0]], approximate=approximate)


def quick_gelu(builder: Builder, node: Node) -> None:
    """X sigmoid(alpha x)."""
    x = node.inputs[0]
    scaled = builder.op("Mul", x, builder.constant(node.get("alpha", 1.702), np.float32))
    builder.ops("Mul", x, builder.op("Sigmoid", scaled), outputs=[node.outputs[0]])


def skip_layer_normalization(builder: Builder, node: Node) -> None:
    """Normalization of input + skip + bias: input, skip, gamma, beta, bias."""
    is_simplified = node.operator == "SkipSimplifiedLayerNormalization"
    bias = node.input(3) if is_simplified else node.input(4)
    total = [node.output(3)] if node.output(3) else 1
    if bias:
        sums = builder.op("Add", builder.op("Add", *node.inputs[:2]), bias, outputs=total)
    else:
        sums = builder.op("Add", *node.inputs[:2], outputs=total)
    beta = "" if is_simplified else node.input(3)
    _normalize(builder, node, sums, node.inputs[2], beta, is_simplified=is_simplified)


def simplified_layer_normalization(builder: Builder, node: Node) -> None:
    """X / sqrt(mean of squares) x gamma."""
    _normalize(builder, node, node.inputs[0], node.inputs[1], "", is_simplified=True)


def _normalize(
    builder: Builder, node: Node, name: str, gamma: str, beta: str, *, is_simplified: bool
) -> None:
    epsilon = node.get("epsilon", 1e-5)
    if is_simplified:
        builder.ops(
            "RMSNormalization", name, gamma, outputs=[node.outputs[0]], version=23, axis=-1, epsilon=epsilon
        )
        return
    operands = (name, gamma, beta) if beta else (name, gamma)
    builder.ops("LayerNormalization", *operands, outputs=[node.outputs[0]], axis=-1, epsilon=epsilon)


def embed_layer_normalization(builder: Builder, node: Node) -> None:
    """Sums of embeddings, normalized: ids, segments, three tables, gamma, beta, mask, positions."""
    words = builder.op("Gather", node.inputs[2], node.inputs[0], axis=0)
    rows = builder.shape(node.inputs[0])[1]
    places = node.input(8) or builder.constant(np.arange(rows)[None], np.int64)
    sums = builder.op("Add", words, builder.op("Gather", node.inputs[3], places, axis=0))
    total = [node.output(2)] if node.output(2) else 1
    if node.input(1):
        segments = builder.op("Gather", node.inputs[4], node.inputs[1], axis=0)
        sums = builder.op("Add", sums, segments, outputs=total)
    _normalize(builder, node, sums, node.inputs[5], node.inputs[6], is_simplified=False)
    if node.output(1):
        if node.input(7):
            mask = builder.op("Cast", node.inputs[7], to=6)
            builder.ops("ReduceSum", mask, builder.integers(1), outputs=[node.output(1)], keepdims=0)
        else:
            batch = builder.shape(node.inputs[0])[0]
            builder.ops("Identity", builder.constant(np.zeros(batch, np.int32)), outputs=[node.output(1)])


def rotary_embedding(builder: Builder, node: Node) -> None:
    """ONNX Runtime's form: input, positions, cosines, sines."""
    x, places = node.inputs[0], node.inputs[1]
    shape = builder.shape(x)
    heads = node.get("num_heads", 0)
    if len(shape) == 3 and not heads:
        heads = shape[2] // (2 * builder.shape(node.inputs[2])[1])
    rows = shape[1] if len(shape) == 3 else shape[2]
    if builder.shape(places) in ((), (1,)):
        start = builder.op("Reshape", places, builder.integers(1, 1))
        counted = builder.op("Add", start, builder.constant(np.arange(rows)[None], np.int64))
        places = builder.op("Expand", counted, builder.integers(shape[0], rows))
    builder.ops(
        "RotaryEmbedding",
        x,
        node.inputs[2],
        node.inputs[3],
        places,
        outputs=[node.outputs[0]],
        version=23,
        interleaved=node.get("interleaved", 0),
        num_heads=heads or None,
        rotary_embedding_dim=node.get("rotary_embedding_dim", 0),
    )
