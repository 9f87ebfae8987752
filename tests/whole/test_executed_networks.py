"""Bundled networks against executing them: every M, N and K, sums by formula, and published parameters.

`tests/reference/executed_products.csv` holds what PyTorch multiplied when it ran the models with random
weights (`python -m tools.zoo`); no code of the reader takes part in it.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest

from simulator.workload import Layer, load_network
from tools.bundled_networks import FROM_PYTORCH
from tools.executed_macs import executed_macs
from tools.import_networks import ONNX_MODELS, onnx_folder
from tools.zoo.products import Product, macs, of_network
from tools.zoo.records import read_products, read_records

EXECUTED = read_products()
ALSO_IN_TORCHVISION = (
    "densenet121", "mobilenet_v2", "resnet18", "resnet50", "squeezenet", "vgg16", "vgg19", "vit_b32",
)  # fmt: skip
OF_CONSTANTS = {
    # The first step's state is 0: 128 x 128.
    "rnn": 128 * 128,
    # 225 places: 2 to 512 in 12 blocks, and 512 to 3, 6, 12 and 24 heads in 2, 2, 6 and 2 of them.
    "swin_v2_t": 225 * (12 * 2 * 512 + 512 * (2 * 3 + 2 * 6 + 6 * 12 + 2 * 24)),
}
"""Multiply-accumulates of products whose operands are constant, which the reader computes once."""


def test_the_table_has_every_network_that_pytorch_can_execute() -> None:
    assert sorted(EXECUTED) == sorted([*FROM_PYTORCH, *ALSO_IN_TORCHVISION])


@pytest.mark.parametrize("name", [*FROM_PYTORCH, *ALSO_IN_TORCHVISION])
def test_every_layer_is_a_product_that_was_executed(name: str) -> None:
    assert of_network(load_network(name)) == EXECUTED[name]


@pytest.mark.parametrize("name", ONNX_MODELS)
def test_macs_are_those_of_running_the_onnx_graph(name: str) -> None:
    """ONNX Runtime executes the graph; the shapes of all its tensors are counted without the reader."""
    path = onnx_folder() / f"{ONNX_MODELS[name]}.onnx"
    graph = onnx.load(path).graph
    (image,) = {value.name for value in graph.input} - {tensor.name for tensor in graph.initializer}
    assert executed_macs(path, {image: np.ones((1, 3, 224, 224), np.float32)}) == load_network(name).macs


def test_the_zoo_has_forty_architectures_and_each_agrees() -> None:
    records = read_records()
    assert len({record.name for record in records}) == len(records) >= 40
    for record in records:
        assert record.agreement in ("layer by layer", "up to transposes"), record.name
        assert record.executed_macs == record.counter_macs, record.name
        assert record.executed_macs - record.read_macs == OF_CONSTANTS.get(record.name, 0), record.name
        if record.published_gmacs:
            digits = len(record.published_gmacs.partition(".")[2])
            assert abs(record.executed_macs / 1e9 - float(record.published_gmacs)) <= 0.51 * 10**-digits, (
                record.name
            )
    families = {record.family for record in records}
    assert families >= {"classifier", "detection", "segmentation", "language", "speech", "recurrent", "video"}


def test_a_record_of_a_bundled_network_has_the_macs_of_its_products() -> None:
    executed = {record.name: record.executed_macs for record in read_records()}
    for name in FROM_PYTORCH:
        assert macs(EXECUTED[name]) == executed[name]


# By hand, from the papers' widths: d of a token, s tokens at once, t tokens attended to, v tokens in all.
def test_bert_base_by_formula() -> None:
    d, s = 768, 128
    assert load_network("bert_base").macs == 12 * (12 * s * d**2 + 2 * s**2 * d) + d**2


def test_gpt2_by_formula() -> None:
    d, s, v = 768, 1024, 50_257
    assert load_network("gpt2").macs == 12 * (12 * s * d**2 + 2 * s**2 * d) + s * v * d
    assert load_network("gpt2_decode").macs == 12 * (12 * d**2 + 2 * s * d) + v * d


def test_llama_1b_by_formula() -> None:
    """Queries and outputs are d wide, keys and values 8 heads of 64; three products feed forward."""
    d, kept, hidden, s, v = 2048, 512, 8192, 512, 128_256
    projections = 2 * d**2 + 2 * d * kept + 3 * d * hidden
    assert load_network("llama_1b").macs == 16 * (s * projections + 2 * s**2 * d) + v * d
    assert load_network("llama_1b_decode").macs == 16 * (projections + 2 * s * d) + v * d


def test_whisper_tiny_by_formula() -> None:
    d, positions, v = 384, 1500, 51_865
    convolutions = 3 * d * (80 * 3000 + d * positions)
    blocks = 4 * (12 * positions * d**2 + 2 * positions**2 * d)
    assert load_network("whisper_tiny_encoder").macs == convolutions + blocks
    first = 4 * (14 * 4 * d**2 + 2 * 4**2 * d + 2 * 4 * positions * d + 2 * positions * d**2) + 4 * v * d
    assert load_network("whisper_tiny_decoder").macs == first
    later = 4 * (14 * d**2 + 2 * 224 * d + 2 * positions * d) + v * d
    assert load_network("whisper_tiny_decode").macs == later


# darknet prints billions of operations of each convolution of yolov3-tiny.cfg at 416 pixels.
DARKNET = (0.150, 0.399, 0.399, 0.399, 0.399, 0.399, 1.595, 0.089, 0.399, 0.044, 0.011, 1.196, 0.088)


def test_yolov3_tiny_convolution_by_convolution() -> None:
    """In no order: the exported model computes its second branch before the end of the first."""
    layers = load_network("yolov3_tiny").layers
    assert sorted(round(2 * layer.macs / 1e9, 3) for layer in layers) == sorted(DARKNET)


# Side of the result, channels read, filters: figure 1 of arXiv 1505.04597, in the order of the network.
UNET_CONVOLUTIONS = (
    (570, 1, 64), (568, 64, 64), (282, 64, 128), (280, 128, 128), (138, 128, 256), (136, 256, 256),
    (66, 256, 512), (64, 512, 512), (30, 512, 1024), (28, 1024, 1024),
    (54, 1024, 512), (52, 512, 512), (102, 512, 256), (100, 256, 256), (198, 256, 128), (196, 128, 128),
    (390, 128, 64), (388, 64, 64),
)  # fmt: skip
UNET_UP = ((28, 1024, 512), (52, 512, 256), (100, 256, 128), (196, 128, 64))


def test_unet_is_the_figure() -> None:
    """Up-convolutions of 2x2: each input pixel times the four taps of every filter."""
    expected = Counter(
        Product(1, side**2, filters, 9 * channels) for side, channels, filters in UNET_CONVOLUTIONS
    )
    expected.update(Product(1, side**2, 4 * filters, channels) for side, channels, filters in UNET_UP)
    expected[Product(1, 388**2, 2, 64)] += 1
    assert of_network(load_network("unet")) == expected


def _weights(name: str) -> tuple[int, tuple[Layer, ...]]:
    network = load_network(name)
    return network.parameters, tuple(layer for layer in network.layers if not layer.weights_are_activations)


# Parameters as published include biases, normalizations and embeddings, which no product has; added by hand.
def test_parameters_of_bert_base() -> None:
    """109,482,240 (bert-base-uncased): embeddings of tokens, positions, two segments; 25 normalizations."""
    weights, layers = _weights("bert_base")
    embeddings = (30_522 + 512 + 2) * 768
    assert weights + sum(layer.n for layer in layers) + embeddings + 25 * 2 * 768 == 109_482_240


def test_parameters_of_gpt2() -> None:
    """124,439,808: the classifier is the embedding; 1,024 positions; 25 normalizations."""
    weights, layers = _weights("gpt2")
    biases = sum(layer.n for layer in layers[:-1])
    assert weights + biases + 1024 * 768 + 25 * 2 * 768 == 124_439_808
    assert _weights("gpt2_decode")[0] == weights


def test_parameters_of_llama_1b() -> None:
    """1,235,814,400 (Llama 3.2 1B): no biases, the classifier is the embedding, 33 scales."""
    assert _weights("llama_1b")[0] + 33 * 2048 == 1_235_814_400
    assert _weights("llama_1b_decode")[0] + 33 * 2048 == 1_235_814_400


def test_parameters_of_whisper_tiny() -> None:
    """37,760,640: the classifier is the embedding; 448 learned, 1,500 fixed positions; keys have no bias."""
    encoder, encoder_layers = _weights("whisper_tiny_encoder")
    decoder, decoder_layers = _weights("whisper_tiny_decoder")
    biases = sum(
        layer.n for layer in [*encoder_layers, *decoder_layers[:-1]] if not layer.name.endswith("k_proj")
    )
    normalizations = (4 * 2 + 1 + 4 * 3 + 1) * 2 * 384
    assert encoder + decoder + biases + normalizations + (448 + 1500) * 384 == 37_760_640


def test_parameters_of_yolov3_tiny() -> None:
    """8,858,734 numbers in yolov3-tiny.weights: four of a normalization for each filter, or a bias."""
    weights, layers = _weights("yolov3_tiny")
    assert weights + sum(layer.n * (1 if layer.n == 255 else 4) for layer in layers) == 8_858_734


def test_parameters_of_efficientnet_b0() -> None:
    """5,288,548 (torchvision): squeeze and excitation have biases, all other convolutions a normalization."""
    weights, layers = _weights("efficientnet_b0")
    offsets = sum(layer.n * (1 if layer.m == 1 else 2) for layer in layers)
    assert weights + offsets == 5_288_548


def test_parameters_of_convnext_tiny() -> None:
    """28,589,128 (torchvision): a normalization and a scale of the residual in each block."""
    weights, layers = _weights("convnext_tiny")
    widths, depths = (96, 192, 384, 768), (3, 3, 9, 3)
    in_blocks = sum(3 * width * depth for width, depth in zip(widths, depths, strict=True))
    between = 2 * (96 + 96 + 192 + 384 + 768)
    assert weights + sum(layer.n for layer in layers) + in_blocks + between == 28_589_128


def test_parameters_of_swin_t() -> None:
    """28,288,354 (torchvision): a table of 13 x 13 positions for each head; merging has no bias."""
    weights, layers = _weights("swin_t")
    biases = sum(layer.n for layer in layers if not layer.name.endswith("reduction"))
    widths, depths, heads = (96, 192, 384, 768), (2, 2, 6, 2), (3, 6, 12, 24)
    normalizations = 2 * (96 + 768) + sum(4 * w * d for w, d in zip(widths, depths, strict=True))
    normalizations += sum(2 * 4 * width for width in widths[:3])
    tables = sum(169 * h * d for h, d in zip(heads, depths, strict=True))
    assert weights + biases + normalizations + tables == 28_288_354
