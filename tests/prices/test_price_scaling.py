"""Does a scaled price follow its equations, say every step, and stay inside their validity?"""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.arch.config import ArchConfig, ProcessConfig, ScalingConfig
from simulator.cost.price import NotPriced, Price
from simulator.cost.run_prices import Prices
from simulator.cost.scaling import PriceScaling
from simulator.cost.table_schema import Conditions, PriceRow
from simulator.cost.vocabulary import BaseUnit


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


# a V^2 + b V + c of Stillmaker and Baas: 20 nm 0.2632, -0.14, 0.06841; 32 nm 0.9559, -0.7823, 0.471;
# 45 nm 1.103, -0.362, 0.2767. Added up by hand; 28 nm lies 8/12 of the way from 20 to 32 nm, 36 nm 4/13 on.
ENERGY = {
    (20, 0.81): 0.12769552,
    (20, 0.9): 0.155602,
    (32, 0.81): 0.46450299,
    (32, 0.9): 0.541209,
    (45, 0.81): 0.7071583,
    (45, 0.9): 0.84433,
    (45, 1.0): 1.0177,
    (28, 0.81): 0.12769552 + 8 / 12 * (0.46450299 - 0.12769552),
    (28, 0.9): 0.155602 + 8 / 12 * (0.541209 - 0.155602),
    (36, 0.9): 0.541209 + 4 / 13 * (0.84433 - 0.541209),
}

# 20, 32, 45 nm; in between a power of the node. 28 nm is log(28 / 20) / log(32 / 20) of the way.
AREA = {20: 0.21, 32: 0.46, 45: 1.0, 28: 0.21 * (0.46 / 0.21) ** (math.log(1.4) / math.log(1.6))}
AREA[36] = 0.46 * (1 / 0.46) ** (math.log(36 / 32) / math.log(45 / 32))

EVERYTHING = ScalingConfig(voltage=True, frequency=True, node=True)


def row(unit: BaseUnit = "pJ", **conditions: Any) -> PriceRow:
    """A row of 2 at 28 nm; of logic at 0.81 V, 25 C, TT and 500 MHz."""
    logic = {"voltage_v": 0.81, "temperature_c": 25, "corner": "TT", "clock_mhz": 500}
    stated = {"scope": "logic", "node_nm": 28, "activity": "any"}
    if conditions.get("scope", "logic") == "logic":
        stated |= logic
    return PriceRow(
        "table", "key", "pe", "any", "operate", 2.0, unit, "published", "a source",
        Conditions.model_validate(stated | conditions), None, None, None, "", "",
    )  # fmt: skip


def at(node: float = 28, volts: float = 0.81, clock_mhz: float = 500) -> PriceScaling:
    return PriceScaling(ProcessConfig(node_nm=node, voltage_v=volts), clock_mhz, EVERYTHING)


def priced(scaling: PriceScaling, priced_row: PriceRow) -> Price:
    found = scaling.price(priced_row)
    assert isinstance(found, Price)
    return found


@pytest.mark.parametrize("target", list(ENERGY))
def test_energy_of_logic_follows_node_and_supply(target: tuple[int, float]) -> None:
    expected = 2.0 * ENERGY[target] / ENERGY[28, 0.81]
    assert priced(at(*target), row()).value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("node", list(AREA))
def test_area_and_leakage_follow_the_node_alone(node: int) -> None:
    for volts in (0.81, 0.9):
        larger = AREA[node] / AREA[28]
        assert priced(at(node, volts), row("um2")).value == pytest.approx(2 * larger, rel=1e-12)
        # The same leakage a gate on more area.
        assert priced(at(node, volts), row("mW/um2")).value == pytest.approx(2 / larger, rel=1e-12)


@pytest.mark.parametrize("volts", [0.81, 0.9])
def test_a_memory_leaks_the_same_at_every_node_and_answers_as_fast(volts: float) -> None:
    """Leakage a cell is kept, as that of a gate is; no rule scales an access time. Both are said."""
    leaking = priced(at(45, volts), row("mW", scope="macro"))
    assert leaking.value == 2.0
    assert leaking.steps == ("node 28 -> 45 nm: the same leakage a cell, so unchanged (an assumption)",)
    answering = priced(at(45, volts), row("ns", scope="macro"))
    assert answering.value == 2.0
    assert answering.steps == ("node 28 -> 45 nm: access time unchanged (no rule scales it)",)
    assert priced(at(28, volts), row("mW", scope="macro")).steps == ()


