"""Self-checking Verilog testbenches: rows of inputs and expected outputs, which numerics gave beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from simulator.hardware.array_circuit import ArrayShape
from simulator.hardware.array_stimuli import array_stimuli
from simulator.hardware.designs import CLOCK, Design, Port
from simulator.hardware.sequential_checks import array_inputs, grid_states, joined
from simulator.hardware.step_checks import expected_step
from simulator.hardware.step_circuit import SumLayout
from simulator.hardware.step_stimuli import step_stimuli
from simulator.numerics import Mac

Numbers = npt.NDArray[Any]

_STEPS: Final = 4096
_RANDOM_EDGES: Final = 200
_MOST_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Testbench:
    """A testbench of one module: its name, its Verilog, and the file of vectors that it reads."""

    __test__ = False  # not a test, whatever its name says to pytest

    name: str
    verilog: str
    vector_file: str
    vectors: str


def mac_testbench(mac: Mac, design: Design, seed: int) -> Testbench:
    """Steps of a MAC: directed and random operands and sums."""
    stimuli = step_stimuli(mac, seed)
    generator = np.random.default_rng([seed, 3])
    chosen = np.sort(generator.choice(len(stimuli), min(_STEPS, len(stimuli)), replace=False))
    step = expected_step(mac, stimuli.part(chosen), seed)
    return _testbench(design, [step.inputs | {"sum_out": step.expected}])


def array_testbench(mac: Mac, shape: ArrayShape, design: Design, length: int, seed: int) -> Testbench:
    """A reset, a product through the array and out of it, then control in any order, against the grid."""
    stimuli = array_stimuli(mac, shape, seed, length, _RANDOM_EDGES)
    edges = []
    for edge, state in enumerate(grid_states(mac, shape, stimuli)):
        expected = {"sums": joined(state.sums[-1][None], SumLayout.of(mac).bits)}
        if any(port.name == "codes" for port in design.outputs):
            expected["codes"] = joined(state.outputs[None], mac.activation.bits)
        edges.append(array_inputs(mac, shape, [stimuli], edge) | expected)
    return _testbench(design, edges)


def _testbench(design: Design, batches: Sequence[Mapping[str, Numbers]]) -> Testbench:
    ports = (*design.inputs, *design.outputs)
    width = sum(port.bits for port in ports)
    digits = -(-width // 4)
    rows = [f"{word:0{digits}x}" for batch in batches for word in _words(ports, batch)]
    name = f"{design.name}_tb"
    vector_file = f"{design.name}_vectors.hex"
    text = _TEMPLATE.format(
        name=name,
        module=design.name,
        rows=len(rows),
        last_bit=width - 1,
        vector_file=vector_file,
        declarations="\n".join(_declarations(design)),
        pins=",\n    ".join(_pin_list(design)),
        edge=_CLOCKED if design.has_clock else "    #1;",
        checks="\n".join(_checks(design)),
    )
    return Testbench(name, text, vector_file, "\n".join(rows) + "\n")


def _words(ports: Sequence[Port], batch: Mapping[str, Numbers]) -> list[int]:
    """Values of all ports side by side, the first port lowest."""
    count = len(next(iter(batch.values())))
    words = [0] * count
    place = 0
    for port in ports:
        mask = (1 << port.bits) - 1
        for index, value in enumerate(batch[port.name].tolist()):
            words[index] |= (int(value) & mask) << place
        place += port.bits
    return words


def _declarations(design: Design) -> list[str]:
    lines, place = [], 0
    for port in design.inputs:
        lines.append(f"  wire [{port.bits - 1}:0] {port.name} = vector[{place + port.bits - 1}:{place}];")
        place += port.bits
    for port in design.outputs:
        bits = f"[{port.bits - 1}:0]"
        lines.append(f"  wire {bits} {port.name};")
        lines.append(f"  wire {bits} expected_{port.name} = vector[{place + port.bits - 1}:{place}];")
        place += port.bits
    return lines


def _pin_list(design: Design) -> list[str]:
    names = [port.name for port in (*design.inputs, *design.outputs)]
    return [f".{name}({name})" for name in ([CLOCK] if design.has_clock else []) + names]


def _checks(design: Design) -> list[str]:
    return [
        f"      checks = checks + 1;\n"
        f"      if ({port.name} !== expected_{port.name}) begin\n"
        f"        errors = errors + 1;\n"
        f"        if (errors <= {_MOST_SHOWN})\n"
        f'          $display("row %0d: {port.name} is %h, expected %h",\n'
        f"                   row, {port.name}, expected_{port.name});\n"
        f"      end"
        for port in design.outputs
    ]


_CLOCKED: Final = "      #1 clk = 1;\n      #1 clk = 0;"

_TEMPLATE: Final = """\
// Drives {module} with the rows of {vector_file} and compares its outputs with those expected there.
// Prints PASS or FAIL. Run it in the folder of the vectors.
`timescale 1ns / 1ps
module {name};
  reg clk = 0;
  reg [{last_bit}:0] vectors [0:{rows} - 1];
  reg [{last_bit}:0] vector = 0;
{declarations}
  integer row, checks, errors;
  {module} dut (
    {pins}
  );
  initial begin
    $readmemh("{vector_file}", vectors);
    checks = 0;
    errors = 0;
    for (row = 0; row < {rows}; row = row + 1) begin
      vector = vectors[row];
{edge}
{checks}
    end
    if (errors == 0)
      $display("PASS: %0d comparisons in {rows} rows", checks);
    else
      $display("FAIL: %0d of %0d comparisons differ", errors, checks);
    $finish;
  end
endmodule
"""
