"""Are your own rows used, all of them or by name not, and never mixed with another source?

Amounts are worked by hand from the rows of each test. Leakage is off (`interconnect_28nm` is not among the
tables) unless a test is about it, so that energies stand as written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from simulator.arch import load_arch
from simulator.arch.config import ArchConfig
from simulator.cost.composition import PeCost
from simulator.cost.mac_parts import structure_of
from simulator.cost.price import NotPriced
from simulator.cost.price_lines import LayerEnergy
from simulator.cost.price_tables import parse_table
from simulator.cost.pricing import ArchitecturePricing
from simulator.foundation import UserError
from simulator.numerics import get_mac
from simulator.operands import OPERANDS
from simulator.simulation import simulate
from simulator.sweep.spec import load_spec
from simulator.system.counts import ActionCounts, CycleBreakdown, PECycles, Traffic
from tests.prices.own_table import document, row, write

NO_LEAKAGE = ("johnson2018_28nm", "parts_28nm", "sram_28nm", "dram")
MINE = {"activation": "int8", "weight": "int4", "accumulator": {"kind": "fixed", "bits": 24, "lsb": 0}}

WORK = ActionCounts(
    macs=1000,
    cycles=CycleBreakdown(compute=1, fill=1, drain=1),
    pe_cycles=PECycles(useful=1000, idle=200, shifting=100, holding=50),
    activation_codes=0,
    weight_codes=0,
    converter_operations=0,
    output_path_operations={},
    sram={operand: Traffic(0, 0, 0, 0) for operand in OPERANDS},
    dram={operand: Traffic(0, 0, 0, 0) for operand in OPERANDS},
    array_bytes=dict.fromkeys(OPERANDS, 0),
    dataflow="ws",
)
"""Weight stationary, so that no sums pass the adder while they shift."""

SPLIT = [
    row("pe_multiply/mine/operate", 0.10),
    row("pe_add/mine/operate", 0.05),
    row("pe_registers/mine/operate", 0.12),
    row("pe_registers/mine/clock", 0.08),
    row("pe/mine/area", 250.0),
]


def pricing(tables: list[str], mac: str = "mine", **overrides: Any) -> ArchitecturePricing:
    overrides.setdefault("macs", {"mine": MINE})
    arch = ArchConfig.model_validate({"tables": tables, **overrides})
    return ArchitecturePricing(arch, structure_of(get_mac(mac, custom=arch.macs)))


def pe_of(tables: list[str], mac: str = "mine", **overrides: Any) -> PeCost:
    (pe,) = pricing(tables, mac, **overrides).pes
    return pe


def parts_of(pe: PeCost) -> dict[str, float | None]:
    logic = {cost.component: cost.energy_pj for cost in pe.combinational}
    return logic | {f"clocked {pe.registers.characterised.component}": pe.registers.characterised.energy_pj}


def energy_pj(pricing: ArchitecturePricing) -> dict[str, float | None]:
    energy: LayerEnergy = pricing.layer(WORK)
    return {part: pj for part, pj in energy.energy_pj.items() if part.startswith("pe_")}


def reason_of(uses: object) -> str:
    assert isinstance(uses, NotPriced)
    return uses.reason


# A MAC of one's own by its own rows


def test_rows_of_a_macs_name_price_it(tmp_path: Path) -> None:
    pe = pe_of([write(tmp_path, *SPLIT), *NO_LEAKAGE])
    assert parts_of(pe) == {"pe_multiply": 0.10, "pe_add": 0.05, "clocked pe_registers": 0.12}
    assert pe.energy_pj == pytest.approx(0.27)
    assert pe.area_um2 == 250
    assert (pe.status, pe.area_status, pe.uncertainty) == ("own", "own", None)
    # 8 + 4 + 24 flip-flops, of which 14.73 / 48 each are taken to toggle
    assert pe.notes == (
        "mine: table mine does not say how many register bits toggled when the energy of mine was taken; "
        "0.31 a flip-flop and cycle are assumed in useful PE-cycles, the rate of the published int8 PE "
        "(11.05 of 36): say so in the section characterised.mine",
    )


def test_energy_of_a_layer_is_made_of_the_rows(tmp_path: Path) -> None:
    """A toggled bit costs (0.12 - 0.08) / (36 flip-flops x 14.73 / 48); 4 weight bits move."""
    prices = pricing([write(tmp_path, *SPLIT), *NO_LEAKAGE])
    found = energy_pj(prices)
    assert found["pe_multiply"] == pytest.approx(1000 * 0.10)
    assert found["pe_add"] == pytest.approx(1000 * 0.05)
    (pe,) = prices.pes
    assert pe.registers.all_bits == 8 + 4 + 24
    assert pe.registers.shifting("weight").energy_pj == pytest.approx(0.08 + 0.04 * 4 / 36)
    assert pe.registers.clock.energy_pj == pytest.approx(0.08)


@pytest.mark.parametrize("order", ["first", "last"])
def test_rows_of_a_macs_own_name_count_wherever_their_table_stands(tmp_path: Path, order: str) -> None:
    own = write(tmp_path, *SPLIT)
    tables = [own, *NO_LEAKAGE] if order == "first" else [*NO_LEAKAGE, own]
    assert pe_of(tables).energy_pj == pytest.approx(0.27)


def test_of_two_tables_with_rows_of_a_mac_the_first_prices_all_of_it(tmp_path: Path) -> None:
    one = write(tmp_path, row("pe/mine/area", 100.0), name="one")
    two = write(tmp_path, *SPLIT, name="two")
    first = pe_of([one, two, *NO_LEAKAGE])
    assert (first.energy_pj, first.area_um2) == (None, 100)
    assert pe_of([two, one, *NO_LEAKAGE]).area_um2 == 250


def test_own_rows_before_the_published_ones_price_a_preset(tmp_path: Path) -> None:
    """int8 of your own library, beside Johnson's 0.566 pJ and 336.672 um2."""
    rows = [
        row("pe/int8/operate", 0.30),
        row("pe_registers/int8/operate", 0.11),
        row("pe_registers/int8/clock", 0.07),
        row("pe/int8/area", 200.0),
    ]
    own = write(tmp_path, *rows)
    pe = pe_of([own, *NO_LEAKAGE], "int8")
    assert parts_of(pe) == {"pe_multiply_add": pytest.approx(0.19), "clocked pe_registers": 0.11}
    assert pe.area_um2 == 200
    after = pe_of([*NO_LEAKAGE, own], "int8")
    assert after.energy_pj == pytest.approx(0.566)
    assert after.status == "published"


