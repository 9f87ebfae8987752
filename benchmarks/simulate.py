"""Whole-process time of `systolic simulate`, process start included: every bundled network, and the four PEs.

    python -m benchmarks.simulate [--runs 5]

Wall and processor seconds are of the finished process, as the operating system counts them; the first run of
each command is not counted. An empty Python process is measured beside it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

from simulator.foundation.resources import bundled_names


@dataclass(frozen=True)
class Measured:
    """Medians over runs, in seconds."""

    wall_seconds: float
    cpu_seconds: float
    runs: int


def measure(arguments: list[str], runs: int) -> Measured:
    """Run a Python process repeatedly and take medians."""
    walls, cpus = [], []
    for run in range(runs + 1):
        before, start = os.times(), time.perf_counter()
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
        wall, after = time.perf_counter() - start, os.times()
        if run:
            walls.append(wall)
            cpus.append(
                after.children_user + after.children_system - before.children_user - before.children_system
            )
    return Measured(statistics.median(walls), statistics.median(cpus), runs)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    print(f"{'command':<52} {'wall s':>8} {'CPU s':>8}   medians of {runs}")
    commands = {"(an empty Python process)": ["-c", "pass"]}
    archs = [name for name in bundled_names("arch_configs") if name.endswith("_32x32")]
    for name, arch in [("resnet50", arch) for arch in archs] + [
        (name, "int8_32x32") for name in bundled_names("workloads") if name != "resnet50"
    ]:
        arguments = ["simulate", name, "--arch", arch, "--json"]
        commands["systolic " + " ".join(arguments)] = ["-m", "simulator", *arguments]
    for title, arguments in commands.items():
        measured = measure(arguments, runs)
        print(f"{title:<52} {measured.wall_seconds:>8.3f} {measured.cpu_seconds:>8.3f}")


if __name__ == "__main__":
    main()
