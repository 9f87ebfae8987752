"""How long the command takes to start: whole processes, as multiples of importing numpy and pydantic.

    python -m benchmarks.start_up [RUNS]

CPU time, user and system. `--json` results are those of a network that was simulated before: its tilings are
found in the cache (docs/performance.md). The last line searches for them anew.
"""

from __future__ import annotations

import sys
import tempfile
from typing import Final

from benchmarks.figures import Figure, Section, interleaved

IMPORTS: Final = "python -c 'import numpy, pydantic'"
RUNS: Final = 15
_SIMULATE: Final = ("-m", "simulator", "simulate", "resnet50", "--json")


def section(runs: int = RUNS) -> Section:
    """The start of `--help` and of a simulation, each beside the imports."""
    with tempfile.TemporaryDirectory() as cache:
        found = interleaved(
            {
                IMPORTS: ("-c", "import numpy, pydantic"),
                "systolic --help": ("-m", "simulator", "--help"),
                "systolic simulate resnet50 --json": _SIMULATE,
            },
            runs,
            SYSTOLIC_CACHE_DIR=cache,
        )
    searching = interleaved({"": _SIMULATE}, max(3, runs // 3), SYSTOLIC_CACHE_DIR="")[""]
    peer = found[IMPORTS]
    goals = {"systolic --help": 1.5, "systolic simulate resnet50 --json": 2.8}
    figures = [
        Figure(name, "s", found[name], IMPORTS, peer, ("at most", goal)) for name, goal in goals.items()
    ]
    figures.append(Figure("the same, tilings searched for", "s", searching, IMPORTS, peer))
    return Section("Start-up", figures)


def main() -> None:
    """Print the multiples."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    for figure in section(runs).figures:
        spread, goal = figure.measured, figure.goal
        aim = f"  (goal: {goal[0]} {goal[1]:g})" if goal else ""
        print(
            f"{figure.name:<36} {spread.median:6.3f} s ({spread.lowest:.3f} to {spread.highest:.3f})"
            f" {figure.per_peer:6.2f} times {figure.peer_name}{aim}"
        )


if __name__ == "__main__":
    main()
