"""AdaRound from its paper, one weight after the other in plain Python.

Nagel et al. 2020, arXiv 2004.10568: equations 21 to 25 (soft rounding by a rectified sigmoid, the output's
squared error, an annealed regularizer), with Adam (Kingma and Ba 2015, algorithm 1). The settings are those
that docs/inference.md gives.
"""

from __future__ import annotations

from math import exp, log, sqrt

STEPS = 400
RATE, BETA1, BETA2, EPSILON = 0.02, 0.9, 0.999, 1e-8
LAMBDA = 0.05
GAMMA, ZETA = -0.1, 1.1

Matrix = list[list[float]]


def soft_roundings(weights: Matrix, below: Matrix, above: Matrix, moments: Matrix) -> Matrix:
    """The stretched sigmoid of every weight [K][N] after all steps; it may lie beyond 0 and 1."""
    length, channels = len(weights), len(weights[0])
    cells = [(k, n) for k in range(length) for n in range(channels)]
    gap = {(k, n): above[k][n] - below[k][n] for k, n in cells}
    typical_gap = sum(each**2 for each in gap.values()) / len(cells)
    typical_moment = sum(moments[k][k] for k in range(length)) / length
    variables = {}
    for k, n in cells:
        start = min(max((weights[k][n] - below[k][n]) / gap[k, n], 0.01), 0.99)
        variables[k, n] = -log((ZETA - GAMMA) / (start - GAMMA) - 1)
    first = dict.fromkeys(cells, 0.0)
    second = dict.fromkeys(cells, 0.0)
    for step in range(1, STEPS + 1):
        soft = {cell: _stretched(variables[cell]) for cell in cells}
        error = {
            (k, n): below[k][n] + min(max(soft[k, n], 0.0), 1.0) * gap[k, n] - weights[k][n] for k, n in cells
        }
        for k, n in cells:
            if not 0 < soft[k, n] < 1:
                slope = 0.0
            else:
                of_output = 2 * sum(moments[k][j] * error[j, n] for j in range(length)) * gap[k, n]
                total = of_output / typical_moment / typical_gap
                beta = 20 + (2 - 20) * step / STEPS
                offset = 2 * soft[k, n] - 1
                total -= LAMBDA * beta * abs(offset) ** (beta - 1) * 2 * (1 if offset > 0 else -1)
                sigmoid = (soft[k, n] - GAMMA) / (ZETA - GAMMA)
                slope = total * (ZETA - GAMMA) * sigmoid * (1 - sigmoid)
            first[k, n] = BETA1 * first[k, n] + (1 - BETA1) * slope
            second[k, n] = BETA2 * second[k, n] + (1 - BETA2) * slope**2
            corrected = first[k, n] / (1 - BETA1**step), second[k, n] / (1 - BETA2**step)
            variables[k, n] -= RATE * corrected[0] / (sqrt(corrected[1]) + EPSILON)
    return [[_stretched(variables[k, n]) for n in range(channels)] for k in range(length)]


def _stretched(variable: float) -> float:
    return (ZETA - GAMMA) / (1 + exp(-variable)) + GAMMA
