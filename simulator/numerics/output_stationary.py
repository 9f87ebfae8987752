"""Toggles of an output-stationary product: operands pass through, sums stay, then shift out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.numerics.array_types import Codes
from simulator.numerics.mac import Mac
from simulator.numerics.register_activity import RegisterActivity, SwitchingActivity
from simulator.numerics.register_bits import (
    OperandRegisters,
    differing_bits,
    hamming,
    path_toggles,
)
from simulator.numerics.sampling import Estimate, PeArray, blocks, length, map_units
from simulator.numerics.switching import Counted, Counter


def count(mac: Mac, a: Codes, w: Codes, array: PeArray, threads: int) -> SwitchingActivity:
    """Toggles of activations [M, K] times weights [K, N]; see `simulator.numerics.activity`."""
    R, C = array.rows, array.columns
    (M, K), N = a.shape, w.shape[1]
    row_blocks, column_blocks = blocks(M, R), blocks(N, C)
    activations = OperandRegisters.of(mac.activation, a)
    weights = OperandRegisters.of(mac.weight, w)
    a_toggles = path_toggles(activations.patterns, activations.zero, activations.bits, axis=1)
    w_toggles = path_toggles(weights.patterns, weights.zero, weights.bits)
    counter = Counter(mac, a, w)

    def count_unit(unit: tuple[slice, slice]) -> tuple[Counted, int]:
        counted = counter.still(*unit)
        assert counted.sums is not None
        drain = sum(
            _drain_toggles(counted.sums[block], mac.accumulator_bits, R)
            for block in blocks(length(unit[0]), R)
        )
        return counted, drain

    if array.sample is None:  # whole rows of folds at a time: the lanes of the kernels run along n
        units, population = array.drawn([(rows, slice(0, N)) for rows in row_blocks] if N else [])
    else:
        units, population = array.drawn([(rows, columns) for rows in row_blocks for columns in column_blocks])
    results = map_units(count_unit, units, threads)
    sizes = [length(rows) * length(columns) * K for rows, columns in units]
    accumulator, product, drain = (
        Estimate.of(values, sizes, M * N * K, population)
        for values in (
            [counted.accumulator + drain for counted, drain in results],
            [counted.product for counted, _ in results],
            [drain for _, drain in results],
        )
    )
    pe_steps = len(row_blocks) * len(column_blocks) * R * C * K
    saved = _zeros_left_out(mac, a, w, activations, weights) if R == C == 1 else (0, 0, 0)
    return SwitchingActivity(
        "os",
        R,
        C,
        M * N * K,
        RegisterActivity(
            activations.bits, a_toggles * C * len(column_blocks) - saved[0], activations.bits * pe_steps
        ),
        RegisterActivity(weights.bits, w_toggles * R * len(row_blocks) - saved[1], weights.bits * pe_steps),
        RegisterActivity.of(mac.product_bits, product.less(saved[2]), pe_steps),
        RegisterActivity.of(mac.accumulator_bits, accumulator, pe_steps),
        round(drain.total),
    )


def _drain_toggles(sums: npt.NDArray[Any], bits: int, R: int) -> int:
    """Results [rows, N] of one row of folds shift down R rows, zeros following."""
    held = np.zeros((R, sums.shape[1]), sums.dtype)
    held[: sums.shape[0]] = sums
    # Row i takes held[i - 1] .. held[0], then zero: rows r .. R - 1 see the step from held[r] to held[r - 1].
    steps = differing_bits(held[1:], held[:-1], bits).sum(axis=1, dtype=np.int64)
    return R * hamming(held[0], np.zeros_like(held[0]), bits) + int(steps @ np.arange(R - 1, 0, -1))


def _zeros_left_out(
    mac: Mac, a: Codes, w: Codes, activations: OperandRegisters, weights: OperandRegisters
) -> tuple[int, int, int]:
    """Toggles (activation, weight, product) that a single PE saves: no zeros pass between its folds."""
    (M, K), N = a.shape, w.shape[1]
    if not K:
        return 0, 0, 0
    m, n = np.tile(np.arange(M), N), np.repeat(np.arange(N), M)  # folds run over m first

    def saved(patterns: npt.NDArray[Any], ends: npt.NDArray[Any], zero: int, bits: int) -> int:
        rest = np.asarray(zero, patterns.dtype)
        first, last = patterns[1:], ends[:-1]
        return hamming(first, rest, bits) + hamming(last, rest, bits) - hamming(first, last, bits)

    a_saved, w_saved = (
        saved(first, last, held.zero, held.bits)
        for held, first, last in (
            (activations, activations.patterns[m, 0], activations.patterns[m, -1]),
            (weights, weights.patterns[0, n], weights.patterns[-1, n]),
        )
    )
    bits = mac.product_bits
    products = [mac.product(a[m, k], w[k, n]) for k in (0, -1)] if bits else []
    return a_saved, w_saved, saved(products[0], products[1], 0, bits) if bits else 0
