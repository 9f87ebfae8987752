"""Architectures of torchvision, with random weights."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
import torchvision

from tools.zoo.architecture import Architecture, Built
from tools.zoo.products import Product

_NAMES = """
    alexnet convnext_tiny convnext_small densenet121 densenet161 densenet169 densenet201 efficientnet_b0
    efficientnet_b1 efficientnet_b3 efficientnet_v2_s googlenet inception_v3 maxvit_t mnasnet0_5 mnasnet1_0
    mobilenet_v2 mobilenet_v3_large mobilenet_v3_small regnet_x_400mf regnet_x_1_6gf regnet_y_400mf
    regnet_y_1_6gf resnet18 resnet34 resnet50 resnet101 resnext50_32x4d shufflenet_v2_x0_5
    shufflenet_v2_x1_0 squeezenet1_0 squeezenet1_1 swin_t swin_v2_t vgg11 vgg13_bn vgg16 vgg19
    vit_b_16 vit_b_32 wide_resnet50_2
    """
_SIDES = {
    "efficientnet_b1": 240, "efficientnet_b3": 300, "efficientnet_v2_s": 384, "inception_v3": 299,
    "swin_v2_t": 256,
}  # fmt: skip
CLASSIFIERS = {name: _SIDES.get(name, 224) for name in _NAMES.split()}
"""One or more of every family of classifiers, and the side of the input for which torchvision counts."""

LEGACY = ("resnet18", "mobilenet_v2", "vit_b_32", "shufflenet_v2_x1_0")
"""Classifiers that go through the older exporter as well."""

SEGMENTERS = {
    "deeplabv3_mobilenet_v3_large": 224, "deeplabv3_resnet50": 224, "fcn_resnet50": 224,
    "lraspp_mobilenet_v3_large": 224,
}  # fmt: skip

VIDEO = ("r3d_18", "r2plus1d_18", "mc3_18")


def _classifier(name: str, side: int) -> Built:
    options: dict[str, Any] = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return torchvision.models.get_model(name, weights=None, **options), (torch.randn(1, 3, side, side),)


class FirstResult(torch.nn.Module):
    """A segmentation model without the dictionary around its result."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Any) -> Any:
        """The map of classes."""
        return self.model(images)["out"]


def _published_gmacs(name: str) -> float:
    """The figure that torchvision gives, of the first weights that it offers."""
    weights = next(iter(torchvision.models.get_model_weights(name)))
    return float(weights.meta["_ops"])


def _segmenter(name: str, side: int) -> Built:
    model = torchvision.models.get_model(name, weights=None, weights_backbone=None)
    return FirstResult(model), (torch.randn(1, 3, side, side),)


def _video(name: str) -> Built:
    return torchvision.models.get_model(name, weights=None), (torch.randn(1, 3, 8, 112, 112),)


class BackboneAndHeads(torch.nn.Module):
    """A detector up to its raw predictions: everything that multiplies; boxes are sorted out elsewhere."""

    def __init__(self, detector: Any) -> None:
        super().__init__()
        self.backbone = detector.backbone
        self.head = detector.head

    def forward(self, images: Any) -> Any:
        """Raw predictions of every head."""
        features = self.backbone(images)
        levels = [features] if isinstance(features, torch.Tensor) else list(features.values())
        return tuple(self.head(levels).values())


class TwoStages(torch.nn.Module):
    """A two-stage detector: proposals of all pixels, then the heads on a fixed number of proposals' features."""

    def __init__(self, detector: Any) -> None:
        super().__init__()
        self.backbone = detector.backbone
        self.proposals = detector.rpn.head
        self.roi = detector.roi_heads

    def forward(self, images: Any, box_features: Any, mask_features: Any) -> Any:
        """Raw predictions of every head."""
        levels = list(self.backbone(images).values())
        results = [*self.proposals(levels)]
        results += self.roi.box_predictor(self.roi.box_head(box_features))
        for kind in ("mask", "keypoint"):
            if getattr(self.roi, f"{kind}_head", None) is not None:
                head, predictor = getattr(self.roi, f"{kind}_head"), getattr(self.roi, f"{kind}_predictor")
                results.append(predictor(head(mask_features)))
        flat = [level for result in results for level in (result if isinstance(result, list) else [result])]
        return tuple(flat)


def _one_stage(name: str, side: int) -> Built:
    model = torchvision.models.get_model(name, weights=None, weights_backbone=None)
    return BackboneAndHeads(model), (torch.randn(1, 3, side, side),)


def _two_stages(name: str, side: int, mask_side: int) -> Built:
    model = torchvision.models.get_model(name, weights=None, weights_backbone=None)
    boxes, masks = torch.randn(100, 256, 7, 7), torch.randn(10, 256, mask_side, mask_side)
    return TwoStages(model), (torch.randn(1, 3, side, side), boxes, masks)


_RAW = "up to the raw predictions; decoding and suppressing boxes multiplies no matrices"
_FIXED = "heads on 100 boxes and 10 masks in place of the proposals, whose number depends on the image"


_BIASES_OF_PLACES = "biases of relative places, a network of a constant table"


def _position_products(heads: Mapping[int, int], places: int, hidden: int) -> tuple[Product, ...]:
    """In each block of Swin v2 two layers turn `places` pairs of distances into a bias for each head."""
    return tuple(
        product
        for number, blocks in heads.items()
        for _ in range(blocks)
        for product in (Product(1, places, hidden, 2), Product(1, places, number, hidden))
    )


CONSTANT_PRODUCTS = {"swin_v2_t": _position_products({3: 2, 6: 2, 12: 6, 24: 2}, 15 * 15, 512)}
"""What the reader computes once: windows of 8 have 15 x 15 distances; heads and blocks of the four stages."""


def vision_architectures() -> list[Architecture]:
    """All of them, in the order in which the zoo runs."""
    found = [
        Architecture(
            name,
            "classifier",
            f"3x{side}x{side}",
            partial(_classifier, name, side),
            published_gmacs=_published_gmacs(name),
            constant_products=CONSTANT_PRODUCTS.get(name, ()),
            note=_BIASES_OF_PLACES if name in CONSTANT_PRODUCTS else "",
        )
        for name, side in sorted(CLASSIFIERS.items())
    ]
    found += [
        Architecture(f"{name}_legacy", "classifier", "3x224x224", partial(_classifier, name, 224), "legacy")
        for name in LEGACY
    ]
    found += [
        Architecture(name, "segmentation", f"3x{side}x{side}", partial(_segmenter, name, side))
        for name, side in SEGMENTERS.items()
    ]
    found += [Architecture(name, "video", "3x8x112x112", partial(_video, name)) for name in VIDEO]
    one_stage = {
        "ssd300_vgg16": 300, "ssdlite320_mobilenet_v3_large": 320, "retinanet_resnet50_fpn": 224,
        "retinanet_resnet50_fpn_v2": 224, "fcos_resnet50_fpn": 224,
    }  # fmt: skip
    found += [
        Architecture(name, "detection", f"3x{side}x{side}", partial(_one_stage, name, side), note=_RAW)
        for name, side in one_stage.items()
    ]
    two_stages = {
        "fasterrcnn_resnet50_fpn": 14, "fasterrcnn_mobilenet_v3_large_fpn": 14, "fasterrcnn_resnet50_fpn_v2": 14,
        "maskrcnn_resnet50_fpn": 14, "keypointrcnn_resnet50_fpn": 14,
    }  # fmt: skip
    found += [
        Architecture(name, "detection", "3x224x224", partial(_two_stages, name, 224, mask), note=_FIXED)
        for name, mask in two_stages.items()
    ]
    return found
