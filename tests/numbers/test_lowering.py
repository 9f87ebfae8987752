"""Lowering: the products of an im2col'ed convolution are the convolution."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.workload import Convolution, convolution_layer, lowering
from simulator.workload.lowering import im2col, lower_filters, raise_ofmap, unfold


@st.composite
def convolutions(draw: st.DrawFn) -> Convolution:
    """Small geometries with every combination of stride, padding, dilation and groups."""
    groups = draw(st.integers(1, 3))
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernel, dilation = draw(pair), draw(pair)
    padding = draw(st.tuples(*[st.integers(0, 2)] * 4))
    height = draw(st.integers(1, 7)) + max(0, dilation[0] * (kernel[0] - 1) - padding[0] - padding[2])
    width = draw(st.integers(1, 7)) + max(0, dilation[1] * (kernel[1] - 1) - padding[1] - padding[3])
    return Convolution(
        batch=draw(st.integers(1, 2)),
        channels=groups * draw(st.integers(1, 3)),
        filters=groups * draw(st.integers(1, 3)),
        ifmap=(height, width),
        kernel=kernel,
        stride=draw(pair),
        padding=padding,
        dilation=dilation,
        groups=groups,
    )


def operands(convolution: Convolution, seed: int = 1) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    c = convolution
    ifmap = random.integers(-128, 128, (c.batch, c.channels, *c.ifmap))
    filters = random.integers(-128, 128, (c.filters, c.channels // c.groups, *c.kernel))
    return ifmap, filters


def direct(ifmap: NDArray[np.int64], filters: NDArray[np.int64], c: Convolution) -> NDArray[np.int64]:
    """A convolution by its definition, one multiply-accumulate at a time, in Python integers."""
    top, left, bottom, right = c.padding
    rows = (c.ifmap[0] + top + bottom - c.dilation[0] * (c.kernel[0] - 1) - 1) // c.stride[0] + 1
    columns = (c.ifmap[1] + left + right - c.dilation[1] * (c.kernel[1] - 1) - 1) // c.stride[1] + 1
    ofmap = np.zeros((c.batch, c.filters, rows, columns), dtype=np.int64)
    channels_a_group, filters_a_group = c.channels // c.groups, c.filters // c.groups
    for image, filter_, row, column in np.ndindex(*ofmap.shape):
        group = filter_ // filters_a_group
        total = 0
        for channel, down, across in np.ndindex(channels_a_group, *c.kernel):
            y = row * c.stride[0] + down * c.dilation[0] - top
            x = column * c.stride[1] + across * c.dilation[1] - left
            if 0 <= y < c.ifmap[0] and 0 <= x < c.ifmap[1]:
                activation = int(ifmap[image, group * channels_a_group + channel, y, x])
                total += activation * int(filters[filter_, channel, down, across])
        ofmap[image, filter_, row, column] = total
    return ofmap


@settings(max_examples=60, deadline=None)
@given(convolutions())
def test_products_are_the_convolution(convolution: Convolution) -> None:
    ifmap, filters = operands(convolution)
    products = im2col(ifmap, convolution) @ lower_filters(filters, convolution)
    assert np.array_equal(raise_ofmap(products, convolution), direct(ifmap, filters, convolution))


@settings(max_examples=60, deadline=None)
@given(convolutions())
def test_large_images_take_another_way_to_the_same_products(convolution: Convolution) -> None:
    ifmap, filters = operands(convolution)
    with mock.patch.object(lowering, "_GATHERED", 0):  # as if every image were large
        products = im2col(ifmap, convolution) @ lower_filters(filters, convolution)
    assert np.array_equal(raise_ofmap(products, convolution), direct(ifmap, filters, convolution))


@settings(max_examples=60, deadline=None)
@given(convolutions())
def test_shapes_are_those_of_the_layer(convolution: Convolution) -> None:
    layer = convolution_layer("x", convolution)
    ifmap, filters = operands(convolution)
    left, right = im2col(ifmap, convolution), lower_filters(filters, convolution)
    assert left.shape == (layer.groups, layer.m, layer.k)
    assert right.shape == (layer.groups, layer.k, layer.n_per_group)
    assert layer.macs == layer.m * layer.n * layer.k == left.size * layer.n_per_group
    ofmap = raise_ofmap(left @ right, convolution)
    assert (ifmap.size, filters.size, ofmap.size) == (
        layer.ifmap_elements,
        layer.filter_elements,
        layer.ofmap_elements,
    )
    assert ofmap.shape[2:] == convolution.ofmap


@settings(max_examples=40, deadline=None)
@given(convolutions())
def test_the_onnx_reference_evaluator_agrees(convolution: Convolution) -> None:
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    c = convolution
    node = helper.make_node(
        "Conv", ["x", "w"], ["y"], strides=c.stride, pads=c.padding, dilations=c.dilation, group=c.groups
    )
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 4) for name in "xwy"]
    model = helper.make_model(helper.make_graph([node], "conv", tensors[:2], tensors[2:]))
    ifmap, filters = (operand.astype(np.float32) for operand in operands(c))
    (expected,) = ReferenceEvaluator(model).run(None, {"x": ifmap, "w": filters})
    products = im2col(ifmap, c) @ lower_filters(filters, c)
    assert np.array_equal(raise_ofmap(products, c), expected)  # 8-bit operands: exact in float32


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.uint16, np.float16, np.float64])
def test_codes_are_moved_and_never_changed(dtype: Any) -> None:
    convolution = Convolution(1, 1, 1, ifmap=(2, 2), kernel=(2, 2), padding=(0, 1, 0, 0))
    ifmap = np.array([[[[1, 2], [3, 4]]]], dtype=dtype)
    lowered = im2col(ifmap, convolution, zero=9)
    assert lowered.dtype == dtype
    assert lowered.tolist() == [[[9, 1, 9, 3], [1, 2, 3, 4]]]


def test_the_reduction_runs_over_channel_then_row_then_column() -> None:
    convolution = Convolution(1, 2, 1, ifmap=(2, 2), kernel=(2, 2))
    ifmap = np.arange(8).reshape(1, 2, 2, 2)
    assert im2col(ifmap, convolution).tolist() == [[[0, 1, 2, 3, 4, 5, 6, 7]]]
    filters = np.arange(8).reshape(1, 2, 2, 2)
    assert lower_filters(filters, convolution)[0, :, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7]


def test_wrong_shapes_are_refused() -> None:
    convolution = Convolution(1, 2, 3, ifmap=(4, 4), kernel=(3, 3))
    with pytest.raises(ValueError, match=r"ifmap must have shape \(1, 2, 4, 4\), got \(1, 2, 4, 5\)"):
        im2col(np.zeros((1, 2, 4, 5)), convolution)
    with pytest.raises(ValueError, match="filters must have shape"):
        lower_filters(np.zeros((3, 1, 3, 3)), convolution)
    with pytest.raises(ValueError, match="products must have shape"):
        raise_ofmap(np.zeros((1, 5, 3)), convolution)


@given(
    size=st.integers(1, 20), kernel=st.integers(1, 20), dilation=st.integers(1, 4), padding=st.integers(0, 4),
    stride=st.integers(1, 5),
)  # fmt: skip
def test_the_ofmap_holds_every_whole_window_and_no_more(
    size: int, kernel: int, dilation: int, padding: int, stride: int
) -> None:
    extent, padded = dilation * (kernel - 1) + 1, size + 2 * padding
    starts = [start for start in range(0, padded, stride) if start + extent <= padded]

    def build() -> Convolution:
        return Convolution(
            1, 1, 1, (size, size), (kernel, kernel), (stride, stride), (padding,) * 4, (dilation, dilation)
        )

    if starts:
        assert build().ofmap == (len(starts), len(starts))
    else:
        with pytest.raises(UserError, match="kernel: is larger than the padded input"):
            build()


@given(convolutions())
@settings(max_examples=60, deadline=None)
def test_products_of_unfolded_images_are_the_convolution(convolution: Convolution) -> None:
    c = replace(convolution, channels=convolution.channels // convolution.groups, filters=2, groups=1)
    ifmap, filters = operands(c)
    expected = direct(ifmap, filters, c)
    for image, ofmap in zip(ifmap, expected, strict=True):
        found = filters.reshape(2, -1) @ unfold(image, c)
        assert np.array_equal(found.reshape(2, *c.ofmap), ofmap)


def test_unfolding_refuses_groups_and_other_shapes() -> None:
    grouped = Convolution(1, 4, 4, (5, 5), (3, 3), (1, 1), (0, 0, 0, 0), (1, 1), 2)
    with pytest.raises(ValueError, match="without groups"):
        unfold(np.zeros((4, 5, 5)), grouped)
    with pytest.raises(ValueError, match="image must have shape"):
        unfold(np.zeros((4, 5, 6)), replace(grouped, groups=1))
