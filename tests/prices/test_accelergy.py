"""Do tables come back from Accelergy's format as they went, and never without their provenance?"""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from simulator.cost.accelergy import export_art, export_ert, import_reference_tables
from simulator.cost.price_tables import load_table, parse_table
from simulator.foundation import UserError

LOGIC = {
    "node_nm": 28,
    "voltage_v": 0.81,
    "temperature_c": 25,
    "clock_mhz": 500,
    "activity": "as before",
}
PROVENANCE: dict[str, Any] = {"source": "round trip", "status": "model", "conditions": LOGIC}
NO_PLACE = {"mW", "mW/um2", "pJ/bit/mm"}


@pytest.mark.parametrize("name", ["johnson2018_28nm", "parts_28nm", "dram", "tsmc_28hpc_plus"])
def test_a_table_survives_the_round_trip(name: str) -> None:
    table = load_table(name)
    text = import_reference_tables([export_ert(table), export_art(table)], name="back", provenance=PROVENANCE)
    back = parse_table(text, source="back.yaml")
    kept = {key: row for key, row in table.rows.items() if row.unit not in NO_PLACE}
    assert set(back.rows) == set(kept)
    for key, row in kept.items():
        assert back.rows[key].value == pytest.approx(row.value, rel=1e-12)
        assert back.rows[key].unit == row.unit
        assert back.rows[key].source == "round trip"


def test_a_memory_access_is_a_whole_word_in_picojoules() -> None:
    """0.227 pJ/byte of a word of 256 bit are 7.264 pJ an access; a row of 9 pJ an access is that already."""
    row = {"component": "sram", "conditions": "cells", "source": "us", "status": "model", "capacity_kib": 64}
    document = {
        "table": "mine",
        "description": "two macros",
        "sources": {"us": "a compiler"},
        "conditions": {"cells": {"scope": "macro", "node_nm": 28, "activity": "any"}},
        "rows": [
            row | {"variant": "ram", "action": "read", "energy_pj_per_byte": 0.227, "word_bits": 256},
            row | {"variant": "fast", "action": "read", "energy_pj": 9, "word_bits": 64},
        ],
    }
    ert = yaml.safe_load(export_ert(parse_table(yaml.safe_dump(document), source="mine.yaml")))
    energies = {
        (entry["name"], action["name"]): action["energy"]
        for entry in ert["ERT"]["tables"]
        for action in entry["actions"]
    }
    assert energies["system.sram.ram.64KiB.256bit", "read"] == pytest.approx(7.264)
    assert energies["system.sram.fast.64KiB.64bit", "read"] == 9


def test_terms_of_a_fitted_memory_are_left_out_and_counted() -> None:
    table = load_table("sram_28nm")
    assert "# 19 rows are terms of a fitted memory, which holds for no single size" in export_ert(table)
    assert "  tables: []" in export_ert(table)
    assert "system.sram" not in export_art(table)


def test_provenance_goes_into_comments() -> None:
    text = export_ert(load_table("johnson2018_28nm"))
    assert "# pe_multiply/int8/operate, published: J. Johnson" in text
    assert "# 28 nm, 0.81 V, 25 C, TT, 500 MHz; inner products" in text


def test_what_has_no_place_in_an_ert_is_counted() -> None:
    assert "# 2 rows of leakage, wires or times" in export_ert(load_table("interconnect_28nm"))


@pytest.mark.parametrize("missing", ["source", "status", "conditions"])
def test_nothing_is_imported_without_provenance(missing: str) -> None:
    given = {key: value for key, value in PROVENANCE.items() if key != missing}
    with pytest.raises(UserError, match=f"{missing}: an imported table needs its provenance"):
        import_reference_tables([export_ert(load_table("dram"))], name="back", provenance=given)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ERT: {version: 0.4, tables: [{name: system.alien, actions: []}]}", "names no known component"),
        ("ERT: {version: 0.4}", "must be a list of components"),
        (
            "ERT: {tables: [{name: system.pe.x, actions: [operate]}]}",
            "ERT.tables.system.pe.x.actions: must be",
        ),
        ("ERT: {tables: [{name: system.pe.x, actions: 3.0}]}", "must be a list of actions"),
        ("tables: []", "holds neither an ERT nor an ART"),
        ("- a list", "holds neither an ERT nor an ART"),
        ("ERT: [", "is not valid YAML"),
        ("ART: {tables: [{name: system.pe.int8, area: 0}]}", "is zero without a reason"),
        ("ART: {tables: [{name: system.pe.int8, area: 1}, {name: system.pe.int8, area: 1}]}", "is doubled"),
        ("ERT: {tables: [{name: system.pe.x, actions: [{name: run, energy: 1}]}]}", "no such action"),
        ("ERT: {tables: [{name: system.pe.x, actions: [{name: operate}]}]}", "energy_pj is empty"),
        (
            f"ERT: {{tables: [{{name: system.sram.{'9' * 400}bit, actions: [{{name: read, energy: 1}}]}}]}}",
            "names a word that is too wide",
        ),
        (
            "ERT: {tables: [{name: system.sram.ram.4KiB.1048577bit, actions: [{name: read, energy: 1}]}]}",
            "word_bits: .*1048576",
        ),
    ],
)
def test_what_cannot_be_imported_is_said_in_one_message(text: str, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        import_reference_tables([text], name="back", provenance=PROVENANCE, source="theirs.yaml")
