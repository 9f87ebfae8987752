"""How times grow: inference with images and with workers, simulation with the array and with the layer.

    python -m benchmarks --only scaling

Writes docs/scaling.svg beside the page's table. Points are medians of CPU time, but for workers, where the
wall clock is what they save.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.figures import ROOT, Figure, Section, Spread, cpu_spread
from simulator.arch import load_arch
from simulator.inference import infer, load_data, load_model
from simulator.system import simulate_network
from simulator.workload import load_network
from simulator.workload.layer import Network, matrix_layer

IMAGES: Final = (25, 50, 100, 200, 400)
SIDES: Final = (8, 16, 32, 64, 128)
LENGTHS: Final = (256, 1024, 4096, 16384, 65536)
RUNS: Final = 3
PICTURE: Final = ROOT / "docs" / "scaling.svg"


def section(runs: int = RUNS) -> Section:
    """Four curves, each beside its first point."""
    found = Section("Scaling")
    curves = {
        "images, resnet8_fashion in int8, CPU s": (IMAGES, _images(runs)),
        "workers, a sweep of 48 points, s": (_workers(), [_sweep_s(count, runs) for count in _workers()]),
        "rows = columns, resnet50, CPU s": (SIDES, _sides(runs)),
        "N of a layer 512 x N x 512, CPU s": (LENGTHS, _lengths(runs)),
    }
    for title, (places, spreads) in curves.items():
        for place, spread in zip(places, spreads, strict=True):
            found.figures.append(Figure(f"{place:,} {title}", "s", spread, f"{places[0]:,}", spreads[0]))
    _draw(curves)
    found.notes.append("![Four curves of times on logarithmic axes](scaling.svg)")
    return found


def _workers() -> tuple[int, ...]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return tuple(count for count in (1, 2, 4, 8, 16, 32) if count <= cores)


def _images(runs: int) -> list[Spread]:
    model = load_model(ROOT / "workloads" / "resnet8_fashion.onnx")
    data = load_data("fashion_mnist_1000", model)
    return [cpu_spread(partial(infer, model, data.first(count), "int8"), runs) for count in IMAGES]


def _sides(runs: int) -> list[Spread]:
    network = load_network("resnet50")
    archs = [load_arch("int8_32x32", {"array.rows": side, "array.columns": side}) for side in SIDES]
    return [cpu_spread(partial(simulate_network, arch, network), runs) for arch in archs]


def _lengths(runs: int) -> list[Spread]:
    arch = load_arch("int8_32x32")
    networks = [Network("n", (matrix_layer("l", "fc", m=512, n=n, k=512),)) for n in LENGTHS]
    return [cpu_spread(partial(simulate_network, arch, network), runs) for network in networks]


def _sweep_s(workers: int, runs: int) -> Spread:
    spec = f"networks: [resnet18]\ngrid: {{array.rows: {list(range(8, 56))}}}\n"
    seconds = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "s.yaml").write_text(spec)
            command = [sys.executable, "-m", "simulator", "sweep", "s.yaml", "--jobs", str(workers), "-q"]
            start = time.monotonic()
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.monotonic() - start)
    return Spread.of(seconds)


def _draw(curves: Mapping[str, tuple[Sequence[int], list[Spread]]]) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "scaling"
    figure, axes = plt.subplots(2, 2, figsize=(9, 6.4), layout="constrained")
    for axis, (title, (places, spreads)) in zip(axes.flat, curves.items(), strict=True):
        medians = [spread.median for spread in spreads]
        ends = [
            [spread.median - spread.lowest for spread in spreads],
            [spread.highest - spread.median for spread in spreads],
        ]
        axis.errorbar(places, medians, yerr=ends, marker="o", capsize=3, label="measured")
        what, _, unit = title.rpartition(", ")
        power, name = (-1, "inversely proportional") if what.startswith("workers") else (1, "proportional")
        line = [medians[0] * (place / places[0]) ** power for place in places]
        axis.plot(places, line, "--", color="0.6", label=name)
        axis.set(xscale="log", yscale="log", xlabel=what, ylabel=unit)
        axis.set_xticks(places, [f"{place:,}" for place in places])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
        axis.legend()
    figure.savefig(PICTURE, metadata={"Date": None})
    plt.close(figure)
