"""The PE grid, register by register and clock by clock, and the schedule of its folds in closed form."""

from simulator.array.fold import FoldShape
from simulator.array.schedule import ArrayAccesses, FoldPhases, Phase, ProductSchedule, schedule_product
from simulator.array.timing import ArrayTiming

__all__ = [
    "ArrayAccesses",
    "ArrayTiming",
    "FoldPhases",
    "FoldShape",
    "Phase",
    "ProductSchedule",
    "schedule_product",
]