# What price says


def test_price_names_a_variant_for_energy_and_area_together(tmp_path: Path) -> None:
    pe = pe_of([write(tmp_path, *SPLIT), *NO_LEAKAGE], "other", macs={"other": {**MINE, "price": "mine"}})
    assert pe.energy_pj == pytest.approx(0.27)
    assert pe.area_um2 == 250


def test_energy_and_area_may_come_from_different_places(tmp_path: Path) -> None:
    """Composed area: 32 multiplier cells, 24 adder bits, 36 flip-flops of the published int8 PE."""
    composed_um2 = 32 * 121.212 / 64 + 24 * 117.810 / 32 + 36 * 96.768 / 48
    own = write(tmp_path, *SPLIT)
    price = {"energy": "mine", "area": "composed"}
    pe = pe_of([own, *NO_LEAKAGE], macs={"mine": {**MINE, "price": price}})
    assert pe.energy_pj == pytest.approx(0.27)
    assert pe.area_um2 == pytest.approx(composed_um2)
    assert (pe.status, pe.area_status) == ("own", "composed")
    price = {"energy": "composed", "area": "mine"}
    pe = pe_of([own, *NO_LEAKAGE], macs={"mine": {**MINE, "price": price}})
    assert pe.area_um2 == 250
    assert {cost.component for cost in pe.combinational} == {"pe_multiply", "pe_add"}
    assert pe.combinational[0].energy_pj == pytest.approx(32 * 0.216 / 64)
    assert (pe.status, pe.area_status) == ("composed", "own")


def test_price_lies_over_a_preset_without_its_formats() -> None:
    """The composed int8 PE equals the published one but for the toggles of its registers."""
    pe = pe_of([*NO_LEAKAGE], "int8", macs={"int8": {"price": "composed"}})
    assert pe.status == "composed"
    assert pe.combinational[0].energy_pj == pytest.approx(0.216)
    assert get_mac("int8", custom={"int8": {"price": "composed"}}).accumulator_bits == 32


def test_a_variant_that_no_table_has_is_not_priced_and_the_nearest_is_named(tmp_path: Path) -> None:
    own = write(tmp_path, *SPLIT)
    pe = pe_of([own, *NO_LEAKAGE], macs={"mine": {**MINE, "price": "mien"}})
    assert (pe.energy_pj, pe.area_um2) == (None, None)
    assert "variant mien" in reason_of(pe.area)
    assert "the nearest is mine" in reason_of(pe.area)
    assert "set macs.mine.price to another variant or to composed" in reason_of(pe.area)


# What a table lacks is not priced


def test_an_area_without_an_energy_names_both_ways_out(tmp_path: Path) -> None:
    own = write(tmp_path, row("pe/mine/area", 250.0))
    pe = pe_of([own, *NO_LEAKAGE])
    assert (pe.energy_pj, pe.area_um2) == (None, 250)
    why = reason_of(pe.combinational[0].energy)
    assert "add the row pe/mine/operate to table mine, or set macs.mine.price to" in why
    assert "{energy: composed, area: mine}" in why
    mended = pe_of([own, *NO_LEAKAGE], macs={"mine": {**MINE, "price": {"energy": "composed"}}})
    assert mended.is_priced


