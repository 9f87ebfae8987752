"""Is a MAC made of the right parts, and do the parts cost what the published components say?

Expected values are worked by hand from arXiv 1811.01721, Table 3; accumulator widths are those of
arXiv 2311.12359.
"""

from __future__ import annotations

import pytest

from simulator.arch.config import ArchConfig
from simulator.cost.book import Prices
from simulator.cost.composition import composed_pe_cost
from simulator.cost.mac_parts import structure_of
from simulator.cost.price import Price
from simulator.cost.tables import load_table
from simulator.cost.variant_pe import pe_cost
from simulator.numerics import get_mac
from simulator.result import priced

PRICES = Prices.of(ArchConfig())


def price_of(part: str, action: str) -> float:
    price = PRICES.part(part, action)
    assert isinstance(price, Price)
    return price.value


@pytest.mark.parametrize(
    ("part", "action", "formula"),
    [
        ("multiplier_cell", "operate", 108.0 / 500 / 64),
        ("multiplier_cell", "area", 121.212 / 64),
        ("accumulate_adder_bit", "operate", 62.3 / 500 / 32),
        ("accumulate_adder_bit", "area", 117.810 / 32),
        ("kulisch_adder_bit", "operate", 54.2 / 500 / 38),
        ("kulisch_adder_bit", "area", 123.732 / 38),
        ("small_adder_bit", "operate", 17.1 / 500 / 9),
        ("small_adder_bit", "area", 32.760 / 9),
        ("shifter_bit", "operate", 71.0 / 500 / 38),
        ("shifter_bit", "area", 81.774 / 38),
        ("table_cell", "operate", 5.4 / 500 / 20),
        ("table_cell", "area", 8.946 / 20),
        ("flip_flop", "area", 96.768 / 48),
    ],
)
def test_a_fitted_constant_equals_its_formula(part: str, action: str, formula: float) -> None:
    assert price_of(part, action) == pytest.approx(formula, rel=1e-12)


def test_the_two_flip_flop_prices_solve_both_published_register_rows() -> None:
    clock, toggle = (price_of("flip_flop", action) for action in ("clock", "toggle"))
    assert 48 * clock + (4.02 + 4.03 + 6.68) * toggle == pytest.approx(112.7 / 500, rel=1e-12)
    assert 63 * clock + (4.75 + 4.78 + 4.73) * toggle == pytest.approx(124.3 / 500, rel=1e-12)


def test_the_fit_uses_the_flip_flops_and_toggles_that_the_pes_were_characterised_with() -> None:
    for variant, flip_flops, toggles in (("int8", 48, 14.73), ("elma8", 63, 14.26), ("elma16", 82, 21.39)):
        characterised = load_table("johnson2018_28nm").characterised[variant]
        assert sum(characterised.flip_flops.values()) == flip_flops
        assert characterised.toggles_per_cycle is not None
        assert sum(characterised.toggles_per_cycle.values()) == pytest.approx(toggles)


@pytest.mark.parametrize(
    ("mac", "accumulator_bits", "energy_pj", "area_um2"),
    [
        ("e2m3 x e2m3", 26, 0.42, 258),
        ("e3m2 x e3m2", 32, 0.46, 293),
        ("e4m3 x e4m3", 50, 0.71, 452),
        ("e5m2 x e5m2", 80, 1.03, 665),
        ("mixed8", 32, 0.56, 331),
    ],
)
def test_worked_examples_come_out(mac: str, accumulator_bits: int, energy_pj: float, area_um2: float) -> None:
    structure = structure_of(get_mac(mac))
    cost = pe_cost(structure, PRICES)
    assert structure.accumulator_bits == accumulator_bits
    assert cost.status == "composed"
    assert round(priced(cost.energy_pj), 2) == energy_pj
    assert round(priced(cost.area_um2)) == area_um2


@pytest.mark.parametrize(("mac", "flip_flops"), [("int8", 48), ("elma8", 63), ("elma16", 82), ("posit8", 65)])
def test_flip_flops_are_those_of_the_published_circuits(mac: str, flip_flops: int) -> None:
    assert structure_of(get_mac(mac)).flip_flops == flip_flops


@pytest.mark.parametrize(
    ("mac", "energy_pj", "area_um2"),
    [
        ("int8", 0.566, 336.672),
        ("elma8", 0.544, 376.110),
        ("elma16", 1.610, 1043.154),
        ("fp16", 2.716, 1545.012),
    ],
)
def test_published_macs_cost_what_was_published(mac: str, energy_pj: float, area_um2: float) -> None:
    cost = pe_cost(structure_of(get_mac(mac)), PRICES)
    assert cost.status == "published"
    assert cost.energy_pj == pytest.approx(energy_pj, rel=1e-9)
    assert cost.area_um2 == area_um2


@pytest.mark.parametrize("mac", ["int8", "elma8"])
def test_composed_from_parts_they_agree_with_their_published_wholes(mac: str) -> None:
    characterised = load_table("johnson2018_28nm").characterised[mac].toggles_per_cycle
    structure = structure_of(get_mac(mac))
    composed, published = composed_pe_cost(structure, PRICES, characterised), pe_cost(structure, PRICES)
    assert composed.energy_pj == pytest.approx(published.energy_pj, rel=1e-9)
    assert composed.area_um2 == pytest.approx(
        published.area_um2, rel=0.006
    )  # what the sub-rows leave unlisted


def test_a_mac_of_ones_own_named_like_a_published_one_is_composed() -> None:
    mac = get_mac("int8", custom={"int8": {"activation": "int4", "weight": "int4", "product": "exact"}})
    assert pe_cost(structure_of(mac), PRICES).status == "composed"


@pytest.mark.parametrize(
    ("mac", "decoders", "converters"),
    [
        ("int8", False, False),
        ("fp16", False, False),
        ("mixed8", False, False),
        ("elma8", True, True),
        ("posit8", True, True),
        ("elma16", False, True),
        ("fp8", False, True),
    ],
)
def test_only_formats_that_need_them_have_decoders_and_converters(
    mac: str, decoders: bool, converters: bool
) -> None:
    structure = structure_of(get_mac(mac))
    assert bool(structure.activation_decoder) == bool(structure.weight_decoder) == decoders
    assert bool(structure.converter) == converters


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ("int4 x int4", "int8"),
        ("e2m1 x e2m1", "e2m3 x e2m3"),
        ("e2m3 x e2m3", "e4m3 x e4m3"),
        ("bf16", "fp32"),
    ],
)
def test_wider_formats_cost_more(narrow: str, wide: str) -> None:
    less, more = (composed_pe_cost(structure_of(get_mac(mac)), PRICES) for mac in (narrow, wide))
    assert priced(less.energy_pj) < priced(more.energy_pj)
    assert priced(less.area_um2) < priced(more.area_um2)
