"""Mistakes in tables of your own: each is refused in one sentence, or leaves its figure without a price.

None may end in a traceback, turn an energy negative, or name a wrong reason.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from simulator.arch import load_arch
from simulator.arch.config import ArchConfig
from simulator.cost.price_tables import parse_table
from simulator.cost.register_toggles import SwitchingActivity
from simulator.cost.table_check import check_tables
from simulator.cost.table_template import table_template
from simulator.foundation import UserError
from simulator.numerics import get_mac
from tests.prices.own_table import document, row, write
from tests.prices.test_own_rows import MINE, NO_LEAKAGE, SPLIT, WORK, pe_of, pricing

FLIP_FLOPS = {"activation": 8, "weight": 4, "accumulator": 24}


def refused(*rows: dict[str, Any], **fields: Any) -> str:
    with pytest.raises(UserError) as error:
        parse_table(yaml.safe_dump(document(*rows, **fields)), source="mine.yaml")
    return str(error.value)


def characterised(toggles: dict[str, float], flip_flops: dict[str, int] | None = None) -> str:
    section = {"flip_flops": flip_flops or FLIP_FLOPS, "toggles_per_cycle": toggles, "source": "bench"}
    return refused(*SPLIT, characterised={"mine": section})


@pytest.mark.parametrize(
    ("field", "value"), [("energy_pj", 1.1e30), ("energy_pj", 1e308), ("energy_fj", 1e35), ("power_uw", 1e33)]
)
def test_a_value_beyond_any_price_is_refused(field: str, value: float) -> None:
    fields = row("pe/mine/operate", 1.0)
    del fields["energy_pj"]
    message = refused({**fields, field: value})
    assert f"row pe/mine/operate: {field} is larger than any price" in message
    assert "allowed: up to 1e+30 pJ" in message


def test_the_largest_price_gives_the_energy_of_every_cycle(tmp_path: Path) -> None:
    mine = write(tmp_path, row("pe/mine/operate", 1e30), row("pe/mine/area", 250.0))
    (energy_fj,) = [
        energy_fj
        for part, energy_fj in pricing([mine, *NO_LEAKAGE]).layer(WORK).parts_fj.items()
        if part == "pe_multiply_add"
    ]
    assert energy_fj == 1350 * 10**33  # 1000 useful, 200 idle, 100 shifting and 50 holding PE-cycles


def test_a_power_at_a_clock_of_almost_nothing_is_refused() -> None:
    fields = {**row("pe/mine/operate", 1.0), "power_uw": 192.0}
    del fields["energy_pj"]
    assert "power_uw is larger than any price" in refused(fields, conditions={"clock_mhz": 1e-30})


@pytest.mark.parametrize("field", ["node_nm", "voltage_v", "temperature_c", "clock_mhz"])
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_conditions_are_finite(field: str, value: float) -> None:
    message = refused(row("pe/mine/operate", 1.0), conditions={field: value})
    assert f"conditions.synthesis.{field}: input should be" in message


@pytest.mark.parametrize("value", [True, False])
def test_a_value_that_is_yes_or_no_is_refused(value: bool) -> None:
    fields = {**row("pe/mine/operate", 1.0), "energy_pj": value}
    assert f"row pe/mine/operate: energy_pj is no number (got {value})" in refused(fields)


@pytest.mark.parametrize(
    "fields", [{"uncertainty": float("inf")}, {"uncertainty": 101}, {"capacity_kib": float("inf")}]
)
def test_sizes_and_uncertainties_are_finite(fields: dict[str, float]) -> None:
    assert next(iter(fields)) in refused(row("sram/macro/area", 1.0, **fields))


@pytest.mark.parametrize(
    "toggles",
    [
        {},
        {"activation": 3.0},
        {"activation": -3.0, "weight": 1.0, "accumulator": 1.0},
        {"activation": float("nan"), "weight": 1.0, "accumulator": 1.0},
        {"activation": float("inf"), "weight": 1.0, "accumulator": 1.0},
        {"activation": 8.5, "weight": 1.0, "accumulator": 1.0},
    ],
)
def test_toggles_are_given_for_every_register_and_fit_it(toggles: dict[str, float]) -> None:
    message = characterised(toggles)
    assert "characterised.mine: toggles_per_cycle needs activation, weight and accumulator" in message


@pytest.mark.parametrize("silent", [("activation", "weight"), ("accumulator",)])
def test_toggles_that_activity_is_relative_to_are_not_zero(silent: tuple[str, ...]) -> None:
    toggles = {name: 0.0 if name in silent else 1.0 for name in FLIP_FLOPS}
    assert "must not be 0" in characterised(toggles)


def test_toggles_of_a_variant_without_rows_name_the_nearest() -> None:
    section = {"flip_flops": FLIP_FLOPS, "source": "bench"}
    message = refused(*SPLIT, characterised={"mien": section})
    assert "characterised.mien: is no variant of the table's rows of PEs" in message
    assert "did you mean 'mine'?" in message


def test_formats_of_a_described_mac_are_known() -> None:
    described = {"activation": "int8", "weight": "foo", "product": "exact", "accumulator": 24}
    assert "macs.mine.weight: unknown number format (got 'foo')" in refused(*SPLIT, macs={"mine": described})


def test_formats_of_a_described_mac_may_be_spelled_in_capitals(tmp_path: Path) -> None:
    described = {"activation": "INT8", "weight": "Int4", "product": "exact", "accumulator": 24}
    pe = pe_of([write(tmp_path, *SPLIT, macs={"mine": described}), *NO_LEAKAGE])
    assert pe.energy_pj == pytest.approx(0.10 + 0.05 + 0.12)


def test_registers_whose_clock_costs_more_than_their_work_are_not_priced(tmp_path: Path) -> None:
    """0.119 pJ at 0.75 V are less than 0.12 pJ at 0.81 V as written, and more once both are at 0.81 V."""
    rows = [
        row("pe_combinational/mine/operate", 0.1),
        row("pe_registers/mine/operate", 0.12),
        row("pe_registers/mine/clock", 0.119, conditions="cold"),
        row("pe/mine/area", 250.0),
    ]
    file = write(tmp_path, *rows, others={"cold": {"voltage_v": 0.75}})
    priced = pricing([file, *NO_LEAKAGE], scaling={"voltage": True})
    for activity in (None, SwitchingActivity(3000, 2500, 4000, 200)):
        parts_fj = priced.layer(WORK, activity).parts_fj
        assert parts_fj["pe_registers"] is None
        assert all(energy_fj is None or energy_fj >= 0 for energy_fj in parts_fj.values())


def unused(tables: list[str], **overrides: Any) -> dict[str, tuple[str, bool]]:
    overrides.setdefault("macs", {"mine": MINE})
    arch = ArchConfig.model_validate({"tables": tables, "array": {"mac": "mine"}, **overrides})
    return {key: (unused.reason, unused.never) for unused in check_tables(arch).unused for key in unused.rows}


def test_a_variant_that_the_price_of_another_mac_names_is_not_called_never_used(tmp_path: Path) -> None:
    other = {**MINE, "price": {"energy": "theirs", "area": "theirs"}}
    table = write(tmp_path, *SPLIT, row("pe/theirs/operate", 0.3))
    found = unused([table, *NO_LEAKAGE], macs={"mine": MINE, "other": other})
    assert found["pe/theirs/operate"] == ("no MAC of this run takes its price from theirs", False)


def test_rows_of_a_pe_that_is_too_slow_say_so(tmp_path: Path) -> None:
    table = write(tmp_path, *SPLIT, row("pe/mine/operate", 0.3, max_clock_mhz=400))
    reason = "MAC 'mine' meets timing up to 400 MHz only, clock_mhz is 500"
    found = unused([table, *NO_LEAKAGE])
    assert {key: why for key, why in found.items() if "/mine/" in key} == {
        f"{part}/mine/{action}": (reason, False)
        for part, action in [
            ("pe_multiply", "operate"),
            ("pe_add", "operate"),
            ("pe_registers", "operate"),
            ("pe_registers", "clock"),
            ("pe", "area"),
            ("pe", "operate"),
        ]
    }


def test_a_clock_without_registers_names_the_row_that_it_needs(tmp_path: Path) -> None:
    rows = [row("pe/mine/operate", 0.3), row("pe_registers/mine/clock", 0.1), row("pe/mine/area", 250.0)]
    reason, never = unused([write(tmp_path, *rows), *NO_LEAKAGE])["pe_registers/mine/clock"]
    assert reason == "it is used together with the row pe_registers/mine/operate alone, which is missing"
    assert not never


def test_a_described_mac_that_is_another_than_the_one_of_its_name_is_a_warning(tmp_path: Path) -> None:
    described = {"activation": "int8", "weight": "int4", "product": "exact", "accumulator": 25}
    reason, never = unused([write(tmp_path, *SPLIT, macs={"mine": described}), *NO_LEAKAGE])["pe/mine/area"]
    assert "macs.mine of the table describes another MAC than 'mine' (int8 x int4, exact, into 25)" in reason
    assert never


def test_memories_that_no_buffer_is_built_of_say_so(tmp_path: Path) -> None:
    def macro(name: str, area_um2: float, **size: float) -> list[dict[str, Any]]:
        energies = [row(f"sram/{name}/{action}", 6.0, word_bits=128, **size) for action in ("read", "write")]
        leakage = row(f"sram/{name}/leakage", 0.1, word_bits=128, **size)
        leakage["leakage_mw"] = leakage.pop("energy_pj")
        return [*energies, leakage, row(f"sram/{name}/area", area_um2, word_bits=128, **size)]

    rows = [*macro("small", 10.0, capacity_kib=16), *macro("large", 1000.0, capacity_kib=16)]
    found = unused([write(tmp_path, *SPLIT, *rows, row("sram/odd/area", 5.0)), *NO_LEAKAGE])
    other = (
        "every buffer is built of another memory of the table, with fewer missing rows, in time for the "
        "clock or of less area"
    )
    assert found["sram/large/read/16KiB/128bit"] == (other, False)
    assert found["sram/odd/area"] == ("it states no capacity_kib, so no buffer can be built of it", True)
    assert not any("small" in key for key in found)


def test_an_empty_price_is_refused() -> None:
    with pytest.raises(UserError, match="MAC 'mine': price"):
        get_mac("mine", custom={"mine": {**MINE, "price": ""}})


@pytest.mark.parametrize(
    ("key", "field", "allowed"),
    [
        ("dram/mine/transfer", "energy_pj_per_byte", "energy_pj_per_bit"),
        ("dram/mine/transfer", "energy_pj", "energy_pj_per_bit"),
        ("dram/mine/transfer", "energy_fj_per_bit_mm", "energy_pj_per_bit"),
        ("wire/intermediate/transfer", "energy_pj_per_bit", "energy_fj_per_bit_mm"),
        ("wire/intermediate/transfer", "energy_pj", "energy_fj_per_bit_mm"),
        ("logic/28nm/leakage", "leakage_mw", "leakage_nw_per_um2"),
    ],
)
def test_a_value_in_another_unit_than_its_component_has_is_refused(
    key: str, field: str, allowed: str
) -> None:
    """32 pJ a byte of DRAM would cost as much as 32 pJ a bit."""
    fields = row(key, 32.0)
    fields[field] = fields.pop("energy_pj")
    message = refused(fields)
    assert f"row {key}: {field} is no value of {key.partition('/')[0]}" in message
    assert message.endswith(f"allowed: {allowed}")


def test_the_rows_of_registers_come_before_flip_flops_of_the_same_table(tmp_path: Path) -> None:
    """Idle cycles cost the row `clock`, 0.08 pJ, and not 36 flip-flops of 1 fJ."""
    flip_flops = [row(f"flip_flop/28nm/{action}", 0.001) for action in ("clock", "toggle", "area")]
    mine = write(tmp_path, *SPLIT, *flip_flops)
    pe = pe_of([mine, *NO_LEAKAGE])
    assert pe.registers.clock.energy_pj == pytest.approx(0.08)
    assert pe.registers.characterised.energy_pj == pytest.approx(0.12)
    parts_fj = pricing([mine, *NO_LEAKAGE]).layer(WORK).parts_fj
    # 1000 useful at 0.12; 250 idle and holding at 0.08; 100 shifting weights in: 0.08 and 4 of 36 registers'
    # 0.04 pJ in (32 + 1) / 2 of 32 rows
    shifting_fj = 100 * (80 + 40 * 4 / 36 * 16.5 / 32)
    assert parts_fj["pe_registers"] == pytest.approx(1000 * 120 + 250 * 80 + shifting_fj, abs=1)


@pytest.mark.parametrize(("volts", "is_priced"), [(0.69, False), (0.7, True), (1.05, True), (1.06, False)])
def test_voltages_are_scaled_from_the_range_of_the_rule_alone(
    volts: float,
    is_priced: bool,
    tmp_path: Path,
) -> None:
    mine = write(tmp_path, *SPLIT, conditions={"voltage_v": volts})
    pe = pe_of([mine, *NO_LEAKAGE], scaling={"voltage": True})
    assert (pe.energy_pj is not None) == is_priced


@pytest.mark.parametrize(
    ("price", "message"),
    [
        ({"enrgy": "mine"}, "MAC 'mine': price.enrgy: unknown key (got 'enrgy'); allowed: area, energy"),
        (["mine"], "MAC 'mine': price: input should be a valid string (got ['mine'])"),
        ("", "MAC 'mine': price: must not be empty (got '')"),
    ],
)
def test_a_price_that_cannot_be_is_told_by_its_field(price: object, message: str) -> None:
    with pytest.raises(UserError) as error:
        get_mac("mine", custom={"mine": {**MINE, "price": price}})
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tables": []}, "tables: needs at least 1 entry (got [])"),
        ({"tables": "dram"}, "tables: must be a list (got 'dram')"),
        ({"sram": 3}, "sram: must be a mapping of fields (got 3)"),
    ],
)
def test_lists_and_mappings_are_called_so(fields: dict[str, Any], message: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(fields))
    with pytest.raises(UserError) as error:
        load_arch(str(file))
    assert message in str(error.value)


@pytest.mark.parametrize("name", ["123", "null", "a: b", "it's", "mine", "on"])
def test_a_template_holds_at_exactly_the_conditions_of_its_architecture(name: str) -> None:
    arch = ArchConfig.model_validate(
        {
            "name": "one\nname: two",
            "clock_mhz": 1000 / 3,
            "process": {"voltage_v": 0.8123456789},
            "array": {"mac": "12"},
            "macs": {"12": MINE},
            "sram": {"ifmap": {"capacity_kib": 1048575.5}},
            "dram": {"type": "5"},
        }
    )
    table = yaml.safe_load(table_template(name, arch))
    assert table["table"] == name
    assert table["conditions"]["logic"]["clock_mhz"] == 1000 / 3
    assert table["conditions"]["logic"]["voltage_v"] == 0.8123456789
    assert {each["variant"] for each in table["rows"]} == {"12", "macro", "5"}
    assert {each["max_clock_mhz"] for each in table["rows"] if "max_clock_mhz" in each} == {1000 / 3}
    assert 1048575.5 in {each["capacity_kib"] for each in table["rows"] if "capacity_kib" in each}


def test_an_accumulator_is_a_number_of_bits_or_a_format() -> None:
    """As text, `24 bits` would be said to differ from the 24 bits of the MAC."""
    message = refused(row("pe/mine/operate", 0.3, accumulator="24 bits"))
    assert "row pe/mine/operate: accumulator is neither a number of bits nor a format" in message
    for accumulator in (24, "24", "fp16"):
        parse_table(
            yaml.safe_dump(document(row("pe/mine/operate", 0.3, accumulator=accumulator))), source="mine.yaml"
        )


@pytest.mark.parametrize(
    "written", ["int8*int4", "int8xint4", "int8 int4", "int8 x", "int8", "int8 x int4 x int4", " x int8", ""]
)
def test_formats_are_two_with_a_cross_between(written: str) -> None:
    message = refused(row("pe/mine/operate", 1.0, formats=written))
    assert message.startswith("mine.yaml: line ")
    assert "row pe/mine/operate: formats are not those of an activation and of a weight" in message or (
        "row pe/mine/operate: formats: " in message
    )


def test_formats_that_nobody_knows_name_the_nearest() -> None:
    message = refused(row("pe/mine/operate", 1.0, formats="int8 x itn4"))
    assert "row pe/mine/operate: formats: " in message
    assert "itn4" in message


@pytest.mark.parametrize("written", ["int8 x int4", "INT8 X INT4", "int8 × int4", "int8  x  int4"])
def test_formats_may_have_any_cross(written: str) -> None:
    parse_table(yaml.safe_dump(document(row("pe/mine/operate", 1.0, formats=written))), source="mine.yaml")


@pytest.mark.parametrize(
    ("key", "scope", "allowed"),
    [
        ("pe/mine/operate", "macro", "logic"),
        ("pe/mine/area", "external", "logic"),
        ("pe_registers/mine/clock", "bound", "logic"),
        ("flip_flop/28nm/toggle", "external", "logic"),
        ("decoder/posit8.1/operate", "macro", "logic"),
        ("converter/mine/area", "external", "logic"),
    ],
)
def test_logic_holds_at_all_of_its_conditions(key: str, scope: str, allowed: str) -> None:
    """Of a memory only the node is compared, of another chip nothing: a PE may not slip through as one."""
    message = refused(row(key, 1.0), conditions={"scope": scope})
    assert f"row {key}: its conditions 'synthesis' have a scope that {key.split('/')[0]} cannot" in message
    assert f"(got {scope!r}); allowed: {allowed}" in message


def test_memories_hold_at_their_node_at_least() -> None:
    fields = {**row("sram/macro/area", 1.0), "capacity_kib": 16, "word_bits": 64}
    assert "allowed: logic or macro" in refused(fields, conditions={"scope": "external"})
