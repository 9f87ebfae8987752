"""Which sums of real operands left their accumulator: counted, and cheap where a bound excludes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simulator.numerics import FixedAccumulator, Mac
from simulator.numerics.engines.exact import ExactSums
from simulator.numerics.formats import TABLE_BITS, Format
from simulator.numerics.formats.tables import present_codes
from simulator.numerics.overflow import overflow_bound
from simulator.numerics.products import LogProducts

if TYPE_CHECKING:
    from simulator.inference.arithmetic import MacOutput

Codes = NDArray[Any]
Reals = NDArray[np.float64]

_PRODUCTS_AT_ONCE = 1 << 20
_SLACK = 1 + 2.0**-20
"""More than sums in float64 can lose."""

_LOG_SLACK = 1 + 2.0**-3
"""More than the tables of log products round up."""


@dataclass(frozen=True, slots=True)
class SumsOutside:
    """How many of some sums their accumulator could not hold."""

    outside: int = 0
    sums: int = 0

    @classmethod
    def of(cls, mac: Mac, activations: Codes, weights: Codes, sums: Codes) -> SumsOutside:
        """Of one product; arguments as `overflowed_sums`."""
        return cls(overflowed_sums(mac, activations, weights, sums), sums.size)

    @classmethod
    def of_layer(cls, mac: Mac, output: MacOutput) -> SumsOutside:
        """Of one layer; its operands are lowered only where a bound on all of them excludes nothing."""
        operands, held = output.operands, output.sums.held
        fits = isinstance(held, ExactSums) and held.fits
        if fits or _all_fit(mac, operands.encoded.codes, operands.weights, output.sums.registers):
            return cls(0, output.sums.size)
        return cls.of(mac, operands.activations, operands.weights, output.accumulators)

    def __add__(self, other: SumsOutside) -> SumsOutside:
        return SumsOutside(self.outside + other.outside, self.sums + other.sums)


def outside_warnings(sums: Mapping[str, SumsOutside], macs: Mapping[str, Mac]) -> list[str]:
    """One sentence for each MAC whose accumulator could not hold some sum; layers by name."""
    warnings = []
    for name in dict.fromkeys(macs[layer].name for layer, each in sums.items() if each.outside):
        layers = {layer: each for layer, each in sums.items() if macs[layer].name == name and each.outside}
        worst = max(layers, key=lambda layer: layers[layer].outside)
        others = f" and {len(layers) - 1} other layers" if len(layers) > 1 else ""
        total = sum(layers.values(), SumsOutside())
        warnings.append(
            f"{worst}{others}: {total.outside:,} of {total.sums:,} sums left the accumulator of {name}"
            f" ({_consequence(macs[worst])})"
        )
    return warnings


def _consequence(mac: Mac) -> str:
    if isinstance(mac.accumulator, FixedAccumulator):
        return mac.accumulator.overflow
    return "infinity" if mac.accumulator_format.has_infinity else "saturate"


def overflowed_sums(mac: Mac, activations: Codes, weights: Codes, sums: Codes) -> int:
    """How many sums of finite operands their accumulator could not hold.

    Fixed accumulators: sums whose exact value lies outside, where the accumulator wraps (to leave it on the
    way and come back does no harm); that lie outside on the way, where it remembers; that differ from the
    exact value, where it saturates; and those with a log product past the top, which vanishes. Float
    accumulators: sums that became infinite or NaN, or ended at the largest value without an infinity.

    Args:
        mac: the arithmetic.
        activations: codes [groups, M, K].
        weights: codes [groups, K, N].
        sums: what the MAC made of them, [groups, M, N].
    """
    count = _of_fixed if isinstance(mac.accumulator, FixedAccumulator) else _of_floats
    return sum(count(mac, *group) for group in zip(activations, weights, sums, strict=True))


def _all_fit(mac: Mac, activations: Codes, weights: Codes, sums: Codes) -> bool:
    """Whether a bound on the activations, lowered or not, and on each output's weights excludes overflow."""
    if not isinstance(mac.accumulator, FixedAccumulator):
        return not _past_the_top(mac, sums).any()
    length = weights.shape[1]
    logarithmic = isinstance(mac.products, LogProducts)
    if not logarithmic and not _may_overflow(mac, length):
        return True
    columns = _magnitudes(mac.weight, weights).sum(axis=1)
    return _largest(mac.activation, activations) * float(columns.max()) < _limit(mac, length)


