"""Prices from a MAC's own gates: calibrated on another PE, with intervals and provenance, read by cost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("amaranth", reason="needs Amaranth: pip install 'systolic-simulator[rtl]'")
pytest.importorskip("pyosys", reason="needs pyosys: pip install 'systolic-simulator[rtl]'")

from simulator.cost.price_tables import load_table, parse_table
from simulator.cost.synthesised_figures import SYNTHESISED_PES
from simulator.cost.validation import validate
from simulator.hardware.candidates import Effort
from simulator.hardware.generic_library import generic_library
from simulator.hardware.liberty_writer import liberty_text
from simulator.hardware.mac_synthesis import synthesise
from simulator.hardware.switching_stimuli import bench_stimuli
from simulator.hardware.synthesised_prices import INTERVALS, calibrating_variant
from simulator.numerics import get_mac
from tests.command import run

SMALL: tuple[Effort, ...] = ("small",)


@pytest.mark.parametrize(
    "name",
    [
        "int8",
        "elma8",
        *(
            pytest.param(name, marks=pytest.mark.exhaustive)
            for name in SYNTHESISED_PES
            if name not in ("int8", "elma8")
        ),
    ],
)
def test_the_figures_of_validate_are_what_synthesis_gives(name: str) -> None:
    """With the versions that they were written with; others move them by a few per cent."""
    stored = SYNTHESISED_PES[name]
    mac = get_mac(stored.mac)
    found = synthesise(
        mac, generic_library(), bench_stimuli(mac, 1), clock_mhz=None, must_meet=False, efforts=SMALL
    )
    assert found.chosen.area == pytest.approx(stored.area, rel=0.03)
    assert found.energy.whole == pytest.approx(stored.energy, rel=0.03)
    assert found.chosen.timing.period_ns == pytest.approx(stored.period_ns, rel=0.05)


def test_a_price_is_a_ratio_to_another_published_pe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """elma8: 957.0 of 897.67 NAND2 and 695.4 of 779.97, times the int8 PE's 336.672 um2 and 0.566 pJ."""
    path = tmp_path / "mine.yaml"
    done = run(capsys, "rtl", "price", "elma8", "-o", path).must_succeed()
    assert "calibrated on johnson2018_28nm:pe/int8" in done.stdout
    table = load_table(path)
    rows = {key.replace("elma8_synthesised", "*"): row for key, row in table.rows.items()}
    assert {row.status for row in rows.values()} == {"synthesised"}
    assert rows["pe/*/area"].value == pytest.approx(336.672 * 957.0 / 897.67, rel=0.01)
    assert rows["pe/*/operate"].value == pytest.approx(0.566 * 695.4 / 779.97, rel=0.01)
    # 63 flip-flops of 16/3 NAND2; 63 clock pins, 8 x 0.6 each.
    assert rows["pe_registers/*/area"].value == pytest.approx(336.672 * 63 * 16 / 3 / 897.67, rel=0.01)
    assert rows["pe_registers/*/clock"].value == pytest.approx(0.566 * 63 * 4.8 / 779.97, rel=0.01)
    for row in rows.values():
        assert (row.low, row.high) == pytest.approx((0.8 * row.value, 1.25 * row.value), rel=1e-3)
        assert row.uncertainty == pytest.approx(0.25, rel=1e-3)
        assert (row.conditions.node_nm, row.conditions.voltage_v, row.conditions.clock_mhz) == (28, 0.81, 500)
    provenance = table.synthesised["elma8_synthesised"]
    assert set(provenance.tools) == {"amaranth", "pyosys"}
    assert re.fullmatch(r"[0-9a-f]{64}", provenance.script_sha256)
    assert provenance.library_sha256 == generic_library().sha256
    assert (provenance.calibration, provenance.seed, provenance.at_least) == (
        "johnson2018_28nm:pe/int8",
        1,
        False,
    )
    assert "the published bench" in provenance.stimulus


def test_no_mac_is_calibrated_on_itself() -> None:
    int8 = {"activation": "int8", "weight": "int8", "accumulator": {"kind": "fixed", "bits": 32, "lsb": 0}}
    names = {
        "int8": "elma8",
        "elma8": "int8",
        "fp16": "int8",
        "fp8_fp16": "fp16",
        "bf16": "fp16",
        "posit8": "int8",
    }
    assert {name: calibrating_variant(get_mac(name)) for name in names} == names
    assert calibrating_variant(get_mac(int8)) == "elma8"


