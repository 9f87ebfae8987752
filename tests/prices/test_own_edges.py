"""Do decoders and converters cost what rows of your own say, and is a row that none follows from named?"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from simulator.arch.config import ArchConfig
from simulator.cost.mac_parts import structure_of
from simulator.cost.price_tables import parse_table
from simulator.cost.pricing import ArchitecturePricing
from simulator.cost.table_check import check_tables
from simulator.cost.table_template import table_template
from simulator.foundation import UserError
from simulator.numerics import get_mac
from simulator.report.intervals import interval
from simulator.result import Result, priced
from simulator.simulation import simulate
from tests.prices.own_table import BUNDLED, document, row, write
from tests.prices.test_edges import DECODER_UM2, counts

LEAKED_PJ_PER_UM2 = 4.2e-6 / 500 * 1000
DECODER = (row("decoder/posit8.1/operate", 0.05), row("decoder/posit8.1/area", 60.0))
CONVERTER = (row("converter/posit8/operate", 0.4), row("converter/posit8/area", 300.0))


def pricing(table: str, mac: str, **fields: Any) -> ArchitecturePricing:
    document = {"array": {"rows": 16, "columns": 32}, "tables": [table, *BUNDLED], **fields}
    arch = ArchConfig.model_validate(document)
    return ArchitecturePricing(arch, structure_of(get_mac(mac, custom=arch.macs)))


@pytest.mark.parametrize(
    ("mac", "dataflow", "decoders", "decoded"),
    [
        ("posit8.1 x int8", "os", 16, 700),
        ("posit8.1 x int8", "is", 32, 700),
        ("int8 x posit8.1", "ws", 32, 900),
        ("posit8.1 x posit8.1", "os", 48, 1600),
    ],
)
def test_a_decoder_costs_what_its_rows_say_at_every_edge(
    tmp_path: Path, mac: str, dataflow: Any, decoders: int, decoded: int
) -> None:
    """0.05 pJ a code, of which 60 um2 leak 0.000504 pJ in a cycle, which time pays for."""
    prices = pricing(write(tmp_path, *DECODER), mac, array={"rows": 16, "columns": 32, "dataflow": dataflow})
    assert prices.area.parts_um2["decoders"] == pytest.approx(decoders * 60)
    energy_fj = prices.layer(counts(dataflow)).parts_fj["decoders"]
    assert energy_fj == pytest.approx(decoded * (0.05 - 60 * LEAKED_PJ_PER_UM2) * 1000, abs=1.01)


def test_each_operand_has_the_decoder_of_its_format(tmp_path: Path) -> None:
    """16 rows of posit8.1 at 60 um2 and 32 columns of posit8.2 at 45; 0.05 and 0.03 pJ a code."""
    other = (row("decoder/posit8.2/operate", 0.03), row("decoder/posit8.2/area", 45.0))
    prices = pricing(write(tmp_path, *DECODER, *other), "posit8.1 x posit8.2")
    assert prices.area.parts_um2["decoders"] == pytest.approx(16 * 60 + 32 * 45)
    by_hand = 700 * (0.05 - 60 * LEAKED_PJ_PER_UM2) + 900 * (0.03 - 45 * LEAKED_PJ_PER_UM2)
    assert prices.layer(counts()).parts_fj["decoders"] == pytest.approx(by_hand * 1000, abs=1.01)


def test_a_converter_costs_what_the_rows_of_its_mac_say(tmp_path: Path) -> None:
    prices = pricing(write(tmp_path, *CONVERTER), "posit8")
    assert prices.area.parts_um2["converters"] == pytest.approx(32 * 300)
    assert prices.area.parts_um2["decoders"] == pytest.approx(48 * DECODER_UM2)  # no rows: of parts
    energy_fj = prices.layer(counts(converter_operations=11)).parts_fj["converters"]
    assert energy_fj == pytest.approx(11 * (0.4 - 300 * LEAKED_PJ_PER_UM2) * 1000, abs=1.01)


def test_what_the_rows_lack_is_not_priced_and_not_filled_from_parts(tmp_path: Path) -> None:
    prices = pricing(write(tmp_path, DECODER[0], CONVERTER[1]), "posit8")
    assert prices.area.parts_um2["decoders"] is None
    assert prices.area.parts_um2["converters"] == pytest.approx(32 * 300)
    energies = prices.layer(counts(converter_operations=11)).parts_fj
    assert energies["decoders"] == 1600 * 50  # its leakage cannot be told apart without an area
    assert energies["converters"] is None
    assert any(note.startswith("decoders: leakage is inside") for note in prices.notes)


def test_a_decoder_inside_the_pe_may_cost_nothing(tmp_path: Path) -> None:
    inside = {"reason": "inside the PE"}
    rows = (row("decoder/posit8.1/operate", 0.0, **inside), row("decoder/posit8.1/area", 0.0, **inside))
    prices = pricing(write(tmp_path, *rows), "posit8")
    assert prices.area.parts_um2["decoders"] == 0
    assert prices.layer(counts()).parts_fj["decoders"] == 0


def test_rows_at_other_conditions_price_no_decoder(tmp_path: Path) -> None:
    mine = write(tmp_path, *DECODER, conditions={"voltage_v": 0.9})
    assert pricing(mine, "posit8").area.parts_um2["decoders"] is None
    scaled = pricing(mine, "posit8", scaling={"voltage": True})
    assert scaled.area.parts_um2["decoders"] == pytest.approx(48 * 60)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"energy_pj_per_bit": 1.0}, "energy_pj_per_bit is no value of decoder"),
        ({"energy_pj": 1.0, "max_clock_mhz": 500}, "max_clock_mhz is a field of rows of a PE"),
        ({"energy_pj": -1.0}, "must not be negative"),
    ],
)
def test_rows_of_decoders_that_cannot_be_are_refused(fields: dict[str, Any], message: str) -> None:
    written = {**row("decoder/posit8.1/operate", 1.0), **fields}
    if "energy_pj" not in fields:
        del written["energy_pj"]
    with pytest.raises(UserError, match=message):
        parse_table(yaml.safe_dump(document(written)), source="mine.yaml")


def run(folder: Path, *rows: dict[str, Any], mac: str = "posit8", **fields: Any) -> Result:
    (folder / "net.csv").write_text("Layer,M,N,K,\ng,64,48,40,\n")
    tables = [write(folder, *rows), *BUNDLED]
    return simulate(str(folder / "net.csv"), mac=mac, overrides={"tables": tables, **fields})


def test_rows_of_edges_are_used_and_a_result_names_them(tmp_path: Path) -> None:
    result = run(tmp_path, *DECODER, *CONVERTER)
    used = {price.row: price for price in result.sources.prices if price.table == "mine"}
    assert set(used) == {"decoder/posit8.1/operate", "decoder/posit8.1/area", "converter/posit8/operate",
                         "converter/posit8/area"}  # fmt: skip
    assert {price.status for price in used.values()} == {"own"}
    assert used["decoder/posit8.1/operate"].used_for == ["decoders"]
    assert result.sources.unused == []
    found = interval(result, "area")
    assert found is not None
    assert found.value == pytest.approx(priced(result.totals.area_um2))


@pytest.mark.parametrize(
    ("extra", "mac", "reason", "never"),
    [
        ("decoder/posit8.2/operate", "posit8", "no operand of this run has codes of posit8.2", False),
        (
            "decoder/posti8.1/operate",
            "posit8",
            "there is no format 'posti8.1' (the nearest is 'posit8.1')",
            True,
        ),
        ("decoder/int8/operate", "int8", "codes of int8 travel as they are, without a decoder", True),
        ("decoder/e4m3/operate", "posit8", "codes of e4m3 travel as they are, without a decoder", True),
        ("decoder/POSIT8.1/operate", "posit8",
         "the format 'POSIT8.1' is spelled 'posit8.1' as a variant", True),
        ("converter/psoit8/operate", "posit8", "no MAC is called 'psoit8' (the nearest is 'posit8')", True),
        ("converter/elma8/area", "posit8", "nothing that MAC elma8 computes is converted here", False),
        ("converter/int8/area", "int8", "nothing that MAC int8 computes is converted here", False),
    ],
)  # fmt: skip
def test_rows_that_no_edge_follows_from_say_why(
    tmp_path: Path, extra: str, mac: str, reason: str, never: bool
) -> None:
    result = run(tmp_path, row(extra, 1.0), mac=mac)
    assert [(unused.rows, unused.reason, unused.never) for unused in result.sources.unused] == [
        ([extra], reason, never)
    ]
    assert any("can never be used" in warning for warning in result.warnings) == never


def test_rows_of_edges_of_a_mac_that_is_too_slow_say_so(tmp_path: Path) -> None:
    macs = {"slow": {"activation": "posit8.1", "weight": "posit8.1", "max_clock_mhz": 400}}
    rows = (*DECODER, row("converter/slow/operate", 1.0))
    result = run(tmp_path, *rows, mac="slow", macs=macs)
    (unused,) = result.sources.unused
    assert unused.rows == ["decoder/posit8.1/operate", "decoder/posit8.1/area", "converter/slow/operate"]
    assert unused.reason == "MAC 'slow' meets timing up to 400 MHz only, clock_mhz is 500"
    assert result.totals.energy_by_component_pj["decoders"] is None


def test_a_template_has_rows_for_decoders_and_converters_where_there_are_any(tmp_path: Path) -> None:
    for mac, rows in (("posit8", [*DECODER, *CONVERTER]), ("int8", [])):
        arch = ArchConfig.model_validate({"array": {"mac": mac}})
        text = table_template("mine", arch)
        lines = [line for line in text.splitlines() if "decoder," in line or "converter," in line]
        keys = [f"{each['component']}/{each['variant']}/{each['action']}" for (each,) in map(
            yaml.safe_load, lines)]  # fmt: skip
        assert keys == [f"{each['component']}/{each['variant']}/{each['action']}" for each in rows]


def test_a_filled_template_is_used_to_the_last_row_of_its_edges(tmp_path: Path) -> None:
    text = table_template("filled", ArchConfig.model_validate({"array": {"mac": "posit8.1 x int8"}}))
    filled = re.sub(r"(energy_pj|area_um2|leakage_mw|time_ns|energy_pj_per_bit): ,", r"\1: 1,", text)
    whole = filled.replace("action: operate, energy_pj: 1, formats", "action: operate, energy_pj: 3, formats")
    file = tmp_path / "filled.yaml"
    file.write_text(whole)
    fields = {"array": {"mac": "posit8.1 x int8"}, "tables": [str(file), *BUNDLED]}
    check = check_tables(ArchConfig.model_validate(fields))
    used = {source.row for source in check.used if source.table == "filled"}
    assert {"decoder/posit8.1/operate", "decoder/posit8.1/area"} <= used
    assert not any(unused.never for unused in check.unused)
