"""Networks written down from their papers, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from simulator.workload import (
    Convolution,
    Layer,
    Network,
    PostOperation,
    PostOperationKind,
    convolution_layer,
    matrix_layer,
)

Names = tuple[str, ...]
Posts = tuple[PostOperationKind, ...]


class Builder:
    """Collects layers; `size` and `channels` follow the feature map, `head` names who computed it."""

    def __init__(self, size: int, channels: int = 3) -> None:
        self.layers: list[Layer] = []
        self.size = size
        self.channels = channels
        self.head: Names = ()

    def conv(
        self,
        name: str,
        filters: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        post: Posts = ("bias", "relu"),
        shortcut: Names = (),
    ) -> None:
        """A square convolution of the feature map, which its result replaces."""
        geometry = Convolution(
            batch=1,
            channels=self.channels,
            filters=filters,
            ifmap=(self.size, self.size),
            kernel=(kernel, kernel),
            stride=(stride, stride),
            padding=(padding,) * 4,
            groups=groups,
        )
        self._append(convolution_layer(name, geometry), post, shortcut)
        self.size, self.channels = geometry.ofmap[0], filters

    def product(self, layer: Layer, post: Posts = ("bias",), shortcut: Names = ()) -> None:
        """A matrix product of what was computed last."""
        self._append(layer, post, shortcut)

    def fc(self, name: str, outputs: int, *, post: Posts = ("bias", "relu")) -> None:
        """A fully connected layer on the flattened feature map."""
        features = self.channels * self.size**2
        self._append(matrix_layer(name, "fc", m=1, k=features, n=outputs), post, ())
        self.size, self.channels = 1, outputs

    def pool(self, kernel: int, stride: int, *, padding: int = 0, round_up: bool = False) -> None:
        """Pooling, as a post operation of the layers whose results it reads."""
        positions = (self.size + 2 * padding - kernel) / stride
        self.post("pool")
        self.size = (ceil(positions) if round_up else int(positions)) + 1

    def post(self, kind: PostOperationKind) -> None:
        """A post operation on the whole feature map, shared by the layers that computed it."""
        for index, layer in enumerate(self.layers):
            if layer.name in self.head:
                elements = layer.n * self.size**2
                self.layers[index] = layer.connected(layer.inputs, _with(layer, kind, elements))

    def _append(self, layer: Layer, post: Posts, shortcut: Names) -> None:
        for kind in post:
            inputs = shortcut if kind == "add" else ()
            layer = layer.connected(self.head, _with(layer, kind, layer.ofmap_elements, inputs))
        self.layers.append(layer.connected(self.head, layer.post_operations))
        self.head = (layer.name,)

    def network(self, name: str, source: str) -> Network:
        """What was collected."""
        return Network(name, tuple(self.layers), source=source)


def _with(
    layer: Layer, kind: PostOperationKind, elements: int, inputs: Names = ()
) -> tuple[PostOperation, ...]:
    posts = {(post.kind, post.inputs): post.elements for post in layer.post_operations}
    posts[kind, inputs] = posts.get((kind, inputs), 0) + elements
    return tuple(PostOperation(kind, count, inputs) for (kind, inputs), count in posts.items())


def alexnet() -> Network:
    b = Builder(227)
    b.conv("conv1", 96, 11, stride=4, post=("bias", "relu", "other"))
    b.pool(3, 2)
    b.conv("conv2", 256, 5, padding=2, groups=2, post=("bias", "relu", "other"))
    b.pool(3, 2)
    b.conv("conv3", 384, 3, padding=1)
    b.conv("conv4", 384, 3, padding=1, groups=2)
    b.conv("conv5", 256, 3, padding=1, groups=2)
    b.pool(3, 2)
    b.fc("fc6", 4096)
    b.fc("fc7", 4096)
    b.fc("fc8", 1000, post=("bias", "other"))
    return b.network("alexnet", "Krizhevsky et al., NIPS 2012, section 3.5; two groups, 227-pixel input")


def vgg16() -> Network:
    b = Builder(224)
    for block, (filters, count) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), start=1):
        for index in range(1, count + 1):
            b.conv(f"conv{block}_{index}", filters, 3, padding=1)
        b.pool(2, 2)
    b.fc("fc6", 4096)
    b.fc("fc7", 4096)
    b.fc("fc8", 1000, post=("bias", "other"))
    return b.network("vgg16", "Simonyan and Zisserman, arXiv 1409.1556, table 1, column D")


# Inception modules of GoogLeNet: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection.
INCEPTION = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def _inception(b: Builder, name: str) -> None:
    ones, reduce3, threes, reduce5, fives, projection = INCEPTION[name]
    head, channels = b.head, b.channels
    prefix = f"inception_{name}"

    def branch() -> None:
        b.head, b.channels = head, channels

    b.conv(f"{prefix}/1x1", ones, 1)
    branch()
    b.conv(f"{prefix}/3x3_reduce", reduce3, 1)
    b.conv(f"{prefix}/3x3", threes, 3, padding=1)
    branch()
    b.conv(f"{prefix}/5x5_reduce", reduce5, 1)
    b.conv(f"{prefix}/5x5", fives, 5, padding=2)
    branch()
    b.pool(3, 1, padding=1)
    b.conv(f"{prefix}/pool_proj", projection, 1)
    b.head = tuple(f"{prefix}/{part}" for part in ("1x1", "3x3", "5x5", "pool_proj"))
    b.channels = ones + threes + fives + projection


def googlenet() -> Network:
    b = Builder(224)
    b.conv("conv1/7x7_s2", 64, 7, stride=2, padding=3)
    b.pool(3, 2, round_up=True)
    b.post("other")
    b.conv("conv2/3x3_reduce", 64, 1)
    b.conv("conv2/3x3", 192, 3, padding=1, post=("bias", "relu", "other"))
    b.pool(3, 2, round_up=True)
    for name in INCEPTION:
        _inception(b, name)
        if name in ("3b", "4e"):
            b.pool(3, 2, round_up=True)
    b.pool(7, 1)
    b.fc("loss3/classifier", 1000, post=("bias", "other"))
    return b.network("googlenet", "Szegedy et al., arXiv 1409.4842, table 1; no auxiliary classifiers")


def resnet18() -> Network:
    b = Builder(224)
    b.conv("conv1", 64, 7, stride=2, padding=3)
    b.pool(3, 2, padding=1)
    for stage, filters in enumerate((64, 128, 256, 512), start=2):
        for block in range(2):
            _basic_block(b, f"conv{stage}_{block + 1}", filters, stride=2 if stage > 2 and block == 0 else 1)
    b.pool(7, 7)
    b.fc("fc", 1000, post=("bias", "other"))
    return b.network("resnet18", "He et al., arXiv 1512.03385, table 1, 18-layer; projection shortcuts")


def _basic_block(b: Builder, name: str, filters: int, *, stride: int) -> None:
    shortcut, size, channels = b.head, b.size, b.channels
    if stride > 1:
        b.conv(f"{name}_shortcut", filters, 1, stride=stride, post=("bias",))
        shortcut, b.head, b.size, b.channels = b.head, shortcut, size, channels
    b.conv(f"{name}a", filters, 3, stride=stride, padding=1)
    b.conv(f"{name}b", filters, 3, padding=1, post=("bias", "add", "relu"), shortcut=shortcut)


def mobilenet_v1() -> Network:
    b = Builder(224)
    b.conv("conv1", 32, 3, stride=2, padding=1)
    blocks = [
        (64, 1),
        (128, 2),
        (128, 1),
        (256, 2),
        (256, 1),
        (512, 2),
        *[(512, 1)] * 5,
        (1024, 2),
        (1024, 1),
    ]
    for index, (filters, stride) in enumerate(blocks, start=2):
        b.conv(f"conv{index}_depthwise", b.channels, 3, stride=stride, padding=1, groups=b.channels)
        b.conv(f"conv{index}_pointwise", filters, 1)
    b.pool(7, 7)
    b.fc("fc", 1000, post=("bias", "other"))
    return b.network("mobilenet_v1", "Howard et al., arXiv 1704.04861, table 1; width 1.0, 224 pixels")


def mobilenet_v2() -> Network:
    b = Builder(224)
    b.conv("conv1", 32, 3, stride=2, padding=1)
    table = (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )
    number = 0
    for expansion, filters, repeats, first_stride in table:
        for repeat in range(repeats):
            number += 1
            _inverted_residual(b, f"block{number}", expansion, filters, first_stride if repeat == 0 else 1)
    b.conv("conv_last", 1280, 1)
    b.pool(7, 7)
    b.fc("fc", 1000, post=("bias", "other"))
    return b.network("mobilenet_v2", "Sandler et al., arXiv 1801.04381, table 2; width 1.0, 224 pixels")


def _inverted_residual(b: Builder, name: str, expansion: int, filters: int, stride: int) -> None:
    shortcut = b.head if stride == 1 and b.channels == filters else ()
    if expansion > 1:
        b.conv(f"{name}_expand", b.channels * expansion, 1)
    b.conv(f"{name}_depthwise", b.channels, 3, stride=stride, padding=1, groups=b.channels)
    b.conv(f"{name}_project", filters, 1, post=("bias", "add") if shortcut else ("bias",), shortcut=shortcut)


def vit_b32() -> Network:
    width, heads, tokens, hidden = 768, 12, (224 // 32) ** 2 + 1, 3072
    b = Builder(224)
    b.conv("patch_embedding", width, 32, stride=32, post=("bias", "add", "other"))
    for block in range(1, 13):
        _encoder_block(b, f"block{block}", tokens, width, heads, hidden)
    b.product(matrix_layer("head", "fc", m=1, k=width, n=1000), ("bias", "other"))
    return b.network("vit_b32", "Dosovitskiy et al., arXiv 2010.11929, table 1, ViT-Base; 32-pixel patches")


def _encoder_block(b: Builder, name: str, tokens: int, width: int, heads: int, hidden: int) -> None:
    """Multi-head attention and a two-layer perceptron, each added to its input and normalized after."""
    head_width = width // heads
    residual = b.head
    b.product(matrix_layer(f"{name}_qkv", "fc", m=tokens, k=width, n=3 * width))
    qkv = b.head
    b.product(
        matrix_layer(
            f"{name}_scores", "matmul", m=tokens, k=head_width, n=tokens, products=heads,
            weights_are_activations=True,
        ),
        ("other",),
    )  # fmt: skip
    b.head = (*qkv, *b.head)
    b.product(
        matrix_layer(
            f"{name}_context", "matmul", m=tokens, k=tokens, n=head_width, products=heads,
            weights_are_activations=True,
        ),
        (),
    )  # fmt: skip
    b.product(
        matrix_layer(f"{name}_projection", "fc", m=tokens, k=width, n=width),
        ("bias", "add", "other"),
        residual,
    )
    residual = b.head
    b.product(matrix_layer(f"{name}_mlp1", "fc", m=tokens, k=width, n=hidden), ("bias", "other"))
    b.product(
        matrix_layer(f"{name}_mlp2", "fc", m=tokens, k=hidden, n=width), ("bias", "add", "other"), residual
    )


PAPER_NETWORKS: dict[str, Callable[[], Network]] = {
    "alexnet": alexnet,
    "googlenet": googlenet,
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v2": mobilenet_v2,
    "resnet18": resnet18,
    "vgg16": vgg16,
    "vit_b32": vit_b32,
}
