"""Rows with the status `synthesised`: below composed prices, beside them, and used where asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simulator.cost.price_tables import parse_table
from simulator.foundation import UserError
from simulator.foundation.documents import dump_yaml
from simulator.report.intervals import shares_of
from simulator.simulation import simulate

LOGIC = {
    "node_nm": 28,
    "voltage_v": 0.81,
    "temperature_c": 25,
    "corner": "TT",
    "clock_mhz": 500,
    "activity": "x",
}


def row(component: str, action: str, **fields: Any) -> dict[str, Any]:
    return {
        "component": component,
        "variant": "mine",
        "action": action,
        "conditions": "logic",
        "source": "tool",
        "status": "synthesised",
        **fields,
    }


def document(**changes: Any) -> dict[str, Any]:
    rows = [
        row("pe", "operate", energy_pj=0.4, low=0.3, high=0.6),
        row("pe_registers", "operate", energy_pj=0.2, low=0.15, high=0.3),
        row("pe_registers", "clock", energy_pj=0.1, low=0.075, high=0.15),
        row("pe", "area", area_um2=300, low=240, high=375),
        row("pe_registers", "area", area_um2=100, low=80, high=125),
    ]
    provenance = {
        "tools": {"pyosys": "0.70"},
        "script_sha256": "a" * 64,
        "library": "generic",
        "library_sha256": "b" * 64,
        "candidate": "ripple adders, small",
        "delay_ns": 1.5,
        "stimulus": "bench",
        "seed": 1,
        "calibration": "johnson2018_28nm:pe/int8",
    }
    return {
        "table": "gates",
        "description": "Synthesised.",
        "sources": {"tool": "systolic rtl price"},
        "conditions": {"logic": LOGIC},
        "macs": {"mine": {"activation": "int6", "weight": "int5", "product": "exact", "accumulator": 20}},
        "synthesised": {"mine": provenance},
        "rows": rows,
        **changes,
    }


def simulated(tmp_path: Path, price: str | None, **mac: Any) -> Any:
    (tmp_path / "gates.yaml").write_text(dump_yaml(document()), encoding="utf-8")
    unit = {
        "activation": "int6",
        "weight": "int5",
        "accumulator": {"kind": "fixed", "bits": 20, "lsb": 0},
        **mac,
    }
    arch = {
        "array": {"rows": 4, "columns": 4, "mac": "small"},
        "macs": {"small": unit | ({} if price is None else {"price": price})},
        "tables": ["gates.yaml", "johnson2018_28nm", "parts_28nm", "sram_28nm", "dram", "interconnect_28nm"],
    }
    path = tmp_path / "arch.yaml"
    path.write_text(dump_yaml(arch), encoding="utf-8")
    (tmp_path / "net.csv").write_text("Layer, M, N, K\nfc, 8, 8, 16\n", encoding="utf-8")
    return simulate(tmp_path / "net.csv", path)


def pe_status(result: Any) -> set[str]:
    return {p.status for p in result.sources.prices if p.table == "gates"}


def test_composed_comes_before_synthesised_which_is_shown_beside_it(tmp_path: Path) -> None:
    result = simulated(tmp_path, None)
    assert pe_status(result) == set()
    (note,) = [note for note in result.sources.notes if "synthesised" in note]
    assert note == (
        "small: synthesised in table gates, 0.4 pJ (0.3 to 0.6) and 300 um2 (240 to 375) a PE; shown beside "
        "its price: set macs.small.price to synthesised to use it"
    )
    reasons = {unused.reason for unused in result.sources.unused if unused.table == "gates"}
    assert reasons == {
        "synthesised rows are shown beside other prices: set macs.small.price to synthesised to use them"
    }
    assert not any(unused.never for unused in result.sources.unused)


def test_price_synthesised_takes_them(tmp_path: Path) -> None:
    """16 PEs of 300 um2; the interval's farther end, 0.6 of 0.4, is 50 % of uncertainty."""
    result = simulated(tmp_path, "synthesised")
    assert pe_status(result) == {"synthesised"}
    assert result.area_um2["pe_array"] == pytest.approx(16 * 300)
    shares = shares_of(result, "area")
    assert shares is not None
    # 240 to 375 of 300: the farther end is a quarter, of 16 PEs.
    share = shares["gates:pe/mine/area"]
    assert [share.amount, share.uncertainty] == pytest.approx([16 * 300, 0.25])
    used = {price.row: price for price in result.sources.prices if price.table == "gates"}
    energy = used["pe/mine/operate"]
    assert energy.uncertainty == pytest.approx(0.5)
    assert (
        energy.formula == "generic library, ripple adders, small, 1.5 ns, scaled by johnson2018_28nm:pe/int8"
    )
    (note,) = [note for note in result.sources.notes if "synthesised" in note]
    assert "beside" not in note


def test_synthesised_rows_of_other_numerics_are_not_taken(tmp_path: Path) -> None:
    result = simulated(tmp_path, "synthesised", weight="int6")
    (reason,) = {missing.reason for missing in result.not_priced if "synthesised" in missing.reason}
    assert (
        "has synthesised rows of the numerics of MAC 'small': write one with `systolic rtl price`" in reason
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"low": None}, "is synthesised, so it needs low and high"),
        ({"low": None, "status": "own"}, "needs both low and high, or neither"),
        ({"low": 0.5}, r"has a value outside of low to high \(got 0.4\); allowed: 0.5 to 0.6"),
        ({"high": 0.39}, "has a value outside of low to high"),
        ({"variant": "other"}, "its variant needs an entry in the section synthesised"),
        ({"component": "converter"}, "only rows of a PE are synthesised"),
    ],
)
def test_rows_that_are_refused(change: dict[str, Any], message: str) -> None:
    changed = document()
    changed["rows"][0] |= change
    with pytest.raises(UserError, match=message):
        parse_table(dump_yaml(changed), source="gates.yaml")


def test_provenance_is_needed_whole() -> None:
    changed = document()
    del changed["synthesised"]["mine"]["library_sha256"]
    with pytest.raises(UserError, match=r"synthesised.mine.library_sha256"):
        parse_table(dump_yaml(changed), source="gates.yaml")
    changed = document()
    changed["synthesised"]["yours"] = changed["synthesised"]["mine"]
    with pytest.raises(UserError, match=r"synthesised.yours: is no variant of the table's rows of PEs"):
        parse_table(dump_yaml(changed), source="gates.yaml")
