"""How fast the register-level grid steps on one core, beside the least that moving its registers takes.

The bound: every register of the array is read and written once at an edge, which NumPy does in one copy. The
products are left out of it.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np

from benchmarks.figures import Figure, Section, cpu_spread
from simulator.array import Grid
from simulator.array import signals as sig
from simulator.numerics import get_mac

RUNS: Final = 5
CYCLES: Final = 30_000
TILE: Final = 32
GOALS: Final = {"int8": 600_000, "elma8": 300_000}
MACS: Final = ("int8", "elma8", "fp16", "posit8", "fp8", "bf16")


def section(runs: int = RUNS) -> Section:
    """Clock cycles a second of 32 x 32 PEs, output stationary, a multiplication in each PE at each edge."""
    found = Section("Register-level grid, 32 x 32, one core")
    rng = np.random.default_rng(0)
    control = np.full(CYCLES, sig.MULTIPLY, np.uint8)
    for name in MACS:
        grid, mac = Grid(name, TILE, TILE), get_mac(name)
        a = rng.integers(0, 1 << mac.activation.bits, (CYCLES, TILE))
        w = rng.integers(0, 1 << mac.weight.bits, (CYCLES, TILE))
        rate = cpu_spread(partial(grid.run, a, w, control), runs).rates(CYCLES)
        bound = cpu_spread(partial(_copied, grid), runs).rates(CYCLES)
        goal = GOALS.get(name)
        aim = "" if goal is None else f" (goal {goal:,}{'' if rate.median >= goal else ', missed'})"
        found.figures.append(Figure(f"{name}{aim}", "cycles/s", rate, "copying its registers", bound))
    return found


def _copied(grid: Grid) -> None:
    registers = np.zeros(sum(plane.nbytes for plane in grid.registers if plane.ndim > 1), np.uint8)
    place = np.empty_like(registers)
    for _ in range(CYCLES):
        np.copyto(place, registers)
