"""Is the chosen tiling one that nothing beats, whatever the layer, accelerator and objective?

Law by law in `tiling_laws.py`. Layers are drawn from seeds, so that a failure names one to look at.
"""

from __future__ import annotations

from random import Random

import pytest

from simulator.arch.config import Objective
from tests.cycles.random_layers import draw_case
from tests.cycles.tiling_laws import violations

OBJECTIVES: tuple[Objective, ...] = ("latency", "latency", "latency", "traffic", "energy")
CHUNK = 100
EVERY_TIME = 1000
"""Of the 2,000 layers, those that `make test` tries; `make test-all` tries all."""

KNOWN = {
    1815: "batch 2 takes 813 cycles, 2 x 399 are 798 (1.88 %): no tiling of one run of 16 rows is faster, "
    "because none cuts it into 5, 3, 5 and 3",
}
"""Layers, of the 2,000, that are known to break a law; anything else is a failure."""


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(first, marks=pytest.mark.exhaustive if first >= EVERY_TIME else ())
        for first in range(0, 2000, CHUNK)
    ],
)
def test_random_layers_obey_every_law(first: int) -> None:
    found = []
    for seed in sorted(set(range(first, first + CHUNK)) - set(KNOWN)):
        rnd = Random(seed)
        case, objective = draw_case(rnd), rnd.choice(OBJECTIVES)
        broken = violations(case, objective, rnd)
        found += [f"seed {seed}, {objective}: {line}\n    {case.layer}\n    {case.fields}" for line in broken]
    assert not found, f"{len(found)} violations\n" + "\n".join(found[:5])