def test_an_energy_without_an_area_names_both_ways_out(tmp_path: Path) -> None:
    pe = pe_of([write(tmp_path, *SPLIT[:4]), *NO_LEAKAGE])
    assert pe.energy_pj == pytest.approx(0.27)
    assert pe.area_um2 is None
    assert "add the row pe/mine/area to table mine" in reason_of(pe.area)
    assert "{area: composed, energy: mine}" in reason_of(pe.area)


def test_logic_without_registers_is_not_filled_up_from_the_published_flip_flops(tmp_path: Path) -> None:
    pe = pe_of([write(tmp_path, *SPLIT[:2]), *NO_LEAKAGE])
    assert [cost.energy_pj for cost in pe.combinational] == [0.10, 0.05]
    assert pe.registers.characterised.energy_pj is None
    assert "add the row pe_registers/mine/operate" in reason_of(pe.registers.characterised.energy)


def test_registers_without_logic_are_not_filled_up_from_parts(tmp_path: Path) -> None:
    pe = pe_of([write(tmp_path, SPLIT[2], SPLIT[3]), *NO_LEAKAGE])
    (logic,) = pe.combinational
    assert logic.component == "pe_multiply_add"
    assert "add the row pe_combinational/mine/operate" in reason_of(logic.energy)


def test_an_area_is_the_sum_of_its_components_where_no_whole_is_given(tmp_path: Path) -> None:
    areas = [
        row("pe_multiply/mine/area", 80.0),
        row("pe_add/mine/area", 60.0),
        row("pe_registers/mine/area", 70.0),
    ]
    assert pe_of([write(tmp_path, *SPLIT[:4], *areas), *NO_LEAKAGE]).area_um2 == 210
    lacking = pe_of([write(tmp_path, *SPLIT[:4], areas[0], areas[2]), *NO_LEAKAGE])
    assert "add the row pe/mine/area" in reason_of(lacking.area)
    logic = [row("pe_combinational/mine/area", 145.0), areas[2]]
    assert pe_of([write(tmp_path, *SPLIT[:4], *logic), *NO_LEAKAGE]).area_um2 == 215


# A whole with and without its components


def test_a_whole_alone_is_charged_in_every_clocked_cycle_and_says_so(tmp_path: Path) -> None:
    """0.27 pJ in each of 1000 + 200 + 100 + 50 PE-cycles at most; no figure of another source."""
    own = write(tmp_path, row("pe/mine/operate", 0.27), row("pe/mine/area", 250.0))
    prices = pricing([own, *NO_LEAKAGE])
    (pe,) = prices.pes
    assert parts_of(pe) == {"clocked pe_multiply_add": 0.27}
    (warning,) = prices.warnings
    assert "does not tell the registers of mine from its logic" in warning
    assert "the whole PE is charged in every clocked cycle, an upper bound" in warning
    assert "add the row pe_registers/mine/operate" in warning
    assert energy_pj(prices)["pe_multiply_add"] == pytest.approx(1350 * 0.27)


def test_a_whole_keeps_what_its_components_leave(tmp_path: Path) -> None:
    """0.30 - 0.10 - 0.12 = 0.08 pJ that no component lists."""
    rows = [row("pe/mine/operate", 0.30), SPLIT[0], SPLIT[2], SPLIT[3]]
    pe = pe_of([write(tmp_path, *rows), *NO_LEAKAGE])
    assert parts_of(pe) == {
        "pe_multiply": 0.10,
        "pe_multiply_add": pytest.approx(0.08),
        "clocked pe_registers": 0.12,
    }
    assert pe.energy_pj == pytest.approx(0.30)


def test_a_whole_of_zero_leaves_nothing_beside_its_components(tmp_path: Path) -> None:
    zero = {"reason": "an ideal PE, to see what the rest of the chip costs"}
    keys = ("pe", "pe_multiply", "pe_registers")
    own = write(tmp_path, *(row(f"{key}/mine/operate", 0.0) | zero for key in keys), SPLIT[4])
    prices = pricing([own, *NO_LEAKAGE, "interconnect_28nm"])
    assert parts_of(prices.pes[0]) == {"pe_multiply": 0, "clocked pe_registers": 0}
    found = energy_pj(prices)
    assert found["pe_multiply"] == found["pe_registers"] == 0


def test_logic_is_what_its_row_says_where_the_whole_is_no_more_than_both(tmp_path: Path) -> None:
    """0.30 = 0.18 + 0.12; a whole of 0.34 leaves 0.04 more, of logic that 0.10 of multiplier is a part of."""
    logic = row("pe_combinational/mine/operate", 0.18)
    exact = [row("pe/mine/operate", 0.30), logic, SPLIT[2], SPLIT[3]]
    pe = pe_of([write(tmp_path, *exact), *NO_LEAKAGE])
    assert parts_of(pe) == {"pe_multiply_add": 0.18, "clocked pe_registers": 0.12}
    more = [row("pe/mine/operate", 0.34), logic, SPLIT[0], SPLIT[2], SPLIT[3]]
    assert parts_of(pe_of([write(tmp_path, *more), *NO_LEAKAGE])) == {
        "pe_multiply": 0.10,
        "pe_multiply_add": pytest.approx(0.12),
        "clocked pe_registers": 0.12,
    }
    without = [logic, SPLIT[0], SPLIT[2], SPLIT[3]]
    assert parts_of(pe_of([write(tmp_path, *without), *NO_LEAKAGE])) == {
        "pe_multiply": 0.10,
        "pe_multiply_add": pytest.approx(0.08),
        "clocked pe_registers": 0.12,
    }


