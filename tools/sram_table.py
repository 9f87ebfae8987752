"""Makes energy_tables/sram_28nm.yaml from tools/data/sram_cacti7_28nm.csv.

`python -m tools.sram_table` writes the bundled table; `--check` only compares. `--cells hp --periphery hp --out
FILE` makes a table of other transistors, and `--figures FILE` of memories of your own in the same columns.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from simulator.foundation.files import write_text
from tools.sram_fit import LeaveOneOut, Term, fitted_terms, leave_one_out

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "tools" / "data" / "sram_cacti7_28nm.csv"
TABLE = ROOT / "energy_tables" / "sram_28nm.yaml"

WIDEST_BITS: Final = 512
"""Wider words are macros side by side in the simulator, and CACTI's small ones are shaped by their outputs."""

TARGET_V: Final = 0.81
SUPPLY_V: Final = {"hp": 0.86, "lop": 0.6, "lstp": 0.92}
"""CACTI's supplies at 28 nm: 0.6 of those in its 32 nm file and 0.4 of those in its 22 nm file."""

_NAMES: Final = {"hp": "high-performance", "lop": "low-operating-power", "lstp": "low-standby-power"}


@dataclass(frozen=True, slots=True)
class Quantity:
    """What is fitted: its column, its action and value field in the table, and the exponents to choose from."""

    column: str
    action: str
    field: str
    exponents: tuple[tuple[float, float], ...]
    follows_supply: bool = False


_ENERGY = ((0, 0), (0, 1), (0.25, 1), (0.5, 0), (0.5, 1), (0.75, 0), (0.75, 1), (1, 1))
QUANTITIES: Final = (
    Quantity("read_pj", "read", "energy_pj", _ENERGY, follows_supply=True),
    Quantity("write_pj", "write", "energy_pj", _ENERGY, follows_supply=True),
    # A decoder a row (words), sense amplifiers a column, and what grows with the outline: hence a negative one.
    Quantity("leakage_mw", "leakage", "leakage_mw", ((0.5, 0.5), (0.75, -0.25), (1, -1))),
    # Exponents that add up to at most one: splitting a memory never saves area.
    Quantity("area_um2", "area", "area_um2", ((0, 0), (0, 1), (0.5, 0.5), (0.75, 0.25), (1, 0))),
    Quantity("access_ns", "access", "time_ns", ((0, 0), (0.25, 0), (0.5, 0), (0.5, 0.5))),
)


@dataclass(frozen=True, slots=True)
class Fit:
    """One quantity's terms, before any step of supply, with the errors of its leave-one-out predictions."""

    quantity: Quantity
    terms: tuple[Term, ...]
    errors: LeaveOneOut
    memories: int


