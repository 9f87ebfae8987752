"""Attention in the forms of ONNX and of ONNX Runtime: two products a head, softmax between them."""

from __future__ import annotations

from typing import Any

import numpy as np

from simulator.workload.onnx.bodies import instantiate
from simulator.workload.onnx.builder import Builder, UnsupportedError
from simulator.workload.onnx.evaluate import proto_of
from simulator.workload.onnx.file import read_function
from simulator.workload.onnx.graph import Node
from simulator.workload.onnx.matrix_rules import product, write_matmul

_MASKED = -10000.0
"""What ONNX Runtime adds to scores of masked positions unless told otherwise."""


def as_onnx_defines(builder: Builder, node: Node) -> None:
    """Operators that ONNX itself defines by simpler ones, such as Attention of operator set 23."""
    from onnx import TypeProto, defs

    schema: Any = defs.get_schema(node.operator, node.version, node.domain)
    types = []
    for name in node.inputs:
        proto = builder.type_of(name) if name else TypeProto()
        types.append(proto.SerializeToString())
    message = proto_of(node).SerializeToString()
    if schema.has_context_dependent_function:
        body = schema.get_context_dependent_function(message, types)
    elif schema.has_function:
        body = schema.function_body.SerializeToString()
    else:
        raise UnsupportedError("ONNX does not define it by simpler operators")
    builder.add_all(instantiate(read_function(body, builder.path, node.version), node))


def attend(
    builder: Builder,
    query: str,
    key: str,
    value: str,
    *,
    scale: float,
    mask: str = "",
    is_causal: bool = False,
    window: int = -1,
    softcap: float = 0.0,
) -> str:
    """Write softmax(scale x Q K^T + mask) V for heads [B, N, S, D], [B, N or fewer, T, D], [.., T, Dv].

    With fewer key heads than query heads, neighbouring query heads share one (grouped queries).
    """
    batch, heads, rows, size = builder.shape(query)
    key_heads, columns = builder.shape(key)[1:3]
    shared = heads // key_heads
    if shared > 1:
        query = builder.op("Reshape", query, builder.integers(batch, key_heads, shared * rows, size))
    turned = builder.op("Transpose", key, perm=(0, 1, 3, 2))
    scores = write_matmul(builder, query, turned, label=f"{builder.label}/scores")
    if shared > 1:
        scores = builder.op("Reshape", scores, builder.integers(batch, heads, rows, columns))
    scores = builder.op("Mul", scores, builder.constant(scale, np.float32))
    if softcap:
        cap = builder.constant(softcap, np.float32)
        scores = builder.op("Mul", builder.op("Tanh", builder.op("Div", scores, cap)), cap)
    if is_causal:
        places = np.arange(columns)[None] - np.arange(rows)[:, None] - (columns - rows)
        hidden = places > 0
        if window > 0:
            hidden |= places <= -window
        blocked = np.where(hidden, np.float32(np.finfo(np.float32).min), np.float32(0))
        scores = builder.op("Add", scores, builder.constant(blocked))
    if mask:
        scores = builder.op("Add", scores, mask)
    shares = builder.op("Softmax", scores, axis=-1)
    if shared > 1:
        shares = builder.op("Reshape", shares, builder.integers(batch, key_heads, shared * rows, columns))
    context = write_matmul(builder, shares, value, label=f"{builder.label}/context")
    if shared > 1:
        width = builder.shape(context)[-1]
        context = builder.op("Reshape", context, builder.integers(batch, heads, rows, width))
    return context


