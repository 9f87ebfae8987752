"""Does a scaled price follow its equations, say every step, and stay inside their validity?"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.arch.config import ArchConfig
from simulator.cost.book import Prices
from simulator.foundation import UserError


def price(**overrides: Any) -> Any:
    return Prices.of(ArchConfig.model_validate(overrides)).get("pe_multiply", "int8", "operate")


def area(**overrides: Any) -> float:
    return Prices.of(ArchConfig.model_validate(overrides)).get("pe", "int8", "area").value


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
    ("overrides", "field"),
    [
        ({"process": {"voltage_v": 0.5}, "scaling": {"voltage": True}}, "process.voltage_v"),
        ({"process": {"voltage_v": 1.2}, "scaling": {"voltage": True}}, "process.voltage_v"),
        ({"process": {"node_nm": 7}, "scaling": {"node": True}}, "process.node_nm"),
        ({"process": {"node_nm": 65}, "scaling": {"node": True}}, "process.node_nm"),
        ({"clock_mhz": 2000, "scaling": {"frequency": True}}, "clock_mhz"),
        ({"clock_mhz": 1, "scaling": {"frequency": True}}, "clock_mhz"),
    ],
)
def test_scaling_outside_its_validity_is_refused(overrides: dict[str, Any], field: str) -> None:
    with pytest.raises(UserError, match="outside the range that prices can be scaled in") as caught:
        price(**overrides)
    assert str(caught.value).startswith(field)


@pytest.mark.parametrize(
    ("overrides", "permission"),
    [
        ({"clock_mhz": 400}, "scaling.frequency: true"),
        ({"process": {"voltage_v": 0.9}}, "scaling.voltage: true"),
        ({"process": {"node_nm": 32}}, "scaling.node: true"),
        ({"process": {"corner": "SS"}}, "no scaling exists"),
        ({"process": {"temperature_c": 85}}, "no scaling exists"),
    ],
)
def test_nothing_is_scaled_without_being_asked_for(overrides: dict[str, Any], permission: str) -> None:
    with pytest.raises(UserError, match="row pe_multiply/int8/operate holds at") as caught:
        price(**overrides)
    assert permission in str(caught.value)


def test_dram_is_another_chip_and_never_scaled() -> None:
    arch = ArchConfig.model_validate({"process": {"node_nm": 45}, "scaling": {"node": True}})
    assert Prices.of(arch).get("dram", "lpddr4", "transfer").value == 8