def test_every_published_pe_lies_in_the_interval_of_its_kind() -> None:
    """`at_least` where the smallest candidate is slower than 1.5 of what calibrated it, or of 2 ns."""
    checked = 0
    for check in validate():
        if check.synthesised is None:
            continue
        name = check.name.split(" PE ")[0].split()[0]
        slow = name in ("elma16", "fp16") or check.name == "28HPC+ float16 PE area"
        low, high = INTERVALS["area" if check.unit == "um2" else "operate", slow]
        assert low * check.synthesised <= check.published <= high * check.synthesised, check.name
        checked += 1
    assert checked == 9
    periods = {name: pe.period_ns for name, pe in SYNTHESISED_PES.items()}
    assert {name for name, period in periods.items() if period > 1.5 * 2.0} == {
        "elma16",
        "fp16",
        "float8_float16",
    }
    assert periods["float8_float16"] < 1.5 * periods["fp16"]  # which calibrates it


def test_a_given_library_prices_absolutely(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It leaks 2 nW a cell here: 2 fJ in 1000 cells at 1 MHz."""
    library = generic_library()
    text = liberty_text(library, library.cells.values()).replace("_X", "_SECRET")
    path, out = tmp_path / "my.lib", tmp_path / "table.yaml"
    path.write_text(re.sub(r"(    area : .*)", r"\1\n    cell_leakage_power : 2;", text), encoding="utf-8")
    arguments = ("rtl", "price", "int4 x int4", "-o", out, "--liberty", path, "--clock-mhz", "400")
    run(capsys, *arguments).must_refuse("a price from a library of your own needs --node-nm")
    assert not out.exists()
    run(capsys, *arguments, "--node-nm", "22", "--corner", "SS").must_succeed()
    written = out.read_text(encoding="utf-8")
    assert "SECRET" not in written
    table = parse_table(written, source="table")
    pe = table.rows["pe/int4_x_int4_synthesised/operate"]
    conditions = pe.conditions
    assert (conditions.node_nm, conditions.voltage_v, conditions.corner, conditions.clock_mhz) == (
        22,
        1.0,
        "SS",
        400,
    )
    assert table.synthesised["int4_x_int4_synthesised"].calibration == "none"
    area = table.rows["pe/int4_x_int4_synthesised/area"].value
    assert table.rows["pe_registers/int4_x_int4_synthesised/area"].value == pytest.approx(
        28 * 16 / 3, rel=1e-4
    )
    assert area > 28 * 16 / 3
    clock = table.rows["pe_registers/int4_x_int4_synthesised/clock"].value
    assert clock == pytest.approx((28 * 4.8 + 28 * 2 / 400) / 1000, rel=1e-4)
    assert pe.max_clock_mhz is not None
    assert pe.max_clock_mhz >= 400


def test_a_slow_library_has_a_table_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Below 1 MHz and between whole MHz the largest clock is not below the one that is met."""
    library = generic_library()
    text = liberty_text(library, library.cells.values())
    path, out = tmp_path / "my.lib", tmp_path / "table.yaml"
    for unit, clock_mhz in (("1us", 0.4), ("1ns", 400.25)):
        path.write_text(text.replace('"1ns"', f'"{unit}"'), encoding="utf-8")
        arguments = ("rtl", "price", "int4 x int4", "-o", out, "--liberty", path, "--node-nm", "28")
        run(capsys, *arguments, "--clock-mhz", str(clock_mhz)).must_succeed()
        row = parse_table(out.read_text(encoding="utf-8"), source="t").rows[
            "pe/int4_x_int4_synthesised/operate"
        ]
        assert row.max_clock_mhz is not None
        assert row.max_clock_mhz >= clock_mhz


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("-o", "t.csv"), "--out: unknown kind of file (got 't.csv'); allowed: a name that ends in .yaml"),
        (("--node-nm", "7"), "--node-nm, --temperature-c and --corner are of a library of your own"),
        (("--temperature-c", "nan"), "--temperature-c: is no junction temperature (got nan)"),
        (("--temperature-c", "300000"), "--temperature-c: is no junction temperature (got 300000.0)"),
        (("--corner", "XX"), "--corner: unknown corner (got 'XX'); allowed: TT, SS or FF"),
        (("--clock-mhz", "nan"), "--clock-mhz: must be a positive number (got nan)"),
        (("--liberty", "no.lib"), "no.lib: cannot be read"),
    ],
)
def test_nothing_is_written_after_an_error(
    more: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "table.yaml"
    run(capsys, "rtl", "price", "int8", "-o", out, *more).must_refuse(message)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    run(capsys, "rtl", "price", "int4 x int4", "-o", tmp_path / "file" / "t.yaml").must_refuse("t.yaml")