@pytest.mark.parametrize("volts", [0.81, 1.0])
@pytest.mark.parametrize(
    ("stated", "supply"), [({}, 0.9), ({"voltage_v": 0.81}, 0.81), ({"voltage_v": 0.9}, 0.9)]
)
def test_memories_take_the_node_step_at_their_own_supply(
    stated: dict[str, Any], supply: float, volts: float
) -> None:
    memory = row(scope="macro", **stated)
    expected = 2.0 * ENERGY[45, supply] / ENERGY[28, supply]
    assert priced(at(45, volts), memory).value == pytest.approx(expected, rel=1e-12)
    assert priced(at(28, volts), memory).value == 2.0


@pytest.mark.parametrize("held_mhz", [2000, 1000.1, 9.9, 0.001])
def test_a_row_of_a_clock_beyond_the_range_is_not_taken_inside_it(held_mhz: float) -> None:
    """What was synthesised for 2 GHz has other gates than what the rule was seen to hold for."""
    found = at().price(row(clock_mhz=held_mhz))
    assert isinstance(found, NotPriced)
    assert found.reason == (
        f"prices hold at {held_mhz:g} MHz, clock_mhz is 500 MHz, and prices scale inside 10 to 1000 MHz "
        f"only: set clock_mhz to {held_mhz:g} or add a table with prices at 500 MHz"
    )


@pytest.mark.parametrize("held_mhz", [3000, 2000.5, 5])
def test_no_nearest_value_is_offered_where_the_row_itself_is_out_of_range(held_mhz: float) -> None:
    """At 1000 MHz, the nearest to 2000, the row would still hold at a clock that nothing scales from."""
    found = PriceScaling(ProcessConfig(), 2000, ScalingConfig(frequency=True)).price(row(clock_mhz=held_mhz))
    assert isinstance(found, NotPriced)
    assert "nearest" not in found.reason
    assert f"set clock_mhz to {held_mhz:g} or add a table" in found.reason


@pytest.mark.parametrize("held_mhz", [10, 1000])
def test_a_row_of_a_clock_at_an_end_of_the_range_is_taken_inside_it(held_mhz: float) -> None:
    found = priced(at(), row(clock_mhz=held_mhz))
    assert found.value == 2.0
    assert found.steps == (f"clock {held_mhz} -> 500 MHz: energy per action unchanged",)


def test_a_row_beyond_the_range_holds_at_its_own_clock() -> None:
    fast = PriceScaling(ProcessConfig(), 2000, ScalingConfig(frequency=True))
    assert priced(fast, row(clock_mhz=2000)).value == 2.0


def test_the_clock_changes_no_price() -> None:
    slow = at(clock_mhz=250)
    assert priced(slow, row()).value == 2.0
    assert priced(slow, row()).steps == ("clock 500 -> 250 MHz: energy per action unchanged",)
    assert priced(slow, row(scope="macro")).steps == (), "a memory states no clock"


def test_a_step_of_the_clock_names_what_the_row_gives() -> None:
    area = priced(at(clock_mhz=250), row("um2"))
    assert area.steps == ("clock 500 -> 250 MHz: area unchanged",)


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        ({"node": 20}, {"node": 19.9}),
        ({"node": 45}, {"node": 45.1}),
        ({"volts": 0.7}, {"volts": 0.69}),
        ({"volts": 1.05}, {"volts": 1.06}),
        ({"clock_mhz": 10}, {"clock_mhz": 9.9}),
        ({"clock_mhz": 1000}, {"clock_mhz": 1000.1}),
    ],
)
def test_the_ends_of_a_validity_range_are_inside(inside: dict[str, float], outside: dict[str, float]) -> None:
    assert isinstance(at(**inside).price(row()), Price)
    assert isinstance(at(**outside).price(row()), NotPriced)


def test_ranges_hold_only_for_steps_that_are_permitted() -> None:
    far = ProcessConfig(node_nm=7, voltage_v=0.5)
    scaling = PriceScaling(far, 2000, ScalingConfig())
    external = scaling.price(row(scope="external", node_nm=None))
    assert isinstance(external, Price)
    assert external.value == 2.0
    assert isinstance(scaling.price(row()), NotPriced)


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
