"""Prices of one buffer: its macros, each given by rows of a table or fitted as a sum of terms.

The first table with any SRAM row prices all of a buffer; what it lacks has no price.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from simulator.arch.memories import SramConfig
from simulator.cost.price import NotPriced, Uses, together, total, use
from simulator.cost.run_prices import Prices
from simulator.cost.table_schema import MemoryRange, PriceRow, PriceTable

_BITS_PER_BYTE: Final = 8
_COMPONENT: Final = "sram"

MOST_MACROS: Final = 65_536
"""No buffer is built of more macros: then a capacity is likely given in another unit."""

Action = Literal["read", "write", "leakage", "area", "access"]


@dataclass(frozen=True, slots=True)
class SramCost:
    """One on-chip memory: prices as weighted table rows; each of them may be missing without the others.

    macros: how many equal memories the buffer is made of.
    built_of: them in words.
    access: the time of one macro, in nanoseconds.
    notes: what a reader of the prices must know.
    warnings: macros that are too slow.
    """

    read: Uses
    write: Uses
    leakage: Uses
    area: Uses
    access: Uses
    macros: int
    built_of: str
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

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

    @property
    def access_ns(self) -> float | None:
        """Nanoseconds from a clock edge to the word of one macro; None where no table states it."""
        return total(self.access)


def sram_cost(config: SramConfig, prices: Prices, *, field: str) -> SramCost:
    """The prices of a buffer; `field` (`sram.ifmap`) names it in notes."""
    table = next((t for t in prices.book.tables if _sram_rows(t)), None)
    if table is None:
        return _unpriced(prices.book.missing(_COMPONENT, None, "read"), prices)
    rows = _sram_rows(table)
    if any(row.capacity_exponent is not None for row in rows) and table.fitted_memories is not None:
        fitted = _Fitted(config, prices, rows, table.fitted_memories, field)
        if fitted.macros <= MOST_MACROS:
            return fitted.cost()
        ways = f"set {field}.macro_word_bits to more than {config.macro_word_bits}, or ports to fewer"
        return _unpriced(_too_many(config, fitted.macros, fitted.one, field, ways), prices)
    macros = _given_macros(rows)
    if not macros:
        reason = (
            "the memory prices state no capacity: add a table whose sram rows have capacity_kib, or "
            "capacity_exponent and word_exponent"
        )
        return _unpriced(NotPriced(reason, f"rows {table.name}:sram/*"), prices)
    given = [_Given(config, prices, macro, field) for macro in macros]
    possible = [each for each in given if each.macros <= MOST_MACROS]
    if not possible:
        fewest = min(given, key=lambda each: each.macros)
        return _unpriced(fewest.too_many(), prices)
    return min(possible, key=_Given.effort).cost()


def _sram_rows(table: PriceTable) -> list[PriceRow]:
    return [row for row in table.rows.values() if row.component == _COMPONENT]


def _unpriced(reason: NotPriced, prices: Prices) -> SramCost:
    def lacking(action: Action) -> NotPriced:
        missing = prices.book.missing(_COMPONENT, None, action)
        return NotPriced(reason.reason, missing.needs)

    return SramCost(
        lacking("read"), lacking("write"), lacking("leakage"), lacking("area"), lacking("access"), 0, ""
    )


def _too_many(config: SramConfig, macros: int, of: str, field: str, ways: str) -> NotPriced:
    """Why no buffer is built of so many macros."""
    wanted = f"{config.capacity_kib:g} KiB x {config.word_bits} bit"
    return NotPriced(
        f"{field} of {wanted} would take {macros:,} macros of {of}, and buffers are built of at most "
        f"{MOST_MACROS:,}: {ways}"
    )


def _too_slow(access: Uses, macro: str, prices: Prices, field: str) -> tuple[str, ...]:
    """A warning where a macro does not answer within a clock cycle."""
    access_ns, cycle_ns = total(access), 1e3 / prices.clock_mhz
    if access_ns is None or access_ns <= cycle_ns:
        return ()
    return (
        f"{field}: a macro of {macro} takes {access_ns:.3g} ns, longer than the {cycle_ns:.3g} ns of a cycle "
        f"at {prices.clock_mhz:g} MHz: use a pipelined or faster memory, smaller macros (more ports, a wider "
        "word) or a slower clock; cycles and energy are counted as if it answered in time",
    )


# Fitted memories


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A buffer priced by terms: macros of any size.

    Words wider than `macro_word_bits` are macros side by side, and further ports are further banks; area,
    leakage and access time are theirs. An access costs what it costs in a memory of the whole capacity, as
    its bits cross the whole buffer whichever macro they come from: a cut never makes an access cheaper.
    """

    config: SramConfig
    prices: Prices
    rows: Sequence[PriceRow]
    fitted: MemoryRange
    field: str

    @property
    def word_bits(self) -> int:
        return self.config.touched_bits

    @property
    def macros(self) -> int:
        return math.ceil(self.config.word_bits / self.word_bits) * self.config.all_ports

    @property
    def macro_kib(self) -> float:
        return self.config.capacity_kib / self.macros

    @property
    def built_of(self) -> str:
        several = f"{self.macros} x " if self.macros > 1 else ""
        return f"{several}{self.one}"

    @property
    def one(self) -> str:
        """A macro in words."""
        return f"{self.macro_kib:g} KiB x {self.word_bits} bit"

    def cost(self) -> SramCost:
        whole_kib, per_byte = self.config.capacity_kib, _BITS_PER_BYTE / self.word_bits
        access = self._terms("access", self.macro_kib, 1.0, f"{self.macro_kib:g} KiB x {self.word_bits} bit")
        an_access = f"an access of {self.word_bits} bit in {whole_kib:g} KiB"
        macro = f"{self.macro_kib:g} KiB x {self.word_bits:g} bit"
        return SramCost(
            self._terms("read", whole_kib, per_byte, an_access),
            self._terms("write", whole_kib, per_byte, an_access),
            self._terms("leakage", self.macro_kib, self.macros, self.built_of),
            self._terms("area", self.macro_kib, self.macros, self.built_of),
            access,
            self.macros,
            self.built_of,
            tuple(self._extrapolated()),
            _too_slow(access, macro, self.prices, self.field),
        )

    def _terms(self, action: Action, capacity_kib: float, times: float, what: str) -> Uses:
        rows = [row for row in self.rows if row.action == action and row.capacity_exponent is not None]
        if not rows:
            return _action_is_missing(self.rows, action)
        # A narrow word can be read out of a wider one, so none is priced below the narrowest that was fitted.
        bits = max(float(self.word_bits), self.fitted.word_bits[0])
        marked = f"{what} (extrapolated)" if self._beyond(capacity_kib) or self._too_wide else what
        return together(
            use(
                self.prices.take(row),
                times * capacity_kib ** (row.capacity_exponent or 0.0) * bits ** (row.word_exponent or 0.0),
                marked,
            )
            for row in rows
        )

    def _beyond(self, capacity_kib: float) -> bool:
        low, high = self.fitted.capacity_kib
        return not low <= capacity_kib <= high

    @property
    def _too_wide(self) -> bool:
        return self.word_bits > self.fitted.word_bits[1]

    def _extrapolated(self) -> Iterable[str]:
        low, high = self.fitted.capacity_kib
        beyond = [
            kib for kib in dict.fromkeys((self.config.capacity_kib, self.macro_kib)) if self._beyond(kib)
        ]
        if beyond:
            sizes = " and ".join(f"{kib:g} KiB" for kib in beyond)
            yield f"{self.field}: {sizes} extrapolated from memories of {low:g} to {high:g} KiB"
        narrow, wide = self.fitted.word_bits
        if self._too_wide:
            yield f"{self.field}: macros of {self.word_bits} bit extrapolated from {narrow:g} to {wide:g} bit"
        if self.word_bits < narrow:
            yield f"{self.field}: words of {self.word_bits} bit are priced as words of {narrow:g} bit"


