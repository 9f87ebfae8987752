"""Is a kernel compiled only once, for every process that follows?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json
import numpy as np
from simulator.numerics import get_mac, multiply
from simulator.numerics.activity import switching_activity
from simulator.numerics.engines.compiled import Compiled
from simulator.numerics.engines import (
    activity_kernels, integer_activity_kernels, scaled_kernels, sequential_kernels, table_kernels,
    tile_kernels,
)

rng = np.random.default_rng(0)
for name in ("int8", "elma8", "elma16", "fp8", "fp16", "fp8_fp16", "fp32"):
    mac = get_mac(name)
    a = mac.activation.encode(rng.normal(size=(8, 40)))
    w = mac.weight.encode(rng.normal(size=(40, 8)))
    if name in ("elma8", "elma16", "fp16", "fp8_fp16", "fp32"):
        multiply(mac, a, w, engine="sequential" if mac.accumulator.kind == "float" else "table")
    for dataflow in ("os", "ws"):
        switching_activity(mac, a, w, dataflow)
modules = (
    activity_kernels, integer_activity_kernels, scaled_kernels, sequential_kernels, table_kernels,
    tile_kernels,
)
hits, misses = {}, {}
for module in modules:
    for name, dispatcher in vars(module).items():
        if isinstance(dispatcher, Compiled) and dispatcher.signatures and not name.startswith("_"):
            if dispatcher.targetoptions.get("nogil"):  # kernels, not the helpers compiled into them
                hits[name] = sum(dispatcher.stats.cache_hits.values())
                misses[name] = sum(dispatcher.stats.cache_misses.values())
print(json.dumps([hits, misses]))
"""


@pytest.mark.slow
def test_a_second_process_takes_every_kernel_from_the_cache(tmp_path: Path) -> None:
    def run() -> tuple[dict[str, int], dict[str, int]]:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
            check=True,
            capture_output=True,
            text=True,
        )
        hits, misses = json.loads(done.stdout)
        return hits, misses

    hits, misses = run()
    assert len(misses) >= 14
    assert all(misses.values())
    assert not any(hits.values())
    again, compiled = run()
    assert again == misses
    assert not any(compiled.values())