def read_figures(path: Path, cells: str, periphery: str) -> list[dict[str, float]]:
    """The memories of one kind of cell and periphery up to the widest word, as numbers by column."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    rows = [row for row in csv.DictReader(lines) if (row["cells"], row["periphery"]) == (cells, periphery)]
    numbers = [{name: float(value) for name, value in list(row.items())[2:]} for row in rows]
    return [row for row in numbers if row["word_bits"] <= WIDEST_BITS]


def fits(figures: Sequence[dict[str, float]]) -> list[Fit]:
    """The fit of every quantity to all memories."""
    kib, bits = ([row[name] for row in figures] for name in ("capacity_kib", "word_bits"))
    found = []
    for quantity in QUANTITIES:
        wanted = [row[quantity.column] for row in figures]
        terms = [Term(*exponents) for exponents in quantity.exponents]
        errors = leave_one_out(kib, bits, wanted, terms)
        found.append(Fit(quantity, fitted_terms(kib, bits, wanted, terms), errors, len(wanted)))
    return found


def table_text(figures: Sequence[dict[str, float]], cells: str, periphery: str, name: str) -> str:
    """The price table as YAML."""
    kib, bits = ([row[column] for row in figures] for column in ("capacity_kib", "word_bits"))
    supply = SUPPLY_V[periphery]
    kind = f"{_NAMES[cells]} cells, {_NAMES[periphery]} periphery"
    lines = [
        "# Made by `python -m tools.sram_table` from tools/data/sram_cacti7_28nm.csv: change these, not this file.",
        "#",
        "# An access, a memory's leakage, area and access time are sums of terms, value x KiB^a x bits^b. No value is",
        "# negative, so energy, area and time never fall as capacity or word grow; the exponents of areas add up to at",
        "# most 1, so a memory cut into several never takes less area.",
        f"table: {name}",
        f"description: SRAM at 28 nm, one read-write port, one bank; {kind}.",
        "role: prices",
        "",
        "sources:",
        "  cacti: 'CACTI 7 (HewlettPackard/cacti, commit 1ffd8df) at 28 nm and 330 K: plain RAM, one read-write port,"
        f" one bank, no ECC, {kind}; smooth fit to {len(kib)} memories, settings in tools/data/sram_cacti7_28nm.csv'",
        "",
        "conditions:",
        f'  access: {{scope: macro, node_nm: 28, voltage_v: {TARGET_V}, temperature_c: 57, activity: "every access reads or '
        f'writes a whole word; from {supply} V of the periphery by V squared"}}',
        f'  idle: {{scope: macro, node_nm: 28, voltage_v: {SUPPLY_V[cells]}, temperature_c: 57, activity: "none, leakage at the '
        'supplies that CACTI gives these cells and periphery"}',
        f'  speed: {{scope: macro, node_nm: 28, voltage_v: {supply}, temperature_c: 57, activity: "one access; a lower supply is '
        'slower"}',
        '  area: {scope: macro, node_nm: 28, temperature_c: 57, activity: "none, an area"}',
        "",
        "fitted_memories:",
        f"  capacity_kib: [{min(kib):g}, {max(kib):g}]",
        f"  word_bits: [{min(bits):g}, {max(bits):g}]",
        "",
        "rows:",
    ]
    conditions = {"read": "access", "write": "access", "leakage": "idle", "area": "area", "access": "speed"}
    for fit in fits(figures):
        quantity, errors = fit.quantity, fit.errors
        factor = (TARGET_V / supply) ** 2 if quantity.follows_supply else 1.0
        scaled = f", x ({TARGET_V} / {supply})^2" if quantity.follows_supply else ""
        lines.append(
            f"  # {quantity.action}: left out in turn, a memory is missed by {errors.median:.1%} (median), "
            f"{errors.most:.1%} (90 % of them), {errors.largest:.0%} (all)"
        )
        lines += [
            f"  - {{component: sram, variant: ram, action: {quantity.action}, {quantity.field}: "
            f"{term.coefficient * factor:.5g}, capacity_exponent: {term.capacity_exponent:g}, "
            f"word_exponent: {term.word_exponent:g}, conditions: {conditions[quantity.action]}, source: cacti, status: model, "
            f'uncertainty: {errors.most:.3f}, note: "fit{scaled}; leave-one-out median {errors.median:.3f}"}}'
            for term in fit.terms
        ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the table; 1 when `--check` finds that the file differs, 2 when no memory is of the kind."""
    parser = argparse.ArgumentParser(prog="python -m tools.sram_table", description=__doc__)
    parser.add_argument("--cells", choices=sorted(SUPPLY_V), default="lstp")
    parser.add_argument("--periphery", choices=sorted(SUPPLY_V), default="hp")
    parser.add_argument("--figures", type=Path, default=FIGURES, help="list of memories (CSV)")
    parser.add_argument("--out", type=Path, default=TABLE, help="the table to write")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the file differs")
    chosen = parser.parse_args(arguments)
    figures = read_figures(chosen.figures, chosen.cells, chosen.periphery)
    if not figures:
        sys.stderr.write(
            f"{chosen.figures} has no memories with {chosen.cells} cells and {chosen.periphery} periphery\n"
        )
        return 2
    text = table_text(figures, chosen.cells, chosen.periphery, chosen.out.stem)
    if chosen.check:
        same = chosen.out.is_file() and chosen.out.read_text() == text
        sys.stdout.write(f"{chosen.out}: {'as made' if same else 'differs from what the figures give'}\n")
        return 0 if same else 1
    write_text(chosen.out, text)
    sys.stdout.write(f"wrote {chosen.out}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
