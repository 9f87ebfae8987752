"""All values of tensors, and the squared error that a format with a scale leaves in them.

Nothing is sampled: images repeat in rows and channels, so every n-th value of a tensor may be every value of
one column.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from simulator.inference.distributions.rounding_grid import rounding_grid
from simulator.inference.distributions.staircase import Staircase, staircase
from simulator.inference.quantization import to_codes
from simulator.numerics.array_types import Reals
from simulator.numerics.engines.threads import for_row_ranges
from simulator.numerics.formats import Format

Values = NDArray[np.float32] | NDArray[np.float64]

_VALUES_AT_ONCE = 1 << 18
_FEW = 1 << 16
"""Roundings that take less time than loading compiled loops."""

_TOGETHER = 32
"""Distinct values between two running totals; what lies between is added when it is asked for."""

_ORDERS = 8 * 2.0**-53
"""Sums of n positive terms in two orders differ by less than this times n, as a share."""

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
        if scales.size >= _FEW:
            from simulator.inference.distributions.search_kernels import fit

            tried, products, powers = (
                np.ascontiguousarray(each, np.float64) for each in (scales, cross, power)
            )
            own = np.ascontiguousarray(np.broadcast_to(squares, scales.shape[1:]), np.float64)
            errors, fitted, fitted_errors = (np.empty(scales.shape) for _ in range(3))
            fit(tried, own, products, powers, errors, fitted, fitted_errors)
            return cls(errors, fitted, fitted_errors)
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
    def values(self) -> Values:
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

    def improves(self, fmt: Format, scales: Reals, bases: Reals) -> NDArray[np.bool_]:
        """Whether `squared_errors` of `scales` are less than those of `bases`, [columns]."""
        ...


@dataclass(slots=True, eq=False)
class Spread:
    """All values of a tensor that is seen part by part, but for those that are frequent, which are counted.

    Zeros, and the smallest and the largest value of each part, are frequent behind a ReLU or a clip.
    """

    frequent: dict[float, int] = field(default_factory=dict)

    def rest_of(self, part: NDArray[Any]) -> Values:
        """Count the frequent values of the next part of finite values; the others in order."""
        from simulator.inference.distributions.search_kernels import leave_out

        flat = np.ascontiguousarray(part).reshape(-1)
        flat = flat if flat.dtype in (np.float32, np.float64) else flat.astype(np.float64)
        if not flat.size:
            return flat
        low, high = float(flat.min()), float(flat.max())
        rest = np.empty_like(flat)
        number, *times = leave_out(flat, low, high, rest)
        for value, count in zip((0.0, low, high), times, strict=True):
            if count:
                self.frequent[value] = self.frequent.get(value, 0) + count
        return rest[:number]

    def add(self, other: Spread) -> None:
        """Count what another one counted, too."""
        for value, count in other.frequent.items():
            self.frequent[value] = self.frequent.get(value, 0) + count

    def distribution(self, *rest: Values) -> Distribution:
        """Of all parts; `rest` are the values that are not counted here, in any order and any pieces."""
        from simulator.inference.distributions.search_kernels import count_runs

        often = np.array(sorted(self.frequent))
        times = np.array([self.frequent[value] for value in often.tolist()], np.int64)
        ascending = np.concatenate([*rest, often.astype(rest[0].dtype)])
        ascending.sort()
        counts: NDArray[np.integer[Any]] = np.empty(
            ascending.size, np.int64 if times.sum() + ascending.size >= 1 << 32 else np.uint32
        )
        blocks = -(-ascending.size // _TOGETHER)
        totals, sums = np.zeros(blocks + 1, np.int64), np.zeros(blocks + 1)
        number, squares = 0, 0.0
        if ascending.size:
            number, squares = count_runs(ascending, often, times, counts, _TOGETHER, totals, sums)
        used = -(-number // _TOGETHER) + 1
        return Distribution(ascending[:number], counts[:number], totals[:used], sums[:used], squares)


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """Distinct values of one tensor in ascending order with their counts, and totals over them.

    Attributes:
        values: ascending, float32 or float64.
        counts: how often each value occurs.
        totals: how many values lie before every `_TOGETHER`-th distinct one, and how many there are.
        sums: the sum of all values before each of these, added in ascending order, and of all.
        squares: the sum of squares of all values, in ascending order.
    """

    values: Values
    counts: NDArray[np.integer[Any]]
    totals: NDArray[np.int64]
    sums: Reals
    squares: float

    @classmethod
    def of(cls, tensor: NDArray[Any]) -> Distribution:
        """The distribution of a tensor of finite values."""
        spread = Spread()
        return spread.distribution(spread.rest_of(tensor))

    @property
    def size(self) -> int:
        """Number of all values."""
        return int(self.totals[-1])

    @property
    def extent(self) -> float:
        """The largest magnitude; 0 for an empty tensor."""
        return max(-float(self.values[0]), float(self.values[-1])) if self.values.size else 0.0

    def magnitude(self, percentile: float) -> float:
        """A percentile of the magnitudes of all values, between two of them by linear interpolation."""
        from simulator.inference.distributions.search_kernels import largest_magnitude

        size = self.size
        rank = (float(size) - 1) * percentile / 100
        low, high = (
            largest_magnitude(self.values, self.counts, size - int(each))
            for each in (np.floor(rank), np.ceil(rank))
        )
        return float(low + (high - low) * (rank - np.floor(rank)))

    @property
    def root_mean_squares(self) -> Reals:
        """The root of the mean square of all values, [1]."""
        return np.sqrt(self.squares / np.array([float(self.size)]))

    def squared_errors(self, fmt: Format, scales: Reals) -> Reals:
        """The sum of (code value x scale - value)**2 over all values, [1], from the codes themselves."""
        return _squared_errors(*self._columns(), fmt, scales)

    def improves(self, fmt: Format, scales: Reals, bases: Reals) -> NDArray[np.bool_]:
        """As `Scaled.improves`; a sum in another order decides where no order could decide otherwise."""
        from simulator.inference.distributions.search_kernels import noise

        if (scales == bases).all():
            return np.zeros(1, np.bool_)
        steps = staircase(fmt)
        if steps is not None and np.isfinite(steps.levels).all():
            errors = [
                noise(self.values, self.counts, steps.thresholds, steps.levels, float(each[0]))
                for each in (scales, bases)
            ]
            if abs(errors[0] - errors[1]) > _ORDERS * self.values.size * max(errors):
                return np.array([errors[0] < errors[1]])
        return np.asarray(self.squared_errors(fmt, scales) < self.squared_errors(fmt, bases))

    def fits(self, fmt: Format, scales: Reals) -> Fits:
        """As `Scaled.fits`; errors come from running totals and are off by about 1e-13 of all squares."""
        steps = staircase(fmt)
        if steps is None or _SEARCH * steps.levels.size > self.values.size:
            return _fits(*self._columns(), fmt, scales)
        cross, power = self._sums(steps, np.ascontiguousarray(scales[:, 0]))
        return Fits.of(scales, self.squares, cross[:, None], power[:, None])

    def _columns(self) -> tuple[Reals, Reals]:
        return self.values[:, None].astype(np.float64), self.counts[:, None].astype(np.float64)

    def _sums(self, steps: Staircase, scales: Reals) -> tuple[Reals, Reals]:
        """The sums of code value x value and of code value**2, [tried] each."""
        from simulator.inference.distributions.search_kernels import step_sums

        cross, power = np.empty(scales.size), np.empty(scales.size)
        arrays = (self.values, self.counts, self.totals, self.sums, self.values[::_TOGETHER].copy())
        step_sums(*arrays, _TOGETHER, steps.thresholds, steps.levels, scales, cross, power)
        return cross, power


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

    def improves(self, fmt: Format, scales: Reals, bases: Reals) -> NDArray[np.bool_]:
        """As `Scaled.improves`."""
        return np.asarray(self.squared_errors(fmt, scales) < self.squared_errors(fmt, bases))

    def fits(self, fmt: Format, scales: Reals) -> Fits:
        """As `Scaled.fits`."""
        grid = rounding_grid(fmt)
        if grid is None or self.values.shape[1] == 1 or scales.size * len(self.values) < _FEW:
            return _fits(self.values, 1.0, fmt, scales)
        from simulator.inference.distributions.search_kernels import column_sums

        values, cross, power = (
            np.ascontiguousarray(self.values),
            np.empty(scales.shape),
            np.empty(scales.shape),
        )
        shape = (grid.first, grid.anchor, grid.low, grid.high)

        def sums(start: int, end: int) -> None:
            column_sums(values, scales[start:end], *shape, cross[start:end], power[start:end])

        for_row_ranges(len(scales), sums)
        return Fits.of(scales, (self.values * self.values).sum(axis=0), cross, power)


def _squared_errors(values: Reals, counts: Reals | float, fmt: Format, scales: Reals) -> Reals:
    with np.errstate(invalid="ignore", over="ignore"):
        errors = np.square(fmt.decode(to_codes(values / scales, fmt)) * scales - values)
        return np.asarray((counts * errors).sum(axis=0))


def _fits(values: Reals, counts: Reals | float, fmt: Format, scales: Reals) -> Fits:
    """`Scaled.fits` from the codes of all values [length, columns]; memory bounds the scales at once.

    Errors of formats above 16 bits are added up themselves: differences of sums would hide them.
    """
    cross, power, errors = (np.empty(scales.shape) for _ in range(3))
    is_wide = staircase(fmt) is None
    weighted = counts * values
    at_once = max(1, _VALUES_AT_ONCE // max(values.size, 1))
    for start in range(0, len(scales), at_once):
        part = slice(start, start + at_once)
        levels = fmt.decode(to_codes(values / scales[part, None, :], fmt))
        with np.errstate(invalid="ignore"):
            cross[part] = (weighted * levels).sum(axis=1)
        power[part] = (counts * np.square(levels)).sum(axis=1)
        if is_wide:
            with np.errstate(invalid="ignore", over="ignore"):
                errors[part] = (counts * np.square(levels * scales[part, None, :] - values)).sum(axis=1)
    fits = Fits.of(scales, (weighted * values).sum(axis=0), cross, power)
    return replace(fits, errors=np.where(np.isfinite(power), errors, np.inf)) if is_wide else fits
