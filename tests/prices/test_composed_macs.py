"""Is a MAC made of the right parts, and do the parts cost what the published components say?

Expected values are worked by hand from arXiv 1811.01721, Table 3; accumulator widths are those of
arXiv 2311.12359.
"""

from __future__ import annotations

import pytest

from simulator.arch.config import ArchConfig
from simulator.cost.composition import composed_cost, composed_pe_cost, too_fast
from simulator.cost.mac_parts import structure_of
from simulator.cost.mac_structure import RegisterClass
from simulator.cost.price import NotPriced, Price
from simulator.cost.price_tables import load_table
from simulator.cost.run_prices import Prices
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


def test_pipeline_registers_are_clocked_and_take_area_with_the_accumulator() -> None:
    """One more stage of int8 x int4 holds another 24 bits beside 8 + 4 + 24."""
    fields = {"activation": "int8", "weight": "int4", "accumulator": {"kind": "fixed", "bits": 24, "lsb": 0}}
    one, two = (
        composed_pe_cost(structure_of(get_mac({**fields, "pipeline_depth": depth})), PRICES)
        for depth in (1, 2)
    )
    assert one.registers.bits == {"activation": 8, "weight": 4, "accumulator": 24}
    assert two.registers.bits == {"activation": 8, "weight": 4, "accumulator": 48}
    assert priced(two.area_um2) - priced(one.area_um2) == pytest.approx(24 * 96.768 / 48)
    assert priced(two.registers.clock.energy_pj) == pytest.approx(
        60 / 36 * priced(one.registers.clock.energy_pj)
    )


def test_whatever_is_composed_says_so_and_what_is_published_does_not() -> None:
    composed = composed_pe_cost(structure_of(get_mac("posit8")), PRICES)
    published = pe_cost(structure_of(get_mac("int8")), PRICES)
    for cost, expected in ((composed, True), (published, False)):
        assert {each.composed for each in cost.combinational} == {expected}
        assert cost.registers.characterised.composed == cost.registers.clock.composed == expected
        assert (cost.status, cost.area_status) == (("composed",) * 2 if expected else ("published",) * 2)
    assert (composed.uncertainty, published.uncertainty) == (0.25, None)
    (parts,) = (cost for cost in composed.combinational if cost.component == "pe_add")
    adder = structure_of(get_mac("posit8")).combinational["pe_add"]
    assert composed_cost("pe_add", adder, PRICES, mac="posit8") == parts


def test_the_leakage_share_of_a_component_is_what_its_area_leaks_in_a_cycle() -> None:
    """4.2 nW/um2 for 2 ns; published areas are stretched to fill the 336.672 um2 of the PE."""
    published = pe_cost(structure_of(get_mac("int8")), PRICES)
    stretch = (336.672 - 96.768) / (121.212 + 117.810)
    shares = {cost.component: cost.leakage_share_pj for cost in published.combinational}
    assert shares["pe_multiply"] == pytest.approx(4.2e-6 * 2 * 121.212 * stretch)
    assert shares["pe_add"] == pytest.approx(4.2e-6 * 2 * 117.810 * stretch)
    assert published.registers.characterised.leakage_share_pj == pytest.approx(4.2e-6 * 2 * 96.768)
    assert published.registers.clock.leakage_share_pj == pytest.approx(4.2e-6 * 2 * 96.768)
    composed = composed_pe_cost(structure_of(get_mac("int8")), PRICES)
    assert composed.combinational[0].leakage_share_pj == pytest.approx(4.2e-6 * 2 * 121.212)
    for cost in (*published.combinational, *composed.combinational):
        assert cost.dynamic_pj == pytest.approx(priced(cost.energy_pj) - cost.leakage_share_pj)
        assert not cost.holds_leakage


