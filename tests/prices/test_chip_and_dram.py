"""Are chip and DRAM told apart, does the bound stand beside the energy, and is an operation what it says?"""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from simulator.foundation import UserError
from simulator.report import units
from simulator.report.console import render_comparison, render_result
from simulator.report.html import render_html
from simulator.result import Result, load_result, priced
from simulator.simulation import simulate
from tests.report_fixtures import make_result


@pytest.fixture(scope="module")
def result() -> Result:
    return simulate("alexnet", "int8_32x32")


def test_chip_and_dram_are_their_components_and_make_the_total(result: Result) -> None:
    totals = result.totals
    parts_fj = {part: priced(fj) for part, fj in totals.energy_by_component_fj.items()}
    dram_fj = parts_fj["dram_ifmap"] + parts_fj["dram_filter"] + parts_fj["dram_ofmap"]
    assert totals.dram_energy_fj == dram_fj > 0
    assert totals.chip_energy_fj == sum(parts_fj.values()) - dram_fj
    assert totals.energy_fj == priced(totals.chip_energy_fj) + priced(totals.dram_energy_fj)


def test_power_and_efficiency_follow_with_two_operations_a_mac(result: Result) -> None:
    totals = result.totals
    seconds = totals.latency_ms * 1e-3
    for part in ("chip", "dram"):
        joules = getattr(totals, f"{part}_energy_fj") * 1e-15
        assert getattr(totals, f"{part}_power_mw") == pytest.approx(joules / seconds * 1e3, rel=1e-12)
    assert priced(totals.power_mw) == pytest.approx(
        priced(totals.chip_power_mw) + priced(totals.dram_power_mw)
    )
    # 2 operations a MAC; operations per joule are operations per second and watt
    for efficiency, fj in (
        (totals.tops_per_w, totals.energy_fj),
        (totals.chip_tops_per_w, totals.chip_energy_fj),
    ):
        assert efficiency == pytest.approx(2 * result.network.macs / (priced(fj) * 1e-15) / 1e12, rel=1e-12)
    assert totals.tops == pytest.approx(2 * totals.macs / seconds / 1e12, rel=1e-12)


def test_the_bound_is_the_sum_of_the_layers_bounds(result: Result) -> None:
    bounds_fj = [priced(layer.energy_bound_fj) for layer in result.layers]
    assert result.totals.energy_bound_fj == sum(bounds_fj)
    for layer, bound_fj in zip(result.layers, bounds_fj, strict=True):
        # 14.73 bits of 9.31132 fJ in every idle PE-cycle, to a femtojoule a line
        toggling_fj = layer.pe_cycles["idle"] * 14.73 * 9.3113221
        assert bound_fj - priced(layer.energy_fj["total"]) == pytest.approx(toggling_fj, rel=1e-6)


def test_what_has_no_price_at_all_is_said(result: Result) -> None:
    told = " ".join(result.left_out)
    for part in (
        "DMA",
        "address generators",
        "PHY",
        "controller",
        "control logic",
        "clock tree",
        "placement",
    ):
        assert part in told


def _page(*results: Result, width: int = 100) -> str:
    console = Console(file=StringIO(), width=width, legacy_windows=False)
    if len(results) == 1:
        render_result(results[0], console)
    else:
        render_comparison(results, console)
    assert isinstance(console.file, StringIO)
    return " ".join(console.file.getvalue().split())


def test_the_console_shows_them(result: Result) -> None:
    page = _page(result)
    assert "energy, power and TOPS/W with DRAM, those of the chip without" in page
    for figure in ("chip", "one MAC is two operations", "Left out", "DMA and address generators"):
        assert figure in page
    assert f"{priced(result.totals.chip_power_mw):.1f} mW" in page
    assert f"energy at most {priced(result.totals.energy_bound_pj) / 1e9:.3f} mJ if idle PEs toggled" in page


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_the_names_of_the_chips_figures_need_no_place(result: Result, width: int) -> None:
    page = _page(result, width=width)
    totals = result.totals
    assert f"chip energy {units.energy(totals.chip_energy_pj)}" in page
    assert f"chip power {units.power(totals.chip_power_mw)}" in page
    assert f"chip TOPS/W {units.efficiency(totals.chip_tops_per_w)}" in page


def test_a_comparison_and_a_report_show_them(result: Result) -> None:
    other = result.model_copy(update={"mac": "another"})
    page = _page(result, other)
    assert "The chip without its DRAM" in page
    assert "chip TOPS/W" in page
    html = render_html([result])
    assert "Chip TOPS/W" in html
    assert "one MAC is two operations" in html
    assert "DMA and address generators" in html


def _tampered(tmp_path: Path, result: Result, change: Any) -> Path:
    document = json.loads(result.to_json())
    change(document)
    path = tmp_path / "result.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_a_result_read_back_is_the_same(tmp_path: Path, result: Result) -> None:
    assert load_result(_tampered(tmp_path, result, lambda _: None)) == result


@pytest.mark.parametrize("figure", ["chip_energy", "dram_energy", "energy_bound"])
def test_one_digit_more_is_refused(tmp_path: Path, result: Result, figure: str) -> None:
    def change(document: Any) -> None:
        document["totals"][f"{figure}_fj"] = str(int(document["totals"][f"{figure}_fj"]) + 1)

    with pytest.raises(UserError, match="is not a valid result"):
        load_result(_tampered(tmp_path, result, change))


def test_a_bound_below_the_energy_is_refused(tmp_path: Path, result: Result) -> None:
    def change(document: Any) -> None:
        layer = document["layers"][0]
        layer["energy_bound_fj"] = str(int(layer["energy_fj"]["total"]) - 1000)
        layer["energy_bound_pj"] = int(layer["energy_bound_fj"]) / 1000

    with pytest.raises(UserError, match="exceed their bound"):
        load_result(_tampered(tmp_path, result, change))


def test_files_without_these_fields_are_read_with_them(tmp_path: Path, result: Result) -> None:
    """Such files took idle PEs for busy ones, so their energy is its own bound."""

    def change(document: Any) -> None:
        totals = document["totals"]
        for name in [name for name in totals if name.startswith(("chip_", "dram_", "energy_bound"))]:
            del totals[name]
        for layer in document["layers"]:
            del layer["energy_bound_fj"], layer["energy_bound_pj"]

    read = load_result(_tampered(tmp_path, result, change))
    for name in ("chip_energy_fj", "dram_energy_fj", "chip_tops_per_w"):
        assert getattr(read.totals, name) == getattr(result.totals, name)
    assert read.totals.chip_power_mw == pytest.approx(result.totals.chip_power_mw, rel=1e-12)
    assert read.totals.energy_bound_fj == read.totals.energy_fj


def test_what_is_not_priced_on_the_chip_leaves_the_dram() -> None:
    totals = make_result(without_energy={"multiply": "no price"}).totals
    assert totals.chip_energy_fj is totals.chip_power_mw is totals.chip_tops_per_w is None
    assert totals.dram_energy_fj == totals.energy_by_component_fj["dram"]
    assert totals.dram_power_mw is not None
