"""Draws what the bundled SRAM prices make of 16 KiB to 8 MiB and words of 64 to 2048 bits.

`python -m tools.sram_plot` writes docs/sram.svg, and docs/sram.md with the same numbers.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from simulator.arch.config import ArchConfig
from simulator.arch.memories import SramConfig
from simulator.cost.memory import SramCost, sram_cost
from simulator.cost.run_prices import Prices
from simulator.foundation.files import write_bytes, write_text
from simulator.result import priced
from tools.sram_table import FIGURES, SUPPLY_V, TARGET_V, read_figures

DOCS = Path(__file__).resolve().parent.parent / "docs"
CAPACITIES_KIB: Final = tuple(2**exponent for exponent in range(4, 14))
WORDS_BITS: Final = (64, 128, 256, 512, 1024, 2048)
_BITS_PER_BYTE: Final = 8
_UM2_PER_MM2: Final = 1e6


@dataclass(frozen=True, slots=True)
class Point:
    """One buffer: picojoules of a read and a write of its whole word, and what it takes and needs."""

    capacity_kib: int
    word_bits: int
    read_pj: float
    write_pj: float
    area_mm2: float
    leakage_mw: float
    access_ns: float
    macros: int
    extrapolated: bool


def points() -> list[Point]:
    """Every buffer of the figure, priced as the simulator prices it."""
    prices = Prices.of(ArchConfig(clock_mhz=1))
    return [
        _point(SramConfig(capacity_kib=kib, word_bits=bits), prices)
        for bits in WORDS_BITS
        for kib in CAPACITIES_KIB
    ]


def _point(buffer: SramConfig, prices: Prices) -> Point:
    cost: SramCost = sram_cost(buffer, prices, field="sram")
    word_bytes = buffer.word_bits / _BITS_PER_BYTE
    return Point(
        capacity_kib=int(buffer.capacity_kib),
        word_bits=buffer.word_bits,
        read_pj=priced(cost.read_pj_per_byte) * word_bytes,
        write_pj=priced(cost.write_pj_per_byte) * word_bytes,
        area_mm2=priced(cost.area_um2) / _UM2_PER_MM2,
        leakage_mw=priced(cost.leakage_mw),
        access_ns=priced(cost.access_ns),
        macros=cost.macros,
        extrapolated=any("extrapolated" in note for note in cost.notes),
    )


_HEAD = """\
# SRAM over capacity and word width

What `sram_28nm` makes of buffers with one port, as [energy](energy.md#memories) describes; energy is that of an access of the whole word,
at 0.81 V. Sizes above 4096 KiB are extrapolated (marked \\*). `python -m tools.sram_plot` writes this page and the figure.

![Energy of a read and area over capacity and word width](sram.svg)

| KiB | bits | macros | read pJ | write pJ | read pJ/byte | area mm2 | leakage mW | access ns |
|---:|---:|---:|---:|---:|---:|---:|---:|---:|
"""


def sram_page() -> str:
    """docs/sram.md."""
    rows = [
        f"| {point.capacity_kib}{chr(92) + '*' if point.extrapolated else ''} | {point.word_bits} | {point.macros} "
        f"| {point.read_pj:.3g} | {point.write_pj:.3g} | {point.read_pj * _BITS_PER_BYTE / point.word_bits:.3g} "
        f"| {point.area_mm2:.3g} | {point.leakage_mw:.3g} | {point.access_ns:.3g} |"
        for point in points()
    ]
    return _HEAD + "\n".join(rows) + "\n"


def sram_figure() -> bytes:
    """docs/sram.svg: lines are the model, dots the memories that it was fitted to, at the same supply."""
    drawn = points()
    memories = read_figures(FIGURES, "lstp", "hp")
    factor = (TARGET_V / SUPPLY_V["hp"]) ** 2
    style: Any = {
        "svg.hashsalt": "systolic",
        "svg.fonttype": "none",
        "font.family": "DejaVu Sans",
        "font.size": 9,
    }
    with mpl.rc_context(style):
        canvas = Figure(figsize=(10, 4.6), layout="constrained")
        energy, area = canvas.subplots(1, 2)
        for place, bits in enumerate(WORDS_BITS):
            line = [point for point in drawn if point.word_bits == bits]
            dots = [
                row
                for row in memories
                if row["word_bits"] == bits and row["capacity_kib"] >= CAPACITIES_KIB[0]
            ]
            colour = f"C{place}"
            kib = [point.capacity_kib for point in line]
            energy.plot(kib, [point.read_pj for point in line], color=colour, label=f"{bits} bit")
            area.plot(kib, [point.area_mm2 for point in line], color=colour, label=f"{bits} bit")
            sizes = [row["capacity_kib"] for row in dots]
            energy.plot(sizes, [row["read_pj"] * factor for row in dots], ".", color=colour)
            area.plot(sizes, [row["area_um2"] / _UM2_PER_MM2 for row in dots], ".", color=colour)
        for axes, title in ((energy, "Read of a whole word, pJ"), (area, "Area, mm2")):
            axes.set(xscale="log", yscale="log", title=title, xlabel="KiB")
            axes.set_xticks(CAPACITIES_KIB, [str(size) for size in CAPACITIES_KIB])
            axes.minorticks_off()
            axes.grid(visible=True, color="#e3e5e3")
            axes.axvspan(4096, CAPACITIES_KIB[-1], color="#f2f2ee", zorder=0)
        energy.legend(frameon=False)
        picture = io.BytesIO()
        canvas.savefig(picture, format="svg", metadata={"Date": None, "Creator": None})
    return picture.getvalue()


def main() -> None:
    """Write the figure and the page."""
    write_bytes(DOCS / "sram.svg", sram_figure())
    write_text(DOCS / "sram.md", sram_page())
    print(f"wrote {DOCS / 'sram.svg'} and {DOCS / 'sram.md'}")


if __name__ == "__main__":
    main()
