"""Giving back the mean that rounding takes from a layer's output.

Nagel et al. 2019, arXiv 1906.04721, section 4.2, from calibration images: the bias grows by
E[X] W - E[X'] W' for each output channel, X' and W' being what the codes stand for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Tensor = NDArray[Any]


def corrected_bias(
    bias: Tensor | None, inputs: Tensor, rounded_inputs: Tensor, weights: Tensor, rounded_weights: Tensor
) -> NDArray[np.float32]:
    """The bias [N over all groups] after correction.

    Args:
        bias: before; None for zeros.
        inputs: float32 inputs [groups, rows, K], and `rounded_inputs`, what their codes stand for.
        rounded_inputs: see `inputs`.
        weights: float32 weights [groups, K, N per group], and `rounded_weights`, what their codes stand for.
        rounded_weights: see `weights`.
    """
    exact = np.einsum("gk,gkn->gn", inputs.mean(axis=1, dtype=np.float64), weights)
    rounded = np.einsum("gk,gkn->gn", rounded_inputs.mean(axis=1, dtype=np.float64), rounded_weights)
    shift = (exact - rounded).reshape(-1)
    return np.asarray(shift if bias is None else bias + shift, np.float32)
