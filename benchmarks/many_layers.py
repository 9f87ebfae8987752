"""Processor time from counts to JSON for networks of many layers: pricing, result, text.

    python -m benchmarks.many_layers [--layers 10000] [--shapes 50 10000] [--mac int8 posit8]

The machine is left out: one layer is played, and counts of the right size are made for every shape.
Layers of one shape share what the machine did, as in a run.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace

from simulator.arch import ArchConfig, load_arch
from simulator.operands import OPERANDS
from simulator.result_assembly import assemble
from simulator.system import LayerRun, MachineRun, simulate_network
from simulator.system.counts import ActionCounts, CycleBreakdown, PECycles, Traffic
from simulator.system.run_network import PlayedLayer
from simulator.workload.layer import Layer, Network, matrix_layer


@dataclass(frozen=True)
class Seconds:
    """Processor seconds of one run."""

    result: float
    text: float
    megabytes: float


def shape(index: int) -> tuple[int, int, int]:
    """Distinct M, N, K for every index below 60 million."""
    return 16 + index % 300, 16 + index // 300 % 200, 32 + index // 60_000


def counts_of(layer: Layer, arch: ArchConfig) -> ActionCounts:
    """Counts of a layer's size, in as many cycles as its folds take."""
    pes = arch.array.rows * arch.array.columns
    folds = -(-layer.m // arch.array.rows) * -(-layer.n // arch.array.columns)
    cycles = CycleBreakdown(folds * layer.k, folds * 62, folds * 32, {"dram": 17})
    shifting, holding = cycles.drain * pes, cycles.stall * pes
    idle = cycles.total * pes - layer.macs - shifting - holding
    read, written = layer.m * layer.k, layer.m * layer.n
    moved = {operand: Traffic(read, written, read, written) for operand in OPERANDS}
    return ActionCounts(
        macs=layer.macs,
        cycles=cycles,
        pe_cycles=PECycles(layer.macs, idle, shifting, holding),
        activation_codes=layer.m * layer.k,
        weight_codes=layer.n * layer.k,
        converter_operations=layer.m * layer.n,
        output_path_operations={"bias": layer.m * layer.n, "relu": layer.m * layer.n},
        sram=moved,
        dram=moved,
        array_bytes=dict.fromkeys(OPERANDS, read),
    )


def machine_run(arch: ArchConfig, layers: int, shapes: int) -> MachineRun:
    """A run of so many layers of so many shapes."""
    first = matrix_layer("first", "fc", m=32, n=32, k=32)
    played = simulate_network(arch, Network("one", (first,))).layers[0].played
    by_shape: dict[int, PlayedLayer] = {}
    runs: list[LayerRun] = []
    start = 0
    for index in range(layers):
        m, n, k = shape(index % shapes)
        layer = matrix_layer(f"layer_{index}", "fc", m=m, n=n, k=k)
        if index % shapes not in by_shape:
            by_shape[index % shapes] = replace(played, counts=counts_of(layer, arch))
        runs.append(LayerRun(layer, by_shape[index % shapes], start))
        start = runs[-1].end_cycle
    network = Network("many", tuple(run.layer for run in runs))
    return MachineRun(network, tuple(runs))


def measure(arch: ArchConfig, layers: int, shapes: int) -> Seconds:
    """Processor seconds of pricing and building the result, and of writing its text."""
    run = machine_run(arch, layers, shapes)
    start = time.process_time()
    result = assemble(arch, run)
    built = time.process_time()
    text = result.to_json()
    return Seconds(built - start, time.process_time() - built, len(text) / 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--layers", type=int, default=10_000)
    parser.add_argument("--shapes", type=int, nargs="+", default=[50, 10_000])
    parser.add_argument("--mac", nargs="+", default=["int8", "posit8"])
    arguments = parser.parse_args()
    print(f"{'MAC':<10} {'layers':>7} {'shapes':>7} {'result CPU s':>13} {'JSON CPU s':>11} {'MB':>7}")
    for mac in arguments.mac:
        arch = load_arch("int8_32x32", {"array.mac": mac})
        measure(arch, 1, 1)  # imports and tables
        for shapes in arguments.shapes:
            seconds = measure(arch, arguments.layers, shapes)
            print(
                f"{mac:<10} {arguments.layers:>7} {shapes:>7} {seconds.result:>13.2f} {seconds.text:>11.2f} "
                f"{seconds.megabytes:>7.1f}"
            )


if __name__ == "__main__":
    main()
