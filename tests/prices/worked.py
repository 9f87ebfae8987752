"""Prices worked out by hand, which tests of single lines share: int8 PEs of arXiv 1811.01721 at 500 MHz.

Leakage is 4.2 nW/um2 for 2 ns a cycle. Two equations price flip-flops, 48 c + 14.73 t = 0.2254 pJ (int8) and
63 c + 14.26 t = 0.2486 pJ (elma8); Cramer's rule solves them.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from simulator.cost.price_lines import LayerEnergy
from simulator.result import priced

LEAKED_PJ_PER_UM2 = 4.2e-6 * 2  # 4.2 nW are 4.2e-6 mW, and a mW is a pJ/ns

_DETERMINANT = 48 * 14.26 - 63 * 14.73
CLOCK_PJ = (0.2254 * 14.26 - 0.2486 * 14.73) / _DETERMINANT  # of one flip-flop and cycle
TOGGLE_PJ = (48 * 0.2486 - 63 * 0.2254) / _DETERMINANT  # of one bit
FLIP_FLOP_UM2 = 96.768 / 48

# An int8 PE of 336.672 um2: registers 96.768, multiplier 121.212 and adder 117.810 fill the rest.
STRETCH = (336.672 - 96.768) / (121.212 + 117.810)
MULTIPLY_PJ = 108.0 / 500 - 121.212 * STRETCH * LEAKED_PJ_PER_UM2
ADD_PJ = 62.3 / 500 - 117.810 * STRETCH * LEAKED_PJ_PER_UM2
REGISTERS_LEAK_PJ = 96.768 * LEAKED_PJ_PER_UM2
USEFUL_PJ = 112.7 / 500 - REGISTERS_LEAK_PJ
CLOCKED_PJ = 48 * CLOCK_PJ - REGISTERS_LEAK_PJ

OPERAND_TOGGLES = 4.02 + 4.03
SUM_TOGGLES = 6.68


def flip_flops_pj(bits: float) -> float:
    """The clock of flip-flops beside those of a PE, for a cycle, less what they leak in it."""
    return bits * (CLOCK_PJ - FLIP_FLOP_UM2 * LEAKED_PJ_PER_UM2)


def lines_of(energy: LayerEnergy, *components: str) -> list[tuple[str, float, float]]:
    """Component, count and picojoules of every line of some components, or of those that start alike."""
    return [
        (line.component, line.count, priced(line.energy_fj) / 1000)
        for line in energy.lines
        if line.component.startswith(components)
    ]


def require_lines(
    energy: LayerEnergy, expected: Sequence[tuple[str, float, float]], *components: str
) -> None:
    """Lines with these components, counts and picojoules, to half a femtojoule."""
    shown = lines_of(energy, *(components or ("pe_",)))
    assert [line[:2] for line in shown] == [line[:2] for line in expected]
    for (component, _, energy_pj), (_, _, expected_pj) in zip(shown, expected, strict=True):
        assert energy_pj == pytest.approx(expected_pj, abs=0.00051), component
