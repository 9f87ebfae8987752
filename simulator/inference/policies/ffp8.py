"""FFP8: exponent width, fraction width, bias and sign chosen for each tensor from its own distribution.

Huang et al. 2021, arXiv 2104.07329: weights and activations differ in largest magnitude and in spread, and
activations behind a ReLU need no sign. The bias comes from the largest magnitude, the widths from the
spread: among all splits of the bits the one with the least squared error is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.inference.policies.scaling import SAMPLED_VALUES
from simulator.numerics.formats import Format, get_format

_EXPONENT_BITS = (2, 3, 4, 5)


@dataclass(frozen=True, slots=True)
class FormatChoice:
    """The format chosen for a tensor, its signal-to-noise ratio in dB, and those of the other candidates."""

    format: Format
    sqnr_db: float
    others: dict[str, float]


def choose_format(values: NDArray[Any], bits: int) -> FormatChoice:
    """The minifloat of `bits` bits that follows a tensor best; unsigned where nothing is negative."""
    flat = values.reshape(-1).astype(np.float64)
    largest = float(np.abs(flat).max()) or 1.0
    sample = flat[:: max(1, flat.size // SAMPLED_VALUES)]
    prefix, left = ("u", bits) if flat.min() >= 0 else ("", bits - 1)
    candidates = [
        get_format(f"{prefix}e{exponent}m{left - exponent}b{bias}")
        for exponent in _EXPONENT_BITS
        if left >= exponent
        for bias in _biases(exponent, left - exponent, largest)
    ]
    ranked = sorted(((_sqnr_db(sample, fmt), fmt) for fmt in candidates), key=lambda pair: -pair[0])
    best_sqnr, best = ranked[0]
    others = {fmt.spec: round(sqnr, 2) for sqnr, fmt in ranked[1:]}
    return FormatChoice(best, best_sqnr, others)


def _biases(exponent_bits: int, fraction_bits: int, largest: float) -> tuple[int, int]:
    """The bias with which the format just reaches the largest magnitude, and the next one, which clips it."""
    top = (2 - 2.0**-fraction_bits) * 2.0 ** ((1 << exponent_bits) - 1)
    covering = floor(log2(top / largest))
    return covering, covering + 1


def _sqnr_db(values: NDArray[np.float64], fmt: Format) -> float:
    noise = float(np.square(fmt.decode(fmt.encode(values)) - values).mean())
    signal = float(np.square(values).mean())
    return float("inf") if noise == 0 else 10 * log2(max(signal / noise, 1e-30)) / log2(10)
