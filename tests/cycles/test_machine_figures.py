"""Are the figures of docs/machine.md those that the machine gives?"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simulator.arch import load_arch
from simulator.system import simulate_network
from simulator.workload import load_network

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "machine.md"
ROWS = re.findall(r"^\| `(os|ws|is)` (reference|scalesim) \| (.+) \|$", DOCUMENT.read_text(), re.MULTILINE)


def test_every_dataflow_and_timing_has_a_row() -> None:
    assert len({row[:2] for row in ROWS}) == 6


@pytest.mark.parametrize(("dataflow", "timing", "figures"), ROWS)
def test_resnet18_is_as_documented(dataflow: str, timing: str, figures: str) -> None:
    arch = load_arch("int8_32x32", {"array.dataflow": dataflow, "array.timing": timing})
    run = simulate_network(arch, load_network("resnet18"))
    cycles = [layer.counts.cycles for layer in run.layers]
    parts = [sum(getattr(c, part) for c in cycles) for part in ("compute", "fill", "drain", "stall")]
    dram_bytes = sum(traffic.total_bytes for layer in run.layers for traffic in layer.counts.dram.values())
    documented = [int(figure.replace(",", "")) for figure in figures.split(" | ")]
    assert documented == [run.cycles, *parts, dram_bytes]
    assert documented[0] == sum(documented[1:5])
