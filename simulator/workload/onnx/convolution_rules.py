"""Convolutions of any rank, and transposed ones, as convolutions over two dimensions and products."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

from simulator.foundation import UserError
from simulator.workload.onnx.builder import Builder, UnsupportedError
from simulator.workload.onnx.graph import OWN_DOMAIN, Node, Shape
from simulator.workload.onnx.matrix_rules import write_matmul


def conv(builder: Builder, node: Node) -> None:
    """A convolution over two dimensions with its padding in numbers."""
    if len(node.inputs) < 2:
        raise UserError(f"{node.describe()} needs two operands", source=builder.path, value=len(node.inputs))
    ifmap, weights = builder.shape(node.inputs[0]), builder.shape(node.inputs[1])
    rank = len(ifmap) - 2
    if rank < 1 or len(weights) != len(ifmap):
        raise UnsupportedError(f"{rank}-D with weights of rank {len(weights)}")
    stride = node.get("strides", (1,) * rank)
    dilation = node.get("dilations", (1,) * rank)
    groups = node.get("group", 1)
    kernel = weights[2:]
    if ifmap[1] != weights[1] * groups or tuple(node.get("kernel_shape", kernel)) != kernel:
        raise UserError(
            f"{node.describe()}: weights {weights} in {groups} groups do not fit input {ifmap}",
            source=builder.path,
        )
    if len(stride) != rank or len(dilation) != rank:
        raise UserError(
            f"{node.describe()}: strides and dilations need {rank} numbers each", source=builder.path
        )
    begin, end = _padding(node.attributes, ifmap[2:], kernel, stride, dilation)
    attributes = {
        "strides": tuple(stride),
        "dilations": tuple(dilation),
        "pads": (*begin, *end),
        "group": groups,
    }
    _convolve(builder, node, node.inputs[0], node.inputs[1], attributes, node.outputs[0])


def _convolve(
    builder: Builder, node: Node, ifmap: str, weights: str, attributes: Mapping[str, Any], result: str
) -> None:
    """Write a convolution over any number of dimensions; all but the last two are copied into channels."""
    rank = len(builder.shape(ifmap)) - 2
    bias = (node.input(2),) if node.input(2) else ()
    if bias and not builder.is_constant(node.input(2)):
        # A computed bias is an addition of its own.
        inner = f"{result}::sums"
        _convolve(builder, replace(node, inputs=node.inputs[:2]), ifmap, weights, attributes, inner)
        spread = builder.op("Reshape", node.inputs[2], builder.integers(-1, *[1] * rank))
        builder.ops("Add", inner, spread, outputs=[result])
        return
    if rank == 2:
        kernel = builder.shape(weights)[2:]
        builder.ops("Conv", ifmap, weights, *bias, outputs=[result], kernel_shape=kernel, **attributes)
        return
    if rank == 1:
        axes = builder.integers(2)
        pads = attributes["pads"]
        as_row = {
            "strides": (1, *attributes["strides"]),
            "dilations": (1, *attributes["dilations"]),
            "pads": (0, pads[0], 0, pads[1]),
            "group": attributes["group"],
        }
        row, kernel_row = builder.op("Unsqueeze", ifmap, axes), builder.op("Unsqueeze", weights, axes)
        kernel = builder.shape(kernel_row)[2:]
        inner = builder.op("Conv", row, kernel_row, *bias, kernel_shape=kernel, **as_row)
        builder.ops("Squeeze", inner, axes, outputs=[result])
        return
    _convolve_slices(builder, node, ifmap, weights, attributes, result)


def _convolve_slices(
    builder: Builder, node: Node, ifmap: str, weights: str, attributes: Mapping[str, Any], result: str
) -> None:
    """The outermost dimension: every window along it becomes an image with more channels."""
    batch, channels, _, *inner = builder.shape(ifmap)
    filters, channels_per_group, depth, *kernel = builder.shape(weights)
    rank = len(inner) + 1
    pads = attributes["pads"]
    builder.notes.append(
        f"{node.describe()}: windows along the first of {rank} dimensions are copied into channels, so its"
        f" ifmap counts up to {depth} times"
    )
    windows = builder.op(
        "Windows",
        ifmap,
        domain=OWN_DOMAIN,
        axis=2,
        window=depth,
        stride=attributes["strides"][0],
        dilation=attributes["dilations"][0],
        before=pads[0],
        after=pads[rank],
    )
    positions = builder.shape(windows)[2]
    order = (0, 2, 1, 3, *range(4, 4 + len(inner)))
    slices = builder.op("Transpose", windows, perm=order)
    images = builder.op("Reshape", slices, builder.integers(batch * positions, channels * depth, *inner))
    merged = builder.op("Reshape", weights, builder.integers(filters, channels_per_group * depth, *kernel))
    rest = {
        "strides": attributes["strides"][1:],
        "dilations": attributes["dilations"][1:],
        "pads": (*pads[1:rank], *pads[rank + 1 :]),
        "group": attributes["group"],
    }
    convolved = f"{result}::slices"
    _convolve(builder, node, images, merged, rest, convolved)
    sizes = builder.shape(convolved)[2:]
    split = builder.op("Reshape", convolved, builder.integers(batch, positions, filters, *sizes))
    back = (0, 2, 1, *range(3, 3 + len(sizes)))
    builder.ops("Transpose", split, outputs=[result], perm=back)


def _padding(
    attributes: Mapping[str, Any], sizes: Shape, kernel: Shape, stride: Shape, dilation: Shape
) -> tuple[list[int], list[int]]:
    """Padding before and after each dimension. Raises UserError for an unknown `auto_pad`."""
    mode = attributes.get("auto_pad", "NOTSET")
    if mode == "VALID":
        return [0] * len(sizes), [0] * len(sizes)
    if mode == "NOTSET":
        pads = list(attributes.get("pads", (0,) * (2 * len(sizes))))
        if len(pads) != 2 * len(sizes):
            raise UserError("pads needs a begin and an end for each dimension", value=pads)
        return pads[: len(sizes)], pads[len(sizes) :]
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        raise UserError(
            "unknown auto_pad", value=mode, candidates=("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
        )
    begin, end = [], []
    for size, window, step, spread in zip(sizes, kernel, stride, dilation, strict=True):
        outputs = -(-size // step)
        total = max(0, (outputs - 1) * step + spread * (window - 1) + 1 - size)
        smaller, larger = total // 2, total - total // 2
        begin.append(smaller if mode == "SAME_UPPER" else larger)
        end.append(larger if mode == "SAME_UPPER" else smaller)
    return begin, end


def conv_transpose(builder: Builder, node: Node) -> None:
    """A product of every input pixel with every filter, and the sum of overlapping blocks.

    This is how it is executed, and it multiplies no zeros: MACs = input pixels x filter elements.
    """
    batch, channels, *sizes = builder.shape(node.inputs[0])
    _, filters_per_group, *kernel = builder.shape(node.inputs[1])
    rank, groups = len(sizes), node.get("group", 1)
    strides = node.get("strides", (1,) * rank)
    dilations = node.get("dilations", (1,) * rank)
    extra = node.get("output_padding", (0,) * rank)
    full = [
        (size - 1) * stride + dilation * (window - 1) + 1 + more
        for size, stride, dilation, window, more in zip(sizes, strides, dilations, kernel, extra, strict=True)
    ]
    begin, image = _output(node, sizes, strides, full)
    pixels, block = prod(sizes), prod(kernel)
    split = builder.integers(batch, groups, channels // groups, pixels)
    columns = builder.op("Reshape", node.inputs[0], split)
    shaped = builder.op(
        "Reshape", node.inputs[1], builder.integers(groups, channels // groups, filters_per_group * block)
    )
    filters = builder.op("Transpose", shaped, perm=(0, 2, 1))
    if groups == 1:
        filters = builder.op("Reshape", filters, builder.integers(filters_per_group * block, channels))
    products = write_matmul(builder, filters, columns)
    merged = builder.op(
        "Reshape", products, builder.integers(batch, groups * filters_per_group * block, pixels)
    )
    has_bias = bool(node.input(2))
    name = f"{node.outputs[0]}::sums" if has_bias else node.outputs[0]
    builder.ops(
        "Col2Im",
        merged,
        outputs=[name],
        domain=OWN_DOMAIN,
        image=tuple(image),
        positions=tuple(sizes),
        block=tuple(kernel),
        strides=tuple(strides),
        dilations=tuple(dilations),
        pads=tuple(begin),
    )
    if has_bias:
        per_channel = builder.op("Reshape", node.inputs[2], builder.integers(-1, *[1] * rank))
        builder.ops("Add", name, per_channel, outputs=[node.outputs[0]])


def deform_conv(builder: Builder, node: Node) -> None:
    """Samples at shifted places, times the filters of each group: x, weights, offsets, bias, mask."""
    x, weights, offsets = node.inputs[:3]
    batch = builder.shape(x)[0]
    filters, channels_per_group, *kernel = builder.shape(weights)
    if len(kernel) != 2:
        raise UnsupportedError(f"{len(kernel)}-D")
    groups = node.get("group", 1)
    places = builder.shape(offsets)[2:]
    mask = (node.input(4),) if node.input(4) else ()
    columns = builder.op(
        "DeformedWindows",
        x,
        offsets,
        *mask,
        domain=OWN_DOMAIN,
        kernel_shape=tuple(kernel),
        strides=node.get("strides", (1, 1)),
        dilations=node.get("dilations", (1, 1)),
        pads=node.get("pads", (0, 0, 0, 0)),
        offset_group=node.get("offset_group", 1),
        places=places,
    )
    k, pixels = channels_per_group * prod(kernel), prod(places)
    by_group = builder.op("Reshape", columns, builder.integers(batch, groups, k, pixels))
    shaped = builder.op("Reshape", weights, builder.integers(groups, filters // groups, k))
    if groups == 1:
        shaped = builder.op("Reshape", shaped, builder.integers(filters, k))
    sums = write_matmul(builder, shaped, by_group)
    whole = builder.integers(batch, filters, *places)
    if not node.input(3):
        builder.ops("Reshape", sums, whole, outputs=[node.outputs[0]])
        return
    image = builder.op("Reshape", sums, whole)
    per_filter = builder.op("Reshape", node.inputs[3], builder.integers(-1, 1, 1))
    builder.ops("Add", image, per_filter, outputs=[node.outputs[0]])


def _output(node: Node, sizes: list[int], strides: Shape, full: list[int]) -> tuple[list[int], list[int]]:
    """What is cut off in front of each dimension of the full result, and what is left.

    A result that is larger than the products reach has zeros behind, as in ONNX Runtime and TensorFlow; the
    standard's formula would shift it by half of them, where it has no remainder.
    """
    mode = node.get("auto_pad", "NOTSET")
    wanted = node.get("output_shape")
    rank = len(sizes)
    if wanted is None and mode in ("SAME_UPPER", "SAME_LOWER"):
        wanted = [size * stride for size, stride in zip(sizes, strides, strict=True)]
    if wanted is not None:
        image = [int(size) for size in wanted][-rank:]
        cut = [whole - size for whole, size in zip(full, image, strict=True)]
        if any(-total >= stride for total, stride in zip(cut, strides, strict=True)):
            raise UserError("output_shape is a stride or more beyond what the products reach", value=image)
        halves = [max(0, total) // 2 for total in cut]
        if mode == "SAME_UPPER":
            return halves, image
        return [max(0, total) - half for total, half in zip(cut, halves, strict=True)], image
    pads = node.get("pads", (0,) * (2 * rank)) if mode == "NOTSET" else (0,) * (2 * rank)
    image = [
        whole - before - after for whole, before, after in zip(full, pads[:rank], pads[rank:], strict=True)
    ]
    return list(pads[:rank]), image
