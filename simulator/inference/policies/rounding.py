"""Which code a weight becomes: the nearest, or the one that keeps the layer's output.

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
_MOST_MOVES = 8
_NEGLIGIBLE = 1e-12


def nearest(weights: Tensor, fmt: Format, moments: Tensor) -> Codes:  # noqa: ARG001 - one signature for all
    """The nearest code of each weight."""
    return fmt.encode(weights)


def second_order(weights: Tensor, fmt: Format, moments: Tensor) -> Codes:
    """Round one input channel after the other; those still to come make up for the error.

    Frantar et al. 2023 (GPTQ), arXiv 2210.17323, with 1 % damping and the channels in their own order. An
    output channel keeps its nearest codes where these give the smaller error.
    """
    return _best(weights, fmt, moments, [_compensated(weights, fmt, moments), fmt.encode(weights)])


def learned(weights: Tensor, fmt: Format, moments: Tensor) -> Codes:
    """Learn for each weight whether it goes up or down, then change single weights while this helps.

    Nagel et al. 2020 (AdaRound), arXiv 2004.10568: gradient descent with a rectified sigmoid, an annealed
    regularizer and Adam. Coordinate descent follows: the move of one weight to a neighbouring code that
    lowers the error most, until no move lowers it. It starts from the learned codes, from the nearest and
    from those of `second_order`; each output channel takes the best outcome.
    """
    levels = np.unique(fmt.values()[np.isfinite(fmt.values())])
    starts = [_up_or_down(weights, levels, moments)]
    starts += [fmt.decode(codes) for codes in (fmt.encode(weights), _compensated(weights, fmt, moments))]
    return _best(
        weights,
        fmt,
        moments,
        [fmt.encode(descended(weights, levels, start, moments)) for start in starts],
    )


def descended(weights: Tensor, levels: Tensor, start: Tensor, moments: Tensor) -> Tensor:
    """Rounded weights after coordinate descent from `start`.

    Args:
        weights: [K, N].
        levels: the format's values in ascending order.
        start: a level for each weight, [K, N].
        moments: [K, K].
    """
    index = np.searchsorted(levels, start)
    last = len(levels) - 1
    slope = moments @ (levels[index] - weights)
    curvature = np.diag(moments)[:, None]
    smallest_gain = _NEGLIGIBLE * max(float(curvature.max()), 0.0) * float(np.square(np.diff(levels)).max())
    columns = np.arange(weights.shape[1])
    for _ in range(_MOST_MOVES * len(weights)):
        up = levels[np.minimum(index + 1, last)] - levels[index]
        down = levels[np.maximum(index - 1, 0)] - levels[index]
        changes = np.stack([step * (2 * slope + step * curvature) for step in (up, down)])
        flat = changes.reshape(-1, len(columns))
        best = flat.argmin(axis=0)
        moving = flat[best, columns] < -smallest_gain
        if not moving.any():
            break
        at, rows = columns[moving], best[moving] % len(weights)
        upwards = best[moving] < len(weights)
        steps = np.where(upwards, up[rows, at], down[rows, at])
        slope[:, at] += moments[:, rows] * steps
        index[rows, at] += np.where(upwards, 1, -1)
    return np.asarray(levels[index])


def output_errors(weights: Tensor, rounded: Tensor, moments: Tensor) -> Tensor:
    """Squared error that rounding causes in each output channel, [N]."""
    difference = rounded - weights
    return np.asarray((difference * (moments @ difference)).sum(axis=0))


def _best(weights: Tensor, fmt: Format, moments: Tensor, choices: list[Codes]) -> Codes:
    """For each output channel the codes with the least error, the first of equals."""
    errors = [output_errors(weights, fmt.decode(codes), moments) for codes in choices]
    return np.asarray(np.choose(np.argmin(errors, axis=0), choices), fmt.code_dtype)


def _compensated(weights: Tensor, fmt: Format, moments: Tensor) -> Codes:
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


def _up_or_down(weights: Tensor, levels: Tensor, moments: Tensor) -> Tensor:
    """AdaRound: the level below or above each weight."""
    above = np.clip(np.searchsorted(levels, weights, side="right"), 1, len(levels) - 1)
    lower, upper = levels[above - 1], levels[above]
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
    return np.where(1 / (1 + np.exp(-logits)) * (_HIGH - _LOW) + _LOW >= 0.5, upper, lower)


def _logit(share: Tensor) -> Tensor:
    return np.asarray(np.log(share / (1 - share)))


ROUNDINGS: Mapping[Rounding, Callable[[Tensor, Format, Tensor], Codes]] = {
    "nearest": nearest,
    "second_order": second_order,
    "learned": learned,
}