@lru_cache(maxsize=1024)
def _may_overflow(mac: Mac, length: int) -> bool:
    return overflow_bound(mac, length).may_overflow


def _limit(mac: Mac, length: int) -> float:
    """Sums of magnitudes below this fit, whatever float64 and the tables of log products round."""
    fixed = mac.accumulator
    assert isinstance(fixed, FixedAccumulator)
    slack = _LOG_SLACK if isinstance(mac.products, LogProducts) else _SLACK
    # What is cut off below the lowest bit is less than a unit a product.
    return (fixed.highest - length) * 2.0**fixed.lsb / slack


def _past_the_top(mac: Mac, sums: Codes) -> NDArray[np.bool_]:
    """Float accumulators that ended infinite, NaN or, without infinity, at the largest value."""
    fmt = mac.accumulator_format
    ended = fmt.decode(sums)
    past: NDArray[np.bool_] = ~np.isfinite(ended)
    return past if fmt.has_infinity else past | (np.abs(ended) >= fmt.largest)


def _of_fixed(mac: Mac, activations: Codes, weights: Codes, sums: Codes) -> int:
    fixed = mac.accumulator
    assert isinstance(fixed, FixedAccumulator)
    length, logarithmic = activations.shape[1], isinstance(mac.products, LogProducts)
    if not logarithmic and not _may_overflow(mac, length):
        return 0
    w = _magnitudes(mac.weight, weights)
    limit = _limit(mac, length)
    if _largest(mac.activation, activations) * float(w.sum(axis=0).max()) < limit:
        return 0
    a = _magnitudes(mac.activation, activations)
    if float(a.max(axis=0) @ w.max(axis=1)) < limit:
        return 0
    endangered = np.argwhere(a @ w >= limit)
    step = max(1, _PRODUCTS_AT_ONCE // length)
    count = 0
    for start in range(0, len(endangered), step):
        rows, columns = endangered[start : start + step].T
        increments = mac.products.increments(activations[rows], weights[:, columns].T)
        wrong = _left(fixed, increments, sums[rows, columns])
        if logarithmic:
            wrong |= (a[rows] * w[:, columns].T).max(axis=1) > fixed.highest * 2.0**fixed.lsb
        count += int(np.count_nonzero(wrong))
    return count


def _left(fixed: FixedAccumulator, increments: Codes, sums: Codes) -> NDArray[np.bool_]:
    """Whether sums of increments [sums, K] could not be held."""
    exact = increments if _sums_fit_int64(increments) else increments.astype(object)
    if fixed.overflow == "sticky":
        partial = np.cumsum(exact, axis=1)
        return np.asarray((_outside(fixed, partial) | _outside(fixed, exact)).any(axis=1))
    total = exact.sum(axis=1)
    return np.asarray(total != sums, bool) if fixed.overflow == "saturate" else _outside(fixed, total)


def _outside(fixed: FixedAccumulator, sums: Codes) -> NDArray[np.bool_]:
    return np.asarray((sums > fixed.highest) | (sums < fixed.lowest), bool)


def _of_floats(mac: Mac, activations: Codes, weights: Codes, sums: Codes) -> int:
    past = _past_the_top(mac, sums)
    if not past.any():
        return 0
    fine = np.outer(_finite(mac.activation, activations, 1), _finite(mac.weight, weights, 0))
    return int(np.count_nonzero(past & fine))


def _finite(fmt: Format, codes: Codes, axis: int) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(fmt.decode(codes)).all(axis=axis))


def _magnitudes(fmt: Format, codes: Codes) -> Reals:
    """Magnitudes, with zero for infinity and NaN, which add nothing."""
    values = fmt.decode(codes)
    return np.where(np.isfinite(values), np.abs(values), 0.0)


def _largest(fmt: Format, codes: Codes) -> float:
    """The largest finite magnitude among codes."""
    if fmt.bits > TABLE_BITS:
        return float(_magnitudes(fmt, codes).max())
    present = np.flatnonzero(present_codes(codes, 1 << fmt.bits))
    return float(_magnitudes(fmt, present).max())


def _sums_fit_int64(increments: Codes) -> bool:
    if increments.dtype == object:
        return False
    largest = max(abs(int(increments.min())), abs(int(increments.max())))
    return bool(largest * increments.shape[1] < 1 << 63)
