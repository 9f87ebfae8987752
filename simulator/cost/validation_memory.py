"""SRAM and DRAM prices beside figures that they were not made from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from simulator.arch.config import ArchConfig
from simulator.arch.memories import SramConfig
from simulator.cost.memory import sram_cost
from simulator.cost.price_tables import load_table
from simulator.cost.run_prices import Prices
from simulator.cost.table_schema import PriceRow
from simulator.prediction import Check
from simulator.result import priced

_BITS_PER_BYTE = 8
_UM2_PER_MM2 = 1e6
_SRAM = "sram_28nm"


def memory_checks() -> Iterator[Check]:
    """Memories outside the fit, and energy of a DRAM bit from the currents of devices."""
    yield from _sram_checks()
    yield from _dram_checks()


# SRAM: memories of the same list that the fit leaves out, because their words are wider than 512 bits


@dataclass(frozen=True, slots=True)
class _Memory:
    """A memory as CACTI 7 prints it: low-standby-power cells, high-performance periphery, its supplies."""

    read_pj: float
    write_pj: float
    leakage_mw: float
    area_mm2: float
    access_ns: float


_TO_081_V = (0.81 / 0.86) ** 2
_LEFT_OUT_BITS = 1024
_FITTED_BITS = 512
_MEMORIES = {
    64: (_Memory(32.52, 41.76, 1.156, 0.1462, 0.5572), _Memory(43.65, 91.38, 1.135, 0.1041, 0.6834)),
    512: (_Memory(98.77, 107.3, 4.506, 0.8699, 1.244), _Memory(189.1, 226.6, 5.509, 1.281, 1.290)),
    4096: (_Memory(354.5, 372.0, 32.24, 6.311, 2.649), _Memory(592.7, 627.5, 21.80, 7.044, 3.314)),
}
"""By KiB: words of 512 bits, which the fit was given, and of 1024 bits, which it was not."""

_FIGURES = {
    "read": "pJ",
    "write": "pJ",
    "leakage": "mW",
    "area": "mm2",
    "access": "ns",
}


def _sram_checks() -> Iterator[Check]:
    prices = Prices.of(ArchConfig(clock_mhz=1))
    for capacity_kib, (fitted, left_out) in _MEMORIES.items():
        narrow = _predicted(prices, capacity_kib, _FITTED_BITS)
        wide = _predicted(prices, capacity_kib, _LEFT_OUT_BITS)
        for action, unit in _FIGURES.items():
            published, before = _printed(left_out, action), _printed(fitted, action)
            yield Check(
                f"SRAM {capacity_kib} KiB x 1024 {action}",
                unit,
                published,
                wide[action],
                "prediction",
                "the fit to memories of 32 to 512 bits, extrapolated to one macro of 1024 bits; CACTI's "
                "energies at 0.81 V by V squared",
                (_SRAM,),
                f"at 512 bits, where it was fitted, the fit is {narrow[action] / before - 1:+.0%} off; from "
                f"there to 1024 bits CACTI's figure grows by x{published / before:.2f} (its search changes "
                f"the organisation), the fit's by x{wide[action] / narrow[action]:.2f}",
                _row(_SRAM, "sram", action).uncertainty,
            )


def _predicted(prices: Prices, capacity_kib: float, word_bits: int) -> dict[str, float]:
    buffer = SramConfig(capacity_kib=capacity_kib, word_bits=word_bits, macro_word_bits=word_bits)
    cost = sram_cost(buffer, prices, field="sram")
    word_bytes = word_bits / _BITS_PER_BYTE
    return {
        "read": priced(cost.read_pj_per_byte) * word_bytes,
        "write": priced(cost.write_pj_per_byte) * word_bytes,
        "leakage": priced(cost.leakage_mw),
        "area": priced(cost.area_um2) / _UM2_PER_MM2,
        "access": priced(cost.access_ns),
    }


def _printed(memory: _Memory, action: str) -> float:
    """A figure of CACTI, energies at 0.81 V."""
    return {
        "read": memory.read_pj * _TO_081_V,
        "write": memory.write_pj * _TO_081_V,
        "leakage": memory.leakage_mw,
        "area": memory.area_mm2,
        "access": memory.access_ns,
    }[action]


def _row(table: str, component: str, action: str) -> PriceRow:
    rows = load_table(table).rows.values()
    return next(row for row in rows if (row.component, row.action) == (component, action))


# DRAM: the device's own currents


@dataclass(frozen=True, slots=True)
class _Rail:
    """Milliampere of one supply while reading, writing and standing by with an open row."""

    volts: float
    reading_ma: float
    writing_ma: float
    standby_ma: float


@dataclass(frozen=True, slots=True)
class _Device:
    """A DRAM device whose currents are published.

    rate_gbit_per_s: of one data pin.
    source: who publishes the currents.
    """

    kind: str
    name: str
    source: str
    rails: tuple[_Rail, ...]
    pins: int
    rate_gbit_per_s: float
    holds: str
    cause: str

    def pj_per_bit(self, *, writing: bool) -> float:
        """What a transferred bit adds to standby: rail by rail V (I4 - I3N), divided by the device's rate."""
        added_mw = sum(
            rail.volts * ((rail.writing_ma if writing else rail.reading_ma) - rail.standby_ma)
            for rail in self.rails
        )
        return added_mw / (self.pins * self.rate_gbit_per_s)


_DEVICES = (
    _Device(
        "lpddr4",
        "LPDDR4-3200 x16",
        "DRAMSys",
        (_Rail(1.8, 2.25, 2.25, 2.25), _Rail(1.1, 275, 210, 30), _Rail(1.1, 150, 55, 0.75)),
        16,
        3.2,
        "core and interface, without activation, refresh and background",
        "one constant serves both directions: the device drives the bus only when it is read, so a write "
        "costs it less (5.03) and a read about the constant (8.47)",
    ),
    _Device(
        "ddr4",
        "DDR4-3200 8Gb x8",
        "DRAMsim3",
        (_Rail(1.2, 168, 150, 52),),
        8,
        3.2,
        "core alone, without activation, refresh, background and interface",
        "the constant holds interface and background too: standby alone is 62.4 mW a device, 2.4 pJ/bit at "
        "full load and 8 at 30 % of it, and refresh adds 0.4 to 1.4",
    ),
)


def _dram_checks() -> Iterator[Check]:
    for device in _DEVICES:
        row = load_table("dram").rows[f"dram/{device.kind}/transfer"]
        for writing in (False, True):
            yield Check(
                f"{device.name} {'write' if writing else 'read'}, from currents",
                "pJ/bit",
                device.pj_per_bit(writing=writing),
                row.value,
                "prediction",
                f"the table's constant beside currents published with {device.source}: {device.holds}",
                ("dram",),
                device.cause,
                row.uncertainty,
            )