def test_a_pe_without_a_price_has_no_leakage_to_tell_apart_either() -> None:
    why = NotPriced("made up for a test")
    for cost in (
        pe_cost(structure_of(get_mac("int8")), PRICES),
        composed_pe_cost(structure_of(get_mac("bf16")), PRICES),
    ):
        nothing = cost.unpriced(why)
        assert (nothing.energy_pj, nothing.area_um2, nothing.is_priced) == (None, None, False)
        units = [*nothing.combinational, nothing.registers.characterised, nothing.registers.clock]
        assert len(units) == len(cost.combinational) + 2
        for unit in units:
            assert (unit.energy, unit.area, unit.leakage_share_pj, unit.holds_leakage) == (
                why,
                why,
                0.0,
                False,
            )
            assert unit.dynamic_pj is None
        assert nothing.registers.toggle == why
        assert nothing.registers.shifting("weight").energy == why


@pytest.mark.parametrize(("without", "energy", "area"), [("energy", False, True), ("area", True, False)])
def test_a_pe_is_priced_where_energy_and_area_are(without: str, energy: bool, area: bool) -> None:
    macs = {"mine": {"activation": "int8", "weight": "int4", "price": {without: "nothing"}}}
    cost = pe_cost(structure_of(get_mac("mine", custom=macs)), PRICES)
    assert (cost.energy_pj is not None, cost.area_um2 is not None) == (energy, area)
    assert not cost.is_priced


def test_default_toggles_are_those_of_the_published_int8_pe() -> None:
    """14.73 bits of 48 a cycle: 36 flip-flops toggle 11.05 bits; the price of a cycle follows."""
    fields = {"activation": "int8", "weight": "int4", "accumulator": {"kind": "fixed", "bits": 24, "lsb": 0}}
    registers = composed_pe_cost(structure_of(get_mac(fields)), PRICES).registers
    assert registers.toggles_per_cycle == pytest.approx(
        {"activation": 8 * 14.73 / 48, "weight": 4 * 14.73 / 48, "accumulator": 24 * 14.73 / 48}
    )
    clock, toggle = (price_of("flip_flop", action) for action in ("clock", "toggle"))
    assert registers.characterised.energy_pj == pytest.approx(36 * clock + 36 * 14.73 / 48 * toggle)
    assert registers.clock.energy_pj == pytest.approx(36 * clock)
    assert registers.shifting("activation").energy_pj == pytest.approx(36 * clock + 8 * 14.73 / 48 * toggle)


@pytest.mark.parametrize(("clock_mhz", "problem"), [(400.0, ""), (400.5, "meets timing up to 400 MHz only")])
def test_a_limit_of_ones_own_holds_beyond_it_and_not_at_it(clock_mhz: float, problem: str) -> None:
    macs = {"mine": {"activation": "int8", "weight": "int4", "max_clock_mhz": 400}}
    why = too_fast(structure_of(get_mac("mine", custom=macs)), clock_mhz)
    assert (why is None) == (not problem)
    if why is not None:
        assert problem in why.reason
        assert "set clock_mhz to 400 or choose a MAC that reaches 400.5 MHz" in why.reason
    assert too_fast(structure_of(get_mac("int8")), 5000) is None


def test_a_composed_pe_says_which_toggles_are_assumed_unless_they_are_given() -> None:
    structure = structure_of(get_mac("posit8"))
    (note,) = composed_pe_cost(structure, PRICES).notes
    assert note.startswith("posit8: of its register bits 0.31 a flip-flop and cycle are assumed")
    toggles: dict[RegisterClass, float] = {"activation": 1.0, "weight": 2.0, "accumulator": 3.0}
    assert composed_pe_cost(structure, PRICES, toggles).notes == ()


def test_what_is_made_of_nothing_costs_and_leaks_nothing() -> None:
    nothing = composed_cost("pe_shift", (), PRICES)
    assert (nothing.energy_pj, nothing.area_um2, nothing.leakage_share_pj) == (0, 0, 0)
    assert not nothing.holds_leakage
