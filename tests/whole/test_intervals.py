"""How well are totals and ratios known, and is a difference told from none?"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from types import SimpleNamespace as Namespace
from typing import Any, cast

import pytest

from simulator.report.intervals import Difference, difference, interval, shares_of
from simulator.result import Result, priced
from simulator.simulation import simulate
from tests.command import run

NETWORK = """
name: tiny
source: made up for tests
layers:
  - {name: one, fc: {m: 40, k: 40, n: 30}}
  - {name: two, fc: {m: 40, k: 30, n: 10}, inputs: [one]}
"""


def price(row: str, value: float, uncertainty: float | None, table: str = "t") -> Namespace:
    return Namespace(table=table, row=row, value=value, uncertainty=uncertainty)


def unit(name: str, uses: list[tuple[str, float]], price_pj: float, **more: Any) -> Namespace:
    what = more.pop("what", "one memory")
    prices = [Namespace(row=row, quantity=quantity, what=what) for row, quantity in uses]
    fields = {"less_leakage_pj": 0.0, "uncertainty": None, "component": name, "composed_for": ""} | more
    return Namespace(name=name, prices=prices, price_pj=price_pj, **fields)


def made(prices: list[Namespace], units: list[Namespace], counts: dict[str, float], mac: str = "m") -> Result:
    """What the intervals read of a result: no area, one layer."""
    lines = [Namespace(unit_price=name, count=count, factor=1.0) for name, count in counts.items()]
    return cast(
        "Result",
        Namespace(
            sources=Namespace(prices=prices),
            unit_prices=units,
            layers=[Namespace(formation=lines)],
            area_formation=[],
            mac=mac,
        ),
    )


SRAM = price("sram/ram/read/KiB^1/bit^0", 2.0, 0.3)
SRAM_TOO = price("sram/ram/read/KiB^0/bit^1", 1.0, 0.3)
DRAM = price("dram/x/transfer", 10.0, 0.4)
PE = price("pe_add/int8/operate", 1.0, None)
READ = unit("read", [("t:sram/ram/read/KiB^1/bit^0", 1), ("t:sram/ram/read/KiB^0/bit^1", 2)], 4.0)
MOVE = unit("move", [("t:dram/x/transfer", 1)], 10.0)
ADD = unit("add", [("t:pe_add/int8/operate", 3)], 2.0, less_leakage_pj=1.0)


def test_terms_of_one_fit_are_off_together_and_sources_apart() -> None:
    """Reads 4 x 10 = 40 pJ at 30 %: 12. Transfers 30 pJ at 40 %: 12. Adds 5 x (3 - 1) = 10 pJ at 15 %."""
    result = made([SRAM, SRAM_TOO, DRAM, PE], [READ, MOVE, ADD], {"read": 10, "move": 3, "add": 5})
    found = interval(result, "energy")
    assert found is not None
    assert found.value == pytest.approx(80)
    assert found.half_width == pytest.approx(math.sqrt(12**2 + 12**2 + (10 * 0.15) ** 2))
    assert (found.low, found.high) == pytest.approx((80 - found.half_width, 80 + found.half_width))


def test_what_two_results_share_cancels_in_their_ratio() -> None:
    """40 of 70 and 40 of 100 pJ follow from the SRAM: its 30 % moves the ratio by 30 % of 4/7 - 2/5."""
    one = made([SRAM, SRAM_TOO, DRAM], [READ, MOVE], {"read": 10, "move": 6})
    first = made([SRAM, SRAM_TOO, DRAM], [READ, MOVE], {"read": 10, "move": 3})
    found = difference(one, first, "energy")
    assert found is not None
    assert found.relative == pytest.approx(100 / 70 - 1)
    apart = 40 / 70 - 40 / 100
    assert found.half_width == pytest.approx(100 / 70 * math.hypot(apart * 0.3, apart * 0.4))
    assert not found.is_none
    same = difference(one, one, "energy")
    assert same == Difference(0.0, 0.0)
    assert same.is_none


def test_a_fit_is_off_otherwise_for_a_memory_of_another_size() -> None:
    """40 of 70 pJ are read from one memory; as much from another is as uncertain, and they do not cancel."""
    first = made([SRAM, SRAM_TOO, DRAM], [READ, MOVE], {"read": 10, "move": 3})
    elsewhere = unit("read", [(f"t:{SRAM.row}", 1), (f"t:{SRAM_TOO.row}", 2)], 4.0, what="another")
    other = made([SRAM, SRAM_TOO, DRAM], [elsewhere, MOVE], {"read": 10, "move": 3})
    found = difference(other, first, "energy")
    assert found is not None
    assert found.relative == 0
    assert found.half_width == pytest.approx(math.hypot(0.3 * 40 / 70, 0.3 * 40 / 70))
    both = made([SRAM, SRAM_TOO], [READ, replaced(elsewhere, "read too")], {"read": 10, "read too": 10})
    total = interval(both, "energy")
    assert total is not None
    assert total.half_width == pytest.approx(math.hypot(12, 12))


def replaced(made_unit: Namespace, name: str) -> Namespace:
    return Namespace(**{**vars(made_unit), "name": name})


def test_prices_that_only_one_of_two_results_has_do_not_cancel() -> None:
    """100 pJ composed for one MAC at 25 % beside 100 pJ for another: 25 % of each, apart."""

    def composed(mac: str) -> Result:
        part = unit("add", [("t:pe_add/int8/operate", 1)], 1.0, uncertainty=0.25, component="pe_add")
        return made([PE], [part], {"add": 100}, mac=mac)

    found = difference(composed("a"), composed("b"), "energy")
    assert found is not None
    assert (found.relative, found.half_width) == pytest.approx((0, math.hypot(0.25, 0.25)))
    assert str(found) == "+0.0% ± 35.4%: no difference"
    alike = difference(composed("a"), composed("a"), "energy")
    assert alike is not None
    assert alike.half_width == 0


def test_what_is_composed_for_the_mac_of_a_layer_is_off_with_that_mac_and_not_with_the_arrays() -> None:
    """100 pJ of `b` beside 100 pJ of `c`, in arrays of `a` whose layers run in another MAC: 25 % of each.

    100 pJ of `b` in an array of `a` cancel those in one of `b`.
    """

    def composed(mac: str, array: str) -> Result:
        more = {"uncertainty": 0.25, "component": "pe_add", "composed_for": mac}
        return made([PE], [unit("add", [("t:pe_add/int8/operate", 1)], 1.0, **more)], {"add": 100}, mac=array)

    apart = difference(composed("b", "a"), composed("c", "a"), "energy")
    assert apart is not None
    assert apart.half_width == pytest.approx(math.hypot(0.25, 0.25))
    alike = difference(composed("b", "a"), composed("b", "b"), "energy")
    assert alike is not None
    assert alike.half_width == 0


def test_a_difference_says_when_it_is_none() -> None:
    assert str(Difference(-0.004, 0.02)) == "-0.4% ± 2.0%: no difference"
    assert str(Difference(0.021, 0.02)) == "+2.1% ± 2.0%"
    assert Difference(0.02, 0.02).is_none


def test_what_is_not_priced_or_not_said_has_no_interval() -> None:
    lacking = unit("read", [], 0.0)
    lacking.price_pj = None
    result = made([], [lacking], {"read": 1})
    assert interval(result, "energy") is None
    assert difference(result, result, "energy") is None
    unknown = made([], [MOVE], {"move": 1})
    assert shares_of(unknown, "energy") is None
    assert interval(made([], [], {}), "energy") is None


# Real results


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("network") / "tiny.yaml"
    file.write_text(NETWORK)
    return file


@pytest.mark.parametrize("mac", ["int8", "elma8", "posit8", "fp16"])
def test_shares_add_up_to_the_totals(network: Path, mac: str) -> None:
    result = simulate(network, mac=mac)
    for figure, total in (("energy", result.totals.energy_pj), ("area", result.totals.area_um2)):
        found = interval(result, cast("Any", figure))
        assert found is not None
        assert found.value == pytest.approx(priced(total), rel=1e-6)
        assert 0.05 < found.half_width / found.value < 0.5


@pytest.mark.parametrize(("mac", "uncertainty"), [("posit8", 0.25), ("fp8_fp16", 0.5)])
def test_what_is_composed_states_its_uncertainty(network: Path, mac: str, uncertainty: float) -> None:
    """25 % with a fixed accumulator, 50 % with a float one."""
    result = simulate(network, mac=mac)
    multiply = [unit for unit in result.unit_prices if unit.component == "pe_multiply"]
    assert [unit.uncertainty for unit in multiply] == [uncertainty]
    (pes,) = [line for line in result.area_formation if line.component == "pe_array"]
    assert pes.uncertainty == uncertainty
    published = simulate(network, mac="int8")
    assert {u.uncertainty for u in published.unit_prices if u.component == "pe_multiply"} == {None}


def test_the_result_holds_its_intervals(network: Path) -> None:
    result = simulate(network)
    assert result.intervals is not None
    for figure, ends in (("energy", result.intervals.energy_pj), ("area", result.intervals.area_um2)):
        found = interval(result, cast("Any", figure))
        assert found is not None
        assert ends == (found.low, found.high)
    bare = simulate(network, overrides={"tables": ["johnson2018_28nm"]})
    assert bare.intervals is not None
    assert (bare.intervals.energy_pj, bare.intervals.area_um2) == (None, None)
    assert Result.model_validate_json(result.to_json()) == result


def test_the_console_and_the_table_say_how_well_a_difference_is_known(
    network: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = run(capsys, "simulate", network).must_succeed().stdout
    assert re.search(
        r"^  known to 90 %: energy [\d.]+ to [\d.]+ \wJ, area [\d.]+ to [\d.]+ mm²$", page, re.MULTILINE
    )
    page = run(capsys, "compare", network, "--mac", "int8", "--mac", "elma8").must_succeed().stdout
    text = " ".join(page.split())
    assert "- elma8: energy " in text
    assert "no difference" in text
    outcome = run(capsys, "compare", network, "--mac", "int8", "--mac", "elma8", "--json").must_succeed()
    first, second = json.loads(outcome.stdout)["variants"]
    assert first["energy_pj_relative_half_width"] == 0
    assert 0 < second["energy_pj_relative_half_width"] < 0.5


def test_the_report_says_it_too(network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for mac in ("int8", "elma8"):
        run(capsys, "simulate", network, "--mac", mac, "--out", tmp_path / mac).must_succeed()
    page = tmp_path / "page.html"
    run(capsys, "report", tmp_path / "int8", tmp_path / "elma8", "-o", page).must_succeed()
    text = page.read_text()
    assert text.count("Known to 90 %: energy ") == 2
    assert "elma8: energy " in text


def test_everything_that_is_composed_states_how_well_it_is_known(network: Path) -> None:
    """25 % of integers, also of their toggles, second and skew registers, whoever the layer's MAC is."""
    overrides = {"array.overlap": "full", "layers": {"two": {"mac": "int6 x int6"}}}
    result = simulate(network, mac="int8 x int5", overrides=overrides)
    units = [unit for unit in result.unit_prices if unit.uncertainty is not None]
    assert {unit.uncertainty for unit in units} == {0.25}
    by_mac = {unit.composed_for for unit in units if unit.component.startswith("pe_")}
    assert by_mac == {"int8 x int5", "int6 x int6"}
    for unit in units:
        if unit.component.startswith("pe_"):
            assert unit.composed_for in unit.counted
    told = {unit.component for unit in units}
    assert told == {"pe_multiply", "pe_add", "pe_registers", "skew_registers", "output_path"}
    areas = {line.counted: line for line in result.area_formation if line.uncertainty is not None}
    assert areas["PEs of int8 x int5"].composed_for == "int8 x int5"
    assert areas["second accumulator registers of int8 x int5"].uncertainty == 0.25
    assert areas["skew registers of two edges"].uncertainty == 0.25
    assert not [u for u in result.unit_prices if "flip_flop" in str(u.prices) and u.uncertainty is None]


