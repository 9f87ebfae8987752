"""All values of tensors, and the squared error that a format with a scale leaves in them.

Nothing is sampled: images repeat in rows and channels, so every n-th value of a tensor may be every value of
one column.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from simulator.inference.quantization import to_codes
from simulator.numerics.formats import TABLE_BITS, Format

Reals = NDArray[np.float64]

_BISECTIONS = 64
_VALUES_AT_ONCE = 1 << 18
_SEARCH = 8
"""Looking up one threshold among values takes about as long as rounding so many values."""


@dataclass(frozen=True, slots=True, eq=False)
class Fits:
    """Scales tried for some columns, [tried, columns] each.

    Attributes:
        errors: squared error of the codes at the scales tried; infinite where values became infinite.
        fitted: the scales that suit these codes best, by least squares.
        fitted_errors: squared error of these codes at the fitted scales.
    """

    errors: Reals
    fitted: Reals
    fitted_errors: Reals

    @classmethod
    def of(cls, scales: Reals, squares: Reals | float, cross: Reals, power: Reals) -> Fits:
        """From the sums of value**2, of code value x value, and of code value**2."""
        usable = np.isfinite(power) & (power > 0) & (cross > 0)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            errors = np.maximum(squares - 2 * scales * cross + np.square(scales) * power, 0)
            fitted = np.where(usable, cross / power, scales)
            fitted_errors = np.where(usable, np.maximum(squares - cross * fitted, 0), errors)
        whole = np.isfinite(power)
        return cls(np.where(whole, errors, np.inf), fitted, np.where(whole, fitted_errors, np.inf))


class Scaled(Protocol):
    """Columns of values, each of which is to have a scale."""

    @property
    def values(self) -> Reals:
        """[length, columns], or the distinct values of one column."""
        ...

    @property
    def root_mean_squares(self) -> Reals:
        """Of each column, zeros included, [columns]."""
        ...

    def fits(self, fmt: Format, scales: Reals) -> Fits:
        """What the codes at scales [tried, columns] can do."""
        ...

    def squared_errors(self, fmt: Format, scales: Reals) -> Reals:
        """The sum over each column of (code value x scale - value)**2, [columns], from the codes."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """Distinct values of one tensor in ascending order with their counts, and totals over them.

    Attributes:
        values: ascending.
        counts: how often each value occurs.
        counts_before: of all values before the i-th, one entry more than `values`.
        sums_before: the sum of all values before the i-th, likewise.
        squares: the sum of squares of all values.
    """

    values: Reals
    counts: Reals
    counts_before: Reals
    sums_before: Reals
    squares: float

    @classmethod
    def of(cls, tensor: NDArray[Any]) -> Distribution:
        """The distribution of a tensor of finite values."""
        values, counts = np.unique(tensor, return_counts=True)
        reals, weights = values.astype(np.float64), counts.astype(np.float64)
        squares = float(np.dot(weights, np.square(reals)))
        return cls(reals, weights, _running(weights), _running(weights * reals), squares)

    @property
    def extent(self) -> float:
        """The largest magnitude; 0 for an empty tensor."""
        return float(max(-self.values[0], self.values[-1])) if self.values.size else 0.0

    def magnitude(self, percentile: float) -> float:
        """A percentile of the magnitudes of all values, between two of them by linear interpolation."""
        magnitudes = np.abs(self.values)
        order = np.argsort(magnitudes, kind="stable")
        up_to = np.cumsum(self.counts[order])
        rank = (up_to[-1] - 1) * percentile / 100
        low, high = magnitudes[order][np.searchsorted(up_to, [np.floor(rank), np.ceil(rank)], side="right")]
        return float(low + (high - low) * (rank - np.floor(rank)))

    @property
    def root_mean_squares(self) -> Reals:
        """The root of the mean square of all values, [1]."""
        return np.sqrt(self.squares / self.counts_before[-1:])

    def squared_errors(self, fmt: Format, scales: Reals) -> Reals:
        """The sum of (code value x scale - value)**2 over all values, [1], from the codes themselves."""
        return _squared_errors(self.values[:, None], self.counts[:, None], fmt, scales)

    def fits(self, fmt: Format, scales: Reals) -> Fits:
        """As `Scaled.fits`; errors come from running totals and are off by about 1e-13 of all squares."""
        steps = staircase(fmt)
        if steps is None or _SEARCH * steps.levels.size > self.values.size:
            return _fits(self.values[:, None], self.counts[:, None], fmt, scales)
        sums = np.array([self._sums(steps, scale) for scale in scales[:, 0].tolist()])
        return Fits.of(scales, self.squares, sums[:, :1], sums[:, 1:])

    def _sums(self, steps: Staircase, scale: float) -> tuple[float, float]:
        """The sums of code value x value and of code value**2."""
        inner = np.searchsorted(self.values, steps.thresholds * scale)
        edges = np.concatenate([[0], inner, [self.values.size]])
        used = np.flatnonzero(np.diff(edges))
        levels = steps.levels[used]
        if not np.isfinite(levels).all():
            return 0.0, np.inf
        first, end = edges[used], edges[used + 1]
        count = self.counts_before[end] - self.counts_before[first]
        total = self.sums_before[end] - self.sums_before[first]
        return float(np.dot(levels, total)), float(np.dot(np.square(levels), count))


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Finite values [length, columns] of which each column has a scale of its own."""

    values: Reals

    @property
    def root_mean_squares(self) -> Reals:
        """The root of the mean square of each column, [columns]."""
        return np.asarray(np.sqrt(np.square(self.values).mean(axis=0)))

    def squared_errors(self, fmt: Format, scales: Reals) -> Reals:
        """As `Scaled.squared_errors`."""
        return _squared_errors(self.values, 1.0, fmt, scales)

    def fits(self, fmt: Format, scales: Reals) -> Fits:
        """As `Scaled.fits`."""
        return _fits(self.values, 1.0, fmt, scales)


