"""Float weights x fixed-point activations with the smallest widths that keep a stated accuracy.

Lai et al. 2017, arXiv 1703.03073: floating-point weights follow their distribution with fewer bits than
fixed-point ones, and save storage at equal accuracy; activations stay fixed point.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from simulator.inference.arithmetic import float32_product, mac_product
from simulator.inference.calibration import Observation, calibrate
from simulator.inference.execute import chunks, execute
from simulator.inference.images import Images
from simulator.inference.metrics import ranking, top_k
from simulator.inference.model import Model
from simulator.inference.plan import NetworkPlan
from simulator.inference.policies.convert import convert
from simulator.inference.policies.policy import Policy
from simulator.inference.policies.scaling import tensor_scale
from simulator.numerics import get_mac
from simulator.numerics.formats import Format, get_format

WeightKind = Literal["float", "fixed"]
_WIDEST, _NARROWEST = 8, 3


@dataclass(frozen=True, slots=True)
class Widths:
    """What the search found, and every width it tried with the accuracy in percent.

    Accuracy is top-1 on the calibration images where they are labelled, else agreement with float32.
    """

    plan: NetworkPlan
    activation: str
    weight: str
    weight_bits: int
    accuracy: float
    float32_accuracy: float
    tried: dict[str, float] = field(default_factory=dict)


def smallest_widths(model: Model, data: Images, policy: Policy, *, weights: WeightKind = "float") -> Widths:
    """Narrow the weights, then the activations, bit by bit, as long as at most `policy.loss` points are lost.

    For each width of float weights the exponent width with the least error on the network's weights is
    taken. If even 8 bits lose more, 8 bits are what is returned.
    """
    images = data.for_calibration
    observed = calibrate(model, images)
    scorer = _Scorer(model, data, replace(policy, search=False), observed)
    target = scorer.float32() - policy.loss
    activation, weight = f"int{_WIDEST}", _weight_format(model, _WIDEST, weights)
    scorer.score(activation, weight)
    for bits in range(_WIDEST - 1, _NARROWEST - 1, -1):
        narrower = _weight_format(model, bits, weights)
        if scorer.score(activation, narrower) < target:
            break
        weight = narrower
    for bits in range(_WIDEST - 1, _NARROWEST - 1, -1):
        if scorer.score(f"int{bits}", weight) < target:
            break
        activation = f"int{bits}"
    plan = scorer.plan(activation, weight)
    weight_bits = get_format(weight).bits
    chosen = {
        "activation": activation.replace("int", "fix"),
        "weight": weight,
        "weight_storage_saved_against_8_bits": 1 - weight_bits / 8,
        "accuracy_by_widths": dict(scorer.tried),
    }
    plan = replace(plan, choices={"widths": chosen, **plan.choices})
    accuracy = scorer.score(activation, weight)
    return Widths(plan, activation, weight, weight_bits, accuracy, scorer.float32(), scorer.tried)


@dataclass(frozen=True, slots=True)
class _Scorer:
    model: Model
    data: Images
    policy: Policy
    observed: Mapping[str, Observation]
    tried: dict[str, float] = field(default_factory=dict)

    def plan(self, activation: str, weight: str) -> NetworkPlan:
        mac = get_mac(f"{activation} x {weight}")
        macs = {product.name: mac for product in self.model.products}
        return convert(self.model, self.policy, macs, self.observed)

    def score(self, activation: str, weight: str) -> float:
        """Percent of calibration images that are right (or agree with float32)."""
        name = f"{activation} x {weight}"
        if name not in self.tried:
            plan = self.plan(activation, weight)
            self.tried[name] = self._percent(
                lambda product, x, second: mac_product(product, plan.layers[product.name], x, second).values
            )
        return self.tried[name]

    def float32(self) -> float:
        if "float32" not in self.tried:
            self.tried["float32"] = self._percent(float32_product)
        return self.tried["float32"]

    def _percent(self, arithmetic: Any) -> float:
        images, labels = self.data.for_calibration, self.data.calibration_labels
        logits = np.concatenate([execute(self.model, chunk, arithmetic) for chunk in chunks(images)])
        if labels is None:
            reference = np.concatenate(
                [execute(self.model, chunk, float32_product) for chunk in chunks(images)]
            )
            labels = ranking(reference)[:, 0]
        share = top_k(logits, labels, 1)
        assert share is not None
        return round(100 * share, 4)


def _weight_format(model: Model, bits: int, kind: WeightKind) -> str:
    """The spec of `bits` wide weights; for floats the split with the least squared error over all layers."""
    if kind == "fixed":
        return f"int{bits}"
    candidates = [
        get_format(f"e{exponent}m{bits - 1 - exponent}") for exponent in range(2, min(5, bits - 1) + 1)
    ]
    return min(candidates, key=lambda fmt: _relative_error(model, fmt)).spec


def _relative_error(model: Model, fmt: Format) -> float:
    total = 0.0
    for product in model.products:
        if product.weights is not None:
            scale = tensor_scale(product.weights, fmt, "mse", percentile=100.0, power_of_two=True)
            rounded = fmt.decode(fmt.encode(product.weights / scale)) * scale
            total += float(np.square(rounded - product.weights).sum() / np.square(product.weights).sum())
    return total
