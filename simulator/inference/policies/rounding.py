"""Which code a weight becomes: the nearest, or the one that keeps the layer's output.

Weights come scaled, [K, N]; `moments` is X^T X of the layer's inputs, [K, K], so that the squared error of
the output is trace((W - W')^T moments (W - W')).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from simulator.numerics.array_types import Codes
from simulator.numerics.formats import Format

Tensor = NDArray[np.float64]
Rounding = Literal["nearest", "second_order", "learned"]

_DAMPING = 0.01
_ITERATIONS = 400
_LEARNING_RATE, _MOMENTUM, _MEMORY, _EPSILON = 0.02, 0.9, 0.999, 1e-8
_REGULARIZATION, _SHARPEST, _BLUNTEST = 0.05, 20, 2
# Stretch of the rectified sigmoid, Louizos et al. 2018, as AdaRound takes it.
_LOW, _HIGH = -0.1, 1.1
_NEAREST_TO_ENDS = 0.01
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
    smallest_gain = _NEGLIGIBLE * float(curvature.max()) * float(np.square(np.diff(levels)).max())
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
    """The level below or above each weight, as `soft_shares` says."""
    lower, upper = neighbours(weights, levels)
    return np.where(soft_shares(weights, lower, upper, moments) >= 0.5, upper, lower)


def neighbours(weights: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
    """The level at or below each weight and the next one; past an end the two levels there."""
    above = np.clip(np.searchsorted(levels, weights, side="right"), 1, len(levels) - 1)
    return levels[above - 1], levels[above]


def soft_shares(weights: Tensor, lower: Tensor, upper: Tensor, moments: Tensor) -> Tensor:
    """AdaRound: how far each weight goes from `lower` to `upper`, learned; below 0 and above 1 mean 0 and 1.

    The loss is the squared error of the layer's output, in units of the mean square of a weight's gap times
    the mean of the moments' diagonal, plus the regularizer that drives shares to 0 and 1.
    """
    gap = upper - lower
    position = np.clip((weights - lower) / gap, _NEAREST_TO_ENDS, 1 - _NEAREST_TO_ENDS)
    sigmoid = (position - _LOW) / (_HIGH - _LOW)
    logits = np.log(sigmoid / (1 - sigmoid))
    scale = moments / max(np.trace(moments) / len(moments), _NEGLIGIBLE) / float(np.mean(np.square(gap)))
    mean, square = np.zeros_like(logits), np.zeros_like(logits)
    for step in range(1, _ITERATIONS + 1):
        sigmoid = 1 / (1 + np.exp(-logits))
        stretched = sigmoid * (_HIGH - _LOW) + _LOW
        up = np.clip(stretched, 0, 1)
        gradient = 2 * gap * (scale @ (lower + up * gap - weights))
        # From the first step on: at the start there is no output error, and Adam would follow rounding noise.
        gradient += _REGULARIZATION * _regularizer_slope(up, step / _ITERATIONS)
        # Where a share is clipped it does not move.
        moves = (stretched > 0) & (stretched < 1)
        gradient *= np.where(moves, (_HIGH - _LOW) * sigmoid * (1 - sigmoid), 0)
        mean = _MOMENTUM * mean + (1 - _MOMENTUM) * gradient
        square = _MEMORY * square + (1 - _MEMORY) * np.square(gradient)
        unbiased = mean / (1 - _MOMENTUM**step), square / (1 - _MEMORY**step)
        logits -= _LEARNING_RATE * unbiased[0] / (np.sqrt(unbiased[1]) + _EPSILON)
    return np.asarray((_HIGH - _LOW) / (1 + np.exp(-logits)) + _LOW)


def _regularizer_slope(up: Tensor, progress: float) -> Tensor:
    """The derivative of 1 - |2 up - 1|**sharpness, the sharpness falling from 20 to 2."""
    sharpness = _SHARPEST + (_BLUNTEST - _SHARPEST) * progress
    distance = 2 * up - 1
    return -2 * sharpness * np.sign(distance) * np.abs(distance) ** (sharpness - 1)


ROUNDINGS: Mapping[Rounding, Callable[[Tensor, Format, Tensor], Codes]] = {
    "nearest": nearest,
    "second_order": second_order,
    "learned": learned,
}
