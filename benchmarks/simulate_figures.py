"""Whole `systolic simulate` processes beside importing numpy and pydantic: architectures and networks."""

from __future__ import annotations

import tempfile
from typing import Final

from benchmarks.figures import Figure, Section, interleaved
from benchmarks.start_up import IMPORTS

RUNS: Final = 5
CASES: Final = (
    *(("resnet50", arch) for arch in ("int8_32x32", "elma8_32x32", "fp16_32x32")),
    *((network, "int8_32x32") for network in ("mobilenet_v2", "bert_base", "llama_1b_decode")),
)


def section(runs: int = RUNS) -> Section:
    """CPU seconds of the second and later simulations of some networks, and of first ones."""
    commands = {
        f"{network} on {arch}": ("-m", "simulator", "simulate", network, "--arch", arch, "--json")
        for network, arch in CASES
    }
    with tempfile.TemporaryDirectory() as cache:
        kept = interleaved(
            {IMPORTS: ("-c", "import numpy, pydantic"), **commands}, runs, SYSTOLIC_CACHE_DIR=cache
        )
    searched = interleaved(commands, 3, SYSTOLIC_CACHE_DIR="")
    figures = [Figure(name, "s", kept[name], IMPORTS, kept[IMPORTS]) for name in commands]
    figures += [
        Figure(f"{name}, tilings searched for", "s", searched[name], IMPORTS, kept[IMPORTS])
        for name in commands
    ]
    return Section("Simulating networks", figures)
