"""Toggles of weight- and input-stationary products: operands are put in place, others stream past them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from simulator.dataflow import Dataflow, OperandClass
from simulator.numerics.array_types import Codes
from simulator.numerics.mac import Mac, get_mac
from simulator.numerics.register_activity import RegisterActivity, SwitchingActivity
from simulator.numerics.register_bits import (
    OperandRegisters,
    differing_bits,
    hamming,
    path_toggles,
)
from simulator.numerics.sampling import Estimate, PeArray, blocks, length, map_units
from simulator.numerics.switching import Counter, Fold

STREAM_BLOCK = 128
"""Streamed indices in one sampling unit of a fold."""

_KEPT_SUMS = 1 << 21
"""Partial sums that a thread keeps from fold to fold at most."""

_LEAST_BLOCK = 64
"""Streamed indices to take at a time at least: every block counts one more."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """Folds over k in a row, on part of the stream and of the lanes."""

    stream: slice
    lanes: slice
    folds: tuple[Fold, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return length(self.stream) * length(self.lanes) * sum(length(fold.reduction) for fold in self.folds)


def count(mac: Mac, a: Codes, w: Codes, flow: Dataflow, array: PeArray, threads: int) -> SwitchingActivity:
    """Toggles of activations [M, K] times weights [K, N]; see `simulator.numerics.activity`.

    flow, array: of the upright array.
    """
    R, C = array.rows, array.columns
    at_left, at_top = flow.entering
    formats = {"activation": mac.activation, "weight": mac.weight}
    streamed = {"activation": a, "weight": w.T}[at_left]
    placed = {"activation": a.T, "weight": w}[at_top]
    counter = Counter(_OF_STREAM[at_left](mac), streamed, placed)
    (T, K), lanes = streamed.shape, placed.shape[1]
    passing = OperandRegisters.of(formats[at_left], streamed)
    held = OperandRegisters.of(formats[at_top], placed)
    cuts = blocks(lanes, C)
    folds = tuple(Fold(part, passed_on=R - length(part)) for part in blocks(K, R))
    if array.sample is None:  # all folds of a part of the stream at a time, so that its sums are at hand
        step = max(min(_KEPT_SUMS // max(lanes, 1), ceil(T / threads)), _LEAST_BLOCK)
        whole = [_Unit(stream, slice(0, lanes), folds) for stream in blocks(T, step)]
        units, population = array.drawn(whole if lanes and folds else [])
    else:
        units, population = array.drawn(
            [
                _Unit(stream, cut, (fold,))
                for fold in folds
                for cut in cuts
                for stream in blocks(T, STREAM_BLOCK)
            ]
        )
    results = map_units(lambda unit: counter.moving(unit.stream, unit.lanes, unit.folds), units, threads)
    sizes = [unit.macs for unit in units]
    accumulator, product = (
        Estimate.of(values, sizes, T * K * lanes, population)
        for values in ([one.accumulator for one in results], [one.product for one in results])
    )
    pes = len(folds) * len(cuts) * R * C
    passing_toggles = path_toggles(passing.patterns, passing.zero, passing.bits) * C * len(cuts)
    operands = {
        at_left: RegisterActivity(passing.bits, passing_toggles, passing.bits * pes * T),
        at_top: RegisterActivity(held.bits, _loading_toggles(held, R, C), held.bits * pes * R),
    }
    return SwitchingActivity(
        flow.name,
        R,
        C,
        T * K * lanes,
        operands["activation"],
        operands["weight"],
        RegisterActivity.of(mac.product_bits, product, pes * T),
        RegisterActivity.of(mac.accumulator_bits, accumulator, pes * T),
    )


def swapped(mac: Mac) -> Mac:
    """The same MAC with its operands exchanged: products and sums are symmetrical."""
    spec = mac.spec
    return get_mac(replace(spec, activation=spec.weight, weight=spec.activation, output="nearest"))


_OF_STREAM: Mapping[OperandClass, Callable[[Mac], Mac]] = {
    "activation": lambda mac: mac,
    "weight": swapped,
}
"""The MAC whose activations are the operand that streams."""


def _loading_toggles(held: OperandRegisters, R: int, C: int) -> int:
    """Operands [K, lanes] that stay: each fold moves down from the top over the one before.

    Row i of a fold goes from what it held to after[R - 1], then over after[R - 2] .. to after[i].
    """
    K, lanes = held.patterns.shape
    k_folds, cuts = ceil(K / R), ceil(lanes / C)
    padded = np.full((k_folds * R, cuts * C), held.zero, held.patterns.dtype)
    padded[:K, :lanes] = held.patterns
    folds = padded.reshape(k_folds, R, cuts, C).transpose(2, 0, 1, 3).reshape(-1, R, C)
    cleared = np.full((1, R, C), held.zero, held.patterns.dtype)
    folds = np.concatenate([cleared, folds])
    replaced = hamming(folds[:-1], folds[1:, -1:], held.bits)
    steps = differing_bits(folds[1:, 1:], folds[1:, :-1], held.bits).sum(axis=(0, 2), dtype=np.int64)
    return replaced + int(steps @ np.arange(1, R))
