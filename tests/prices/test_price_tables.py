"""Does a table say what it must? Every row is broken in turn; each mistake is one clear error."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from simulator.arch.config import ArchConfig
from simulator.cost.price import NotPriced
from simulator.cost.price_tables import load_table, parse_table
from simulator.cost.run_prices import PriceBook, Prices
from simulator.foundation import UserError
from simulator.foundation.resources import bundled_names, data_folder

TABLES = bundled_names("energy_tables")
PRICES = [name for name in TABLES if load_table(name).role == "prices"]


@cache
def _parsed(name: str) -> dict[str, Any]:
    loaded = yaml.load((data_folder("energy_tables") / f"{name}.yaml").read_text(), yaml.CSafeLoader)
    assert isinstance(loaded, dict)
    return loaded


def document(name: str) -> dict[str, Any]:
    """A copy of a bundled table's document, to be broken."""
    return copy.deepcopy(_parsed(name))


def written(broken: dict[str, Any]) -> str:
    return str(yaml.dump(broken, Dumper=yaml.CSafeDumper, sort_keys=False))


def every_row() -> Iterator[Any]:
    for name in TABLES:
        for index, row in enumerate(_parsed(name)["rows"]):
            yield pytest.param(
                name, index, id=f"{name}-{index}-{row['component']}-{row['variant']}-{row['action']}"
            )


def refusal(broken: dict[str, Any]) -> str:
    with pytest.raises(UserError) as caught:
        parse_table(written(broken), source="broken.yaml")
    return str(caught.value)


def assert_names_the_row(message: str, row: dict[str, Any]) -> None:
    assert message.startswith("broken.yaml: line ")
    assert f"row {row['component']}/{row['variant']}/" in message
    assert "\n" not in message


@pytest.mark.parametrize(("name", "index"), list(every_row()))
def test_a_row_without_provenance_is_refused(name: str, index: int) -> None:
    for field in ("source", "status", "conditions"):
        broken = document(name)
        del broken["rows"][index][field]
        message = refusal(broken)
        assert f"{field} is required but missing" in message
        assert_names_the_row(message, broken["rows"][index])


@pytest.mark.parametrize(("name", "index"), list(every_row()))
def test_a_doubled_row_is_refused_with_both_lines(name: str, index: int) -> None:
    broken = document(name)
    row = broken["rows"][index]
    broken["rows"].append(copy.deepcopy(row))
    message = refusal(broken)
    assert "is doubled; first given in line" in message
    assert_names_the_row(message, row)
    text = written(broken).splitlines()
    for line in re.findall(r"line (\d+)", message):
        assert text[int(line) - 1].startswith("- component:")


@pytest.mark.parametrize(("name", "index"), list(every_row()))
def test_an_unknown_component_or_action_suggests_the_nearest(name: str, index: int) -> None:
    broken = document(name)
    broken["rows"][index]["component"] += "x"
    message = refusal(broken)
    assert "unknown component" in message
    assert "did you mean" in message
    broken = document(name)
    broken["rows"][index]["action"] = "explode"
    assert "has no such action" in refusal(broken)


@pytest.mark.parametrize(("name", "index"), list(every_row()))
def test_a_zero_needs_a_reason(name: str, index: int) -> None:
    broken = document(name)
    row = broken["rows"][index]
    value = next(
        (field for field in row if re.search(r"_(uw|pj|fj|mw|um2|mm2|mm|byte|bit|ns)$", field)), None
    )
    if value is None:
        row.pop("fitted")
        value = "energy_pj" if row["action"] != "area" else "area_um2"
    row[value] = 0
    message = refusal(broken)
    assert "is zero without a reason" in message
    assert_names_the_row(message, row)


