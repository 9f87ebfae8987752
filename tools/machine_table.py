"""docs/machine_figures.md: the machine of version 0.1 and of today, beside roofline and compulsory traffic."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from simulator.arch import load_arch
from simulator.result import Result, priced
from simulator.simulation import simulate
from simulator.system.dram import bytes_per_cycle
from simulator.system.footprint import compulsory_ifmap_bytes, packed_bytes
from simulator.system.tensor_lifetimes import Readers, stored_results
from simulator.workload import load_network
from simulator.workload.layer import Layer

ARCH = "int8_32x32"
BEFORE = Path(__file__).with_name("machine_v01.csv")
"""Measured with version 0.1 on the same architecture."""

_HEAD = """\
# Figures of the machine

Cycles, useful DRAM bytes and energy of whole networks on `{arch}`, as version 0.1 had them and as they are now.
Energy was charged by useful bytes in version 0.1 and is charged by touched words and bursts now; prices have changed too
(idle PEs, second registers of overlapping folds, skew registers), so a
difference in energy does not come from tilings alone. The *roofline* is the sum over
layers of the larger of MACs / PEs and compulsory bytes / DRAM bandwidth; *compulsory* traffic fetches every operand of
every layer once and writes every result once. `python -m tools.generate_docs` writes this page.

| network | batch | dataflow | overlap | cycles before | cycles | roofline | MB before | MB | compulsory MB | mJ before | mJ |
|---|---:|---|---|---:|---:|---:|---:|---:|---:|---:|---:|
"""


@dataclass(frozen=True)
class Bounds:
    """What no tiling goes below: cycles and DRAM bytes."""

    cycles: int
    dram_bytes: int


def bounds(network: str, batch: int) -> Bounds:
    """Roofline and compulsory traffic of a network in 8-bit codes on the architecture."""
    arch, layers = load_arch(ARCH), load_network(network, batch=batch)
    rate, pes, readers = bytes_per_cycle(arch), arch.array.rows * arch.array.columns, Readers(layers)
    cycles = dram_bytes = 0
    for layer in layers.layers:
        moved = _compulsory_bytes(layer, readers)
        cycles += max(-(-layer.macs // pes), int(-(-moved // rate)))
        dram_bytes += moved
    return Bounds(cycles, dram_bytes)


def _compulsory_bytes(layer: Layer, readers: Readers) -> int:
    added = sum(post.elements for post in layer.post_operations if post.kind == "add")
    results = packed_bytes(stored_results(layer, readers) + added, 8)
    return compulsory_ifmap_bytes(layer, 8) + packed_bytes(layer.filter_elements, 8) + results


def machine_page() -> str:
    """The page as Markdown."""
    lines = [_HEAD.format(arch=ARCH)]
    with BEFORE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            least = bounds(row["network"], int(row["batch"]))
            lines.append(_line(row, _now(row), least))
    return "".join(lines)


def _now(row: dict[str, str]) -> Result:
    overrides = {"array.overlap": row["overlap"]}
    return simulate(
        row["network"], ARCH, dataflow=row["dataflow"], batch=int(row["batch"]), overrides=overrides
    )


def _line(row: dict[str, str], now: Result, least: Bounds) -> str:
    operands = [
        getattr(layer.dram_bytes, name) for layer in now.layers for name in ("ifmap", "filter", "ofmap")
    ]
    moved = sum(operand.read + operand.write for operand in operands)
    cells = (
        row["network"],
        row["batch"],
        row["dataflow"],
        row["overlap"],
        f"{int(row['cycles']):,}",
        f"{now.totals.cycles:,}",
        f"{least.cycles:,}",
        f"{int(row['dram_bytes']) / 1e6:.1f}",
        f"{moved / 1e6:.1f}",
        f"{least.dram_bytes / 1e6:.1f}",
        f"{float(row['energy_pj']) / 1e9:.2f}",
        f"{priced(now.totals.energy_pj) / 1e9:.2f}",
    )
    return f"| {' | '.join(cells)} |\n"