def test_buffers_of_another_size_widen_a_comparison_and_equal_ones_do_not(network: Path) -> None:
    """Areas of memories are known to 27.1 % (fit), of published PEs to 15 %, of what is composed to 25 %.

    A memory of 256 KiB x 256 bit takes 1483.4 x 256 + 9.6685 x 256 um2, one of 512 KiB as much and
    1483.4 x 256 more; the ofmap buffer with its two ports is twice 128 KiB.
    """
    usual = simulate(network)
    same = difference(simulate(network, overrides={"dram.latency_ns": 100}), usual, "area")
    assert same == Difference(0.0, 0.0)
    larger = simulate(network, overrides={"sram.filter.capacity_kib": 512})
    found = difference(larger, usual, "area")
    assert found is not None
    of_256, of_512 = 1483.4 * 256 + 9.6685 * 256, 1483.4 * 512 + 9.6685 * 256
    twice_128 = 1483.4 * 256 + 2 * 9.6685 * 256
    pes = 1024 * 336.672
    parts = [(of_256, 2, 1), (of_512, 0, 1), (twice_128, 1, 1)]
    total, more = priced(usual.totals.area_um2), priced(larger.totals.area_um2)
    assert total == pytest.approx(2 * of_256 + twice_128 + pes + _rest_um2(usual), rel=1e-4)
    off = [um2 * (now / more - before / total) * 0.271 for um2, before, now in parts]
    off.append(pes * (1 / more - 1 / total) * 0.15)
    off += [
        _rest_um2(usual, part) * (1 / more - 1 / total) * 0.25 for part in ("skew_registers", "output_path")
    ]
    assert found.half_width == pytest.approx(more / total * math.hypot(*off), rel=1e-3)


def _rest_um2(result: Result, *parts: str) -> float:
    return sum(priced(result.area_um2[part]) for part in parts or ("skew_registers", "output_path"))
