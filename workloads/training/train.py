"""Train the bundled networks on Fashion-MNIST and write their ONNX files.

    pip install torch onnx numpy          # versions used: README.md beside this file
    python workloads/training/train.py lenet5 --data /usr/share/datasets/fashion-mnist

Deterministic on one thread: the same versions on the same machine give the same file.
"""

from __future__ import annotations

import argparse
import gzip
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx_export import export_lenet5, export_resnet8, export_vit
from torch import Tensor, nn
from torch.nn import functional

SEED = 20240601
WORKLOADS = Path(__file__).resolve().parent.parent
VIT_BLOCKS, VIT_HEADS, VIT_DIMENSION, VIT_PATCH = 3, 3, 48, 7


class LeNet5(nn.Module):
    """LeCun et al. 1998 with ReLU and max pooling, padded so that 28 x 28 images fit."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of N x 1 x 28 x 28 images."""
        x = functional.max_pool2d(self.conv1(x).relu(), 2)
        x = functional.max_pool2d(self.conv2(x).relu(), 2)
        return self.fc3(self.fc2(self.fc1(x.flatten(1)).relu()).relu())


class NormedConvolution(nn.Module):
    """A convolution without bias and its batch normalization."""

    def __init__(self, channels: int, filters: int, *, stride: int = 1, kernel: int = 3) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(
            channels, filters, kernel, stride=stride, padding=kernel // 2, bias=False
        )
        self.norm = nn.BatchNorm2d(filters)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and normalize."""
        return self.norm(self.convolution(x))


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut, which is a 1 x 1 convolution where the size changes."""

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.conv1 = NormedConvolution(channels, filters, stride=stride)
        self.conv2 = NormedConvolution(filters, filters)
        self.shortcut = (
            NormedConvolution(channels, filters, stride=stride, kernel=1) if stride > 1 else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add the shortcut to the convolutions' result."""
        return (self.conv2(self.conv1(x).relu()) + self.shortcut(x)).relu()


class ResNet8(nn.Module):
    """He et al. 2016 for small images: one block a stage, widths 12, 24, 48."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = NormedConvolution(1, 12)
        self.block1, self.block2 = ResidualBlock(12, 12, 1), ResidualBlock(12, 24, 2)
        self.block3 = ResidualBlock(24, 48, 2)
        self.fc = nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of N x 1 x 28 x 28 images."""
        x = self.block3(self.block2(self.block1(self.stem(x).relu())))
        return self.fc(x.mean((2, 3)))


class Attention(nn.Module):
    """Multi-head self-attention with separate query, key and value projections."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.output = (
            nn.Linear(VIT_DIMENSION, VIT_DIMENSION) for _ in range(4)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Mix the tokens of N x tokens x dimension."""
        batch, tokens, dimension = x.shape

        def heads(projection: nn.Module) -> Tensor:
            return projection(x).view(batch, tokens, VIT_HEADS, dimension // VIT_HEADS).transpose(1, 2)

        mixed = functional.scaled_dot_product_attention(heads(self.query), heads(self.key), heads(self.value))
        return self.output(mixed.transpose(1, 2).reshape(batch, tokens, dimension))


class TransformerBlock(nn.Module):
    """Pre-norm attention and a GELU MLP four times as wide."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(VIT_DIMENSION), nn.LayerNorm(VIT_DIMENSION)
        self.attention = Attention()
        self.mlp = nn.ModuleDict(
            {
                "up": nn.Linear(VIT_DIMENSION, 4 * VIT_DIMENSION),
                "down": nn.Linear(4 * VIT_DIMENSION, VIT_DIMENSION),
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        """Attention, then MLP, each beside a shortcut."""
        x = x + self.attention(self.norm1(x))
        return x + self.mlp["down"](functional.gelu(self.mlp["up"](self.norm2(x))))


class VisionTransformer(nn.Module):
    """Dosovitskiy et al. 2021, very small: 16 patches of 7 x 7, the mean of the tokens classified."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, VIT_DIMENSION, VIT_PATCH, stride=VIT_PATCH)
        self.positions = nn.Parameter(0.02 * torch.randn((28 // VIT_PATCH) ** 2, VIT_DIMENSION))
        self.blocks = nn.ModuleList(TransformerBlock() for _ in range(VIT_BLOCKS))
        self.norm = nn.LayerNorm(VIT_DIMENSION)
        self.fc = nn.Linear(VIT_DIMENSION, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of N x 1 x 28 x 28 images."""
        x = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.fc(self.norm(x).mean(1))


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one network is trained, and how it is written."""

    network: Callable[[], nn.Module]
    export: Callable[[dict[str, NDArray[np.float32]], Path], None]
    epochs: int
    learning_rate: float
    weight_decay: float
    augmented: bool
    batch: int = 128


def _export_vit(parameters: dict[str, NDArray[np.float32]], path: Path) -> None:
    export_vit(parameters, path, blocks=VIT_BLOCKS, heads=VIT_HEADS, patch=VIT_PATCH)


RECIPES = {
    "lenet5": Recipe(LeNet5, export_lenet5, 10, 2e-3, 1e-3, augmented=False),
    "resnet8": Recipe(ResNet8, export_resnet8, 6, 6e-3, 1e-2, augmented=True),
    "vit": Recipe(VisionTransformer, _export_vit, 16, 2e-3, 5e-2, augmented=False),
}


def read_idx(path: Path) -> NDArray[np.uint8]:
    """An IDX file of unsigned bytes, as Fashion-MNIST is published."""
    content = gzip.decompress(path.read_bytes())
    dimensions = content[3]
    sizes = np.frombuffer(content, ">u4", dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(sizes.astype(int))


def load(folder: Path, part: str) -> tuple[Tensor, Tensor]:
    """Images in [0, 1] of shape N x 1 x 28 x 28, and labels."""
    images = read_idx(folder / f"{part}-images-idx3-ubyte.gz").astype(np.float32)[:, None] / 255
    labels = read_idx(folder / f"{part}-labels-idx1-ubyte.gz").astype(np.int64)
    return torch.from_numpy(images), torch.from_numpy(labels)


def augment(images: Tensor) -> Tensor:
    """One random shift of up to two pixels for the batch, and a mirror image for half of it."""
    down, right = torch.randint(0, 5, (2,)).tolist()
    images = functional.pad(images, (2, 2, 2, 2))[:, :, down : down + 28, right : right + 28]
    mirrored = torch.rand(len(images)) < 0.5
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)


@torch.no_grad()
def accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Share of images whose largest output is the label."""
    network.eval()
    right = sum(
        int((network(batch).argmax(1) == expected).sum())
        for batch, expected in zip(images.split(500), labels.split(500), strict=True)
    )
    return right / len(labels)


def train(recipe: Recipe, images: Tensor, labels: Tensor) -> nn.Module:
    """The network after all epochs: AdamW, one-cycle learning rate, cross-entropy."""
    torch.manual_seed(SEED)
    network = recipe.network().to(memory_format=torch.channels_last)  # a third faster on a CPU
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    steps = len(images) // recipe.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, recipe.epochs * steps)
    for epoch in range(recipe.epochs):
        network.train()
        total = 0.0
        for chosen in torch.randperm(len(images))[: steps * recipe.batch].split(recipe.batch):
            batch = augment(images[chosen]) if recipe.augmented else images[chosen]
            loss = functional.cross_entropy(network(batch), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}: loss {total / steps:.4f}, {time.process_time():.0f} CPU s", flush=True)
    return network


def parameters_of(network: nn.Module) -> dict[str, NDArray[np.float32]]:
    """Parameters and running statistics by name."""
    state: dict[str, Any] = network.state_dict()
    return {name: value.numpy() for name, value in state.items() if value.dtype == torch.float32}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("network", choices=sorted(RECIPES))
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--out", type=Path, default=WORKLOADS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    recipe = RECIPES[arguments.network]
    network = train(recipe, *load(arguments.data, "train"))
    count = sum(parameter.numel() for parameter in network.parameters())
    reached = accuracy(network, *load(arguments.data, "t10k"))
    path = arguments.out / f"{arguments.network}_fashion.onnx"
    recipe.export(parameters_of(network), path)
    print(
        f"{path.name}: {count} parameters, top-1 {reached:.4f} on 10,000 test images, "
        f"{time.process_time():.0f} CPU s, torch {torch.__version__}, seed {SEED}"
    )


if __name__ == "__main__":
    main()
