"""The files of a MAC's hardware: Verilog, Amaranth source, testbenches with vectors, and what each is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from simulator.foundation.files import write_text
from simulator.foundation.staged_outputs import staged_folder
from simulator.hardware.array_circuit import ArrayShape, array_designs
from simulator.hardware.designs import Design, identifier
from simulator.hardware.output_converters import why_no_converter
from simulator.hardware.synthesized_macs import RTL_FILE, rtl_text
from simulator.hardware.testbenches import array_testbench, mac_testbench
from simulator.hardware.yosys_runs import require_wheels, run_yosys
from simulator.numerics import Mac

_PRODUCT_LENGTH: Final = 8


def emitted_files(mac: Mac, shape: ArrayShape, *, seed: int = 0) -> dict[str, str]:
    """All files by name.

    Raises:
        UserError: the MAC has no hardware, or the extra is not installed.
    """
    require_wheels()
    designs = array_designs(mac, shape)
    files = verilog_files(designs)
    for bench in (
        mac_testbench(mac, designs["mac"], seed),
        array_testbench(mac, shape, designs["array"], _PRODUCT_LENGTH, seed),
    ):
        files[f"{bench.name}.v"] = bench.verilog
        files[bench.vector_file] = bench.vectors
    files[f"{identifier(mac)}_amaranth.py"] = amaranth_source(mac, shape)
    files["README.txt"] = _readme(mac, shape, designs)
    return files


def emit(mac: Mac, shape: ArrayShape, folder: Path, *, seed: int = 0) -> list[Path]:
    """Write all files into a folder, all of them or none.

    Returns:
        The paths, in order of their names.

    Raises:
        UserError: see `emitted_files`; or the folder cannot be written.
    """
    files = emitted_files(mac, shape, seed=seed)
    with staged_folder(folder) as staged:
        for name, text in files.items():
            write_text(staged.folder / name, text)
    return [folder / name for name in sorted(files)]


def verilog_files(designs: Mapping[str, Design]) -> dict[str, str]:
    """A Verilog file for each module."""
    names = {design.name: f"{design.name}.v" for design in designs.values()}
    script = [f"read_rtlil {RTL_FILE}", "proc", "opt_clean"]
    for name, file in names.items():
        script += [f"select {name}", f"write_verilog -noattr -selected {file}"]
    run = run_yosys(script, {RTL_FILE: rtl_text(designs)}, list(names.values()))
    return dict(run.files)


def amaranth_source(mac: Mac, shape: ArrayShape) -> str:
    """A Python program that describes the same modules in Amaranth and prints them as RTLIL."""
    return _AMARANTH.format(
        name=identifier(mac),
        spec=repr(mac.spec),
        rows=shape.rows,
        columns=shape.columns,
        dataflow=shape.flow.name,
    )


_AMARANTH: Final = '''\
"""Describe the hardware of {name} in Amaranth, and print it as RTLIL, which Yosys reads.

The circuits are in the package `simulator.hardware`: change them there, or build on its functions.
"""

from simulator.hardware.array_circuit import ArrayShape, array_designs
from simulator.numerics import get_mac
from simulator.numerics.accumulators import FixedAccumulator, FloatAccumulator, TruncatedAccumulator
from simulator.numerics.mac_spec import MacPrice, MacSpec

SPEC = {spec}

for design in array_designs(get_mac(SPEC), ArrayShape.of({rows}, {columns}, "{dataflow}")).values():
    print(design.text)
'''


def _readme(mac: Mac, shape: ArrayShape, designs: Mapping[str, Design]) -> str:
    roles = {
        "activation_decoder": "from a code of activations to an operand register",
        "weight_decoder": "from a code of weights to an operand register",
        "mac": "combinational: two operand registers and a sum to the next sum",
        "pe": "a PE: the MAC between its registers",
        "converter": "from a sum to a code of activations",
        "array": f"{shape.rows} x {shape.columns} PEs, decoders and converters at the edges",
    }
    lines = [
        f"Hardware of {mac.name}: {mac.pair.specs}, {mac.accumulator}",
        f"Dataflow: {shape.flow.title}",
        "",
    ]
    lines += [f"{designs[role].name}.v: {what}" for role, what in roles.items() if role in designs]
    reason = why_no_converter(mac)
    lines += [] if reason is None else [f"There is no output converter: {reason}."]
    lines += [
        f"{identifier(mac)}_amaranth.py: the same modules in Amaranth; run in Python it prints them as RTLIL",
        "*_tb.v and *_vectors.hex: testbenches, with what they apply and expect",
    ]
    modules = " ".join(f"{design.name}.v" for design in designs.values())
    array, mac_module = designs["array"].name, designs["mac"].name
    lines += [
        "",
        "Testbenches read their vectors from this folder and print PASS or FAIL:",
        f"  iverilog -g2005 -o array_test {array}_tb.v {modules} && vvp array_test",
        f"  iverilog -g2005 -o mac_test {mac_module}_tb.v {mac_module}.v && vvp mac_test",
        "",
        "Ports of several codes or sums carry them side by side, that of row or column 0 in the lowest bits.",
        "Registers change at the rising edge of clk; reset is synchronous.",
    ]
    return "\n".join(lines) + "\n"
