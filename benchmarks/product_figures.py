"""Exact products and switching activity on one core beside float64 BLAS in the same run."""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np

from benchmarks.figures import Figure, Section, cpu_spread
from simulator.numerics import get_mac, multiply
from simulator.numerics.activity import switching_activity

RUNS: Final = 5
SHAPES: Final = ((784, 1152, 256), (3136, 576, 64))
GOALS: Final = {"elma8": 5.0, "elma16": 4.0, "fp16": 8.0}
MACS: Final = ("int8", "fp8", "elma8", "elma16", "fp16", "bf16", "posit8", "posit8.2 x posit8.2")


def section(runs: int = RUNS) -> Section:
    """10^9 multiply-accumulates a second, dense operands."""
    figures: list[Figure] = []
    rng = np.random.default_rng(0)
    for m, k, n in SHAPES:
        giga_macs = m * k * n / 1e9
        a, w = rng.standard_normal((m, k)), rng.standard_normal((k, n))
        peer = cpu_spread(partial(np.matmul, a, w), 3 * runs).rates(giga_macs)
        for name in MACS:
            mac = get_mac(name)
            scale = 40.0 if mac.spec.activation.startswith("int") else 1.0
            codes = mac.activation.encode(a * scale), mac.weight.encode(w * scale)
            rate = cpu_spread(partial(multiply, mac, *codes, threads=1), runs).rates(giga_macs)
            goal = GOALS.get(name)
            aim = "" if goal is None else f" (goal {goal:g}{'' if rate.median >= goal else ', missed'})"
            figures.append(Figure(f"{name}, {m} x {k} x {n}{aim}", "GMAC/s", rate, "float64 BLAS", peer))
    m, k, n = SHAPES[0]
    for name in ("int8", "elma8", "fp16"):
        mac = get_mac(name)
        codes = (
            mac.activation.encode(rng.standard_normal((m, k))),
            mac.weight.encode(rng.standard_normal((k, n))),
        )
        product, activity = (
            cpu_spread(partial(work, threads=1), 3).rates(m * k * n / 1e9)
            for work in (partial(multiply, mac, *codes), partial(switching_activity, mac, *codes, "os"))
        )
        figures.append(
            Figure(f"toggles of {name}, output stationary", "GMAC/s", activity, "its product", product)
        )
    return Section("Exact products on one core", figures)
