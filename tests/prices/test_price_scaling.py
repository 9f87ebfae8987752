"""Does a scaled price follow its equations, say every step, and stay inside their validity?"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.arch.config import ArchConfig
from simulator.cost.book import Prices
from simulator.cost.price import NotPriced, Price


def price(**overrides: Any) -> Any:
    return Prices.of(ArchConfig.model_validate(overrides)).get("pe_multiply", "int8", "operate")


def area(**overrides: Any) -> float:
    found = Prices.of(ArchConfig.model_validate(overrides)).get("pe", "int8", "area")
    assert isinstance(found, Price)
    return found.value


def test_prices_at_their_own_conditions_are_not_scaled() -> None:
    permitted = price(scaling={"voltage": True, "frequency": True, "node": True})
    assert permitted.value == price().value == pytest.approx(0.216)
    assert permitted.steps == ()


def test_energy_from_45_nm_to_28_nm_lies_where_the_equations_put_it() -> None:
    """Stillmaker and Baas: x0.48 to 0.51 at 0.9 V, x0.41 to 0.43 from 0.9 V to 0.81 V; area x0.37."""
    everything = {"voltage": True, "node": True}
    at_28, at_45 = (
        {
            volts: price(process={"node_nm": node, "voltage_v": volts}, scaling=everything).value
            for volts in (0.81, 0.9)
        }
        for node in (28, 45)
    )
    assert 0.48 <= at_28[0.9] / at_45[0.9] <= 0.51
    assert 0.41 <= at_28[0.81] / at_45[0.9] <= 0.43
    assert area() / area(process={"node_nm": 45}, scaling=everything) == pytest.approx(0.37, abs=0.01)


@given(low=st.floats(0.7, 1.05), high=st.floats(0.7, 1.05))
def test_energy_grows_with_the_supply(low: float, high: float) -> None:
    low, high = sorted((low, high))
    scaled = [price(process={"voltage_v": volts}, scaling={"voltage": True}).value for volts in (low, high)]
    assert scaled[0] <= scaled[1]


def test_every_step_is_said() -> None:
    scaled = price(
        clock_mhz=250,
        process={"node_nm": 32, "voltage_v": 0.9},
        scaling={"voltage": True, "frequency": True, "node": True},
    )
    text = " | ".join(scaled.steps)
    assert "node 28 -> 32 nm: x" in text
    assert "voltage 0.81 -> 0.9 V: x" in text
    assert "clock 500 -> 250 MHz: energy per action unchanged" in text


@pytest.mark.parametrize(
    ("overrides", "limits", "nearest"),
    [
        ({"process": {"voltage_v": 0.5}, "scaling": {"voltage": True}}, "0.7 to 1.05 V", "voltage_v 0.7;"),
        ({"process": {"voltage_v": 1.2}, "scaling": {"voltage": True}}, "0.7 to 1.05 V", "voltage_v 1.05;"),
        ({"process": {"node_nm": 7}, "scaling": {"node": True}}, "20 to 45 nm", "process.node_nm 20;"),
        ({"process": {"node_nm": 65}, "scaling": {"node": True}}, "20 to 45 nm", "process.node_nm 45;"),
        ({"clock_mhz": 2000, "scaling": {"frequency": True}}, "10 to 1000 MHz", "clock_mhz 1000;"),
        ({"clock_mhz": 1, "scaling": {"frequency": True}}, "10 to 1000 MHz", "clock_mhz 10;"),
    ],
)
def test_outside_the_validity_of_scaling_nothing_is_priced_and_the_nearest_value_is_named(
    overrides: dict[str, Any], limits: str, nearest: str
) -> None:
    found = price(**overrides)
    assert isinstance(found, NotPriced)
    assert f"prices scale inside {limits} only" in found.reason
    assert f"the nearest is {nearest}" in found.reason.replace("process.voltage_v", "voltage_v")


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (
            {"clock_mhz": 400},
            "prices hold at 500 MHz, clock_mhz is 400 MHz: set scaling.frequency to true, clock_mhz to 500, "
            "or add a table with prices at 400 MHz",
        ),
        ({"process": {"voltage_v": 0.9}}, "set scaling.voltage to true, process.voltage_v to 0.81, or"),
        ({"process": {"node_nm": 32}}, "set scaling.node to true, process.node_nm to 28, or"),
        (
            {"process": {"corner": "SS"}},
            "prices hold at TT, process.corner is SS and nothing scales it: set process.corner to TT or add",
        ),
        ({"process": {"temperature_c": 85}}, "set process.temperature_c to 25 or add a table with prices"),
    ],
)
def test_nothing_is_scaled_without_being_asked_for(overrides: dict[str, Any], reason: str) -> None:
    found = price(**overrides)
    assert isinstance(found, NotPriced)
    assert reason in found.reason
    assert found.needs == "row johnson2018_28nm:pe_multiply/int8/operate"


def test_every_condition_that_differs_is_told() -> None:
    found = price(clock_mhz=400, process={"voltage_v": 0.9, "temperature_c": 85})
    assert isinstance(found, NotPriced)
    for field in ("scaling.frequency", "scaling.voltage", "process.temperature_c"):
        assert f"set {field} to" in found.reason


def test_a_permission_that_no_price_needs_does_no_harm() -> None:
    """2000 MHz is outside the range of scaling, and the row of a DRAM holds at any clock."""
    arch = ArchConfig.model_validate({"clock_mhz": 2000, "scaling": {"frequency": True}})
    assert isinstance(Prices.of(arch).get("dram", "lpddr4", "transfer"), Price)


def test_dram_is_another_chip_and_never_scaled() -> None:
    arch = ArchConfig.model_validate({"process": {"node_nm": 45}, "scaling": {"node": True}})
    found = Prices.of(arch).get("dram", "lpddr4", "transfer")
    assert isinstance(found, Price)
    assert found.value == 8