def test_registers_are_what_the_logic_leaves_of_the_whole(tmp_path: Path) -> None:
    """0.30 - 0.18 = 0.12 pJ in every clocked cycle."""
    rows = [row("pe/mine/operate", 0.30), row("pe_combinational/mine/operate", 0.18)]
    pe = pe_of([write(tmp_path, *rows), *NO_LEAKAGE])
    assert parts_of(pe) == {"pe_multiply_add": 0.18, "clocked pe_registers": pytest.approx(0.12)}
    assert "what its components leave of the PE is charged in every clocked cycle" in pe.warnings[0]


def test_registers_without_their_clock_are_charged_alike_in_every_clocked_cycle(tmp_path: Path) -> None:
    pe = pe_of([write(tmp_path, *SPLIT[:3], SPLIT[4]), *NO_LEAKAGE])
    assert pe.registers.clock.energy_pj == pe.registers.characterised.energy_pj == 0.12
    assert pe.registers.toggle == ()
    assert "add the row pe_registers/mine/clock" in pe.notes[0]


def test_characterised_toggles_set_the_price_of_a_toggled_bit(tmp_path: Path) -> None:
    """(0.12 - 0.08) pJ over 4 + 2 + 4 bits."""
    own = write(
        tmp_path,
        *SPLIT,
        characterised={
            "mine": {
                "flip_flops": {"activation": 8, "weight": 4, "accumulator": 24},
                "toggles_per_cycle": {"activation": 4, "weight": 2, "accumulator": 4},
                "source": "report",
            }
        },
    )
    registers = pe_of([own, *NO_LEAKAGE]).registers
    assert registers.shifting("accumulator").energy_pj == pytest.approx(0.08 + 4 * 0.004)


def test_own_flip_flops_of_the_same_table_split_a_whole(tmp_path: Path) -> None:
    """36 flip-flops x 1 fJ, and 36 x 14.73 / 48 toggles x 4 fJ; the rest of 0.27 pJ is logic."""
    flip_flops = [row("flip_flop/28nm/clock", 0.001), row("flip_flop/28nm/toggle", 0.004)]
    own = write(tmp_path, row("pe/mine/operate", 0.27), *flip_flops)
    registers_pj = 36 * 0.001 + 36 * 14.73 / 48 * 0.004
    assert parts_of(pe_of([own, *NO_LEAKAGE])) == {
        "pe_multiply_add": pytest.approx(0.27 - registers_pj),
        "clocked pe_registers": pytest.approx(registers_pj),
    }


def test_what_components_and_flip_flops_leave_of_a_whole_is_priced(tmp_path: Path) -> None:
    """0.27 pJ less 0.10 of the multiplier, less the flip-flops; a combinational row leaves nothing."""
    flip_flops = [row("flip_flop/28nm/clock", 0.001), row("flip_flop/28nm/toggle", 0.004)]
    registers_pj = 36 * 0.001 + 36 * 14.73 / 48 * 0.004
    own = write(tmp_path, row("pe/mine/operate", 0.27), SPLIT[0], *flip_flops)
    assert parts_of(pe_of([own, *NO_LEAKAGE])) == {
        "pe_multiply": 0.10,
        "pe_multiply_add": pytest.approx(0.17 - registers_pj),
        "clocked pe_registers": pytest.approx(registers_pj),
    }
    logic = row("pe_combinational/mine/operate", 0.27 - registers_pj)
    own = write(tmp_path, row("pe/mine/operate", 0.27), logic, *flip_flops)
    assert parts_of(pe_of([own, *NO_LEAKAGE]))["pe_multiply_add"] == 0.27 - registers_pj


def test_flip_flops_that_cost_more_than_their_whole_do_not_split_it(tmp_path: Path) -> None:
    flip_flops = [row("flip_flop/28nm/clock", 0.01), row("flip_flop/28nm/toggle", 0.04)]
    own = write(tmp_path, row("pe/mine/operate", 0.27), *flip_flops)
    assert parts_of(pe_of([own, *NO_LEAKAGE])) == {"clocked pe_multiply_add": 0.27}


def test_a_published_whole_is_split_by_parts_of_its_own_source_alone(tmp_path: Path) -> None:
    """fp16 was published whole; parts_28nm is fitted to the same table, flip-flops of your own are not."""
    own = write(tmp_path, row("flip_flop/28nm/clock", 0.01), row("flip_flop/28nm/toggle", 0.04))
    usual, beside = pe_of([*NO_LEAKAGE], "fp16"), pe_of([own, *NO_LEAKAGE], "fp16")
    assert parts_of(usual) == parts_of(beside)
    registers_pj = parts_of(usual)["clocked pe_registers"]
    assert registers_pj == pytest.approx(48 / 48 * 112.7 / 500, rel=0.01)  # 16 + 16 + 16 flip-flops, as int8


