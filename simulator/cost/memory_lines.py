"""The energy of memories: buffers, DRAM, the wires between buffers and array, and what the buffers leak."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from simulator.arch.config import ArchConfig
from simulator.cost.area import Area, AreaLine
from simulator.cost.memory import SramCost, sram_cost
from simulator.cost.price import NotPriced, Price, Uses, use
from simulator.cost.price_lines import Action, FormationLine
from simulator.cost.price_tables import load_table
from simulator.cost.run_prices import Prices
from simulator.foundation import UserError
from simulator.system.counts import OPERANDS, ActionCounts, Operand

_BITS_PER_BYTE: Final = 8
_BUNDLED_DRAMS: Final = "dram"
_UM_PER_MM: Final = 1000.0


class Memories:
    """The operand buffers and the DRAM behind them.

    Args:
        arch: the architecture.
        prices: at its conditions.

    Raises:
        UserError: a `dram.type` that no table has.
    """

    def __init__(self, arch: ArchConfig, prices: Prices) -> None:
        self.srams: dict[Operand, SramCost] = {
            operand: sram_cost(getattr(arch.sram, operand), prices, field=f"sram.{operand}")
            for operand in OPERANDS
        }
        dram = _dram_price(arch.dram.type, prices)
        self._reading = {
            operand: Action(f"sram_{operand}", "dynamic", "bytes of words read", sram.read, operand)
            for operand, sram in self.srams.items()
        }
        self._writing = {
            operand: Action(f"sram_{operand}", "dynamic", "bytes of words written", sram.write, operand)
            for operand, sram in self.srams.items()
        }
        self._dram = {
            operand: Action(
                f"dram_{operand}",
                "dynamic",
                "bytes of bursts read or written",
                use(dram, _BITS_PER_BYTE, "bits a byte"),
                operand,
            )
            for operand in OPERANDS
        }
        self._leaking = {
            operand: Action("leakage_sram", "static", "nanoseconds", sram.leakage, operand)
            for operand, sram in self.srams.items()
        }

    @property
    def notes(self) -> list[str]:
        """What the buffers are built of, and what was extrapolated."""
        return [note for sram in self.srams.values() for note in sram.notes]

    @property
    def warnings(self) -> list[str]:
        """Macros that do not answer within a clock cycle."""
        return [warning for sram in self.srams.values() for warning in sram.warnings]

    def area_lines(self) -> Iterator[AreaLine]:
        """Area of the buffers."""
        for operand, sram in self.srams.items():
            yield AreaLine(f"sram_{operand}", "buffer", 1, sram.area)

    def lines(self, counts: ActionCounts) -> Iterator[FormationLine]:
        """Energy of the words and bursts that a layer touches."""
        for operand in OPERANDS:
            moved = counts.sram[operand]
            yield FormationLine(self._reading[operand], moved.moved_read_bytes)
            yield FormationLine(self._writing[operand], moved.moved_write_bytes)
        for operand in OPERANDS:
            yield FormationLine(self._dram[operand], counts.dram[operand].moved_bytes)

    @property
    def dram_pj_per_byte(self) -> float | None:
        """Picojoules per byte of a burst; None where not priced."""
        return self._dram["ofmap"].unit_pj

    def leakage_lines(self, time_ns: float) -> Iterator[FormationLine]:
        """What the buffers leak in some nanoseconds."""
        for operand in OPERANDS:
            yield FormationLine(self._leaking[operand], time_ns)


def _dram_price(kind: str, prices: Prices) -> Price | NotPriced:
    """The price of a bit; a type that no table knows is a mistake, one of a table that is left out is not.

    Raises:
        UserError: naming the nearest type.
    """
    book, bundled = prices.book, load_table(_BUNDLED_DRAMS)
    known = {
        row.variant
        for table in (*book.tables, bundled)
        for row in table.rows.values()
        if row.component == "dram"
    }
    if kind not in known:
        raise UserError(
            "no table has a DRAM of this type; a row dram/TYPE/transfer in a table of your own adds one",
            location="dram.type",
            value=kind,
            candidates=known,
        )
    return prices.get("dram", kind, "transfer", chosen_by="dram.type")


class Wires:
    """The wires between buffers and array, as long as the areas of both say.

    Args:
        prices: of wires.
        area: of the whole chip.
        macs: the MACs of the array, whose area the length follows from.
    """

    def __init__(self, prices: Prices, area: Area, macs: str) -> None:
        self._moving = {
            operand: Action(
                "wires",
                "dynamic",
                "bytes between buffer and array",
                _wire_uses(prices, area, operand),
                operand,
                mac=macs,
            )
            for operand in OPERANDS
        }

    def lines(self, counts: ActionCounts) -> Iterator[FormationLine]:
        """Energy of the bytes that pass between buffers and array."""
        for operand in OPERANDS:
            yield FormationLine(self._moving[operand], counts.array_bytes[operand])


def _wire_uses(prices: Prices, area: Area, operand: Operand) -> Uses:
    wire = prices.get("wire", "intermediate", "transfer")
    distance_mm = _distance_mm(area, operand)
    if isinstance(wire, NotPriced):
        return wire
    if isinstance(distance_mm, NotPriced):
        return distance_mm
    return use(wire, _BITS_PER_BYTE * distance_mm, f"bits a byte over {distance_mm:.3f} mm")


def _distance_mm(area: Area, operand: Operand) -> float | NotPriced:
    """Centre to centre of buffer and array, both square and side by side: an estimate."""
    array_um2, sram_um2 = area.of("pe_array"), area.of(f"sram_{operand}")
    if isinstance(array_um2, NotPriced):
        return array_um2
    if isinstance(sram_um2, NotPriced):
        return sram_um2
    return (math.sqrt(array_um2) + math.sqrt(sram_um2)) / 2 / _UM_PER_MM
