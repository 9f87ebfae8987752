"""`python -m benchmarks.spread_inference`: what it costs to spread images over local processes.

Runs a network on two numbers of images, in this process and by workers, several times each, and prints
medians of CPU time: of this process, which plans, keeps and adds up, and of the workers. What grows from the
smaller to the larger number of images is the cost of an image, what does not is start-up. Figures are CPU
time, user and system of all threads, as other work may share the cores; wall times stand beside them with the
load average.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from simulator.inference import infer, load_data, load_model
from simulator.inference.output_sink import Unsaved
from simulator.inference.run_inference import plan_network, run_plan
from simulator.spread_inference.opened_source import InferenceSource
from simulator.spread_inference.planning import Arithmetic
from simulator.spread_inference.spread_options import Spread
from simulator.spread_inference.spread_run import infer_spread


@dataclass(frozen=True)
class Cost:
    """Seconds of one run."""

    wall: float
    own_cpu: float
    workers_cpu: float


def _cpu_s(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def cost_of(run: Callable[[], object]) -> Cost:
    """Of a call; workers count once they have ended."""
    began = time.monotonic(), _cpu_s(resource.RUSAGE_SELF), _cpu_s(resource.RUSAGE_CHILDREN)
    run()
    ended = time.monotonic(), _cpu_s(resource.RUSAGE_SELF), _cpu_s(resource.RUSAGE_CHILDREN)
    return Cost(*(after - before for before, after in zip(began, ended, strict=True)))


def alone(model: str, data: str, mac: str, images: int) -> None:
    """All images in this process."""
    network = load_model(model)
    chosen = load_data(data, network).first(images)
    run_plan(network, chosen, plan_network(network, chosen, mac), sink=Unsaved())


def spread(model: str, data: str, mac: str, images: int, jobs: int) -> None:
    """All images by workers."""
    source = InferenceSource(model, data, images)
    infer_spread(source, Arithmetic.of(mac, None), Spread(jobs), keeps="figures", sink=Unsaved())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="resnet8_fashion")
    parser.add_argument("data", nargs="?", default="fashion_mnist_1000")
    parser.add_argument("--mac", default="elma8")
    parser.add_argument("--images", nargs=2, type=int, default=[100, 1000], help="fewer, and more")
    parser.add_argument("--jobs", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    fewer, more = given.images
    network = load_model(given.model)
    infer(network, load_data(given.data, network).first(2), given.mac)  # compiles
    print(f"{given.model}, {given.data}, {given.mac}, medians of {given.runs} runs")
    print("| workers | images | wall s | CPU s of the run | CPU s of the workers | CPU ms an image more |")
    print("|---|---:|---:|---:|---:|---:|")
    for jobs in (0, *given.jobs):
        totals: list[float] = []
        for images in (fewer, more):
            costs = [
                cost_of(
                    (lambda: spread(given.model, given.data, given.mac, images, jobs))  # noqa: B023
                    if jobs
                    else (lambda: alone(given.model, given.data, given.mac, images))  # noqa: B023
                )
                for _ in range(given.runs)
            ]
            wall, own, theirs = (
                statistics.median(getattr(cost, field) for cost in costs)
                for field in ("wall", "own_cpu", "workers_cpu")
            )
            totals.append(statistics.median(cost.own_cpu + cost.workers_cpu for cost in costs))
            grown = f"{1000 * (totals[1] - totals[0]) / (more - fewer):.2f}" if len(totals) == 2 else ""
            print(f"| {jobs or 'none'} | {images:,} | {wall:.1f} | {own:.2f} | {theirs:.2f} | {grown} |")
    print(f"load average {', '.join(f'{each:.1f}' for each in os.getloadavg())}")


if __name__ == "__main__":
    main()