def test_scaling_that_makes_components_exceed_their_whole_prices_nothing(tmp_path: Path) -> None:
    """The whole at 1.0 V falls to about 0.6 of itself at 0.81 V, its registers at 0.81 V stay."""
    rows = [
        row("pe/mine/operate", 0.30, conditions="fast"),
        row("pe_registers/mine/operate", 0.25),
        row("pe_registers/mine/clock", 0.2),
    ]
    file = write(tmp_path, *rows, others={"fast": {"voltage_v": 1.0}})
    pe = pe_of([file, *NO_LEAKAGE], scaling={"voltage": True})
    (logic,) = pe.combinational
    assert "the components of mine in table mine cost more than the whole" in reason_of(logic.energy)


def test_scaling_that_makes_the_clock_of_registers_exceed_them_prices_neither(tmp_path: Path) -> None:
    """Registers at 1.0 V fall from 0.30 to about 0.2 pJ at 0.81 V; their clock, given there, stays 0.25."""
    rows = [
        row("pe_combinational/mine/operate", 0.15),
        row("pe_registers/mine/operate", 0.30, conditions="fast"),
        row("pe_registers/mine/clock", 0.25),
    ]
    file = write(tmp_path, *rows, others={"fast": {"voltage_v": 1.0}})
    pe = pe_of([file, *NO_LEAKAGE], scaling={"voltage": True})
    wanted = "pe_registers/mine/clock of table mine costs more than pe_registers/mine/operate"
    for unpriced in (pe.registers.characterised.energy, pe.registers.clock.energy, pe.registers.toggle):
        assert wanted in reason_of(unpriced)
    assert parts_of(pe)["pe_multiply_add"] == 0.15


# Leakage


def test_leakage_of_another_source_takes_at_most_all_of_an_own_energy(tmp_path: Path) -> None:
    """4.2 nW/um2 x 100,000 um2 / 500 MHz = 0.84 pJ, more than the 0.27 pJ of the rows."""
    own = write(tmp_path, *SPLIT[:4], row("pe/mine/area", 100_000.0))
    prices = pricing([own, *NO_LEAKAGE, "interconnect_28nm"])
    for part, pj in prices.layer(WORK).energy_pj.items():
        assert pj is None or pj >= 0, part


def test_components_without_areas_share_leakage_as_they_share_energy(tmp_path: Path) -> None:
    """4.2 nW/um2 x 250 um2 / 500 MHz = 2.1 fJ, of which the multiplier takes 0.10 / 0.27."""
    (pe,) = pricing([write(tmp_path, *SPLIT), *NO_LEAKAGE, "interconnect_28nm"]).pes
    multiply = next(cost for cost in pe.combinational if cost.component == "pe_multiply")
    assert multiply.leakage_share_pj == pytest.approx(0.0021 * 0.10 / 0.27)


def test_leakage_is_shared_among_the_components_that_have_a_price(tmp_path: Path) -> None:
    """Registers have none, so 2.1 fJ of 250 um2 are shared by 0.10 and 0.05 pJ."""
    own = write(tmp_path, *SPLIT[:2], SPLIT[4])
    (pe,) = pricing([own, *NO_LEAKAGE, "interconnect_28nm"]).pes
    assert pe.registers.characterised.energy_pj is None
    shares = {cost.component: cost.leakage_share_pj for cost in pe.combinational}
    assert shares == pytest.approx({"pe_multiply": 0.0014, "pe_add": 0.0007})


# Clocks, formats, mistakes


def test_a_row_may_state_the_clock_that_it_reaches(tmp_path: Path) -> None:
    rows = [SPLIT[0] | {"max_clock_mhz": 700}, *SPLIT[1:]]
    own = write(tmp_path, *rows)
    fast: dict[str, Any] = {"scaling": {"frequency": True}}
    assert pe_of([own, *NO_LEAKAGE], clock_mhz=700, **fast).is_priced
    slow = pe_of([own, *NO_LEAKAGE], clock_mhz=701, **fast)
    assert not slow.is_priced
    assert "the rows of MAC 'mine' meet timing up to 700 MHz only" in reason_of(slow.area)
    prices = pricing([own, *NO_LEAKAGE], clock_mhz=701, **fast)
    assert any("meets timing up to 700 MHz only" in warning for warning in prices.warnings)


def test_of_several_clocks_the_lowest_holds_and_those_of_other_variants_do_not(tmp_path: Path) -> None:
    """Rows of `mine` reach 700 and 600 MHz, those of `other` 100 MHz with other formats."""
    fast = {"frequency": True}
    other = row("pe/other/operate", 0.2) | {"max_clock_mhz": 100, "formats": "int8 x int8", "accumulator": 32}
    rows = [SPLIT[0] | {"max_clock_mhz": 700}, SPLIT[1] | {"max_clock_mhz": 600}, *SPLIT[2:], other]
    own = write(tmp_path, *rows)
    prices = pricing([own, *NO_LEAKAGE], clock_mhz=600, scaling=fast)
    assert prices.pes[0].max_clock_mhz == 600
    assert prices.pes[0].is_priced
    assert prices.warnings == []
    assert not pe_of([own, *NO_LEAKAGE], clock_mhz=601, scaling=fast).is_priced


