"""Architectures written down here from their papers and configurations."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn

from tools.zoo.architecture import Architecture, Built
from tools.zoo.products import Product


def _unet_pair(channels: int, filters: int, padding: int) -> Any:
    return nn.Sequential(
        nn.Conv2d(channels, filters, 3, padding=padding), nn.ReLU(),
        nn.Conv2d(filters, filters, 3, padding=padding), nn.ReLU(),
    )  # fmt: skip


class UNet(nn.Module):
    """Ronneberger et al., arXiv 1505.04597, figure 1: convolutions without padding, crops beside them."""

    def __init__(self, channels: int = 1, classes: int = 2, padding: int = 0) -> None:
        super().__init__()
        widths = (64, 128, 256, 512, 1024)
        sources = (channels, *widths[:-1])
        self.down = nn.ModuleList(_unet_pair(c, f, padding) for c, f in zip(sources, widths, strict=True))
        ups = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(c, f, 2, stride=2) for c, f in ups)
        self.merge = nn.ModuleList(_unet_pair(c, f, padding) for c, f in ups)
        self.classes = nn.Conv2d(widths[0], classes, 1)

    def forward(self, image: Any) -> Any:
        """A map of classes."""
        kept = []
        for index, pair in enumerate(self.down):
            image = pair(image if index == 0 else nn.functional.max_pool2d(image, 2))
            kept.append(image)
        for up, merge, beside in zip(self.up, self.merge, kept[-2::-1], strict=True):
            image = up(image)
            edge = (beside.shape[-1] - image.shape[-1]) // 2
            side = image.shape[-1]
            cropped = beside[..., edge : edge + side, edge : edge + side]
            image = merge(torch.cat((cropped, image), 1))
        return self.classes(image)


def _yolo_conv(channels: int, filters: int, kernel: int) -> Any:
    return nn.Sequential(
        nn.Conv2d(channels, filters, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(filters),
        nn.LeakyReLU(0.1),
    )


class YoloV3Tiny(nn.Module):
    """cfg/yolov3-tiny.cfg of the darknet repository (Redmon and Farhadi, arXiv 1804.02767), 80 classes."""

    def __init__(self) -> None:
        super().__init__()
        widths = (16, 32, 64, 128, 256, 512, 1024)
        sources = (3, *widths[:-1])
        self.features = nn.ModuleList(_yolo_conv(c, f, 3) for c, f in zip(sources, widths, strict=True))
        self.neck = _yolo_conv(1024, 256, 1)
        self.coarse = nn.Sequential(_yolo_conv(256, 512, 3), nn.Conv2d(512, 255, 1))
        self.lateral = _yolo_conv(256, 128, 1)
        self.fine = nn.Sequential(_yolo_conv(384, 256, 3), nn.Conv2d(256, 255, 1))

    def forward(self, image: Any) -> Any:
        """Raw predictions on the coarse and on the fine grid."""
        kept = image
        for index, conv in enumerate(self.features):
            image = conv(image)
            if index == 4:
                kept = image
            if index < 5:
                image = nn.functional.max_pool2d(image, 2)
            elif index == 5:  # stride 1; the last window hangs over the edge
                image = nn.functional.max_pool2d(nn.functional.pad(image, (0, 1, 0, 1)), 2, stride=1)
        neck = self.neck(image)
        finer = nn.functional.interpolate(self.lateral(neck), scale_factor=2)
        return self.coarse(neck), self.fine(torch.cat((finer, kept), 1))


class Recurrent(nn.Module):
    """A recurrent layer of PyTorch and a classifier of its last step."""

    def __init__(self, layer: Any, features: int) -> None:
        super().__init__()
        self.layer = layer
        self.classes = nn.Linear(features, 10)

    def forward(self, steps: Any) -> Any:
        """Classes of a sequence."""
        results, _ = self.layer(steps)
        return self.classes(results[:, -1])


def _unet(side: int, padding: int) -> Built:
    return UNet(padding=padding), (torch.randn(1, 1, side, side),)


def _yolo() -> Built:
    return YoloV3Tiny(), (torch.randn(1, 3, 416, 416),)


def _recurrent(kind: str, layers: int, *, both_ways: bool) -> Built:
    layer = getattr(nn, kind)(40, 128, layers, batch_first=True, bidirectional=both_ways)
    return Recurrent(layer, 256 if both_ways else 128), (torch.randn(1, 20, 40),)


def own_architectures() -> list[Architecture]:
    """All of them; those that are bundled first."""
    return [
        Architecture("unet", "segmentation", "1x572x572", partial(_unet, 572, 0)),
        Architecture("yolov3_tiny", "detection", "3x416x416", _yolo, published_gmacs=2.78),
        Architecture("unet_padded", "segmentation", "1x256x256", partial(_unet, 256, 1)),
        Architecture("lstm", "recurrent", "20 steps of 40", partial(_recurrent, "LSTM", 1, both_ways=False)),
        Architecture("lstm_two_layers_both_ways", "recurrent", "20 steps of 40", partial(_recurrent, "LSTM", 2, both_ways=True)),
        Architecture("gru", "recurrent", "20 steps of 40", partial(_recurrent, "GRU", 2, both_ways=False)),
        Architecture("rnn", "recurrent", "20 steps of 40", partial(_recurrent, "RNN", 1, both_ways=False),
            constant_products=(Product(1, 1, 128, 128),), note="the first step's state is the constant 0"),
    ]  # fmt: skip
