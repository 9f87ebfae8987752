"""Which neighbouring code a weight becomes: the nearest, or the one that keeps the layer's output.

Weights come scaled, [K, N]; `moments` is X^T X of the layer's inputs, [K, K], so that the squared error of
the output is trace((W - W')^T moments (W - W')).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from simulator.numerics.formats import Format

Tensor = NDArray[np.float64]
Codes = NDArray[np.unsignedinteger[Any]]
Rounding = Literal["nearest", "second_order", "learned"]

_DAMPING = 0.01
_ITERATIONS = 400
_LEARNING_RATE = 0.02
_REGULARIZATION = 0.05
# Stretch of the rectified sigmoid, Louizos et al. 2018, as AdaRound takes it.
_LOW, _HIGH = -0.1, 1.1


def nearest(weights: Tensor, fmt: Format, moments: Tensor) -> Codes:  # noqa: ARG001 - one signature for all
    """The nearest code of each weight."""
    return fmt.encode(weights)


def second_order(weights: Tensor, fmt: Format, moments: Tensor) -> Codes:
    """Round one input channel after the other; those still to come make up for the error.

    Frantar et al. 2023 (GPTQ), arXiv 2210.17323, with 1 % damping and the channels in their own order.
    """
    length = len(weights)
    damped = moments + np.eye(length) * max(_DAMPING * np.trace(moments) / length, 1e-12)
    factor = np.linalg.cholesky(np.linalg.inv(damped)).T
    remaining = weights.copy()
    codes = np.zeros(weights.shape, fmt.code_dtype)
    for k in range(length):
        codes[k] = fmt.encode(remaining[k])
        error = (remaining[k] - fmt.decode(codes[k])) / factor[k, k]
        remaining[k + 1 :] -= np.outer(factor[k, k + 1 :], error)
    return codes


def learned(weights: Tensor, fmt: Format, moments: Tensor) -> Codes:
    """Learn for each weight whether it goes up or down, by gradient descent on the layer's output error.

    Nagel et al. 2020 (AdaRound), arXiv 2004.10568: rectified sigmoid, annealed regularizer, Adam. Falls back
    to the nearest codes if these give the smaller error.
    """
    values = np.unique(fmt.values()[np.isfinite(fmt.values())])
    upper_index = np.clip(np.searchsorted(values, weights, side="right"), 1, len(values) - 1)
    lower, upper = values[upper_index - 1], values[upper_index]
    gap = upper - lower
    position = np.clip((weights - lower) / gap, 0.01, 0.99)
    logits = _logit((position - _LOW) / (_HIGH - _LOW))
    scale = moments / max(np.trace(moments) / len(moments), 1e-12)
    unit = max(float(np.mean(np.square(gap))), 1e-30)
    mean, square = np.zeros_like(logits), np.zeros_like(logits)
    for step in range(1, _ITERATIONS + 1):
        sigmoid = 1 / (1 + np.exp(-logits))
        stretched = sigmoid * (_HIGH - _LOW) + _LOW
        up = np.clip(stretched, 0, 1)
        slope = np.where((stretched > 0) & (stretched < 1), (_HIGH - _LOW) * sigmoid * (1 - sigmoid), 0)
        gradient = 2 * gap * (scale @ (lower + up * gap - weights)) / unit
        sharpness = 20 - 18 * step / _ITERATIONS
        distance = 2 * up - 1
        weight = _REGULARIZATION if step > _ITERATIONS // 5 else 0.0
        gradient -= weight * 2 * sharpness * np.sign(distance) * np.abs(distance) ** (sharpness - 1)
        gradient *= slope
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        corrected = mean / (1 - 0.9**step), square / (1 - 0.999**step)
        logits -= _LEARNING_RATE * corrected[0] / (np.sqrt(corrected[1]) + 1e-12)
    chosen = fmt.encode(np.where(1 / (1 + np.exp(-logits)) * (_HIGH - _LOW) + _LOW >= 0.5, upper, lower))
    plain = fmt.encode(weights)
    return min(chosen, plain, key=lambda codes: output_error(weights, fmt.decode(codes), moments))


def output_error(weights: Tensor, rounded: Tensor, moments: Tensor) -> float:
    """Squared error of the layer's output that rounding causes."""
    difference = rounded - weights
    return float(np.sum(difference * (moments @ difference)))


def _logit(share: Tensor) -> Tensor:
    return np.asarray(np.log(share / (1 - share)))


ROUNDINGS: Mapping[Rounding, Callable[[Tensor, Format, Tensor], Codes]] = {
    "nearest": nearest,
    "second_order": second_order,
    "learned": learned,
}
