"""The energy of memories: accesses, leakage, DRAM, and the wires between memories and array."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from simulator.arch.config import ArchConfig
from simulator.arch.memories import OnChipMemory, SramsConfig
from simulator.cost.area import Area, AreaLine
from simulator.cost.memory import sram_cost
from simulator.cost.price import NotPriced, Price, Uses, use
from simulator.cost.price_lines import Action, FormationLine
from simulator.cost.price_tables import load_table
from simulator.cost.run_prices import Prices
from simulator.foundation import UserError
from simulator.operands import OPERANDS, Operand
from simulator.system.counts import ActionCounts

_BITS_PER_BYTE: Final = 8
_BUNDLED_DRAMS: Final = "dram"
_UM_PER_MM: Final = 1000.0


class Memories:
    """The on-chip memories and the DRAM behind them.

    Args:
        arch: the architecture.
        prices: at its conditions.

    Raises:
        UserError: a `dram.type` that no table has.
    """

    def __init__(self, arch: ArchConfig, prices: Prices) -> None:
        self._memories = arch.sram.memories
        self._costs = {
            memory.name: sram_cost(memory.config, prices, field=memory.field) for memory in self._memories
        }
        of = arch.sram.by_operand()
        dram = _dram_price(arch.dram.type, prices)
        self._reading = {
            operand: Action(
                memory.component, "dynamic", "bytes of words read", self._costs[memory.name].read, operand
            )
            for operand, memory in of.items()
        }
        self._writing = {
            operand: Action(
                memory.component, "dynamic", "bytes of words written", self._costs[memory.name].write, operand
            )
            for operand, memory in of.items()
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
        self._leaking = [
            Action(
                "leakage_sram",
                "static",
                "nanoseconds",
                self._costs[memory.name].leakage,
                memory.holds[0] if len(memory.holds) == 1 else None,
            )
            for memory in self._memories
        ]

    @property
    def notes(self) -> list[str]:
        """What the buffers are built of, and what was extrapolated."""
        return [note for sram in self._costs.values() for note in sram.notes]

    @property
    def warnings(self) -> list[str]:
        """Macros that do not answer within a clock cycle."""
        return [warning for sram in self._costs.values() for warning in sram.warnings]

    def area_lines(self) -> Iterator[AreaLine]:
        """Area of the buffers."""
        for memory in self._memories:
            yield AreaLine(memory.component, "buffer", 1, self._costs[memory.name].area)

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
        for leaking in self._leaking:
            yield FormationLine(leaking, time_ns)

    def read_pj_per_byte(self, operand: Operand) -> float | None:
        """Picojoules per byte that an operand's memory is read; None where not priced."""
        return self._reading[operand].unit_pj

    def write_pj_per_byte(self, operand: Operand) -> float | None:
        """Picojoules per byte that an operand's memory is written; None where not priced."""
        return self._writing[operand].unit_pj

    @property
    def leakage_mw(self) -> list[float | None]:
        """Milliwatts of every memory; None where not priced."""
        return [leaking.unit_pj for leaking in self._leaking]


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
        memories: the on-chip ones.
        macs: the MACs of the array, whose area the length follows from.
    """

    def __init__(self, prices: Prices, area: Area, memories: SramsConfig, macs: str) -> None:
        self._moving = {
            operand: Action(
                "wires",
                "dynamic",
                "bytes between buffer and array",
                _wire_uses(prices, area, memory),
                operand,
                mac=macs,
            )
            for operand, memory in memories.by_operand().items()
        }

    def lines(self, counts: ActionCounts) -> Iterator[FormationLine]:
        """Energy of the bytes that pass between buffers and array."""
        for operand in OPERANDS:
            yield FormationLine(self._moving[operand], counts.array_bytes[operand])


def _wire_uses(prices: Prices, area: Area, memory: OnChipMemory) -> Uses:
    wire = prices.get("wire", "intermediate", "transfer")
    distance_mm = _distance_mm(area, memory)
    if isinstance(wire, NotPriced):
        return wire
    if isinstance(distance_mm, NotPriced):
        return distance_mm
    return use(wire, _BITS_PER_BYTE * distance_mm, f"bits a byte over {distance_mm:.3f} mm")


def _distance_mm(area: Area, memory: OnChipMemory) -> float | NotPriced:
    """Centre to centre of buffer and array, both square and side by side: an estimate."""
    array_um2, sram_um2 = area.of("pe_array"), area.of(memory.component)
    if isinstance(array_um2, NotPriced):
        return array_um2
    if isinstance(sram_um2, NotPriced):
        return sram_um2
    return (math.sqrt(array_um2) + math.sqrt(sram_um2)) / 2 / _UM_PER_MM
