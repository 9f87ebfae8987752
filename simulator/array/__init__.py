"""The PE grid, register by register and clock by clock, and the schedule of its folds in closed form.

`Grid` and the driver load the MACs' arithmetic and are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.array.fold import FoldShape
from simulator.array.schedule import ArrayAccesses, FoldPhases, Phase, ProductSchedule, schedule_product
from simulator.array.timing import ArrayTiming

if TYPE_CHECKING:
    from simulator.array.drive import GridRun, run_product
    from simulator.array.grid import Grid

__all__ = [
    "ArrayAccesses",
    "ArrayTiming",
    "FoldPhases",
    "FoldShape",
    "Grid",
    "GridRun",
    "Phase",
    "ProductSchedule",
    "run_product",
    "schedule_product",
]

_LAZY = {"Grid": "grid", "GridRun": "drive", "run_product": "drive"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(f"simulator.array.{_LAZY[name]}"), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
