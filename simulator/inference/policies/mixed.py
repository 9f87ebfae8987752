"""Float weights x fixed-point activations with the smallest widths that keep a stated accuracy.

Lai et al. 2017, arXiv 1703.03073: floating-point weights follow their distribution with fewer bits than
fixed-point ones, and save storage at equal accuracy; activations stay fixed point.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from simulator.foundation.paired import PairedDifference, paired_outcomes, standard_error_points
from simulator.inference.arithmetic import Arithmetic, float32_product, mac_product
from simulator.inference.calibration import Calibrations, Observation
from simulator.inference.chunks import chunks
from simulator.inference.execute import execute
from simulator.inference.images import Data
from simulator.inference.inputs import Feed
from simulator.inference.metrics import ranking
from simulator.inference.model import Model
from simulator.inference.policies.convert import convert, needed_extent
from simulator.inference.policies.policy import Policy
from simulator.inference.quantization import NetworkPlan
from simulator.numerics import get_mac
from simulator.numerics.formats import get_format

WeightKind = Literal["float", "fixed"]

WIDEST = 8
NARROWEST: Mapping[WeightKind, int] = {"float": 3, "fixed": 2}
"""Bits of weights; activations are fixed point."""

MOST_EXPONENT_BITS = 5
EXHAUSTIVE_SECONDS = 1800.0
"""Every pair of formats may be tried where that is estimated to take no longer than this."""

SECONDS_PER_GMAC = 2.0
"""Assumed for the estimate, as for one core; not measured, so that every machine searches alike."""


@dataclass(frozen=True, slots=True)
class Widths:
    """What the search found, and every pair of formats it tried.

    Attributes:
        plan: of the network in the formats found.
        activation: their format.
        weight: the weights' format.
        weight_bits: its width.
        accuracy: percent of the calibration images that are right, or agree with float32 without labels.
        float32_accuracy: the same for float32.
        above_float32: the difference of the two in points, with its interval on these images.
        exhaustive: whether all narrower pairs were tried, so that these widths are the smallest.
        tried: accuracy by pair of formats; None where a run stopped as soon as it had lost too much.
    """

    plan: NetworkPlan
    activation: str
    weight: str
    weight_bits: int
    accuracy: float
    float32_accuracy: float
    above_float32: PairedDifference
    exhaustive: bool
    tried: dict[str, float | None] = field(default_factory=dict)


def smallest_widths(
    model: Model,
    data: Data,
    policy: Policy,
    *,
    weights: WeightKind = "float",
    exhaustive_seconds: float = EXHAUSTIVE_SECONDS,
    calibrations: Calibrations | None = None,
) -> Widths:
    """The narrowest weights, and for these the narrowest activations, that lose at most `policy.loss` points.

    Where trying every pair of formats is estimated to take at most `exhaustive_seconds`, pairs are tried
    from the narrowest weights and activations up; the first width at which some format of the weights keeps
    the accuracy is the smallest there is, and of its formats the most accurate one is taken. Else weights
    are narrowed bit by bit beside 8-bit activations, then activations, each as long as the accuracy keeps.
    If 8 bits lose more, the most accurate pair of 8 bits is returned. Float weights have 1 to 5 exponent
    bits. `calibrations` are of the same network and images; None: they are made anew.
    """
    scorer = _Scorer.of(model, data, replace(policy, search=False), calibrations)
    macs = len(scorer.labels) * sum(seen.macs_per_image for seen in scorer.observed.values())
    pairs = sum(len(formats) for _, formats in _pairs(weights))
    exhaustive = pairs * macs * SECONDS_PER_GMAC / 1e9 <= exhaustive_seconds
    found = _first_that_keeps(scorer, weights) if exhaustive else _narrowed(scorer, weights)
    return _widths(scorer, *(found or _widest(scorer, weights)), exhaustive=exhaustive)


def _pairs(weights: WeightKind) -> Iterator[tuple[int, list[str]]]:
    """Bits of activations and formats of the weights, from the narrowest weights up."""
    for weight_bits in range(NARROWEST[weights], WIDEST + 1):
        for activation_bits in range(NARROWEST["fixed"], WIDEST + 1):
            yield activation_bits, _weight_formats(weight_bits, weights)


def _weight_formats(bits: int, kind: WeightKind) -> list[str]:
    if kind == "fixed":
        return [f"int{bits}"]
    return [
        f"e{exponent}m{bits - 1 - exponent}" for exponent in range(1, min(MOST_EXPONENT_BITS, bits - 1) + 1)
    ]


def _first_that_keeps(scorer: _Scorer, weights: WeightKind) -> tuple[int, str] | None:
    for activation_bits, formats in _pairs(weights):
        weight = scorer.best_that_keeps(activation_bits, formats)
        if weight is not None:
            return activation_bits, weight
    return None


def _narrowed(scorer: _Scorer, weights: WeightKind) -> tuple[int, str] | None:
    weight: str | None = None
    for bits in range(WIDEST, NARROWEST[weights] - 1, -1):
        narrower = scorer.best_that_keeps(WIDEST, _weight_formats(bits, weights))
        if narrower is None:
            break
        weight = narrower
    if weight is None:
        return None
    found = WIDEST
    while found > NARROWEST["fixed"] and scorer.best_that_keeps(found - 1, [weight]) is not None:
        found -= 1
    return found, weight


def _widest(scorer: _Scorer, weights: WeightKind) -> tuple[int, str]:
    """The most accurate pair of the widest formats, whatever it loses."""
    formats = _weight_formats(WIDEST, weights)
    return WIDEST, max(formats, key=lambda weight: int(scorer.outcomes(WIDEST, weight).sum()))


def _widths(scorer: _Scorer, activation_bits: int, weight: str, *, exhaustive: bool) -> Widths:
    """The result, with what a reader must know about how sure it is."""
    right, reference = scorer.outcomes(activation_bits, weight), scorer.float32()
    images, loss = len(reference), scorer.policy.loss
    above = paired_outcomes(right.tolist(), reference.tolist())
    weight_bits = get_format(weight).bits
    tried = {pair: None if each is None else _percent(each) for pair, each in scorer.tried.items()}
    plan = scorer.plan(activation_bits, weight)
    chosen: dict[str, Any] = {
        "activation": f"fix{activation_bits}",
        "weight": weight,
        "weight_storage_saved_against_8_bits": 1 - weight_bits / 8,
        "accuracy_by_widths": {"float32": _percent(reference), **tried},
        "search": _SEARCHES[exhaustive],
        "keeps_accuracy": above.points >= -loss,
        "calibration_images": images,
        "standard_error_points": round(standard_error_points(float(reference.mean()), images), 2),
        "above_float32_points": [round(each, 2) for each in (above.points, above.low, above.high)],
    }
    return Widths(
        replace(plan, choices={"widths": chosen, **plan.choices}),
        f"int{activation_bits}",
        weight,
        weight_bits,
        _percent(right),
        _percent(reference),
        above,
        exhaustive,
        tried,
    )


_SEARCHES = {
    True: "every narrower pair of formats was tried and loses more",
    False: "one width after the other, as trying all pairs would take too long: narrower ones may do as well",
}


@dataclass(frozen=True, slots=True)
class _Scorer:
    """Pairs of formats on the calibration images, each measured once.

    `tried` holds by pair which images are right, or None where too few were.
    """

    model: Model
    data: Data
    policy: Policy
    observed: Mapping[str, Observation]
    labels: NDArray[np.int64]
    tried: dict[str, NDArray[np.bool_] | None] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Model, data: Data, policy: Policy, calibrations: Calibrations | None) -> _Scorer:
        """A scorer that has measured nothing yet; float32's answers stand in for missing labels."""
        images, labels = data.for_calibration, data.calibration_labels
        if labels is None:
            labels = _answers(model, images, float32_product)
        known = calibrations or Calibrations(model, images)
        return cls(model, data, policy, known.with_extent(needed_extent(policy)), labels)

    def plan(self, activation_bits: int, weight: str) -> NetworkPlan:
        products = [product.name for product in self.model.products]
        return convert(
            self.model,
            dict.fromkeys(products, self.policy),
            dict.fromkeys(products, get_mac(_pair(activation_bits, weight))),
            self.observed,
            self.data.for_calibration,
        )

    def float32(self) -> NDArray[np.bool_]:
        """Which calibration images float32 has right."""
        found = self.tried.get("float32")
        if found is None:
            found = _answers(self.model, self.data.for_calibration, float32_product) == self.labels
            self.tried["float32"] = found
        return found

    def best_that_keeps(self, activation_bits: int, weights: Sequence[str]) -> str | None:
        """The most accurate of some formats of weights that lose no more than the policy allows, if any."""
        kept = {}
        for weight in weights:
            pair = _pair(activation_bits, weight)
            if pair not in self.tried:
                self.tried[pair] = self._right(activation_bits, weight, self._most_wrong())
            right = self.tried[pair]
            if right is not None:
                kept[weight] = int(right.sum())
        return max(kept, key=lambda weight: kept[weight]) if kept else None

    def outcomes(self, activation_bits: int, weight: str) -> NDArray[np.bool_]:
        """Which calibration images are right, however many."""
        pair = _pair(activation_bits, weight)
        right = self.tried.get(pair)
        if right is None:
            right = self._right(activation_bits, weight, len(self.labels))
            assert right is not None
            self.tried[pair] = right
        return right

    def _most_wrong(self) -> int:
        """Images that may be wrong without losing more than the policy allows."""
        reference = self.float32()
        allowed = self.policy.loss / 100 * len(reference)
        return int(np.count_nonzero(~reference) + np.floor(allowed + 1e-9))

    def _right(self, activation_bits: int, weight: str, most_wrong: int) -> NDArray[np.bool_] | None:
        plan = self.plan(activation_bits, weight)
        right: list[NDArray[np.bool_]] = []
        for chunk in chunks(self.model, self.data.for_calibration):
            logits = execute(
                self.model,
                chunk,
                lambda product, x, second: mac_product(product, plan.layers[product.name], x, second).values,
            )
            start = sum(map(len, right))
            right.append(ranking(logits)[:, 0] == self.labels[start : start + len(chunk)])
            if sum(int(np.count_nonzero(~part)) for part in right) > most_wrong:
                return None
        return np.concatenate(right)


def _answers(model: Model, images: Feed, arithmetic: Arithmetic) -> NDArray[np.int64]:
    return np.concatenate(
        [ranking(execute(model, chunk, arithmetic))[:, 0] for chunk in chunks(model, images)]
    )


def _pair(activation_bits: int, weight: str) -> str:
    return f"int{activation_bits} x {weight}"


def _percent(right: NDArray[np.bool_]) -> float:
    return round(100 * float(right.mean()), 4)