def test_rows_at_the_architectures_clock_need_no_permission(tmp_path: Path) -> None:
    own = write(tmp_path, *SPLIT, conditions={"clock_mhz": 800})
    assert pe_of([own, *NO_LEAKAGE], clock_mhz=800).energy_pj == pytest.approx(0.27)


@pytest.mark.parametrize(
    ("stated", "warned"),
    [
        ({"formats": "int8 x int4", "accumulator": 24}, []),
        ({"formats": "int8 × int4"}, []),
        ({"formats": "int8 x int8"}, ["which are of int8 x int8; the MAC multiplies int8 x int4"]),
        ({"accumulator": 32}, ["whose accumulator is 32 bits; the MAC's is 24 bits"]),
        ({"accumulator": "fp16"}, ["whose accumulator is fp16; the MAC's is 24 bits"]),
    ],
)
def test_formats_and_accumulator_that_rows_state_are_compared_with_the_mac(
    tmp_path: Path, stated: dict[str, Any], warned: list[str]
) -> None:
    own = write(tmp_path, SPLIT[0] | stated, *SPLIT[1:])
    prices = pricing([own, *NO_LEAKAGE])
    assert len(prices.warnings) == len(warned)
    for text, warning in zip(warned, prices.warnings, strict=True):
        assert warning.startswith("MAC 'mine' is priced by rows of mine in table mine, ")
        assert warning.endswith(text)


def test_assumed_toggles_are_said_wherever_they_are_assumed(tmp_path: Path) -> None:
    said = "are assumed in useful PE-cycles"
    toggles = {"activation": 3.0, "weight": 1.5, "accumulator": 6.0}
    flip_flops = {"activation": 8, "weight": 4, "accumulator": 24}
    known = {"mine": {"flip_flops": flip_flops, "toggles_per_cycle": toggles, "source": "bench"}}
    told = write(tmp_path, *SPLIT, characterised=known)
    assert not any(said in note for note in pricing([told, *NO_LEAKAGE]).notes)
    (silent,) = [note for note in pe_of([*NO_LEAKAGE], "fp16").notes if said in note]
    assert silent.startswith("fp16: table johnson2018_28nm does not say how many register bits toggled")
    assert silent.endswith("(14.73 of 48)")  # three registers of 16 bits
    assert not any(said in note for note in pe_of([*NO_LEAKAGE], "int8").notes)
    (composed,) = [note for note in pe_of([*NO_LEAKAGE], "mine").notes if said in note]
    assert composed.startswith("mine: of its register bits 0.31 a flip-flop and cycle are assumed")
    assert composed.endswith("(11.05 of 36)")
    nowhere = pe_of([*NO_LEAKAGE], macs={"mine": {**MINE, "price": "nothing"}})
    assert nowhere.notes == ()  # nothing is priced, so nothing is assumed


def test_published_rows_asked_for_by_name_warn_where_they_are_of_another_mac() -> None:
    prices = pricing([*NO_LEAKAGE], macs={"mine": {**MINE, "price": "int8"}})
    assert prices.pes[0].energy_pj == pytest.approx(0.566)
    assert [warning.partition(", ")[2] for warning in prices.warnings] == [
        "which are of int8 x int8; the MAC multiplies int8 x int4",
        "whose accumulator is 32 bits; the MAC's is 24 bits",
    ]


@pytest.mark.parametrize("depth", [1, 2])
def test_published_rows_price_any_mac_of_the_same_numerics(depth: int) -> None:
    """Under another name too; with one more pipeline stage it is another circuit."""
    same = {"activation": "int8", "weight": "int8", "accumulator": {"kind": "fixed", "bits": 32}}
    pe = pe_of([*NO_LEAKAGE], "twin", macs={"twin": {**same, "pipeline_depth": depth}})
    assert pe.status == ("published" if depth == 1 else "composed")


