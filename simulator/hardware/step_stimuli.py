"""Operands and sums that a step is tried with: all pairs of short codes, some of long codes.

Half of the sums are drawn at random over all magnitudes. The others are placed where steps go wrong: at the
ends of the register, at powers of two, and where a sum and its product nearly cancel or just overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import Final

import numpy as np
import numpy.typing as npt

from simulator.foundation.defects import DefectError
from simulator.numerics import Mac
from simulator.numerics.accumulators import Accumulator, FixedAccumulator
from simulator.numerics.accumulators.coded import CodedAccumulator
from simulator.numerics.array_types import Accumulators, Codes
from simulator.numerics.formats import Format

EXHAUSTIVE_BITS: Final = 16
SUMS_A_PAIR: Final = 4
RANDOM_STEPS: Final = 100_000
CODES_OF_TABLE: Final = 16


@dataclass(frozen=True, slots=True)
class StepStimuli:
    """Codes and sums of one length; `exhaustive` where every pair of codes is among them."""

    activations: Codes
    weights: Codes
    sums: Accumulators
    exhaustive: bool

    def __len__(self) -> int:
        return len(self.activations)

    def part(self, places: npt.NDArray[np.int64]) -> StepStimuli:
        """Some of them."""
        chosen = (self.activations[places], self.weights[places], self.sums[places])
        return StepStimuli(*chosen, exhaustive=self.exhaustive and len(places) == len(self))


def step_stimuli(mac: Mac, seed: int, steps: int = RANDOM_STEPS) -> StepStimuli:
    """What to try a MAC's step with; the same seed gives the same."""
    generator = np.random.default_rng(seed)
    a_bits, w_bits = mac.activation.bits, mac.weight.bits
    exhaustive = a_bits + w_bits <= EXHAUSTIVE_BITS
    if exhaustive:
        pairs = np.arange(1 << (a_bits + w_bits))
        pairs = np.tile(pairs, max(SUMS_A_PAIR, -(-steps // len(pairs))))
        activations = (pairs >> w_bits).astype(mac.activation.code_dtype)
        weights = (pairs & ((1 << w_bits) - 1)).astype(mac.weight.code_dtype)
    else:
        activations, weights = (drawn_codes(fmt, generator, steps) for fmt in (mac.activation, mac.weight))
    sums = drawn_sums(mac, generator, activations, weights)
    return StepStimuli(activations, weights, sums, exhaustive)


def drawn_codes(fmt: Format, generator: np.random.Generator, count: int) -> Codes:
    """Codes of a format: any pattern, or next to one that is special, half each."""
    special = special_codes(fmt)
    near = generator.choice(special, count) + generator.integers(-2, 3, count)
    codes = np.where(generator.random(count) < 0.5, near, generator.integers(0, 1 << fmt.bits, count))
    return np.asarray(codes & ((1 << fmt.bits) - 1)).astype(fmt.code_dtype)


def special_codes(fmt: Format) -> Codes:
    """The codes of zero, of the ends, of one, of the smallest numbers, of infinity and NaN."""
    values = [0.0, -0.0, fmt.largest, fmt.lowest, fmt.smallest_positive, -fmt.smallest_positive]
    values += [1.0, -1.0, fmt.smallest_normal, -fmt.smallest_normal, np.inf, -np.inf, np.nan]
    powers = np.arange(fmt.bits, dtype=np.int64)
    return np.concatenate(
        [fmt.encode(np.array(values)).astype(np.int64), 1 << powers, (1 << (powers + 1)) - 1]
    )


@singledispatch
def _sums(accumulator: Accumulator, _mac: Mac, _g: np.random.Generator, _a: Codes, _w: Codes) -> Accumulators:
    message = f"no sums are drawn for accumulators of kind {accumulator.kind!r}"
    raise DefectError(message)


def drawn_sums(mac: Mac, generator: np.random.Generator, activations: Codes, weights: Codes) -> Accumulators:
    """A sum for each pair of codes."""
    return _sums(mac.accumulator, mac, generator, activations, weights)


def random_integers(fixed: FixedAccumulator, generator: np.random.Generator, count: int) -> Accumulators:
    """Integers of the register, their lengths in bits evenly spread."""
    words = generator.integers(0, 1 << 63, (2, count), dtype=np.int64)
    lengths = generator.integers(0, fixed.bits, count)
    if fixed.bits <= 63:
        magnitudes = words[0] & ((np.int64(1) << lengths) - 1)
        return np.asarray(np.where(words[1] & 1, ~magnitudes, magnitudes))
    whole = (words[0].astype(object) << 63) | words[1].astype(object)
    masks = np.array([(1 << int(length)) - 1 for length in lengths], object)
    signs = generator.integers(0, 2, count).astype(bool)
    magnitudes = whole & masks
    return np.asarray(np.where(signs, -1 - magnitudes, magnitudes), fixed.dtype)


@_sums.register
def _(fixed: FixedAccumulator, mac: Mac, generator: np.random.Generator, a: Codes, w: Codes) -> Accumulators:
    count = len(a)
    drawn = random_integers(fixed, generator, count).astype(object)
    increments = np.asarray(mac.product(a, w)).astype(object)
    nudges = generator.integers(-2, 3, count).astype(object)
    at_top = generator.integers(0, 2, count) == 1
    ends = np.where(at_top, np.array(fixed.highest, object), np.array(fixed.lowest, object))
    choice = generator.integers(0, 6, count)
    sums = np.where(choice == 0, ends - increments + nudges, drawn)
    sums = np.where(choice == 1, nudges - increments, sums)
    sums = np.where(choice == 2, ends - abs(nudges) * np.where(at_top, 1, -1), sums)
    half = 1 << (fixed.bits - 1)
    return np.asarray(((sums + half) % (2 * half)) - half).astype(fixed.dtype)


@_sums.register
def _(coded: CodedAccumulator, mac: Mac, generator: np.random.Generator, a: Codes, w: Codes) -> Accumulators:
    fmt, count = coded.number_format, len(a)
    drawn = drawn_codes(fmt, generator, count).astype(np.int64)
    with np.errstate(invalid="ignore", over="ignore"):
        products = mac.activation.decode(a) * mac.weight.decode(w)
    reach = fmt.significand_bits + 4
    shift = generator.integers(-reach, reach + 1, count)
    with np.errstate(invalid="ignore", over="ignore"):
        overlapping = np.ldexp(np.where(generator.integers(0, 2, count) == 1, -products, products), shift)
    near = fmt.encode(overlapping).astype(np.int64) + generator.integers(-1, 2, count)
    cancelling = fmt.encode(-products).astype(np.int64) + generator.integers(-2, 3, count)
    choice = generator.integers(0, 4, count)
    sums = np.where(choice == 0, near, np.where(choice == 1, cancelling, drawn))
    return (sums & ((1 << fmt.bits) - 1)).astype(fmt.code_dtype)