@dataclass(frozen=True, slots=True, eq=False)
class Staircase:
    """A format's rounding as a staircase: reals from `thresholds[i]` up have the value `levels[i + 1]`.

    Levels ascend and end in infinities where the format overflows to them.
    """

    levels: Reals
    thresholds: Reals


@lru_cache(maxsize=256)
def staircase(fmt: Format) -> Staircase | None:
    """Where a format's own encoder steps from one value to the next; None above 16 bits.

    The steps are found by bisection, so that log numbers and posits, which do not round to the nearest real
    value, have theirs.
    """
    if fmt.bits > TABLE_BITS:
        return None
    values = fmt.values()
    levels = np.unique(np.where(values == 0, 0.0, values)[np.isfinite(values)])
    below, beyond = fmt.decode(to_codes(np.array([4 * fmt.lowest, 4 * fmt.largest]), fmt)).tolist()
    low, high = levels[:-1], levels[1:]
    if np.isinf(beyond):
        low, high = np.append(low, fmt.largest), np.append(high, 4 * fmt.largest)
    if np.isinf(below):
        low, high = np.append(4 * fmt.lowest, low), np.append(fmt.lowest, high)
    upper = fmt.decode(to_codes(high, fmt))
    for _ in range(_BISECTIONS):
        middle = low + (high - low) / 2
        reached = fmt.decode(to_codes(middle, fmt)) >= upper
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return Staircase(np.append(fmt.decode(to_codes(low[:1], fmt)), upper), high)


def _running(terms: Reals) -> Reals:
    return np.concatenate([[0.0], np.cumsum(terms)])


def _squared_errors(values: Reals, counts: Reals | float, fmt: Format, scales: Reals) -> Reals:
    with np.errstate(invalid="ignore", over="ignore"):
        errors = np.square(fmt.decode(to_codes(values / scales, fmt)) * scales - values)
        return np.asarray((counts * errors).sum(axis=0))


def _fits(values: Reals, counts: Reals | float, fmt: Format, scales: Reals) -> Fits:
    """`Scaled.fits` from the codes of all values [length, columns]; memory bounds the scales at once."""
    cross, power = np.empty(scales.shape), np.empty(scales.shape)
    weighted = counts * values
    at_once = max(1, _VALUES_AT_ONCE // max(values.size, 1))
    for start in range(0, len(scales), at_once):
        part = slice(start, start + at_once)
        levels = fmt.decode(to_codes(values / scales[part, None, :], fmt))
        with np.errstate(invalid="ignore"):
            cross[part] = (weighted * levels).sum(axis=1)
        power[part] = (counts * np.square(levels)).sum(axis=1)
    return Fits.of(scales, (weighted * values).sum(axis=0), cross, power)
