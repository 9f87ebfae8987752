"""How fast the register-level grid steps, and how long the closed form takes.

    python -m benchmarks.grid              clock cycles a second of a 32 x 32 grid, then microseconds a layer
    python -m benchmarks.grid resnet18     as well, every layer of a network through the grid

Medians of CPU time in this process, imports and compilation excluded; one core.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from time import process_time

import numpy as np

from benchmarks.figures import cpu_spread
from simulator.array import ArrayTiming, Grid, run_product, schedule_product
from simulator.array import signals as sig
from simulator.numerics import get_mac
from simulator.workload import load_network

TILE = 32
CYCLES = 50_000
RUNS = 5


def stepping() -> Iterator[str]:
    """A line for every MAC: output stationary, multiply at every edge, random operands."""
    rng = np.random.default_rng(0)
    control = np.full(CYCLES, sig.MULTIPLY, np.uint8)
    for name in ("int8", "elma8", "fp16", "posit8", "fp8", "bf16"):
        grid = Grid(name, TILE, TILE)
        mac = get_mac(name)
        a = rng.integers(0, 1 << mac.activation.bits, (CYCLES, TILE))
        w = rng.integers(0, 1 << mac.weight.bits, (CYCLES, TILE))
        rate = cpu_spread(partial(grid.run, a, w, control), RUNS).rates(CYCLES).median
        yield f"{name:<8} {rate:>10,.0f} cycles/s {rate * TILE * TILE / 1e6:>8,.0f} M PE-cycles/s"


def closed_form() -> Iterator[str]:
    """Microseconds of `schedule_product` per layer of resnet50."""
    layers = load_network("resnet50").layers
    for overlap in ("none", "full"):
        timing = ArrayTiming(overlap=overlap, partial_folds="trimmed")

        def schedule_all(timing: ArrayTiming = timing) -> None:
            for layer in layers:
                schedule_product(timing, m=layer.m, n=layer.n, k=layer.k, groups=layer.groups)

        microseconds = cpu_spread(schedule_all, RUNS).median / len(layers) * 1e6
        yield f"closed form, overlap {overlap:<5} {microseconds:8.0f} us a layer"


def whole_network(name: str) -> Iterator[str]:
    """CPU seconds for every layer of a network, int8, register by register."""
    mac = get_mac("int8")
    rng = np.random.default_rng(0)
    for dataflow in ("os", "ws", "is"):
        timing = ArrayTiming(dataflow=dataflow)
        run_product(timing, mac, [[0]], [[0]])
        cycles, seconds = 0, 0.0
        for layer in load_network(name).layers:
            a = rng.integers(-128, 128, (layer.groups, layer.m, layer.k))
            w = rng.integers(-128, 128, (layer.groups, layer.k, layer.n_per_group))
            start = process_time()
            cycles += run_product(timing, mac, a, w).cycles
            seconds += process_time() - start
        yield f"{name} {dataflow}: {cycles:,} cycles in {seconds:.1f} CPU s"


def main() -> None:
    """Print the tables."""
    for line in stepping():
        print(line, flush=True)
    for line in closed_form():
        print(line, flush=True)
    for name in sys.argv[1:]:
        for line in whole_network(name):
            print(line, flush=True)


if __name__ == "__main__":
    main()
