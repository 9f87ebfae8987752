"""Whether there is a GPU to measure; the figures themselves are those of `python -m benchmarks.gpu`."""

from __future__ import annotations

from benchmarks.figures import Section
from simulator.foundation import UserError
from simulator.numerics.gpu import chosen_device


def section() -> Section:
    """Where the GPU's figures come from, or why there are none."""
    found = Section("GPU")
    try:
        chosen_device("gpu")
    except UserError as error:
        found.skipped.append(f"{error}")
    else:
        found.notes.append("This machine has a GPU: `python -m benchmarks.gpu` measures it.")
    return found