def test_an_fp16_mac_with_another_accumulator_of_16_bits_is_not_the_published_one() -> None:
    wide = {"activation": "fp16", "weight": "fp16", "accumulator": {"kind": "float", "format": "bf16"}}
    assert pe_of([*NO_LEAKAGE], "wide", macs={"wide": wide}).status == "composed"


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([row("pe/mine/operate", -0.1)], "must not be negative or infinite"),
        ([row("pe/mine/area", float("inf"))], "must not be negative or infinite"),
        ([row("pe/mine/operate", float("nan"))], "must not be negative or infinite"),
        ([row("pe/mine/operate", 0.1), row("pe_registers/mine/operate", 0.2)], "is less than its parts"),
        (
            [row("pe_combinational/mine/operate", 0.1), row("pe_add/mine/operate", 0.2)],
            "is less than its parts",
        ),
        (
            [row("pe/mine/area", 10.0), row("pe_add/mine/area", 8.0), row("pe_table/mine/area", 3.0)],
            "is less than",
        ),
        (
            [row("pe_registers/mine/operate", 0.1), row("pe_registers/mine/clock", 0.2)],
            "is less than its parts",
        ),
        ([row("pe/mine/operate", 0.1) | {"max_clock_mhz": -1}], "max_clock_mhz"),
        ([row("multiplier_cell/28nm/operate", 0.1) | {"max_clock_mhz": 1}], "is a field of rows of a PE"),
        ([row("flip_flop/28nm/clock", 0.1) | {"formats": "int8 x int8"}], "is a field of rows of a PE"),
    ],
)
def test_a_table_that_cannot_be_is_refused_with_its_line(rows: list[dict[str, Any]], problem: str) -> None:
    with pytest.raises(UserError, match=problem) as caught:
        parse_table(yaml.safe_dump(document(*rows)), source="mine.yaml")
    assert str(caught.value).startswith("mine.yaml: line ")


def test_an_energy_in_the_unit_of_another_component_is_refused() -> None:
    fields = row("pe/mine/operate", 0.1)
    fields["energy_pj_per_byte"] = fields.pop("energy_pj")
    with pytest.raises(UserError, match="energy_pj_per_byte is no value of pe"):
        parse_table(yaml.safe_dump(document(fields)), source="mine.yaml")


def test_two_tables_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, two = write(tmp_path / "a", *SPLIT), write(tmp_path / "b", *SPLIT)
    with pytest.raises(UserError, match=r"tables: two tables have the same name.*'mine'"):
        pricing([one, two])


# Used, or named as unused


def network(folder: Path) -> Path:
    file = folder / "g.csv"
    file.write_text("Layer,M,N,K,\ng,40,30,20,\n")
    return file


def run(folder: Path, *rows: dict[str, Any], **fields: Any) -> Any:
    tables = [write(folder, *rows), *NO_LEAKAGE, "interconnect_28nm"]
    overrides = {"macs.mine": MINE, "array.mac": "mine", "tables": tables, **fields}
    return simulate(network(folder), overrides=overrides)


def test_every_own_row_of_a_run_is_used(tmp_path: Path) -> None:
    result = run(tmp_path, *SPLIT)
    own = {price.row for price in result.sources.prices if price.table == "mine"}
    assert own == {f"{r['component']}/mine/{r['action']}" for r in SPLIT}
    assert {price.status for price in result.sources.prices if price.table == "mine"} == {"own"}
    assert result.sources.unused == []
    assert result.warnings == []


def test_a_misspelt_variant_is_a_warning_with_the_nearest_name(tmp_path: Path) -> None:
    result = run(tmp_path, *SPLIT, row("pe/mien/operate", 0.3), row("pe/mien/area", 300.0))
    (unused,) = result.sources.unused
    assert unused.rows == ["pe/mien/operate", "pe/mien/area"]
    assert unused.never
    assert result.warnings == [
        "table mine: pe/mien/operate, pe/mien/area can never be used: no MAC is called 'mien' (the nearest "
        "is 'mine'), and no `price` names it"
    ]


@pytest.mark.parametrize(
    ("extra", "reason", "never"),
    [
        (row("pe/int8/operate", 0.3), "no MAC of this run takes its price from int8", False),
        (row("flip_flop/22nm/clock", 0.001), "flip_flop is looked up as variant '28nm' alone", True),
        (row("array/mine/operate", 3.0), "rows of array are only compared with", True),
        (row("pe/mine/operate", 0.27), "other rows of the PE are used instead, which cover it", False),
    ],
)
def test_rows_that_a_run_does_not_need_say_why(
    tmp_path: Path, extra: dict[str, Any], reason: str, never: bool
) -> None:
    result = run(tmp_path, *SPLIT, extra)
    assert [(unused.reason, unused.never) for unused in result.sources.unused] == [(reason, never)]
    assert bool(result.warnings) == never


def test_rows_whose_figure_lacks_another_price_say_so(tmp_path: Path) -> None:
    """Without the area of its PEs an array has no outline that wires cross and no logic that leaks."""
    wire = {**row("wire/intermediate/transfer", 0.1), "energy_fj_per_bit_mm": 80.0}
    leakage = {**row("logic/28nm/leakage", 0.1), "leakage_nw_per_um2": 4.0}
    for fields in (wire, leakage):
        del fields["energy_pj"]
    own = write(tmp_path, *SPLIT[:4], wire, leakage)
    overrides = {"macs.mine": MINE, "array.mac": "mine", "tables": [own, *NO_LEAKAGE]}
    found = {
        key: unused.reason
        for unused in simulate(network(tmp_path), overrides=overrides).sources.unused
        for key in unused.rows
    }
    assert found == {
        "wire/intermediate/transfer": "wires are as long as areas make them, and some area is not priced",
        "logic/28nm/leakage": "leakage follows the area of all logic, and some of it is not priced",
    }


