"""Where the time of an image goes: CPU milliseconds by phase, on one thread.

Run `python -m benchmarks.inference_phases MODEL DATA [--mac MAC ...] [--images N] [--preprocess HOW]`. Phases
are the calls that `run_plan` makes, each with all that it calls; the run that took least of five counts.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from simulator.inference import arithmetic, load_data, load_model, plan_network, run_inference, run_plan
from simulator.numerics import preset_names
from simulator.numerics.engines.threads import one_thread

PHASES = (
    (run_inference, "float32_product", "products of the float32 reference"),
    (arithmetic, "operands_of", "encode activations, count losses"),
    (arithmetic, "_depthwise", "depthwise products of the MAC"),
    (arithmetic, "_by_columns", "other convolutions of the MAC"),
    (arithmetic, "_by_groups", "products by groups"),
    (arithmetic, "real_values", "sums to values"),
    (run_inference, "deviation", "compare with float32"),
)
_RUNS = 5


@contextmanager
def timed(times: dict[str, float]) -> Iterator[None]:
    """Inside, the phases add their CPU seconds to `times`."""

    def wrapped(function: Callable[..., Any], phase: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            before = time.thread_time()
            try:
                return function(*arguments, **named)
            finally:
                times[phase] += time.thread_time() - before

        return call

    with ExitStack() as stack:
        for module, name, phase in PHASES:
            stack.enter_context(mock.patch.object(module, name, wrapped(getattr(module, name), phase)))
        yield


def phases(model_file: str, data_file: str, mac: str, images: int, preprocess: str) -> dict[str, float]:
    """CPU seconds of an image by phase, of all others, and together."""
    model = load_model(model_file)
    data = load_data(data_file, model, preprocess=preprocess or None).first(images)
    plan = plan_network(model, data.first(2), mac)
    found: list[dict[str, float]] = []
    with one_thread():
        run_plan(model, data.first(2), plan)
        for _ in range(_RUNS):
            times: dict[str, float] = defaultdict(float)
            before = time.thread_time()
            with timed(times):
                run_plan(model, data, plan)
            whole = time.thread_time() - before
            found.append({**times, "other operators, bookkeeping": whole - sum(times.values()), "all": whole})
    return {phase: spent / images for phase, spent in min(found, key=lambda each: each["all"]).items()}


def main() -> None:
    """Print a table, a row for each phase and a column for each MAC."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--mac", nargs="+", default=preset_names())
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--preprocess", default="")
    chosen = parser.parse_args()
    given = (chosen.images, chosen.preprocess)
    found = {mac: phases(chosen.model, chosen.data, mac, *given) for mac in chosen.mac}
    print(f"| CPU ms an image | {' | '.join(found)} |")
    print("|---" * (len(found) + 1) + "|")
    for phase in (*(name for _, _, name in PHASES), "other operators, bookkeeping", "all"):
        spent = " | ".join(f"{1000 * each.get(phase, 0.0):.1f}" for each in found.values())
        print(f"| {phase} | {spent} |")
    print("load average over 1, 5 and 15 minutes: {:.1f} {:.1f} {:.1f}".format(*os.getloadavg()))


if __name__ == "__main__":
    main()