def split_heads(builder: Builder, name: str, heads: int) -> str:
    """[B, S, heads x D] as [B, heads, S, D]; four dimensions are heads already."""
    shape = builder.shape(name)
    if len(shape) == 4:
        return name
    split = builder.op("Reshape", name, builder.integers(*shape[:2], heads, shape[2] // heads))
    return builder.op("Transpose", split, perm=(0, 2, 1, 3))


def join_heads(builder: Builder, name: str, result: str) -> None:
    """[B, heads, S, D] as [B, S, heads x D]."""
    batch, heads, rows, size = builder.shape(name)
    turned = builder.op("Transpose", name, perm=(0, 2, 1, 3))
    builder.ops("Reshape", turned, builder.integers(batch, rows, heads * size), outputs=[result])


def _padding_mask(builder: Builder, name: str, columns: int, value: float) -> str:
    """What is added to scores: [B] lengths, or [B, T] or [B, S, T] of ones where a position counts."""
    shape = builder.shape(name)
    if len(shape) == 1:
        lengths = builder.op("Cast", builder.op("Unsqueeze", name, builder.integers(1)), to=7)
        counts = builder.op("Less", builder.constant(np.arange(columns)[None], np.int64), lengths)
    else:
        counts = builder.op("Cast", name, to=9)
    rank = len(builder.shape(counts))
    axes = builder.integers(1, 2) if rank == 2 else builder.integers(1)
    if rank not in (2, 3):
        raise UnsupportedError(f"a mask of {rank} dimensions")
    counts = builder.op("Unsqueeze", counts, axes)
    return builder.op("Where", counts, builder.constant(0, np.float32), builder.constant(value, np.float32))


def _masks(builder: Builder, parts: list[str]) -> str:
    given = [part for part in parts if part]
    if not given:
        return ""
    return given[0] if len(given) == 1 else builder.op("Add", *given)


def _with_past(builder: Builder, past: str, name: str, result: str) -> str:
    """Earlier keys or values in front of these; `result` names the present ones where somebody asks."""
    if past:
        return builder.op("Concat", past, name, outputs=[result] if result else 1, axis=2)
    return builder.op("Identity", name, outputs=[result]) if result else name


def packed_attention(builder: Builder, node: Node) -> None:
    """ONNX Runtime's Attention: one product for Q, K and V of [B, S, I], then heads.

    Inputs: x, weights [I, Q + K + V], bias, mask, past [2, B, N, P, D], attention bias.
    """
    heads = node.get("num_heads")
    x = node.inputs[0]
    width = builder.shape(node.inputs[1])[1]
    sizes = node.get("qkv_hidden_sizes") or (width // 3,) * 3
    names = [f"{node.outputs[0]}::{part}" for part in "qkv"]
    packed = f"{node.outputs[0]}::packed"
    product(builder, x, node.inputs[1], packed, offset=node.input(2), label=f"{builder.label}/qkv")
    builder.ops("Split", packed, builder.integers(*sizes), outputs=names, axis=2)
    query, key, value = (split_heads(builder, name, heads) for name in names)
    if node.input(4):
        earlier = [f"{node.outputs[0]}::past_{part}" for part in "kv"]
        builder.ops("Split", node.input(4), builder.integers(1, 1), outputs=earlier, axis=0)
        before = [builder.op("Squeeze", name, builder.integers(0)) for name in earlier]
        key, value = (_with_past(builder, *pair, "") for pair in zip(before, (key, value), strict=True))
    if node.output(1):
        both = [builder.op("Unsqueeze", name, builder.integers(0)) for name in (key, value)]
        builder.ops("Concat", *both, outputs=[node.output(1)], axis=0)
    if node.get("do_rotary", 0):
        raise UnsupportedError("rotary positions inside Attention")
    _attend_masked(builder, node, query, key, value, padding=node.input(3))


def _attend_masked(builder: Builder, node: Node, query: str, key: str, value: str, *, padding: str) -> None:
    """Attention as ONNX Runtime's nodes mask it, heads joined into the node's first output.

    padding: the node's input with the padding mask, which each kind of node has in another place; the bias
    that is added to scores is input 5 of all.
    """
    columns = builder.shape(key)[2]
    filtered = node.get("mask_filter_value", _MASKED)
    mask = _padding_mask(builder, padding, columns, filtered) if padding else ""
    context = attend(
        builder,
        query,
        key,
        value,
        scale=_scale(builder, node, query),
        mask=_masks(builder, [mask, node.input(5)]),
        is_causal=bool(node.get("unidirectional", 0)),
    )
    join_heads(builder, context, node.outputs[0])


def _scale(builder: Builder, node: Node, query: str) -> float:
    given = node.get("scale", 0.0)
    return float(given) if given else float(1 / np.sqrt(builder.shape(query)[-1]))


def multi_head_attention(builder: Builder, node: Node) -> None:
    """ONNX Runtime's MultiHeadAttention.

    Inputs: query, key, value, bias of all three, padding mask, attention bias, past key, past value.
    """
    heads = node.get("num_heads")
    operands = [node.input(position) for position in range(3)]
    if not operands[1] or len(builder.shape(operands[0])) == 5:
        raise UnsupportedError("packed queries, keys and values")
    if node.input(3):
        widths = [_width(builder, name) for name in operands]
        names = [f"{node.outputs[0]}::bias_{part}" for part in "qkv"]
        builder.ops("Split", node.input(3), builder.integers(*widths), outputs=names, axis=0)
        operands = [
            builder.op("Add", name, bias) if len(builder.shape(name)) == 3 else name
            for name, bias in zip(operands, names, strict=True)
        ]
    query, key, value = (split_heads(builder, name, heads) for name in operands)
    key = _with_past(builder, node.input(6), key, node.output(1))
    value = _with_past(builder, node.input(7), value, node.output(2))
    _attend_masked(builder, node, query, key, value, padding=node.input(4))


def _width(builder: Builder, name: str) -> int:
    shape = builder.shape(name)
    return shape[2] if len(shape) == 3 else shape[1] * shape[3]


def group_query_attention(builder: Builder, node: Node) -> None:
    """ONNX Runtime's GroupQueryAttention, causal, with rotary positions where it says so.

    Inputs: query, key, value, past key, past value, lengths, total length, cosines, sines.
    """
    heads, key_heads = node.get("num_heads"), node.get("kv_num_heads")
    operands = [node.input(position) for position in range(3)]
    if not operands[1]:
        width = builder.shape(operands[0])[2] // (heads + 2 * key_heads)
        operands = [f"{node.outputs[0]}::{part}" for part in "qkv"]
        sizes = builder.integers(heads * width, key_heads * width, key_heads * width)
        builder.ops("Split", node.inputs[0], sizes, outputs=operands, axis=2)
    query = split_heads(builder, operands[0], heads)
    key, value = (split_heads(builder, name, key_heads) for name in operands[1:])
    batch, _, rows, _ = builder.shape(query)
    past = builder.shape(node.input(3))[2] if node.input(3) else 0
    if node.get("do_rotary", 0):
        places = builder.constant(np.tile(np.arange(past, past + rows), (batch, 1)), np.int64)
        query, key = (
            builder.op(
                "RotaryEmbedding", name, node.input(7), node.input(8), places, version=23,
                interleaved=node.get("rotary_interleaved", 0),
            )
            for name in (query, key)
        )  # fmt: skip
    builder.notes.append(f"{node.describe()}: all sequences are taken to have their full length")
    key = _with_past(builder, node.input(3) if past else "", key, node.output(1))
    value = _with_past(builder, node.input(4) if past else "", value, node.output(2))
    context = attend(
        builder,
        query,
        key,
        value,
        scale=_scale(builder, node, query),
        is_causal=True,
        window=node.get("local_window_size", -1),
        softcap=node.get("softcap", 0.0),
    )
    join_heads(builder, context, node.outputs[0])
