"""The tiling that a search has chosen: its loop nest and tile sizes, and what the machine does under it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from simulator.operands import Operand
from simulator.system.footprint import Integers
from simulator.system.layer_work import BYTES, END, STEPS, LayerWork
from simulator.system.nest import NEST_NAMES, NO_OPERAND, Blocking

SINGLE_BITS: Final[Mapping[Operand, int]] = {"ifmap": 1, "filter": 2, "ofmap": 4}
WHOLE_REDUCTION: Final[Mapping[int, str]] = {NO_OPERAND: "neither", 0: "ifmap", 1: "filter"}


def moved_bytes(totals: Integers) -> int:
    """Useful DRAM bytes of all streams."""
    return int(totals[BYTES : BYTES + 4].sum())


@dataclass(frozen=True, slots=True)
class Tiling:
    """A chosen loop nest and tile sizes, with all that the machine does under it.

    totals: see `layer_work`.
    slots: tiles of each operand that its buffer holds at once.
    is_product: whether output pixels are one run, not blocks of images.
    turned: whether blocks and taps follow columns first; the blocking's rows are then columns of the image.
    """

    blocking: Blocking
    slots: Mapping[Operand, int]
    totals: Integers
    reason: str
    is_product: bool
    turned: bool

    @property
    def steps(self) -> int:
        """Tiles of the layer."""
        return int(self.totals[STEPS])

    @property
    def cycles(self) -> int:
        """Cycles of the layer."""
        return int(self.totals[END])

    @property
    def total_dram_bytes(self) -> int:
        """Useful bytes moved to and from DRAM for all three operands."""
        return moved_bytes(self.totals)

    @property
    def tile_m(self) -> int:
        """Output pixels of a whole tile."""
        return self.blocking.images * self.blocking.rows * self.blocking.columns

    def fixed(self) -> dict[str, Any]:
        """Fields of an architecture's `tiling` that give this tiling again."""
        b = self.blocking
        rows, columns = (b.columns, b.rows) if self.turned else (b.rows, b.columns)
        pixels = (
            {"tile_m": self.tile_m}
            if self.is_product
            else {"tile_images": b.images, "tile_rows": rows, "tile_columns": columns}
        )
        return {
            "image_order": "columns" if self.turned else "rows",
            "loops": NEST_NAMES[b.nest][1].replace(", ", ""),
            **pixels,
            "tile_n": b.n,
            "tile_k": b.k,
            "tile_groups": b.groups,
            "whole_reduction": WHOLE_REDUCTION[b.whole_k],
            "single_buffered": [name for name, bit in SINGLE_BITS.items() if b.single & bit],
        }

    def summary(self) -> dict[str, Any]:
        """Fields for a result."""
        order = NEST_NAMES[self.blocking.nest][0]
        return {
            "loop_order": order,
            "tile_m": self.tile_m,
            **self.fixed(),
            **{f"{name}_tiles": count for name, count in self.slots.items()},
            "steps": self.steps,
            "reason": self.reason,
        }


def in_image_order(work: LayerWork, *, turned: bool) -> LayerWork:
    """The same layer with its blocks and taps in another order."""
    return work._replace(geometry=work.geometry.turned) if turned else work
