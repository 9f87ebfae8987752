"""Layers of networks in block-scaled formats: blocks along input channels, against the slow reference."""

from __future__ import annotations

from fractions import Fraction
from itertools import product as pairs_of

import numpy as np
import pytest
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.inference import infer, load_data, load_model, plan_network
from simulator.inference.arithmetic import mac_product
from simulator.inference.block_layers import block_weights
from simulator.inference.layer_products import Product, Window
from simulator.inference.quantization import LayerPlan
from simulator.numerics import Mac, get_mac
from tests.preset_macs import WITH_BLOCKS
from tests.reference import block_scaled as reference


def planned(product: Product, mac: Mac) -> LayerPlan:
    assert mac.block_formats is not None
    if product.weights is None:
        return LayerPlan(mac)
    blocks = block_weights(product, mac.block_formats[1])
    return LayerPlan(mac, weight_codes=blocks.codes, bias=product.bias, block_weights=blocks)


def mx_blocks(element: reference.Element, values: NDArray[np.float32]) -> list[reference.Block]:
    """Blocks of 32 of a vector, converted by the reference."""
    found: list[reference.Block] = []
    for start in range(0, len(values), 32):
        scale, codes = reference.mx_block(element, [float(v) for v in values[start : start + 32]], "floor")
        found.append((reference.e8m0(scale), [element.value(code) for code in codes]))
    return found


def float_of(code: int) -> np.float32:
    return np.uint32(code).view(np.float32)


@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_has_blocks_along_channels_at_every_position(groups: int) -> None:
    rng = np.random.default_rng(1)
    channels, filters, kernel = 36, 4, (2, 3)
    x = rng.normal(size=(2, channels * groups, 4, 4)).astype(np.float32)
    w = rng.normal(size=(filters, channels, *kernel)).astype(np.float32)
    bias = rng.normal(size=filters).astype(np.float32)
    lowered = w.reshape(groups, filters // groups, -1).transpose(0, 2, 1)
    window = Window(filters, kernel, (1, 2), (1, 0, 0, 1), (1, 1), groups)
    layer = Product("c", "conv", "x", weights=np.ascontiguousarray(lowered), bias=bias, window=window)
    mac = get_mac("mxfp4")
    values = mac_product(layer, planned(layer, mac), x, None).values
    padded = np.pad(x, ((0, 0), (0, 0), (1, 0), (0, 1)))
    taps = list(pairs_of(range(2), range(3)))
    for image, f, row, column in pairs_of(range(2), range(filters), range(4), range(2)):
        group = f // (filters // groups)
        own = slice(group * channels, (group + 1) * channels)
        a, b = [], []
        for down, across in taps:
            a += mx_blocks(reference.E2M1, padded[image, own, row + down, 2 * column + across])
            b += mx_blocks(reference.E2M1, w[f, :, down, across])
        expected = float_of(reference.dot_fused(a, b)) + bias[f]
        assert values[image, f, row, column] == expected, (image, f, row, column)


def test_a_product_of_two_tensors_has_blocks_along_the_summed_axis() -> None:
    rng = np.random.default_rng(2)
    a = rng.normal(size=(2, 3, 4, 40)).astype(np.float32)
    b = rng.normal(size=(2, 3, 40, 5)).astype(np.float32)
    layer = Product("p", "matmul", "a", second="b", batched=True)
    values = mac_product(layer, planned(layer, get_mac("mxfp8_e4m3")), a, b).values
    for at in np.ndindex(2, 3, 4, 5):
        left = mx_blocks(reference.E4M3, a[at[0], at[1], at[2]])
        right = mx_blocks(reference.E4M3, b[at[0], at[1], :, at[3]])
        assert values[at] == float_of(reference.dot_fused(left, right)), at


@pytest.mark.parametrize("name", ["mxfp4", "mxfp8_e4m3", "nvfp4"])
def test_sums_past_float32_stay_infinite_with_their_sign(name: str) -> None:
    """3e38 times 128 in every channel, once with each sign: infinity, and a bias changes nothing."""
    x = np.full((1, 40), 3e38, np.float32)
    w = np.repeat(np.array([[128.0, -128.0]], np.float32), 40, axis=0)
    layer = Product("m", "fc", "x", weights=w[None], bias=np.array([1.0, 2.0], np.float32))
    mac = get_mac(name)
    found = mac_product(layer, planned(layer, mac), x, None)
    assert found.values.tolist() == [[np.inf, -np.inf]]


def test_scales_of_tensors_are_of_each_image() -> None:
    """nvfp4: each image's own float32 scale; sums are scaled by both tensors' scales, rounded to float32."""
    rng = np.random.default_rng(3)
    sizes = np.array([[1], [100], [0.01]])
    x = (rng.normal(size=(3, 20)) * sizes).astype(np.float32)
    w = rng.normal(size=(20, 6)).astype(np.float32)
    layer = Product("f", "fc", "x", weights=w[None])
    values = mac_product(layer, planned(layer, get_mac("nvfp4")), x, None).values

    def blocks(row: NDArray[np.float32], scale: np.float32) -> list[reference.Block]:
        exact = Fraction(float(scale))
        coded = [
            reference.nvfp4_block([float(v) for v in row[start : start + 16]], exact) for start in (0, 16)
        ]
        return [(reference.ue4m3(s), [reference.E2M1.value(c) for c in codes]) for s, codes in coded]

    def scale_of(tensor: NDArray[np.float32]) -> np.float32:
        return np.float32(np.abs(tensor).max() / np.float32(2688))

    for m, n in np.ndindex(3, 6):
        own, shared = scale_of(x[m]), scale_of(w)
        total = float_of(reference.dot_fused(blocks(x[m], own), blocks(w[:, n], shared)))
        assert values[m, n] == own * shared * total, (m, n)


@pytest.mark.parametrize("name", ["mxfp6_e2m3", "nvfp4"])
def test_no_image_changes_the_result_of_another(name: str) -> None:
    model = load_model("vit_fashion")
    images = load_data("fashion_mnist_1000", model)
    many, one = (infer(model, images.first(count), name) for count in (6, 1))
    assert np.array_equal(many.logits[:1], one.logits)


@pytest.mark.parametrize("name", WITH_BLOCKS)
def test_a_network_runs_in_every_format(name: str) -> None:
    """Agreement with float32 on 100 images: 4-bit formats keep 85 %, wider ones 90 %."""
    model = load_model("lenet5_fashion")
    result = infer(model, load_data("fashion_mnist_1000", model).first(100), name)
    same = np.mean(result.logits.argmax(axis=1) == result.float32_logits.argmax(axis=1))
    assert same >= (0.85 if name.endswith("fp4") else 0.9)
    assert result.plan.policy == "blocks"


@pytest.mark.parametrize("policy", ["max", "drop_in", "mse", "blocks+gptq", "mixed", "ffp8"])
def test_policies_that_scale_tensors_are_refused(policy: str) -> None:
    model = load_model("lenet5_fashion")
    data = load_data("fashion_mnist_1000", model).first(8)
    with pytest.raises(UserError, match="scales blocks"):
        plan_network(model, data, "mxfp4", policy)


def test_the_policy_blocks_needs_blocks() -> None:
    model = load_model("lenet5_fashion")
    with pytest.raises(UserError, match="has no block scales"):
        plan_network(model, load_data("fashion_mnist_1000", model).first(8), "int8", "blocks")