# Given macros


@dataclass(frozen=True, slots=True)
class _Macro:
    """One memory of a table with its rows by action; `word_bits` is None where the rows hold for any word."""

    name: str
    capacity_kib: float
    word_bits: int | None
    rows: dict[str, PriceRow]

    def __str__(self) -> str:
        word = "any word" if self.word_bits is None else f"{self.word_bits} bit"
        return f"{self.name} ({self.capacity_kib:g} KiB x {word})"


def _given_macros(rows: Sequence[PriceRow]) -> list[_Macro]:
    """The memories of a table; a row without a word width serves every word of its variant and capacity."""
    sized = [row for row in rows if row.capacity_kib is not None]
    places = dict.fromkeys((row.variant, row.capacity_kib, row.word_bits) for row in sized)
    with_word = {(variant, kib) for variant, kib, bits in places if bits is not None}
    found = []
    for variant, kib, bits in places:
        if kib is None or (bits is None and (variant, kib) in with_word):
            continue
        own = [row for row in sized if (row.variant, row.capacity_kib) == (variant, kib)]
        by_action = {row.action: row for row in own if row.word_bits is None}
        by_action |= {row.action: row for row in own if row.word_bits == bits}
        found.append(_Macro(variant, kib, bits, by_action))
    return found


@dataclass(frozen=True, slots=True)
class _Given:
    """A buffer built of one given macro: as many side by side and in depth as capacity and word need.

    Nothing is interpolated: a macro that is not used up is paid for. Wires and multiplexers between macros
    are not priced.
    """

    config: SramConfig
    prices: Prices
    macro: _Macro
    field: str

    @property
    def side_by_side(self) -> int:
        """Macros that make a word of the buffer."""
        return -(-self.config.word_bits // self.macro.word_bits) if self.macro.word_bits else 1

    @property
    def macros(self) -> int:
        share_kib = self.config.capacity_kib / (self.side_by_side * self.config.all_ports)
        # A share may be beyond a float's range in units of the least capacities that a float holds.
        banks = math.ceil(min(share_kib / self.macro.capacity_kib, 2.0**53))
        return banks * self.side_by_side * self.config.all_ports

    def effort(self) -> tuple[int, bool, float, float, int]:
        """What macros are chosen by: fewest missing rows, in time, least area, capacity and number.

        One that does not state its access time counts as in time.
        """
        missing = sum(action not in self.macro.rows for action in ("read", "write", "leakage", "area"))
        row = self.macro.rows.get("area")
        area_um2 = self.macros * row.value if row is not None else math.inf
        late = bool(_too_slow(self._access(), str(self.macro), self.prices, self.field))
        return missing, late, area_um2, self.macros * self.macro.capacity_kib, self.macros

    def too_many(self) -> NotPriced:
        """Why no buffer is built of so many macros."""
        table = next(iter(self.macro.rows.values())).table
        ways = f"check capacity_kib and word_bits in table {table}, or add a larger macro to it"
        return _too_many(self.config, self.macros, str(self.macro), self.field, ways)

    def _access(self) -> Uses:
        return self._one("access", 1, str(self.macro))

    def cost(self) -> SramCost:
        built_of = f"{self.macros} x {self.macro}" if self.macros > 1 else str(self.macro)
        access = self._access()
        return SramCost(
            self._per_byte("read"),
            self._per_byte("write"),
            self._one("leakage", self.macros, built_of),
            self._one("area", self.macros, built_of),
            access,
            self.macros,
            built_of,
            tuple(self._notes(built_of)),
            _too_slow(access, str(self.macro), self.prices, self.field),
        )

    def _one(self, action: Action, times: float, what: str) -> Uses:
        row = self.macro.rows.get(action)
        if row is None:
            return _action_is_missing(tuple(self.macro.rows.values()), action)
        return use(self.prices.take(row), times, what)

    def _per_byte(self, action: Literal["read", "write"]) -> Uses:
        """The price of a byte when every touched macro switches its whole word."""
        row = self.macro.rows.get(action)
        touched = self.config.touched_bits
        word = self.macro.word_bits or touched
        switching = math.ceil(touched / word)
        accesses = switching * _BITS_PER_BYTE / touched
        if row is not None and row.unit == "pJ/byte":
            accesses *= word / _BITS_PER_BYTE
        several = f"{switching} macros switch" if switching > 1 else "1 macro switches"
        return self._one(action, accesses, f"{several} for {touched} bit: {self.macro}")

    def _notes(self, built_of: str) -> Iterable[str]:
        kib = self.macros * self.macro.capacity_kib
        bits = self.side_by_side * (self.macro.word_bits or self.config.word_bits)
        wanted = f"{self.config.capacity_kib:g} KiB x {self.config.word_bits} bit"
        spare = [f"{kib:g} KiB"] if kib != self.config.capacity_kib else []
        spare += [f"{bits} bit"] if bits != self.config.word_bits else []
        if self.macros > 1 or spare:
            more = f", together {' x '.join(spare)}" if spare else ""
            between = "; what lies between the macros is not priced" if self.macros > 1 else ""
            yield f"{self.field}: {wanted} is built of {built_of}{more}{between}"
        if (self.macro.word_bits or 0) > self.config.touched_bits < self.config.word_bits:
            yield (
                f"{self.field}: each {self.config.touched_bits} bit that are touched pay for a whole word of "
                f"{self.macro.word_bits} bit: set {self.field}.macro_word_bits to {self.macro.word_bits}, so "
                "that an access of several of them is counted once"
            )


def _action_is_missing(rows: Sequence[PriceRow], action: Action) -> NotPriced:
    """The table that prices the buffer has no such row, and no other table fills in."""
    table = rows[0].table
    ways = f"add the row to {table}, or put a table that has every row of its memories before it"
    return NotPriced(
        f"{table} prices the memories and has no row of {action}, and tables are never mixed: {ways}",
        f"row {table}:sram/*/{action}",
    )
