"""Compile the last kernels of a simulation, beside a process that begins with the first.

    python -m tools.compile_ahead

Processes that start together compile the same kernels in the same order and wait for each other. This one
begins where they end, at the neighbours of a tiling, which take a third of the time of all. `make demo` runs
it, so that two cores have work.
"""

from __future__ import annotations

from unittest.mock import patch

import numpy as np

from simulator.api import simulate
from simulator.foundation import UserError
from simulator.system.nest import NO_OPERAND
from simulator.system.tiling_candidates import CANDIDATE, SIZES, WHOLE_K
from simulator.system.tiling_neighbours import list_filling, list_neighbours
from simulator.system.tiling_search import Search

_ROOM = 1_000


def list_around_smallest(search: Search) -> bool:
    """List candidates around tiles of one element, and play none; False, as if nothing fitted."""
    row = np.zeros(CANDIDATE, np.int64)
    row[:SIZES], row[WHOLE_K] = 1, NO_OPERAND
    found = np.empty((_ROOM, CANDIDATE), np.int64)
    for kernel in (list_neighbours, list_filling):
        kernel(search.work, search.limits, row, search.around(), found, search.scratch.needs)
    return False


def main(network: str = "lenet5_fashion") -> None:
    """Simulate a network as far as its first search for a tiling."""
    with patch.object(Search, "run", list_around_smallest):
        try:
            simulate(network)
        except UserError:  # nothing fits, as said above
            return


if __name__ == "__main__":
    main()