@pytest.mark.parametrize("name", PRICES)
def test_every_row_of_another_node_is_not_priced_unless_scaling_is_asked_for(name: str) -> None:
    broken = document(name)
    for conditions in broken["conditions"].values():
        if "node_nm" in conditions:
            conditions["node_nm"] = 45
    table = parse_table(written(broken), source="broken.yaml")
    prices = Prices.of(ArchConfig(), PriceBook([table]))
    for row in table.rows.values():
        if row.conditions.scope == "external":
            continue
        found = prices.take(row)
        assert isinstance(found, NotPriced)
        assert "prices hold at 45 nm, process.node_nm is 28 nm: set scaling.node to true" in found.reason
        assert found.needs == f"row {table.name}:{row.key}"


@pytest.mark.parametrize(
    ("field", "value", "way_out"),
    [
        ("clock_mhz", 1000, "set scaling.frequency to true, clock_mhz to 1000, or add a table"),
        ("voltage_v", 0.9, "set scaling.voltage to true, process.voltage_v to 0.9, or add a table"),
        ("temperature_c", 85, "nothing scales it: set process.temperature_c to 85 or add a table"),
        ("corner", "SS", "nothing scales it: set process.corner to SS or add a table"),
    ],
)
def test_at_other_conditions_than_the_architectures_nothing_is_priced(
    field: str, value: object, way_out: str
) -> None:
    broken = document("johnson2018_28nm")
    broken["conditions"]["pe"][field] = value
    table = parse_table(written(broken), source="broken.yaml")
    row = table.rows["pe_multiply/int8/operate"]
    found = Prices.of(ArchConfig(), PriceBook([table])).take(row)
    assert isinstance(found, NotPriced)
    assert way_out in found.reason
    assert found.needs == "row johnson2018_28nm:pe_multiply/int8/operate"


def parts_of_wholes() -> Iterator[Any]:
    for name in TABLES:
        for whole in _parsed(name)["rows"]:
            for part in (
                *whole.get("parts", ()),
                "/".join(whole[key] for key in ("component", "variant", "action")),
            ):
                if whole.get("parts"):
                    yield pytest.param(name, whole["component"], part, id=f"{whole['variant']}-{part}")


@pytest.mark.parametrize(("name", "whole", "part"), list(parts_of_wholes()))
def test_parts_that_no_longer_add_up_to_their_whole_are_refused(name: str, whole: str, part: str) -> None:
    broken = document(name)
    component, variant, action = part.split("/")
    (row,) = (
        row
        for row in broken["rows"]
        if (row["component"], row["variant"], row["action"]) == (component, variant, action)
    )
    value = next(field for field in ("power_uw", "area_um2") if field in row)
    row[value] = round(row[value] + 0.1, 3)
    message = refusal(broken)
    assert "do not add up" in message
    assert f"row {whole}/{variant}/{action}" in message


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"power_uw": -1.0}, "must not be negative"),
        ({"power_uw": float("nan")}, "must not be negative or infinite"),
        ({"energy_pj": 0.2}, "needs exactly one value"),
        ({"power_uw": None}, "needs exactly one value"),
        ({"power_uw": None, "area_um2": 3.0}, "area_um2 is no value of this action"),
        ({"source": "somebody"}, "source is not among the table's sources"),
        ({"conditions": "nowhere"}, "conditions are not among the table's conditions"),
        ({"parts": ["pe_add/int8/operat"]}, "names a part that is no row"),
        ({"remainder": 3}, "has a remainder but no parts"),
        ({"powre": 3}, "did you mean"),
        ({"status": "guess"}, "status"),
        ({"power_uw": "many"}, "power_uw"),
        ({"fitted": "x", "power_uw": None}, "is not an unknown of that fit"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused(change: dict[str, Any], expected: str) -> None:
    broken = document("johnson2018_28nm")
    row = broken["rows"][1]
    assert (row["component"], row["variant"]) == ("pe_multiply", "int8")
    row.update(change)
    message = refusal(
        {**broken, "rows": [{k: v for k, v in r.items() if v is not None} for r in broken["rows"]]}
    )
    assert expected in message
    assert_names_the_row(message, row)


def test_a_yaml_key_given_twice_in_a_row_is_refused() -> None:
    text = (data_folder("energy_tables") / "dram.yaml").read_text()
    doubled = text.replace("energy_pj_per_bit: 8,", "energy_pj_per_bit: 8, energy_pj_per_bit: 9,")
    with pytest.raises(UserError, match=r"given twice.*energy_pj_per_bit"):
        parse_table(doubled, source="broken.yaml")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"unknowns": ["small_adder_bit/28nm/operat"]}, "is not an unknown of that fit"),
        ({"equations": [{"row": "johnson2018_28nm:nothing", "counts": [9]}]}, "has no such row"),
        ({"equations": [{"row": "johnson2018_28nm:pe_add/int8/operate", "counts": [0]}]}, "do not determine"),
        ({"equations": []}, "fits.small_adder_bit_energy.equations"),
        (
            {"equations": [{"row": "johnson2018_28nm:pe_add/int8/operate", "counts": [1, 2]}]},
            "one equation for each",
        ),
        ({"equations": [{"row": "johnson2018_28nm:pe_add/int8/operate", "counts": [-9]}]}, "not positive"),
    ],
)
def test_a_fit_that_cannot_be_solved_is_refused(change: dict[str, Any], expected: str) -> None:
    broken = document("parts_28nm")
    broken["fits"]["small_adder_bit_energy"].update(change)
    assert expected in refusal(broken)


