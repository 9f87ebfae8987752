"""FFP8: exponent width, fraction width, bias and sign chosen for each tensor from its own values.

Huang et al. 2021, arXiv 2104.07329: weights and activations differ in largest magnitude and in spread, and
activations behind a ReLU need no sign. All combinations are tried; the least squared error decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import inf, log10
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.inference.policies.distribution import Distribution
from simulator.numerics.formats import Format, get_format

MOST_EXPONENT_BITS = 8
"""With 8 exponent bits a format spans all of float32 already: more would only take fraction bits away."""

_OFFSETS = range(-8, 9)
"""Binades from that of the largest magnitude up to the format's highest one."""

_SAME = 1e-9
"""Errors that differ by this share, or by so little beside all squares, are computed anew from the codes."""


@dataclass(frozen=True, slots=True)
class FormatChoice:
    """The format chosen for a tensor, and its signal-to-noise ratio in dB over all values, `inf` if exact."""

    format: Format
    sqnr_db: float


@dataclass(frozen=True, slots=True)
class _Candidate:
    signed: bool
    exponent_bits: int
    fraction_bits: int
    offset: int
    binade: int

    @property
    def format(self) -> Format:
        bias = (1 << self.exponent_bits) - 1 - (self.binade + self.offset)
        sign = "" if self.signed else "u"
        return get_format(f"{sign}e{self.exponent_bits}m{self.fraction_bits}b{bias}")


def choose_format(
    values: NDArray[Any], bits: int, *, most_exponent_bits: int = MOST_EXPONENT_BITS
) -> FormatChoice:
    """The minifloat of `bits` bits with the least squared error over all of a tensor's values.

    Candidates have 1 to `bits` - 1 exponent bits (at most `most_exponent_bits`), a sign or none, and every
    bias at which the tensor's largest magnitude lies within 8 binades of the format's highest binade. Equal
    errors are decided by, in this order: a sign only where some value is negative, fewer exponent bits, the
    largest magnitude nearer to the highest binade, the higher one of two. Values must be finite.
    """
    distribution = Distribution.of(values)
    binade = int(np.frexp(distribution.extent or 1.0)[1]) - 1
    candidates, errors = _candidates(distribution, bits, most_exponent_bits, binade)
    power = float(distribution.totals[2][-1])
    near = errors <= errors.min() * (1 + _SAME) + power * _SAME**1.5
    needs_sign = bool(values.min() < 0)
    unscaled = np.ones(1)

    def rank(candidate: _Candidate) -> tuple[float, bool, int, int, int]:
        return (
            float(distribution.squared_errors(candidate.format, unscaled)[0]),
            candidate.signed != needs_sign,
            candidate.exponent_bits,
            abs(candidate.offset),
            -candidate.offset,
        )

    ranked = min((rank(candidates[index]), index) for index in np.flatnonzero(near).tolist())
    noise = ranked[0][0]
    sqnr_db = 10 * log10(power / noise) if noise > 0 else inf
    return FormatChoice(candidates[ranked[1]].format, sqnr_db)


def _candidates(
    distribution: Distribution, bits: int, most_exponent_bits: int, binade: int
) -> tuple[list[_Candidate], NDArray[np.float64]]:
    """All candidates with their squared errors.

    Another bias is the same format with another power of two as its scale.
    """
    candidates: list[_Candidate] = []
    errors: list[NDArray[np.float64]] = []
    scales = np.exp2(np.array(_OFFSETS, np.float64))[:, None]
    for signed, exponent in product((True, False), range(1, min(bits - 1, most_exponent_bits) + 1)):
        family = [
            _Candidate(signed, exponent, bits - int(signed) - exponent, offset, binade) for offset in _OFFSETS
        ]
        level = family[_OFFSETS.index(0)].format
        candidates += family
        errors.append(distribution.fits(level, scales).errors[:, 0])
    return candidates, np.concatenate(errors)
