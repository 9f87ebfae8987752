"""How long the machine takes to play networks: seconds per network, cycles per second, growth with tiles.

    python benchmarks/timing.py            every bundled network, then networks of growing size

Times are the median of five runs in this process, imports excluded; `benchmarks/simulate.py` times whole
processes.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from time import perf_counter

from simulator.arch import load_arch
from simulator.foundation.resources import bundled_names
from simulator.system import MachineRun, simulate_network
from simulator.workload.layer import Network, matrix_layer
from simulator.workload.load import load_network

RUNS = 5


def timed(network: Network, **overrides: object) -> tuple[float, MachineRun]:
    """Median seconds to play a network on int8_32x32, and the run."""
    fields = {name.replace("__", "."): value for name, value in overrides.items()}
    arch = load_arch("int8_32x32", fields)
    seconds = []
    for _ in range(RUNS):
        start = perf_counter()
        run = simulate_network(arch, network)
        seconds.append(perf_counter() - start)
    return median(seconds), run


def steps_of(run: MachineRun) -> int:
    """Array steps that were played; identical layers are played once."""
    played = {id(layer.played): layer.played for layer in run.layers}
    return sum(len(layer.lowered.programme.steps) for layer in played.values())


def row(name: str, seconds: float, run: MachineRun) -> str:
    """One line of the table."""
    speed = f"{run.cycles / seconds:>14,.0f} cycles/s"
    return f"{name:<20} {seconds:8.3f} s {run.cycles:>14,} cycles {speed} {steps_of(run):>7} tiles"


def bundled_networks() -> Iterator[str]:
    """A line for every bundled network."""
    for name in bundled_names("workloads"):
        yield row(name, *timed(load_network(name)))


def growing_networks() -> Iterator[str]:
    """More tiles cost more; more cycles a tile (a longer reduction) cost nothing."""
    for n in (4096, 16384, 65536):
        layer = matrix_layer("l", "fc", m=64, n=n, k=64)
        yield row(f"n = {n}, k = 64", *timed(Network("n", (layer,)), tiling__tile_n=64))
    for k in (64, 256, 1024):
        layer = matrix_layer("l", "fc", m=64, n=4096, k=k)
        yield row(f"n = 4096, k = {k}", *timed(Network("k", (layer,)), tiling__tile_n=64))


def main() -> None:
    """Print both tables."""
    for line in bundled_networks():
        print(line)
    print()
    for line in growing_networks():
        print(line)


if __name__ == "__main__":
    main()
