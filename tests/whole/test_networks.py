"""Bundled networks: each loads, and its work and its weights are the published ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.foundation.resources import bundled_names
from simulator.workload import Network, load_network
from simulator.workload.network_file import network_text, read_network
from simulator.workload.onnx import read_onnx
from tools.bundled_networks import DESCRIPTIONS, FROM_PYTORCH
from tools.import_networks import ONNX_MODELS, WORKLOADS, builders, onnx_folder
from tools.paper_networks import INCEPTION

BUNDLED = [
    "alexnet", "bert_base", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "gpt2",
    "gpt2_decode", "inception_v2", "llama_1b", "llama_1b_decode", "mobilenet_v1", "mobilenet_v2",
    "resnet18", "resnet50", "shufflenet", "squeezenet", "swin_t", "unet", "vgg16", "vgg19", "vit_b32",
    "whisper_tiny_decode", "whisper_tiny_decoder", "whisper_tiny_encoder", "yolov3_tiny", "zfnet512",
]  # fmt: skip


def test_the_bundled_networks_are_the_promised_ones() -> None:
    assert bundled_names("workloads") == BUNDLED


# Multiply-accumulates as published, and half a unit of the last published digit.
# torchvision: the "GFLOPS" of its table of weights, which counts a multiply-accumulate as one
# (https://docs.pytorch.org/vision/stable/models.html).
PUBLISHED_MACS = [
    ("resnet50", 4.089e9, 0.5e6, "torchvision"),
    ("resnet18", 1.814e9, 0.5e6, "torchvision; the paper (arXiv 1512.03385, table 1) rounds to 1.8e9"),
    ("vgg16", 15.47e9, 5e6, "torchvision"),
    ("vgg19", 19.632e9, 0.5e6, "torchvision"),
    ("densenet121", 2.834e9, 0.5e6, "torchvision"),
    ("squeezenet", 0.349e9, 0.5e6, "torchvision squeezenet1_1"),
    ("vit_b32", 4.41e9, 5e6, "torchvision vit_b_32"),
    ("efficientnet_b0", 0.386e9, 0.5e6, "torchvision; arXiv 1905.11946, table 2, rounds to 0.39e9"),
    ("convnext_tiny", 4.456e9, 0.5e6, "torchvision; arXiv 2201.03545, table 1, rounds to 4.5e9"),
    ("swin_t", 4.491e9, 0.5e6, "torchvision; arXiv 2103.14030, table 1, rounds to 4.5e9"),
    ("gpt2", 291_648_307_200 / 2, 0, "nanoGPT, transformer_sizing.ipynb: forward_total, in operations"),
    ("yolov3_tiny", 5.56e9 / 2, 0.005e9, "pjreddie.com/darknet/yolo: 5.56 Bn operations"),
    ("mobilenet_v1", 569e6, 0.5e6, "arXiv 1704.04861, table 8"),
    ("mobilenet_v2", 300e6, 1e6, "arXiv 1801.04381, table 4, given as 300M; torchvision: 0.301e9"),
    ("shufflenet", 0.125e9, 0.5e6, "quoted for this graph; the paper's 4-group variant has 133e6"),
]


@pytest.mark.parametrize(("name", "macs", "tolerance", "source"), PUBLISHED_MACS)
def test_multiply_accumulates_are_the_published_ones(
    name: str, macs: float, tolerance: float, source: str
) -> None:
    assert abs(load_network(name).macs - macs) <= tolerance, source


# Chen et al., Eyeriss, ISSCC 2016, section 14.5: convolutions of AlexNet (227 pixels) and VGG-16.
@pytest.mark.parametrize(
    ("name", "macs", "macs_digit", "weights", "weights_digit"),
    [("alexnet", 666e6, 0.5e6, 2.3e6, 0.05e6), ("vgg16", 15.3e9, 0.05e9, 14.7e6, 0.05e6)],
)
def test_convolutions_alone_are_the_published_ones(
    name: str, macs: float, macs_digit: float, weights: float, weights_digit: float
) -> None:
    convolutions = [layer for layer in load_network(name).layers if layer.convolution]
    assert abs(sum(layer.macs for layer in convolutions) - macs) <= macs_digit
    assert abs(sum(layer.parameters for layer in convolutions) - weights) <= weights_digit


# Operations of arXiv 1409.4842, table 1, in millions. The table's 34 M for the first convolution and 54 M for
# module 5a do not follow from the sizes in the same table (118.0 M and 51.1 M); every other row does.
GOOGLENET_ROWS = {
    "conv2": 360, "inception_3a": 128, "inception_3b": 304, "inception_4a": 73, "inception_4b": 88,
    "inception_4c": 100, "inception_4d": 119, "inception_4e": 170, "inception_5b": 71, "loss3": 1,
}  # fmt: skip


@pytest.mark.parametrize(("row", "millions"), GOOGLENET_ROWS.items())
def test_googlenet_modules_are_the_published_ones(row: str, millions: int) -> None:
    layers = [layer for layer in load_network("googlenet").layers if layer.name.startswith(f"{row}/")]
    assert abs(sum(layer.macs for layer in layers) / 1e6 - millions) < 1
    assert set(INCEPTION) == {"3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"}


# Parameters of the trained models: torchvision's num_params, BVLC's Caffe models for alexnet and googlenet.
# They include biases (one an output), which `Network.parameters` leaves out.
WITH_BIASES = {
    "vgg16": 138_357_544, "vgg19": 143_667_240, "squeezenet": 1_235_496,
    "alexnet": 60_965_224, "googlenet": 6_998_552,
}  # fmt: skip
# With batch normalization: a scale and a shift for each output of a convolution, a bias in the classifier.
WITH_BATCH_NORMALIZATION = {
    "resnet18": 11_689_512, "resnet50": 25_557_032, "mobilenet_v2": 3_504_872, "mobilenet_v1": 4_231_976,
}  # fmt: skip


@pytest.mark.parametrize(("name", "published"), WITH_BIASES.items())
def test_weights_and_biases_are_exactly_the_published_parameters(name: str, published: int) -> None:
    network = load_network(name)
    assert network.parameters + sum(layer.n for layer in network.layers) == published


@pytest.mark.parametrize(("name", "published"), WITH_BATCH_NORMALIZATION.items())
def test_weights_and_normalization_are_exactly_the_published_parameters(name: str, published: int) -> None:
    network = load_network(name)
    offsets = sum(layer.n * (2 if layer.convolution else 1) for layer in network.layers)
    assert network.parameters + offsets == published


def test_vit_weights_are_exactly_the_published_parameters() -> None:
    """torchvision: 88,224,232; beside weights and biases a class token, 50 positions, 25 normalizations."""
    network = load_network("vit_b32")
    biases = sum(layer.n for layer in network.layers if layer.kind != "matmul")
    assert network.parameters + biases + 768 + 50 * 768 + 25 * 2 * 768 == 88_224_232


@pytest.fixture(params=BUNDLED)
def network(request: pytest.FixtureRequest) -> Network:
    return load_network(request.param)


def test_every_bundled_network_says_where_it_comes_from(network: Network) -> None:
    described = DESCRIPTIONS[network.name]
    assert (network.source, network.variant, network.macs_source) == (
        described.source,
        described.variant,
        described.macs_source,
    )
    assert network.batch == 1
    assert network.skipped_operators == ()


def test_no_description_is_of_a_network_that_is_not_bundled() -> None:
    assert sorted(DESCRIPTIONS) == BUNDLED
    assert sorted([*builders(), *FROM_PYTORCH]) == BUNDLED


# Layers that read the network's input, where it is not the first alone: queries, keys and values of the first
# block; and in a decoder the keys and values of the recording, in each of four blocks.
FROM_THE_INPUT = {
    "bert_base": 3, "llama_1b": 3, "llama_1b_decode": 3, "whisper_tiny_decode": 3,
    "whisper_tiny_decoder": 3 + 4 * 2,
}  # fmt: skip
RESULTS = {"yolov3_tiny": {"coarse.1", "fine.1"}}
"""Layers that nothing reads, where there is more than the last."""


def test_the_graph_of_every_bundled_network_holds_together(network: Network) -> None:
    """Few layers start from the input, few end the network, and a convolution's channels are its inputs'."""
    assert network.layers[0].inputs == ()
    assert sum(not layer.inputs for layer in network.layers) == FROM_THE_INPUT.get(network.name, 1)
    read = {name for layer in network.layers for name in layer.inputs}
    read |= {name for layer in network.layers for post in layer.post_operations for name in post.inputs}
    ends = RESULTS.get(network.name, {network.layers[-1].name})
    assert {layer.name for layer in network.layers} - read == ends
    by_name = {layer.name: layer for layer in network.layers}
    # An up-convolution of 2x2 gives four values a pixel and channel, so N counts its channels four times.
    taps = {name: 4 if name.startswith("up.") else 1 for name in by_name}
    for layer in network.layers[1:]:
        if layer.convolution:
            channels = sum(by_name[name].n // taps[name] for name in layer.inputs)
            assert layer.convolution.channels == channels, layer.name


@pytest.mark.parametrize("name", sorted(builders()))
def test_a_bundled_file_is_what_the_tool_writes(name: str) -> None:
    assert (WORKLOADS / f"{name}.yaml").read_text(encoding="utf-8") == network_text(builders()[name]())


@pytest.mark.parametrize("name", FROM_PYTORCH)
def test_a_file_from_pytorch_is_written_as_the_tool_writes(name: str) -> None:
    assert (WORKLOADS / f"{name}.yaml").read_text(encoding="utf-8") == network_text(load_network(name))


@pytest.mark.parametrize("name", sorted(builders()))
def test_writing_and_reading_a_network_file_loses_nothing(name: str, tmp_path: Path) -> None:
    built = builders()[name]()
    path = tmp_path / "network.yaml"
    path.write_text(network_text(built), encoding="utf-8")
    assert read_network(path) == built


ALL_ONNX = [*ONNX_MODELS.values(), "light_bvlc_alexnet", "light_inception_v1"]


@pytest.mark.parametrize("model", ALL_ONNX)
def test_an_onnx_import_counts_what_a_recount_from_the_shapes_counts(model: str) -> None:
    """The second opinion uses the onnx package's shapes alone: outputs x weights / output channels."""
    import onnx

    path = onnx_folder() / f"{model}.onnx"
    inferred = onnx.shape_inference.infer_shapes(onnx.load(path), data_prop=True).graph
    shapes = {
        value.name: [size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in [*inferred.value_info, *inferred.output, *inferred.input]
    }
    macs = 0
    for node in inferred.node:
        weights = shapes.get(node.input[1]) if len(node.input) > 1 else None
        if node.op_type == "Conv":
            assert weights is not None
            channels, height, width = shapes[node.output[0]][1:]
            assert channels == weights[0]
            macs += channels * height * width * weights[1] * weights[2] * weights[3]
        elif node.op_type == "Gemm":
            assert weights is not None
            macs += weights[0] * weights[1]
    assert read_onnx(path).macs == macs


def test_the_onnx_exports_of_alexnet_and_googlenet_are_smaller_than_published() -> None:
    """Why these two come from their papers: 54 instead of 55 and 27 instead of 28 pixels, and so on."""
    alexnet = read_onnx(onnx_folder() / "light_bvlc_alexnet.onnx")
    googlenet = read_onnx(onnx_folder() / "light_inception_v1.onnx")
    assert alexnet.layers[0].m == 54 * 54
    assert load_network("alexnet").layers[0].m == 55 * 55
    by_name = {layer.name: layer for layer in googlenet.layers}
    assert by_name["inception_3a/1x1"].m == 27 * 27
    assert alexnet.macs < load_network("alexnet").macs
    assert googlenet.macs < load_network("googlenet").macs


@pytest.mark.parametrize("batch", [2, 7])
def test_a_batch_multiplies_work_and_leaves_weights_alone(network: Network, batch: int) -> None:
    batched = load_network(network.name, batch=batch)
    assert batched.batch == batch
    assert batched.parameters == network.parameters
    for one, many in zip(network.layers, batched.layers, strict=True):
        assert many.macs == batch * one.macs
        assert many.ofmap_elements == batch * one.ofmap_elements
        assert many.k == one.k
        if one.weights_are_activations:
            assert (many.groups, many.m) == (batch * one.groups, one.m)
        else:
            assert (many.m, many.n) == (batch * one.m, one.n)
        assert [post.elements for post in many.post_operations] == [
            batch * post.elements for post in one.post_operations
        ]


def test_the_documented_table_is_fresh() -> None:
    text = (WORKLOADS.parent / "docs" / "workloads.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:5]] for line in text.splitlines()]
    documented = [row for row in rows if row and row[0] in BUNDLED]
    computed = [
        [name, str(len(one.layers)), f"{one.macs / 1e6:,.1f}", f"{one.parameters / 1e6:,.2f}"]
        for name, one in ((name, load_network(name)) for name in BUNDLED)
    ]
    assert documented == computed


def test_the_documented_network_file_loads(tmp_path: Path) -> None:
    text = (WORKLOADS.parent / "docs" / "workloads.md").read_text(encoding="utf-8")
    example = tmp_path / "example.yaml"
    example.write_text(text.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    network = read_network(example)
    assert [layer.kind for layer in network.layers] == ["conv", "depthwise", "fc", "matmul", "fc"]
    assert network.layers[1].post_operations[1].inputs == ("stem",)
