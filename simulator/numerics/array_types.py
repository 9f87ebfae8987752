"""The arrays that numerics passes around, by what they hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
"""An array of numbers of any dtype."""

Tensor = npt.NDArray[Any]
"""A tensor of a network, of any dtype."""

Codes = npt.NDArray[np.unsignedinteger[Any]]
"""Codes of a number format, in the smallest unsigned dtype that holds them."""

Integers = npt.NDArray[Any]
"""int64, or objects that are Python integers where 64 bits are not enough."""

Accumulators = npt.NDArray[Any]
"""Accumulators as their registers hold them. Two's complement ones of up to 64 bits: int64 in units of their
lowest bit; wider ones: dtype object, Python integers. Float accumulators: codes of their format."""

Reals = npt.NDArray[np.float64]
"""Real values."""

Booleans = npt.NDArray[np.bool_]
"""One answer an element."""


def code_dtype(bits: int) -> np.dtype[np.unsignedinteger[Any]]:
    """The smallest unsigned integer dtype of at least `bits` bits, up to 64."""
    if bits <= 16:
        return np.dtype(np.uint8 if bits <= 8 else np.uint16)
    return np.dtype(np.uint32 if bits <= 32 else np.uint64)
