"""Moving outliers from activations into weights, one factor for each input channel (SmoothQuant).

Xiao et al. 2023, arXiv 2211.10438, equation 4: s_k = max|X_k|^alpha / max|W_k|^(1 - alpha); activations are
divided by s, weights multiplied. In hardware the division goes into the normalization before the layer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.numerics.array_types import Tensor


def migration_factors(activations: Tensor, weights: Tensor, strength: float) -> NDArray[np.float32]:
    """Factors [K] for a linear layer with inputs [..., K] and weights [1, K, N].

    They are rounded to powers of two, so that migrating is exact.
    Channels that are zero throughout, on either side, keep the factor 1.
    """
    inputs = np.abs(activations.reshape(-1, activations.shape[-1])).max(axis=0).astype(np.float64)
    rows = np.abs(weights[0]).max(axis=1).astype(np.float64)
    used = (inputs > 0) & (rows > 0)
    safe_inputs, safe_rows = np.where(used, inputs, 1), np.where(used, rows, 1)
    factors = safe_inputs**strength / safe_rows ** (1 - strength)
    return np.where(used, np.exp2(np.round(np.log2(factors))), 1).astype(np.float32)
