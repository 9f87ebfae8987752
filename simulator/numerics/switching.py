"""Counting the toggles of one MAC's sums and products over any part of a matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.numerics.array_types import Accumulators, Codes
from simulator.numerics.counting_lanes import Lanes, lanes_of
from simulator.numerics.engines.planner import multiply
from simulator.numerics.mac import Mac
from simulator.numerics.register_bits import hamming


@dataclass(frozen=True, slots=True)
class Counted:
    """Toggles of accumulators and of products, and the final sums where they stay in their PEs."""

    accumulator: int
    product: int
    sums: Accumulators | None = None


@dataclass(frozen=True, slots=True)
class Fold:
    """The part of k that a column of PEs holds, and how many idle rows below pass its sums on."""

    reduction: slice
    passed_on: int


class Counter:
    """Counts one MAC's toggles for activations [M, K] and weights [K, N]."""

    def __init__(self, mac: Mac, a: Codes, w: Codes, *, compiled: bool = True) -> None:
        """Bind the codes; what a kernel needs is prepared once for the whole product."""
        self.mac, self.a, self.w = mac, a, w
        self._lanes = lanes_of(mac, a, w) if compiled else None

    def still(self, rows: slice, columns: slice) -> Counted:
        """Output stationary: sums of these outputs over all k."""
        everything = slice(0, self.a.shape[1])
        a, w = self.a[rows], self.w[:, columns]
        if self._lanes is not None:
            sums, counts = np.full(_shape(a, w), self._lanes.zero), np.zeros(2, np.int64)
            self._lanes.still(*_part(self._lanes, rows, everything, columns), sums, counts)
            if not _has_nan(sums):
                return Counted(int(counts[0]), int(counts[1]), self._lanes.out(sums))
        return self._still_numpy(a, w)

    def moving(self, stream: slice, columns: slice, folds: Sequence[Fold]) -> Counted:
        """Weight stationary: partial sums of folds one after the other, while part of a stream passes each.

        Counted are the steps to these streamed indices, and the return to zero behind the stream's last one.
        Sums enter the first fold as all k before it have left them: zero, or a product to be computed.
        """
        is_first, is_last = stream.start == 0, stream.stop == self.a.shape[0]
        if not is_first:
            stream = slice(stream.start - 1, stream.stop)  # what the registers hold before
        between, entering, leaving = self._steps(stream, columns, folds)
        counted = between + is_first * entering + is_last * leaving
        return Counted(int(counted[0]), int(counted[1]))

    def _steps(self, stream: slice, columns: slice, folds: Sequence[Fold]) -> npt.NDArray[np.int64]:
        """Toggles [3, 2] of sums and products: between streamed indices, from zero to the first, and back."""
        a, w, first = self.a[stream], self.w[:, columns], folds[0].reduction.start
        entering = multiply(self.mac, a[:, :first], w[:first], threads=1).accumulators if first else None
        if self._lanes is not None:
            lanes, counts = self._lanes, np.zeros((3, 2), np.int64)
            sums = np.full(_shape(a, w), lanes.zero) if entering is None else lanes.into(entering)
            for fold in folds:
                operands = _part(lanes, stream, fold.reduction, columns)
                lanes.moving(*operands, sums, fold.passed_on, counts)
            if not _has_nan(sums):
                return counts
        return self._steps_numpy(a, w, folds, entering)

    def _still_numpy(self, a: Codes, w: Codes) -> Counted:
        mac, wire_bits = self.mac, self.mac.product_bits
        sums = np.zeros(_shape(a, w), mac.accumulator_dtype)
        last = np.zeros_like(sums)
        toggles = product_toggles = 0
        for k in range(a.shape[1]):
            after = mac.accumulate(sums, a[:, k, None], w[k])
            toggles += hamming(after, sums, mac.accumulator_bits)
            if wire_bits:
                product = mac.product(a[:, k, None], w[k])
                product_toggles += hamming(product, last, wire_bits)
                last = product
            sums = after
        product_toggles += hamming(last, np.zeros_like(last), wire_bits) if wire_bits else 0
        return Counted(toggles, product_toggles, sums)

    def _steps_numpy(
        self, a: Codes, w: Codes, folds: Sequence[Fold], entering: Accumulators | None
    ) -> npt.NDArray[np.int64]:
        mac, wire_bits = self.mac, self.mac.product_bits
        sums = np.zeros(_shape(a, w), mac.accumulator_dtype) if entering is None else entering
        counts = np.zeros((3, 2), np.int64)
        for fold in folds:
            for k in range(fold.reduction.start, fold.reduction.stop):
                sums = mac.accumulate(sums, a[:, k, None], w[k])
                times = 1 + fold.passed_on if k == fold.reduction.stop - 1 else 1
                counts[:, 0] += times * _path(sums, mac.accumulator_bits)
                if wire_bits:
                    counts[:, 1] += _path(mac.product(a[:, k, None], w[k]), wire_bits)
        return counts


def _path(values: Accumulators, bits: int) -> npt.NDArray[np.int64]:
    """Toggles of registers that hold zero, then the rows of values, then zero: between rows, first, last."""
    if not len(values):
        return np.zeros(3, np.int64)
    rest = np.zeros_like(values[0])
    ends = hamming(values[0], rest, bits), hamming(values[-1], rest, bits)
    return np.array([hamming(values[1:], values[:-1], bits), *ends])


def _shape(a: Codes, w: Codes) -> tuple[int, int]:
    return a.shape[0], w.shape[1]


def _part(
    lanes: Lanes, rows: slice, reduction: slice, columns: slice
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Contiguous operands of part of the product."""
    a, w = lanes.a[rows, reduction], lanes.w[reduction, columns]
    return np.ascontiguousarray(a), np.ascontiguousarray(w)


def _has_nan(sums: Accumulators) -> bool:
    """Whether the processor's NaN, which is not always the format's, has been in an accumulator.

    A sum that is NaN stays NaN, so that it is there at the end.
    """
    return sums.dtype.kind == "f" and bool(np.isnan(sums).any())
