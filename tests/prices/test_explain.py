"""Can every number of a result be followed down to a row of a table?"""

from __future__ import annotations

import pytest

from simulator.foundation import UserError
from simulator.report.explain import explain
from simulator.result import TOTAL, Result, priced
from simulator.simulation import simulate


@pytest.fixture(scope="module")
def result() -> Result:
    return simulate("alexnet", "elma8_32x32")


def test_every_line_is_its_count_times_its_price(result: Result) -> None:
    prices = {f"{price.table}:{price.row}": price.value for price in result.sources.prices}
    units = {unit.name: unit for unit in result.unit_prices}
    for layer in result.layers:
        by_component: dict[str, int] = {}
        for line in layer.formation:
            unit = units[line.unit_price]
            rows_pj = sum(used.quantity * prices[used.row] for used in unit.prices)
            unit_pj, energy_fj = priced(unit.price_pj), priced(line.energy_fj)
            assert rows_pj - unit.less_leakage_pj == pytest.approx(unit_pj, rel=1e-12)
            assert abs(energy_fj - line.count * unit_pj * line.factor * 1000) < 0.501
            assert line.energy_pj == energy_fj / 1000
            by_component[unit.component] = by_component.get(unit.component, 0) + energy_fj
        assert by_component == {part: fj for part, fj in layer.energy_fj.items() if part != TOTAL}


def test_every_area_is_its_count_times_its_price(result: Result) -> None:
    prices = {f"{price.table}:{price.row}": price.value for price in result.sources.prices}
    for line in result.area_formation:
        unit_um2 = sum(used.quantity * prices[used.row] for used in line.prices)
        assert line.area_um2 == pytest.approx(line.count * unit_um2)
    for component, area_um2 in result.area_um2.items():
        lines = [line for line in result.area_formation if component in (line.component, TOTAL)]
        assert sum(priced(line.area_um2) for line in lines) == pytest.approx(area_um2)


def test_an_explanation_names_counts_price_row_and_source(result: Result) -> None:
    layer = result.layers[0]
    text = explain(result, layer.name, "pe_multiply")
    assert f"{layer.macs:,} x " in text
    assert "johnson2018_28nm:pe_multiply/elma8/operate, published" in text
    assert "= 17.1 uW / 500 MHz" in text
    assert 'J. Johnson, "Rethinking floating point for deep learning"' in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_composed_prices_say_so(result: Result) -> None:
    text = explain(result, result.layers[0].name, "converters")
    assert "parts_28nm:shifter_bit/28nm/operate, composed" in text
    assert "(normalisation shifter)" in text


def test_scaling_steps_are_shown() -> None:
    scaled = simulate(
        "alexnet",
        overrides={
            "clock_mhz": 250,
            "scaling.frequency": True,
            "process.voltage_v": 0.9,
            "scaling.voltage": True,
        },
    )
    text = explain(scaled, scaled.layers[0].name, "pe_add")
    assert "scaled: voltage 0.81 -> 0.9 V: x" in text
    assert "scaled: clock 500 -> 250 MHz" in text


def test_a_whole_layer_and_the_areas_can_be_explained(result: Result) -> None:
    layer = result.layers[0]
    assert f"total  {layer.energy_pj[TOTAL]:,.3f} pJ" in explain(result, layer.name)
    assert "1024 x 376.11 um2 = 385,136.6 um2" in explain(result, component="pe_array")


@pytest.mark.parametrize(
    ("layer", "component", "expected"),
    [
        ("cnov1", None, "no such layer"),
        (None, "pe_aray", "did you mean 'pe_array'"),
        ("?first", "pe_multipy", "did you mean 'pe_multiply'"),
    ],
)
def test_what_does_not_exist_is_said(
    result: Result, layer: str | None, component: str | None, expected: str
) -> None:
    with pytest.raises(UserError, match=expected):
        explain(result, result.layers[0].name if layer == "?first" else layer, component)
