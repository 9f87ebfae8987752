"""Giving back the mean that rounding takes from each output channel.

Nagel et al. 2019, arXiv 1906.04721, the empirical form of bias correction: layer by layer, the bias makes up
for the difference between the mean output in float32 and that of the rounded layer behind rounded, already
corrected layers. Corrections from float32 inputs alone would leave out what earlier layers do to a layer's
inputs, above all the mean that noise in front of a ReLU adds.

Right means do not make right classes. Where rounding has taken a share of a layer's signal, its full mean
outweighs what is left. `Correction` therefore counts the calibration images that get the class of float32.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from simulator.inference.arithmetic import Arithmetic, float32_product, mac_product
from simulator.inference.calibration import Observation
from simulator.inference.channel_sums import ChannelSums
from simulator.inference.chunks import MOST_VALUES, chunks
from simulator.inference.execute import execute
from simulator.inference.inputs import Feed
from simulator.inference.layer_products import Product
from simulator.inference.metrics import ranking
from simulator.inference.model import Model
from simulator.inference.quantization import LayerPlan
from simulator.numerics.array_types import Tensor

_HARM = 0.5
"""Standard errors of the difference that a correction may cost. Most help, so that more is hardly chance."""


@dataclass(frozen=True, slots=True)
class Correction:
    """Plans with corrected biases, and what they do to the classes of the calibration images.

    `agreeing` images get the class that float32 gives them. Without correction, `lost` more would and `won`
    of them would not.
    """

    layers: dict[str, LayerPlan]
    images: int
    agreeing: int
    won: int
    lost: int

    @property
    def does_harm(self) -> bool:
        """More images lose the class of float32 than win it, by more than half a standard error."""
        return self.lost - self.won > _HARM * sqrt(self.lost + self.won)

    def describe(self) -> str:
        """What was counted, in a sentence."""
        return (
            f"{self.agreeing} of {self.images} calibration images get the class of float32 with it,"
            f" {self.agreeing - self.won + self.lost} without it"
        )


def corrected(
    model: Model,
    layers: Mapping[str, LayerPlan],
    observed: Mapping[str, Observation],
    images: Feed,
    names: Collection[str],
) -> Correction:
    """The layers' plans with the biases of the layers in `names` corrected, and what comes of it.

    Args:
        model: the trained network.
        layers: plans of all its layers.
        observed: what `calibrate` saw of `images`.
        images: all calibration images; they go through the network once, all at the same time.
        names: the layers to correct; those without weights of their own stay as they are.
    """
    found = dict(layers)

    def correct(product: Product, activations: Tensor, second: Tensor | None) -> Tensor:
        plan = found[product.name]
        outputs = _outputs(product, plan, activations, second)
        if product.name not in names or product.weights is None or product.steps is not None:
            return outputs
        wanted = observed[product.name].output_sums.means
        got = ChannelSums.of(outputs, product.channel_axis).means
        bias = np.zeros(product.channels) if plan.bias is None else plan.bias.astype(np.float64)
        found[product.name] = replace(plan, bias=(bias + np.nan_to_num(wanted - got)).astype(np.float32))
        return _outputs(product, found[product.name], activations, second)

    after = _classes(execute(model, images, correct))

    def uncorrected(product: Product, activations: Tensor, second: Tensor | None) -> Tensor:
        return mac_product(product, layers[product.name], activations, second).values

    before, wanted = (_classes_of(model, images, each) for each in (uncorrected, float32_product))
    is_right, was_right = after == wanted, before == wanted
    counted = (is_right, is_right & ~was_right, was_right & ~is_right)
    return Correction(found, len(images), *(int(np.count_nonzero(each)) for each in counted))


def _classes_of(model: Model, images: Feed, arithmetic: Arithmetic) -> NDArray[np.int64]:
    return np.concatenate([_classes(execute(model, chunk, arithmetic)) for chunk in chunks(model, images)])


def _classes(outputs: Tensor) -> NDArray[np.int64]:
    """The largest of each image's outputs; an output that is one number is of one image."""
    rows = np.atleast_1d(outputs)
    return ranking(rows.reshape(len(rows), -1))[:, 0]


def _outputs(product: Product, plan: LayerPlan, activations: Tensor, second: Tensor | None) -> Tensor:
    if product.input_axis or product.steps is not None or second is not None:
        return mac_product(product, plan, activations, second).values
    size = max(1, MOST_VALUES // activations[:1].size)
    return np.concatenate(
        [
            mac_product(
                product,
                plan,
                activations[start : start + size],
                None,
            ).values
            for start in range(0, len(activations), size)
        ]
    )
