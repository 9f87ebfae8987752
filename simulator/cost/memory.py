"""Prices of one buffer: interpolated in log(size) and log(word width) between tabulated memories."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from simulator.arch.config import SramConfig
from simulator.cost.book import Prices
from simulator.cost.price import NotPriced, Uses, together, total, use
from simulator.cost.table_schema import PriceRow

Point = TypeVar("Point", int, float)


@dataclass(frozen=True, slots=True)
class SramCost:
    """One operand buffer: prices as weighted table rows; each of them may be missing without the others.

    A word wider than the widest macro is read from macros side by side, and further ports are further
    banks, so the buffer is `macros` equal memories that share its capacity.
    """

    read: Uses
    write: Uses
    leakage: Uses
    area: Uses
    macros: int

    @property
    def read_pj_per_byte(self) -> float | None:
        """Picojoules per byte read; None where not priced."""
        return total(self.read)

    @property
    def write_pj_per_byte(self) -> float | None:
        """Picojoules per byte written; None where not priced."""
        return total(self.write)

    @property
    def leakage_mw(self) -> float | None:
        """Milliwatts of all macros; None where not priced."""
        return total(self.leakage)

    @property
    def area_um2(self) -> float | None:
        """Square micrometres of all macros; None where not priced."""
        return total(self.area)


@dataclass(frozen=True, slots=True)
class _Macro:
    """One of the equal memories of a buffer, and which fields of the architecture it follows from.

    side_by_side: macros that make a word. macros: all of them, ports included.
    """

    field: str
    capacity_kib: float
    word_bits: float
    side_by_side: int
    macros: int

    @classmethod
    def of(cls, config: SramConfig, widest_bits: int, field: str) -> _Macro:
        """The macro of a buffer when the widest that is priced has so many bits; 0: any width."""
        side_by_side = math.ceil(config.word_bits / widest_bits) if widest_bits else 1
        macros = side_by_side * config.ports
        return cls(field, config.capacity_kib / macros, config.word_bits / side_by_side, side_by_side, macros)

    def __str__(self) -> str:
        several = f", {self.macros} of them" if self.macros > 1 else ""
        return f"{self.capacity_kib:g} KiB x {self.word_bits:g} bit{several}"


def sram_cost(config: SramConfig, prices: Prices, *, field: str) -> SramCost:
    """The prices of a buffer; `field` (`sram.ifmap`) names it in the reasons of what is not priced."""
    rows = prices.book.rows("sram", "read")
    macro = _Macro.of(config, max((row.word_bits or 0 for row in rows), default=0), field)

    def priced(action: str, times: int) -> Uses:
        found = _interpolated(prices, action, macro)
        if isinstance(found, NotPriced):
            return found
        return together(use(prices.take(row), weight * times, str(macro)) for row, weight in found)

    return SramCost(
        priced("read", 1),
        priced("write", 1),
        priced("leakage", macro.macros),
        priced("area", macro.macros),
        macro.macros,
    )


def _interpolated(prices: Prices, action: str, macro: _Macro) -> list[tuple[PriceRow, float]] | NotPriced:
    """The rows around a macro with their weights, or why the macro lies outside them."""
    rows = prices.book.rows("sram", action)
    needs = f"row sram/*/{action} at {macro.capacity_kib:g} KiB x {macro.word_bits:g} bit"
    if not rows:
        return prices.book.missing("sram", None, action)
    widths = sorted({row.word_bits for row in rows if row.word_bits is not None})
    problems = [_width_problem(macro, widths)]
    found: list[tuple[PriceRow, float]] = []
    for width, width_weight in _weights(macro.word_bits, widths) if widths else [(None, 1.0)]:
        by_size = {
            row.capacity_kib: row for row in rows if row.word_bits == width and row.capacity_kib is not None
        }
        sizes = sorted(by_size)
        problems.append(_size_problem(macro, sizes))
        found += [
            (by_size[size], weight * width_weight) for size, weight in _weights(macro.capacity_kib, sizes)
        ]
    reasons = list(dict.fromkeys(problem for problem in problems if problem))
    return NotPriced("; ".join(reasons), needs) if reasons else found


def _width_problem(macro: _Macro, widths: Sequence[int]) -> str:
    if not widths or widths[0] <= macro.word_bits <= widths[-1]:
        return ""
    nearest = _nearest(macro.word_bits, widths) * macro.side_by_side
    return (
        f"a word of {macro.word_bits:g} bits lies outside the {widths[0]:g} to {widths[-1]:g} bits of the "
        f"memory prices: set {macro.field}.word_bits to {nearest:g} or add a table with such words"
    )


def _size_problem(macro: _Macro, sizes: Sequence[float]) -> str:
    if not sizes:
        return "the memory prices state no capacity: add a table whose sram rows have capacity_kib"
    if sizes[0] <= macro.capacity_kib <= sizes[-1]:
        return ""
    nearest = _nearest(macro.capacity_kib, sizes) * macro.macros
    split = f", one of {macro.macros}," if macro.macros > 1 else ""
    return (
        f"a memory of {macro.capacity_kib:g} KiB{split} lies outside the {sizes[0]:g} to {sizes[-1]:g} KiB "
        f"of the memory prices: set {macro.field}.capacity_kib to {nearest:g} or add a table with such "
        "memories"
    )


def _nearest(value: float, points: Sequence[Point]) -> Point:
    return points[0] if value <= points[0] else points[-1]


def _weights(value: float, points: Sequence[Point]) -> list[tuple[Point, float]]:
    """The points around `value` with their weights, linear in the logarithm; the nearest one outside them."""
    if not points:
        return []
    if not points[0] < value < points[-1]:
        return [(_nearest(value, points), 1.0)]
    for point in points:
        if point == value:
            return [(point, 1.0)]
    above = next(index for index, point in enumerate(points) if value < point)
    low, high = points[above - 1], points[above]
    weight = math.log(value / low) / math.log(high / low)
    return [(low, 1 - weight), (high, weight)]