def test_rows_behind_another_table_say_which_comes_first(tmp_path: Path) -> None:
    own = write(tmp_path, row("pe/int8/operate", 0.3), row("flip_flop/28nm/clock", 0.001))
    result = simulate(network(tmp_path), overrides={"tables": [*NO_LEAKAGE, "interconnect_28nm", own]})
    assert [(unused.rows, unused.reason) for unused in result.sources.unused] == [
        (["pe/int8/operate"], "table johnson2018_28nm comes before it and prices int8"),
        (["flip_flop/28nm/clock"], "table parts_28nm comes before it and prices 28nm"),
    ]


@pytest.mark.parametrize(
    ("price", "figure", "unused_rows"),
    [
        ({"energy": "composed"}, "energy", {r["component"] + "/mine/" + r["action"] for r in SPLIT[:4]}),
        ({"area": "composed"}, "area", {"pe/mine/area"}),
    ],
)
def test_a_figure_that_price_takes_from_elsewhere_leaves_its_rows_unused(
    tmp_path: Path, price: dict[str, str], figure: str, unused_rows: set[str]
) -> None:
    result = run(tmp_path, *SPLIT, **{"macs.mine": {**MINE, "price": price}})
    (unused,) = result.sources.unused
    assert set(unused.rows) == unused_rows
    assert unused.reason == f"MAC 'mine' takes its {figure} from elsewhere"
    assert not unused.never


def test_memories_of_your_own_are_used_first_or_said_to_be_behind_others(tmp_path: Path) -> None:
    """One macro of 256 KiB with energies, leakage, area and access time, and a DRAM not chosen."""
    shared = {"component": "sram", "variant": "macro", "capacity_kib": 256, "word_bits": 256}
    values = {
        "read": {"energy_pj": 20},
        "write": {"energy_pj": 22},
        "leakage": {"leakage_mw": 1},
        "area": {"area_um2": 300_000},
        "access": {"time_ns": 1},
    }
    said = {"conditions": "cells", "source": "report", "status": "own"}
    rows = [shared | said | {"action": action} | value for action, value in values.items()]
    rows.append({"component": "dram", "variant": "ddr9", "action": "transfer", "energy_pj_per_bit": 1} | said)
    text = document(*rows)
    text["conditions"] = {"cells": {"scope": "macro", "node_nm": 28, "activity": "whole words"}}
    own = tmp_path / "mine.yaml"
    own.write_text(yaml.safe_dump(text))
    bundled = [*NO_LEAKAGE, "interconnect_28nm"]

    def told(tables: list[str]) -> list[tuple[list[str], str, bool]]:
        unused = simulate(network(tmp_path), overrides={"tables": tables}).sources.unused
        return [(each.rows, each.reason, each.never) for each in unused]

    access = "an access time is compared with the clock and enters no figure"
    behind = "table sram_28nm comes before it and prices memories"
    keys = [f"sram/macro/{action}/256KiB/256bit" for action in values]
    not_chosen = (["dram/ddr9/transfer"], "dram.type is lpddr4", False)
    assert told([str(own), *bundled]) == [(keys[4:], access, False), not_chosen]
    assert told([*bundled, str(own)]) == [(keys, behind, True), not_chosen]


def test_rows_at_other_conditions_are_named_with_their_way_out(tmp_path: Path) -> None:
    result = run(tmp_path, *SPLIT, clock_mhz=400)
    (unused,) = result.sources.unused
    assert len(unused.rows) == len(SPLIT)
    assert "set scaling.frequency to true" in unused.reason
    assert not unused.never
    assert not [warning for warning in result.warnings if "never be used" in warning]


# Paths


def test_tables_are_found_beside_the_file_that_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "design").mkdir()
    (tmp_path / "design" / "prices").mkdir()
    write(tmp_path / "design" / "prices", *SPLIT)
    arch = tmp_path / "design" / "arch.yaml"
    arch.write_text("tables: [prices/mine.yaml, dram]\n")
    monkeypatch.chdir(tmp_path)
    assert load_arch("design/arch.yaml").tables == ("design/prices/mine.yaml", "dram")
    assert load_arch(str(arch)).tables == (str(tmp_path / "design/prices/mine.yaml"), "dram")
    over = {"tables": ["design/prices/mine.yaml"]}
    assert load_arch("design/arch.yaml", over).tables == ("design/prices/mine.yaml",)


def test_tables_of_a_sweep_are_found_beside_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "sweep.yaml").write_text(
        "networks: [alexnet]\ngrid: {tables: [[mine.yaml, dram], [dram]]}\npoints: [{tables: [../b.yaml]}]\n"
    )
    monkeypatch.chdir(tmp_path)
    spec = load_spec(Path("study/sweep.yaml"))
    assert list(spec.settings()) == [
        {"tables": ["study/mine.yaml", "dram"]},
        {"tables": ["dram"]},
        {"tables": ["b.yaml"]},
    ]
