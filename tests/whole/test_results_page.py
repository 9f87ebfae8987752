"""docs/results.md holds what is measured: rows of its accuracy part, measured anew."""

from __future__ import annotations

import re

import pytest

from simulator.measured import Tensors
from simulator.result import priced
from simulator.simulation import simulate
from tools.accuracy_table import DATA, PAGE


def row(network: str, mac: str) -> list[str]:
    """The cells of a MAC's row in a network's table."""
    page = PAGE.read_text(encoding="utf-8")
    table = page.split(f"#### {network}: ")[1].split("#### ")[0]
    found = re.search(rf"^\| {re.escape(mac)} \|.*$", table, re.MULTILINE)
    assert found is not None
    return [cell.strip() for cell in found[0].strip("|").split("|")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "mac"),
    [("lenet5_fashion", "elma8"), ("lenet5_fashion", "fp8"), ("resnet8_fashion", "int8")],
)
def test_a_published_row_is_what_a_run_gives(network: str, mac: str) -> None:
    result = simulate(network, mac=mac, tensors=Tensors(DATA))
    accuracy = result.accuracy
    assert accuracy is not None
    assert accuracy.top1 is not None
    assert accuracy.top5 is not None
    assert row(network, mac) == [
        mac,
        accuracy.policy,
        f"{100 * accuracy.top1:.1f} %",
        f"{100 * accuracy.top5:.1f} %",
        f"{100 * accuracy.agreement_with_float32:.1f} %",
        f"{result.totals.cycles:,}",
        f"{priced(result.totals.energy_pj) / 1e6:.2f}",
    ]
