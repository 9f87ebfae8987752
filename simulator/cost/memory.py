"""Prices of one buffer: interpolated in log(size) and log(word width) between tabulated memories."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from simulator.arch.config import SramConfig
from simulator.cost.book import Prices, PriceUse, total
from simulator.cost.table_schema import PriceRow
from simulator.foundation import UserError

Point = TypeVar("Point", int, float)


@dataclass(frozen=True, slots=True)
class SramCost:
    """One operand buffer: prices as weighted table rows.

    A word wider than the widest macro is read from macros side by side, and further ports are further
    banks, so the buffer is `macros` equal memories that share its capacity.
    """

    read: tuple[PriceUse, ...]
    write: tuple[PriceUse, ...]
    leakage: tuple[PriceUse, ...]
    area: tuple[PriceUse, ...]
    macros: int

    @property
    def read_pj_per_byte(self) -> float:
        """Picojoules per byte read."""
        return total(self.read)

    @property
    def write_pj_per_byte(self) -> float:
        """Picojoules per byte written."""
        return total(self.write)

    @property
    def leakage_mw(self) -> float:
        """Milliwatts of all macros."""
        return total(self.leakage)

    @property
    def area_um2(self) -> float:
        """Square micrometres of all macros."""
        return total(self.area)


def sram_cost(config: SramConfig, prices: Prices, *, field: str) -> SramCost:
    """The prices of a buffer; `field` (`sram.ifmap`) names it in errors.

    Raises:
        UserError: capacity or word width outside the tabulated range.
    """
    rows = {action: prices.book.rows("sram", action) for action in ("read", "write", "leakage", "area")}
    if not all(rows.values()):
        raise UserError("no price table has SRAM rows", location="tables")
    widest = max(row.word_bits or 0 for row in rows["read"])
    side_by_side = math.ceil(config.word_bits / widest)
    macros = side_by_side * config.ports
    capacity_kib = config.capacity_kib / macros
    word_bits = config.word_bits / side_by_side
    what = f"{capacity_kib:g} KiB x {word_bits:g} bit" + (f", {macros} of them" if macros > 1 else "")

    def uses(action: str, times: int) -> tuple[PriceUse, ...]:
        weighted = _interpolate(rows[action], capacity_kib, word_bits, field)
        return tuple(PriceUse(prices.take(row), weight * times, what) for row, weight in weighted)

    return SramCost(uses("read", 1), uses("write", 1), uses("leakage", macros), uses("area", macros), macros)


def _interpolate(
    rows: Sequence[PriceRow], capacity_kib: float, word_bits: float, field: str
) -> list[tuple[PriceRow, float]]:
    widths = sorted({row.word_bits for row in rows if row.word_bits is not None})
    weighted_widths: list[tuple[int | None, float]] = [(None, 1.0)]
    if widths:
        weighted_widths = list(_weights(word_bits, widths, f"{field}.word_bits", "bits"))
    found = []
    for width, width_weight in weighted_widths:
        by_size = {
            row.capacity_kib: row for row in rows if row.word_bits == width and row.capacity_kib is not None
        }
        for size, weight in _weights(capacity_kib, sorted(by_size), f"{field}.capacity_kib", "KiB a macro"):
            found.append((by_size[size], weight * width_weight))
    return found


def _weights(value: float, points: Sequence[Point], field: str, unit: str) -> Iterable[tuple[Point, float]]:
    """The points around `value` with their weights, linear in the logarithm; one point where it is hit."""
    if not points[0] <= value <= points[-1]:
        raise UserError(
            "is outside the range of the memory prices",
            location=field,
            value=value,
            allowed=f"{points[0]:g} to {points[-1]:g} {unit}",
        )
    for point in points:
        if point == value:
            return [(point, 1.0)]
    above = next(index for index, point in enumerate(points) if value < point)
    low, high = points[above - 1], points[above]
    weight = math.log(value / low) / math.log(high / low)
    return [(low, 1 - weight), (high, weight)]
