"""Biases of bundled networks that come from PyTorch: which layers have one, and how many additions that is.

All counts are by hand from the papers' widths: a bias is one addition for each value of its layer's result.
Batch normalization folds into its convolution and leaves a bias there.
"""

from __future__ import annotations

import pytest

from simulator.workload import Layer, load_network
from tools.bundled_networks import FROM_PYTORCH


def biases(layer: Layer) -> list[int]:
    return [post.elements for post in layer.post_operations if post.kind == "bias"]


def all_biases(name: str) -> int:
    return sum(sum(biases(layer)) for layer in load_network(name).layers)


WITHOUT = {
    "gpt2": ("lm_head",), "gpt2_decode": ("lm_head",), "swin_t": ("reduction",),
    "whisper_tiny_encoder": ("k_proj",), "whisper_tiny_decoder": ("k_proj", "proj_out"),
    "whisper_tiny_decode": ("k_proj", "proj_out"),
}  # fmt: skip
"""Ends of the names of layers whose weights stand alone."""


@pytest.mark.parametrize("name", [name for name in FROM_PYTORCH if not name.startswith("llama")])
def test_every_layer_with_a_bias_adds_it_to_each_value_of_its_result(name: str) -> None:
    layers = load_network(name).layers
    without = [
        layer.name
        for layer in layers
        if layer.weights_are_activations or layer.name.endswith(WITHOUT.get(name, ()))
    ]
    assert [layer.name for layer in layers if not biases(layer)] == without
    for layer in layers:
        if layer.name not in without:
            assert biases(layer) == [layer.m * layer.n], layer.name


@pytest.mark.parametrize("name", ["llama_1b", "llama_1b_decode"])
def test_llama_has_no_biases(name: str) -> None:
    assert all_biases(name) == 0


# Table 1 of arXiv 1905.11946: widening, filters, side of the result, repetitions.
EFFICIENTNET = (
    (1, 16, 112, 1), (6, 24, 56, 2), (6, 40, 28, 2), (6, 80, 14, 3), (6, 112, 14, 3),
    (6, 192, 7, 4), (6, 320, 7, 1),
)  # fmt: skip


def test_efficientnet_b0() -> None:
    """Blocks widen, convolve each channel, squeeze to a quarter of what they read, and narrow."""
    side, channels, expected = 112, 32, 112**2 * 32
    for widening, filters, result, repetitions in EFFICIENTNET:
        for _ in range(repetitions):
            wide = widening * channels
            expected += side**2 * wide if widening > 1 else 0
            expected += result**2 * (wide + filters) + channels // 4 + wide
            side, channels = result, filters
    assert len(load_network("efficientnet_b0").layers) == 82
    assert all_biases("efficientnet_b0") == expected + 7**2 * 1280 + 1000


def test_gpt2() -> None:
    """Queries, keys and values at once (3 d), the projection (d), 4 d and back, of 12 blocks."""
    assert all_biases("gpt2") == 12 * 1024 * (2304 + 768 + 3072 + 768)
    assert all_biases("gpt2_decode") == 12 * (2304 + 768 + 3072 + 768)


def test_bert_base() -> None:
    """The pooler reads the first token alone."""
    assert all_biases("bert_base") == 12 * 128 * (4 * 768 + 3072 + 768) + 768
    assert biases(load_network("bert_base").layers[-1]) == [768]


def test_whisper_tiny() -> None:
    """Keys have none. The keys and values of the recording are computed once, in the decoder's first call."""
    d, positions = 384, 1500
    assert all_biases("whisper_tiny_encoder") == 3000 * d + positions * d + 4 * positions * 8 * d
    assert all_biases("whisper_tiny_decoder") == 4 * (4 * 10 * d + positions * d)
    assert all_biases("whisper_tiny_decode") == 4 * 10 * d


def test_yolov3_tiny() -> None:
    """11 normalized convolutions and 2 that have a bias of their own, by cfg/yolov3-tiny.cfg of darknet."""
    expected = 416**2 * 16 + 208**2 * 32 + 104**2 * 64 + 52**2 * 128 + 26**2 * 256
    expected += 13**2 * (512 + 1024 + 256 + 512 + 255 + 128) + 26**2 * (256 + 255)
    assert all_biases("yolov3_tiny") == expected


def test_unet() -> None:
    """Figure 1 of arXiv 1505.04597: 18 convolutions, 4 up-convolutions on the sides they give, classes."""
    down = (570**2 + 568**2) * 64 + (282**2 + 280**2) * 128 + (138**2 + 136**2) * 256
    down += (66**2 + 64**2) * 512 + (30**2 + 28**2) * 1024
    up = 56**2 * 512 + 104**2 * 256 + 200**2 * 128 + 392**2 * 64
    merge = (54**2 + 52**2) * 512 + (102**2 + 100**2) * 256 + (198**2 + 196**2) * 128 + (390**2 + 388**2) * 64
    assert all_biases("unet") == down + up + merge + 388**2 * 2


STAGES = ((56, 96), (28, 192), (14, 384), (7, 768))
"""Side and width of both ConvNeXt-T and Swin-T."""


def test_convnext_tiny() -> None:
    """A convolution of each channel, four times the width and back; one convolution before each stage."""
    blocks = sum(
        depth * side**2 * 6 * width for (side, width), depth in zip(STAGES, (3, 3, 9, 3), strict=True)
    )
    before = sum(side**2 * width for side, width in STAGES)
    assert all_biases("convnext_tiny") == blocks + before + 1000


def test_swin_t() -> None:
    """Queries, keys and values (3 w), the projection (w), 4 w and back; merging has none."""
    blocks = sum(
        depth * side**2 * 9 * width for (side, width), depth in zip(STAGES, (2, 2, 6, 2), strict=True)
    )
    assert all_biases("swin_t") == 56**2 * 96 + blocks + 1000
