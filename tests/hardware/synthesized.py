"""MACs mapped onto gates once for all tests, and mutants of their RTL."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from simulator.hardware.array_circuit import ArrayShape
from simulator.hardware.designs import Design, DesignBuilder
from simulator.hardware.step_circuit import SumLayout
from simulator.hardware.synthesized_macs import SynthesizedMac
from simulator.hardware.yosys_runs import run_yosys
from simulator.numerics import get_mac


@cache
def synthesized(name: str, rows: int = 3, columns: int = 2, dataflow: str = "os") -> SynthesizedMac:
    return SynthesizedMac.of(get_mac(name), ArrayShape.of(rows, columns, dataflow))


def with_text(original: SynthesizedMac, role: str, text: str) -> SynthesizedMac:
    """The same hardware with other RTL in one module, mapped anew."""
    assert text != original.designs[role].text
    designs: Mapping[str, Design] = {
        **original.designs,
        role: replace(original.designs[role], text=text),
    }
    return SynthesizedMac.mapped(original.mac, original.shape, designs)


def from_codes(original: SynthesizedMac) -> SynthesizedMac:
    """The same with one module more, `codes`: the MAC behind its decoders, without flags that cannot be.

    Its inputs are what can occur: a register of 12 bits has patterns that no code has, and a sum does not
    overflow in both directions first.
    """
    from amaranth import Cat, Instance, Signal

    mac, layout = original.mac, SumLayout.of(original.mac)
    builder = DesignBuilder("mac_from_codes")
    registers = {}
    for operand, fmt in (("activation", mac.activation), ("weight", mac.weight)):
        code = builder.input(operand, fmt.bits)
        registers[operand] = code
        decoder = original.designs.get(f"{operand}_decoder")
        if decoder is not None:
            registers[operand] = Signal(fmt.register_bits, name=f"{operand}_register")
            builder.module.submodules[operand] = Instance(
                decoder.name, i_code=code, o_register=registers[operand]
            )
    old, new = builder.input("sum_in", layout.bits), builder.output("sum_out", layout.bits)
    possible = Cat(old[:-1], old[-1] & ~old[-2]) if layout.overflow_bits else old
    builder.module.submodules.mac = Instance(
        original.designs["mac"].name,
        i_activation=registers["activation"],
        i_weight=registers["weight"],
        i_sum_in=possible,
        o_sum_out=new,
    )
    return SynthesizedMac.mapped(mac, original.shape, {**original.designs, "codes": builder.build()})


SWAPPED = {
    "$add": "$sub",
    "$sub": "$add",
    "$and": "$or",
    "$or": "$and",
    "$xor": "$or",
    "$eq": "$ne",
    "$ne": "$eq",
    "$lt": "$le",
    "$gt": "$ge",
    "$ge": "$gt",
    "$mul": "$add",
    "$not": "$pos",
    "$reduce_bool": "$reduce_and",
    "$reduce_or": "$reduce_and",
    "$reduce_and": "$reduce_or",
}


def mutants(text: str, count: int, seed: int) -> list[str]:
    """RTLIL with one cell, one constant, one sign or one multiplexer changed each; none in unused cells."""
    used = run_yosys(["read_rtlil a.il", "opt_clean", "write_rtlil b.il"], {"a.il": text}, ["b.il"])
    lines = used.files["b.il"].split("\n")
    places: list[tuple[int, str]] = []
    for number, line in enumerate(lines):
        if found := re.match(r"\s+cell (\$\w+) ", line):
            if found[1] in SWAPPED:
                places.append((number, line.replace(found[1], SWAPPED[found[1]], 1)))
            if found[1] == "$mux":
                places.append((number, ""))
        elif found := re.match(r"(\s+connect .*?)(\d+)'([01]+)(.*)$", line):
            bits = found[3]
            flipped = bits[:-1] + ("1" if bits[-1] == "0" else "0")
            places.append((number, f"{found[1]}{found[2]}'{flipped}{found[4]}"))
        elif re.match(r"\s+parameter \\[AB]_SIGNED 1", line):
            places.append((number, line.replace("SIGNED 1", "SIGNED 0")))
    made = []
    for number, line in random.Random(seed).sample(places, min(count, len(places))):
        changed = list(lines)
        if line:
            changed[number] = line
            if "_SIGNED 0" in line:
                _unsign_other(changed, number)
        else:
            _swap_inputs(changed, number)
        made.append("\n".join(changed))
    return made


def _unsign_other(lines: list[str], number: int) -> None:
    """Both operands of a cell have one signedness."""
    for near in range(max(number - 5, 0), min(number + 6, len(lines))):
        if re.match(r"\s+parameter \\[AB]_SIGNED 1", lines[near]):
            lines[near] = lines[near].replace("SIGNED 1", "SIGNED 0")


def _swap_inputs(lines: list[str], number: int) -> None:
    ports = {}
    for near in range(number, number + 12):
        if found := re.match(r"(\s+connect \\)([AB])( .*)$", lines[near]):
            ports[found[2]] = near
            lines[near] = f"{found[1]}{'B' if found[2] == 'A' else 'A'}{found[3]}"
        if lines[near].strip() == "end":
            break
    assert set(ports) == {"A", "B"}
