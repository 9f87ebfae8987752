"""FFP8: exponent width, fraction width, bias and sign chosen for each tensor from its own values.

Huang et al. 2021, arXiv 2104.07329: weights and activations differ in largest magnitude and in spread, and
activations behind a ReLU need no sign. All combinations are tried; the least squared error decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log10
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.inference.distributions.distribution import Distribution
from simulator.numerics.formats import Format, get_format

MOST_EXPONENT_BITS = 8
"""With 8 exponent bits a format spans all of float32 already: more would only take fraction bits away."""

_OFFSETS = range(-8, 9)
"""Binades from that of the largest magnitude up to the format's highest one."""

_SAME, _NOTHING = 1e-9, 1e-12
"""Errors that differ by this share, or by this share of all squares, are computed anew from the codes."""


@dataclass(frozen=True, slots=True)
class FormatChoice:
    """The format chosen for a tensor, and its signal-to-noise ratio in dB over all values, `inf` if exact."""

    format: Format
    sqnr_db: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A format by what tells it from the others; its highest binade lies `offset` above 2**`binade`."""

    signed: bool
    exponent_bits: int
    fraction_bits: int
    binade: int
    offset: int

    @property
    def format(self) -> Format:
        """The format itself."""
        bias = (1 << self.exponent_bits) - 1 - (self.binade + self.offset)
        sign = "" if self.signed else "u"
        return get_format(f"{sign}e{self.exponent_bits}m{self.fraction_bits}b{bias}")


def candidates(
    largest: float, bits: int, *, most_exponent_bits: int = MOST_EXPONENT_BITS
) -> list[list[Candidate]]:
    """The formats for tensors of this largest magnitude; those that differ in their bias alone are together.

    They have 1 to `bits` - 1 exponent bits (at most `most_exponent_bits`), a sign or none, and every bias
    at which the largest magnitude lies within 8 binades of the format's highest binade.
    """
    binade = int(np.frexp(largest or 1.0)[1]) - 1
    return [
        [Candidate(signed, exponent, bits - int(signed) - exponent, binade, offset) for offset in _OFFSETS]
        for signed in (True, False)
        for exponent in range(1, min(bits - 1, most_exponent_bits) + 1)
    ]


def choose_format(
    values: NDArray[Any] | Distribution, bits: int, *, most_exponent_bits: int = MOST_EXPONENT_BITS
) -> FormatChoice:
    """The minifloat of `bits` bits among the `candidates` with the least squared error over all values.

    Equal errors are decided by, in this order: a sign only where some value is negative, fewer exponent
    bits, the largest magnitude nearer to the highest binade, the higher one of two. Values must be finite.
    """
    distribution = values if isinstance(values, Distribution) else Distribution.of(values)
    families = candidates(distribution.extent, bits, most_exponent_bits=most_exponent_bits)
    errors = np.concatenate([_errors(distribution, family) for family in families])
    power = distribution.squares
    needs_sign = bool(distribution.values[0] < 0)
    unscaled = np.ones(1)

    def rank(candidate: Candidate) -> tuple[float, bool, int, int, int]:
        return (
            float(distribution.squared_errors(candidate.format, unscaled)[0]),
            candidate.signed != needs_sign,
            candidate.exponent_bits,
            abs(candidate.offset),
            -candidate.offset,
        )

    flat = [candidate for family in families for candidate in family]
    near = np.flatnonzero(errors <= errors.min() * (1 + _SAME) + power * _NOTHING).tolist()
    ranks = {index: rank(flat[index]) for index in near}
    best = min(near, key=lambda index: ranks[index])
    noise = ranks[best][0]
    return FormatChoice(flat[best].format, 10 * log10(power / noise) if noise > 0 else inf)


def _errors(distribution: Distribution, family: list[Candidate]) -> NDArray[np.float64]:
    """Squared errors of formats that differ in their bias: the same format with powers of two as scales."""
    level = next(candidate for candidate in family if candidate.offset == 0)
    scales = np.exp2(np.array([candidate.offset for candidate in family], np.float64))
    return distribution.fits(level.format, scales[:, None]).errors[:, 0]
