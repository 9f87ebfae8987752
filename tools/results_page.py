"""docs/results.md: what the bundled networks take on the bundled architectures."""

from __future__ import annotations

from simulator.numerics import preset_names
from simulator.result import Result, priced
from simulator.simulation import simulate
from tools.accuracy_table import HEADING, PAGE

_HEAD = """\
# Results

Every figure here comes from the command above its table. `make docs` updates the costs, and a test checks that they are up to date.
`make accuracy` measures the accuracies, which takes many minutes.

## resnet50 on the bundled architectures

```console
$ systolic compare resnet50 {archs}
```

{table}

Prices marked ~ are composed from parts, the others have a published row for the whole MAC
([energy](energy.md)). Area and power include the three 256 KiB buffers; energy, power and TOPS/W
include DRAM, those of the chip do not. A MAC is two operations.

## resnet50 with every MAC preset

The same 32x32 array and buffers as `int8_32x32`, with the PEs exchanged.

```console
$ systolic compare resnet50 {macs}
```

{mac_table}
"""

_COLUMNS = (
    "| {what} | priced | cycles | latency ms | energy mJ | power mW | TOPS/W | chip mJ | chip mW | chip TOPS/W "
    "| area mm² | PEs mm² |\n"
    "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
)


def results_page() -> str:
    """The page as Markdown; its accuracy part, which takes long to measure, stays as it is."""
    archs = ["int8_32x32", "elma8_32x32", "elma16_32x32", "fp16_32x32"]
    by_arch = {arch: simulate("resnet50", arch) for arch in archs}
    by_mac = {mac: simulate("resnet50", mac=mac) for mac in preset_names()}
    page = PAGE.read_text(encoding="utf-8")
    measured = page[page.index(HEADING) :] if HEADING in page else ""
    costs = _HEAD.format(
        archs=" ".join(f"--arch {arch}" for arch in archs),
        table=_table("architecture", by_arch),
        macs=" ".join(f"--mac {mac}" for mac in by_mac),
        mac_table=_table("MAC", by_mac),
    )
    return f"{costs}\n{measured}" if measured else costs


def _table(what: str, results: dict[str, Result]) -> str:
    lines = [_COLUMNS.format(what=what)]
    for name, result in results.items():
        totals = result.totals
        lines.append(
            f"| {name} | {_standing(result)} | {totals.cycles:,} | {totals.latency_ms:.3f} "
            f"| {priced(totals.energy_pj) / 1e9:.3f} | {totals.power_mw:.1f} | {totals.tops_per_w:.3f} "
            f"| {priced(totals.chip_energy_pj) / 1e9:.3f} | {totals.chip_power_mw:.1f} "
            f"| {totals.chip_tops_per_w:.3f} | {priced(totals.area_um2) / 1e6:.3f} "
            f"| {priced(result.area_um2['pe_array']) / 1e6:.3f} |"
        )
    return "\n".join(lines)


def _standing(result: Result) -> str:
    """Whether the PE has a published row of its own or is composed from parts."""
    published = any(
        price.row.startswith("pe/") and price.status == "published" for price in result.sources.prices
    )
    return "published" if published else "~composed"
