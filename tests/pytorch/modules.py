"""Small modules whose layers are known by hand, and the bundled LeNet-5 with its trained weights."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
import torch
from onnx import numpy_helper
from torch.nn import functional

from simulator.foundation.resources import resolve_document


class SmallCnn(torch.nn.Module):
    """Two convolutions, the first with a batch normalization, and a linear layer, on 3 x 12 x 12 images."""

    def __init__(self) -> None:
        super().__init__()
        self.features = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, padding=1, bias=False),
            torch.nn.BatchNorm2d(8),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(2),
            torch.nn.Conv2d(8, 16, 3, stride=2, groups=2),
            torch.nn.ReLU(),
            torch.nn.Dropout(0.5),
        )
        self.classifier = torch.nn.Linear(16 * 2 * 2, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(image).flatten(1))


class Tagger(torch.nn.Module):
    """Token ids of rank 2 through an embedding, an LSTM and a linear layer for each token."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(50, 12)
        self.lstm = torch.nn.LSTM(12, 7, batch_first=True)
        self.head = torch.nn.Linear(7, 5)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        hidden, _ = self.lstm(self.embedding(ids))
        return self.head(hidden)


class AttentionBlock(torch.nn.Module):
    """Self-attention of 2 heads over 16 features, with a mask of one value for each token."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (torch.nn.Linear(16, 16) for _ in range(4))

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        batch, length, width = tokens.shape

        def heads(projection: torch.nn.Module) -> torch.Tensor:
            return projection(tokens).view(batch, length, 2, width // 2).transpose(1, 2)

        scores = heads(self.query) @ heads(self.key).transpose(2, 3) / 8**0.5
        shares = (scores + mask[:, None, None, :]).softmax(-1)
        mixed = (shares @ heads(self.value)).transpose(1, 2).reshape(batch, length, width)
        return self.out(mixed)


class LeNet5(torch.nn.Module):
    """The network that `lenet5_fashion` was exported from."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = torch.nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2 = torch.nn.Linear(400, 120), torch.nn.Linear(120, 84)
        self.fc3 = torch.nn.Linear(84, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        image = functional.max_pool2d(self.conv1(image).relu(), 2)
        image = functional.max_pool2d(self.conv2(image).relu(), 2)
        return self.fc3(self.fc2(self.fc1(image.flatten(1)).relu()).relu())


class Nested(torch.nn.Module):
    """Takes a mapping of tensors, a number and an optional tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.ModuleDict({"left": torch.nn.Linear(6, 3), "right": torch.nn.Linear(5, 3)})

    def forward(
        self, parts: dict[str, torch.Tensor], factor: float, offset: torch.Tensor | None = None
    ) -> torch.Tensor:
        total = self.inner["left"](parts["left"]) + factor * self.inner["right"](parts["right"])
        return total if offset is None else total + offset


class Branching(torch.nn.Module):
    """What is computed depends on the data."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(3, 3)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.inner(values) if values.sum() > 0 else values


class Rows(torch.utils.data.Dataset):
    """Images and labels by number."""

    def __init__(self, images: torch.Tensor, labels: list[int]) -> None:
        self.images = images
        self.labels = labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        if index >= len(self.images):
            raise IndexError
        return self.images[index], self.labels[index]


class FixedBatch(torch.nn.Module):
    """Takes two rows at a time and no other number."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(3, 4)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.inner(rows.reshape(2, 3))


def trained_lenet5() -> LeNet5:
    """With the weights of the bundled file."""
    model = onnx.load(resolve_document("lenet5_fashion", "workloads", ".onnx", what="network"))
    network = LeNet5()
    weights: Mapping[str, torch.Tensor] = {
        tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy())
        for tensor in model.graph.initializer
    }
    network.load_state_dict({name: weights[name] for name in network.state_dict()})
    network.eval()
    return network


class StackedCells(torch.nn.Module):
    """Two layers of GRU or LSTM in both directions: 3 inputs, 5 states."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.cells = getattr(torch.nn, kind)(3, 5, num_layers=2, bidirectional=True, batch_first=True)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.cells(rows)[0]


class CalledByKeyword(torch.nn.Module):
    """A linear layer that is given its input by name."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(2, 1)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.inner(input=rows)


def seeded(module: type[torch.nn.Module], seed: int = 0) -> torch.nn.Module:
    """A module with weights of this seed, and statistics of batch normalizations that are not 0 and 1."""
    torch.manual_seed(seed)
    made = module()
    for name, buffer in made.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.copy_(torch.rand_like(buffer) + 0.25)
    return made.eval()
