"""How long simulating takes: the machine on networks and on growing ones, and the register-level grid.

    python -m benchmarks.timing

Medians of five runs, CPU time of this process, imports and compilation excluded; every run chooses its
tilings anew. `listed` is what timelines and traces take beside it: every step is written out and played by
simpy. The grid's part is `benchmarks/grid.py`; `benchmarks/simulate.py` times whole processes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from time import process_time

from benchmarks.grid import closed_form, stepping
from simulator.arch import load_arch
from simulator.foundation.resources import bundled_names
from simulator.system import MachineRun, simulate_network
from simulator.system.layer_steps import lower
from simulator.system.machine import play
from simulator.system.run_network import PlayedLayer
from simulator.workload.layer import Network, matrix_layer
from simulator.workload.load import load_network

RUNS = 5


@dataclass(frozen=True, slots=True)
class Timed:
    """A run, the median seconds that it took, and those of listing its steps."""

    run: MachineRun
    seconds: float
    listed_seconds: float

    def row(self, name: str) -> str:
        """One line of the table."""
        cycles, tiles = self.run.cycles, sum(layer.tiling.steps for layer in played(self.run))
        return (
            f"{name:<20} {self.seconds:8.3f} s (listed {self.listed_seconds:6.3f} s) {cycles:>12,} cycles "
            f"{cycles / self.seconds:>14,.0f} cycles/s {tiles:>7} tiles"
        )


def timed(network: Network, **overrides: object) -> Timed:
    """A network on int8_32x32."""
    fields = {name.replace("__", "."): value for name, value in overrides.items()}
    arch = load_arch("int8_32x32", fields)
    seconds, listed_seconds = [], []
    simulate_network(arch, network)
    for _ in range(RUNS):
        start = process_time()
        run = simulate_network(arch, network)
        seconds.append(process_time() - start)
        start = process_time()
        for layer in played(run):
            play(lower(layer.work, layer.tiling).programme)
        listed_seconds.append(process_time() - start)
    return Timed(run, median(seconds), median(listed_seconds))


def played(run: MachineRun) -> list[PlayedLayer]:
    """Layers that were played; identical ones once."""
    return list({id(layer.played): layer.played for layer in run.layers}.values())


def bundled_networks() -> Iterator[str]:
    """A line for every bundled network."""
    for name in bundled_names("workloads"):
        yield timed(load_network(name)).row(name)


def growing_networks() -> Iterator[str]:
    """More tiles cost more; more cycles a tile (a longer reduction) cost nothing."""
    for n in (4096, 16384, 65536):
        layer = matrix_layer("l", "fc", m=64, n=n, k=64)
        yield timed(Network("n", (layer,)), tiling__tile_n=64).row(f"n = {n}, k = 64")
    for k in (64, 256, 1024):
        layer = matrix_layer("l", "fc", m=64, n=4096, k=k)
        yield timed(Network("k", (layer,)), tiling__tile_n=64).row(f"n = 4096, k = {k}")


def main() -> None:
    """Print all tables."""
    for table in (bundled_networks, growing_networks, stepping, closed_form):
        for line in table():
            print(line, flush=True)
        print()


if __name__ == "__main__":
    main()
