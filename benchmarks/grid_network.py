"""A whole network through the register-level grid: every output and every cycle against other computations.

    python -m benchmarks.grid_network resnet18 --estimate      cycles and how long it would take
    python -m benchmarks.grid_network resnet18                 goes on where it was stopped
    python -m benchmarks.grid_network resnet18 --most-s 500    stops after the layer in which 500 s are over

Each layer gets random int8 operands. Its accumulators must be those of `multiply`, which shares no code with
the grid, and its cycles those of the closed form. What is done is in `build/grid_network/`; at the end
`benchmarks/measured/grid_network.json` is written for docs/performance.md (`python -m benchmarks --page`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.figures import ROOT, Figure, Section, Spread
from benchmarks.measured_files import keep
from simulator.array import ArrayTiming, run_product, schedule_product
from simulator.foundation.code_version import code_version
from simulator.numerics import get_mac, multiply
from simulator.workload import Layer, load_network

MAC: Final = "int8"
TIMING: Final = ArrayTiming(rows=32, columns=32, dataflow="os", overlap="full", partial_folds="trimmed")
_PROBE_CYCLES: Final = 100_000


def cycles_of(layer: Layer) -> int:
    """Cycles of a layer in closed form."""
    return schedule_product(TIMING, m=layer.m, n=layer.n, k=layer.k, groups=layer.groups).total_cycles


def run(layer: Layer) -> dict[str, Any]:
    """One layer on the grid, compared.

    Raises:
        AssertionError: an output or the cycles differ.
    """
    mac = get_mac(MAC)
    seed = int.from_bytes(hashlib.sha256(layer.name.encode()).digest()[:8], "big")
    rng = np.random.default_rng(seed)
    a = rng.integers(-128, 128, (layer.groups, layer.m, layer.k), np.int16)
    w = rng.integers(-128, 128, (layer.groups, layer.k, layer.n_per_group), np.int16)
    start = time.process_time()
    grid = run_product(TIMING, mac, a, w)
    seconds = time.process_time() - start
    wanted = np.stack([multiply(mac, *pair).accumulators for pair in zip(a, w, strict=True)])
    assert grid.accumulators.shape == wanted.shape, layer.name
    different = int(np.count_nonzero(grid.accumulators != wanted))
    assert different == 0, f"{layer.name}: {different} of {wanted.size} outputs differ"
    assert grid.cycles == cycles_of(layer), f"{layer.name}: {grid.cycles} cycles, {cycles_of(layer)} expected"
    return {"cycles": grid.cycles, "outputs": wanted.size, "cpu_s": seconds}


def estimate_s(cycles: int) -> float:
    """CPU seconds of so many cycles, by a short product."""
    rng = np.random.default_rng(0)
    a, w = rng.integers(-128, 128, (32, _PROBE_CYCLES)), rng.integers(-128, 128, (_PROBE_CYCLES, 32))
    run_product(TIMING, get_mac(MAC), a[:, :10], w[:10])
    start = time.process_time()
    done = run_product(TIMING, get_mac(MAC), a, w).cycles
    return cycles * (time.process_time() - start) / done


def main() -> None:
    """Go on with a network."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("network")
    parser.add_argument("--estimate", action="store_true")
    parser.add_argument("--most-s", type=float, default=float("inf"))
    chosen = parser.parse_args()
    layers = load_network(chosen.network).layers
    cycles = sum(cycles_of(layer) for layer in layers)
    if chosen.estimate:
        print(f"{cycles:,} cycles, about {estimate_s(cycles):,.0f} CPU s on this machine as it is now")
        return
    path = ROOT / "build" / "grid_network" / f"{chosen.network}.json"
    done = _read(path)
    began_s = time.monotonic()
    for layer in layers:
        if layer.name in done:
            continue
        if time.monotonic() - began_s > chosen.most_s:
            print(f"{len(done)} of {len(layers)} layers are done; run the command again to go on")
            return
        done[layer.name] = run(layer)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps({"code": code_version(), "layers": done}))
        part.replace(path)
        each = done[layer.name]
        print(f"{layer.name}: {each['cycles']:,} cycles in {each['cpu_s']:.1f} CPU s, equal", flush=True)
    _keep(chosen.network, done)


def _read(path: Path) -> dict[str, Any]:
    """The layers that are done with the code that is here now."""
    if not path.exists():
        return {}
    document = json.loads(path.read_text())
    return dict(document["layers"]) if document["code"] == code_version() else {}


def _keep(network: str, done: dict[str, Any]) -> None:
    cycles, outputs, seconds = (
        sum(each[name] for each in done.values()) for name in ("cycles", "outputs", "cpu_s")
    )
    section = Section(
        f"{network} whole on the register-level grid",
        [Figure("all layers", "CPU s", Spread.of([seconds]))],
        [
            f"{len(done)} layers, {cycles:,} clock edges of 32 x 32 PEs ({cycles / seconds:,.0f} a second),"
            f" int8, output stationary. All {outputs:,} accumulators equal those of `multiply`, and the"
            " cycles of every layer those of the closed form."
        ],
    )
    keep("grid_network", section.document(seconds, os.getloadavg()[0]))
    print("\n".join(section.notes))


if __name__ == "__main__":
    main()