def test_a_fit_gives_no_row_that_has_a_value_or_another_fit() -> None:
    """Nothing is overwritten in silence: the fit would win over the value that the row states."""
    broken = document("parts_28nm")
    row = next(each for each in broken["rows"] if each["component"] == "small_adder_bit")
    key = "/".join(row[name] for name in ("component", "variant", "action"))
    del row["fitted"]
    row["energy_pj"] = 0.5
    assert f"row {key}: is given by fit small_adder_bit_energy and has a value" in refusal(broken)
    again = document("parts_28nm")
    again["fits"]["twice"] = again["fits"]["small_adder_bit_energy"]
    assert f"row {key}: is given by fit twice and has a value or another fit beside it" in refusal(again)


def test_a_fit_to_rows_of_another_unit_is_refused() -> None:
    broken = document("parts_28nm")
    area = "johnson2018_28nm:pe_multiply/elma8/area"
    broken["fits"]["small_adder_bit_energy"]["equations"] = [{"row": area, "counts": [9]}]
    assert "fit small_adder_bit_energy is no value of this action" in refusal(broken)
    mixed = document("parts_28nm")
    mixed["fits"]["flip_flop_energy"]["equations"][1]["row"] = "johnson2018_28nm:pe_registers/elma8/area"
    assert "fits.flip_flop_energy: mixes rows of different units" in refusal(mixed)


def test_a_fit_for_a_row_that_is_not_there_is_refused() -> None:
    broken = document("parts_28nm")
    broken["fits"]["spare"] = {
        **broken["fits"]["small_adder_bit_energy"],
        "unknowns": ["nothing/28nm/operate"],
    }
    assert "fits.spare: gives a row that the table does not have" in refusal(broken)


@pytest.mark.parametrize("name", [name for name in TABLES if name not in PRICES])
def test_tables_for_comparison_can_price_nothing(name: str) -> None:
    with pytest.raises(UserError, match="nothing can be priced from it"):
        PriceBook.load([*ArchConfig().tables, name])


def test_no_price_is_fitted_to_a_table_for_comparison() -> None:
    for name in PRICES:
        for fit in _parsed(name).get("fits", {}).values():
            for equation in fit["equations"]:
                assert load_table(equation["row"].partition(":")[0]).role == "prices"


def test_the_default_architecture_finds_every_table() -> None:
    assert set(ArchConfig().tables) == set(PRICES)


def test_errors_name_the_users_own_file(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(written({**document("dram"), "rows": [{"component": "dram"}]}))
    with pytest.raises(UserError) as caught:
        load_table(str(own))
    assert str(caught.value).startswith(f"{own}: line ")
