"""A smooth model of a memory, fitted to figures of single memories: a sum of powers of capacity and word.

Coefficients are never negative, so a term that grows makes the sum grow: with exponents of at least zero,
more capacity or a wider word never costs less. Where the two exponents add up to at most one, n memories that
share the capacity and the word never cost less than one memory that has both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_STEPS = 60
_DAMPING = 0.5
_NEGLIGIBLE = 1e-9


@dataclass(frozen=True, slots=True)
class Term:
    """`coefficient` x KiB^capacity_exponent x bits^word_exponent."""

    capacity_exponent: float
    word_exponent: float
    coefficient: float = 1.0

    def at(self, capacity_kib: float, word_bits: float) -> float:
        """The term's share of the price of one memory."""
        return self.coefficient * float(capacity_kib**self.capacity_exponent * word_bits**self.word_exponent)


@dataclass(frozen=True, slots=True)
class LeaveOneOut:
    """Relative errors of each figure, predicted by a fit to all the others."""

    errors: Floats

    @property
    def median(self) -> float:
        """The error that half of the figures stay below."""
        return float(np.median(self.errors))

    @property
    def most(self) -> float:
        """The error that nine of ten figures stay below (the 90th percentile)."""
        return float(np.quantile(self.errors, 0.9))

    @property
    def largest(self) -> float:
        """The largest error."""
        return float(self.errors.max())


def fitted_terms(
    capacity_kib: Sequence[float], word_bits: Sequence[float], figures: Sequence[float], terms: Sequence[Term]
) -> tuple[Term, ...]:
    """The terms with coefficients of at least zero that leave the least squares of relative errors.

    Args:
        capacity_kib: of each memory.
        word_bits: of each memory.
        figures: what each memory costs, positive.
        terms: the exponents to choose from; a term that does not help is left out of the result.

    Raises:
        ValueError: no memory, or a figure that is not positive.
    """
    wanted = np.asarray(figures, dtype=np.float64)
    if wanted.size == 0 or not bool((wanted > 0).all()):
        message = "a fit needs at least one figure, all of them positive"
        raise ValueError(message)
    columns = np.array(
        [
            [term.at(kib, bits) / term.coefficient for term in terms]
            for kib, bits in zip(capacity_kib, word_bits, strict=True)
        ]
    )
    found = non_negative_least_squares(columns / wanted[:, None], np.ones_like(wanted))
    for _ in range(_STEPS):
        now = columns @ found
        off = np.log(now / wanted)
        found += _DAMPING * (non_negative_least_squares(columns / now[:, None], 1 - off) - found)
    found[found < _NEGLIGIBLE * found.max()] = 0.0
    return tuple(
        Term(term.capacity_exponent, term.word_exponent, float(coefficient))
        for term, coefficient in zip(terms, found, strict=True)
        if coefficient
    )


def leave_one_out(
    capacity_kib: Sequence[float], word_bits: Sequence[float], figures: Sequence[float], terms: Sequence[Term]
) -> LeaveOneOut:
    """How far each figure lies from the fit to all others, as a share of it. Raises as `fitted_terms`."""
    errors = []
    for place, figure in enumerate(figures):
        others = [index for index in range(len(figures)) if index != place]
        fit = fitted_terms(
            [capacity_kib[index] for index in others],
            [word_bits[index] for index in others],
            [figures[index] for index in others],
            terms,
        )
        predicted = sum(term.at(capacity_kib[place], word_bits[place]) for term in fit)
        errors.append(abs(predicted / figure - 1))
    return LeaveOneOut(np.array(errors))


def non_negative_least_squares(matrix: Floats, wanted: Floats) -> Floats:
    """The vector without negative entries that makes `matrix @ vector` nearest to `wanted`.

    Args:
        matrix: of shape [m, n], no column all zero.
        wanted: of shape [m].

    Returns:
        A vector of shape [n], by the active set method of Lawson and Hanson, "Solving Least Squares
        Problems", 1974, chapter 23.
    """
    scale = np.linalg.norm(matrix, axis=0)
    scaled = matrix / scale
    free = np.zeros(scaled.shape[1], dtype=bool)
    found = np.zeros(scaled.shape[1])
    for _ in range(10 * found.size):
        gradient = scaled.T @ (wanted - scaled @ found)
        gradient[free] = -np.inf
        steepest = int(np.argmax(gradient))
        if gradient[steepest] <= 1e-10:
            break
        free[steepest] = True
        while True:
            trial = np.zeros_like(found)
            trial[free] = np.linalg.lstsq(scaled[:, free], wanted, rcond=None)[0]
            negative = free & (trial <= 0)
            if not negative.any():
                found = trial
                break
            step = float((found[negative] / (found[negative] - trial[negative])).min())
            found = found + step * (trial - found)
            free &= found > 1e-15
            found[~free] = 0.0
    unscaled: Floats = found / scale
    return unscaled
