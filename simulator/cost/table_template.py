"""A price table to fill in: the rows that an architecture needs, conditions stated, figures left empty."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from simulator.arch.config import ArchConfig
from simulator.arch.memories import SramConfig
from simulator.cost.mac_parts import structure_of
from simulator.cost.mac_structure import OPERAND_CLASSES, MacStructure
from simulator.foundation.documents import parse_yaml
from simulator.numerics import get_mac

_HEAD = """\
# Your own prices for {arch}. Fill in every empty figure, delete the rows that you do not have, then run
# `systolic tables check`. Figures may have other units: energy_fj, power_uw (divided by the clock of the
# conditions), area_mm2. docs/own_prices.md goes through an example, docs/energy.md explains each field.
table: {name}
description: Your own prices.
role: prices

sources:
  synthesis: 'report, tool and version, date'
  memories: 'memory compiler and version, or data sheet'
  dram: 'data sheet, or measurement'

# What the figures hold at. `logic` must match the architecture, unless its `scaling` permits a step.
conditions:
  logic: {{node_nm: {node}, voltage_v: {voltage}, temperature_c: {temperature}, corner: {corner}, clock_mhz: {clock}, activity: 'stimulus of the power report'}}
  macro: {{scope: macro, node_nm: {node}, voltage_v: {voltage}, temperature_c: {temperature}, activity: 'every access reads or writes a whole word'}}
  device: {{scope: external, activity: 'streaming accesses, interface included'}}

# status: own for your own results; published, derived, model, tool_default or ratio for others'.
rows:
"""

_MAC = """\
  # MAC {name}: {formats} into {accumulator}. Energies are of one cycle with a multiply-add, leakage included.
  # A row `pe` alone is enough; with `pe_registers` cycles without work cost less, with its `clock` (a cycle
  # in which nothing toggles) stalls too. Instead of `pe_combinational`: pe_multiply, pe_table, pe_shift, pe_add.
  - {{component: pe, variant: {quoted}, action: operate, energy_pj: , formats: {formats}, accumulator: {accumulator_row}, max_clock_mhz: {clock}, conditions: logic, source: synthesis, status: own}}
  - {{component: pe_combinational, variant: {quoted}, action: operate, energy_pj: , conditions: logic, source: synthesis, status: own}}
  - {{component: pe_registers, variant: {quoted}, action: operate, energy_pj: , conditions: logic, source: synthesis, status: own}}
  - {{component: pe_registers, variant: {quoted}, action: clock, energy_pj: , conditions: logic, source: synthesis, status: own}}
  - {{component: pe, variant: {quoted}, action: area, area_um2: , conditions: logic, source: synthesis, status: own}}

"""

_DECODER_HEAD = """\
  # Circuits at the array's edges: a decoder of one code (its variant is the format), a converter of one result (its
  # variant is the MAC). Without these rows they are composed from parts.
"""

_EDGE = """\
  - {{component: {component}, variant: {variant}, action: operate, energy_pj: , conditions: logic, source: synthesis, status: own}}
  - {{component: {component}, variant: {variant}, action: area, area_um2: , conditions: logic, source: synthesis, status: own}}
"""

_SRAM_HEAD = """\
  # One macro, of any capacity and word; buffers are built of as many as they need. Energies are of one access.
"""

_SRAM = """\
  - {{component: sram, variant: macro, action: {action}, {figure}: , capacity_kib: {capacity}, word_bits: {word}, conditions: macro, source: memories, status: own}}
"""

_DRAM = """\

  # The variant is what `dram.type` names.
  - {{component: dram, variant: {type}, action: transfer, energy_pj_per_bit: , conditions: device, source: dram, status: own}}
"""


def table_template(name: str, arch: ArchConfig) -> str:
    """The text of a table called `name` with a row for everything of `arch` that can have an own price."""
    process = arch.process
    text = _HEAD.format(
        arch=" ".join(arch.name.split()),
        name=_text(name),
        node=_number(process.node_nm),
        voltage=_number(process.voltage_v),
        temperature=_number(process.temperature_c),
        corner=process.corner,
        clock=_number(arch.clock_mhz),
    )
    structures = _structures(arch)
    macs = (_mac(structure, arch.clock_mhz) for structure in structures)
    return text + "".join(
        [*macs, *_edges(structures), *_memories(arch), _DRAM.format(type=_text(arch.dram.type))]
    )


def _number(value: float) -> str:
    """All digits of a number, so that a row holds at exactly the architecture's conditions."""
    return str(int(value)) if value == int(value) else repr(value)


def _text(value: str) -> str:
    """A text as YAML, quoted where it would be read as something else."""
    plain = re.fullmatch(r"[A-Za-z_][\w.+-]*", value) and parse_yaml(value, source=value) == value
    return value if plain else "'" + value.replace("'", "''") + "'"


def _structures(arch: ArchConfig) -> list[MacStructure]:
    """Every MAC of an architecture, once."""
    choices = [choice for layer in (None, *arch.layers) for choice, _ in arch.mac_choices(layer)]
    structures = (structure_of(get_mac(choice, custom=arch.macs)) for choice in choices)
    return list({structure.name: structure for structure in structures}.values())


def _edges(structures: Sequence[MacStructure]) -> Iterator[str]:
    """Rows of what decodes operands and converts results, where MACs have any."""
    found = dict.fromkeys(
        ("decoder", spec)
        for structure in structures
        for operand in OPERAND_CLASSES
        if structure.decoder(operand) and (spec := structure.format_of(operand)) is not None
    )
    found |= dict.fromkeys(("converter", each.name) for each in structures if each.converter)
    if found:
        yield _DECODER_HEAD
        yield from (_EDGE.format(component=component, variant=_text(variant)) for component, variant in found)
        yield "\n"


def _mac(structure: MacStructure, clock_mhz: float) -> str:
    identity = structure.identity
    accumulator = structure.accumulator_bits if identity is None else identity.accumulator
    bits = f"{accumulator} bits" if isinstance(accumulator, int) else accumulator
    return _MAC.format(
        name=structure.name,
        quoted=_text(structure.name),
        formats="" if identity is None else identity.formats,
        accumulator=bits,
        accumulator_row=accumulator,
        clock=_number(clock_mhz),
    )


def _memories(arch: ArchConfig) -> Iterator[str]:
    yield _SRAM_HEAD
    macros = (_macro(memory.config) for memory in arch.sram.memories)
    for capacity_kib, word_bits in dict.fromkeys(macros):
        for action, figure in (
            ("read", "energy_pj"),
            ("write", "energy_pj"),
            ("leakage", "leakage_mw"),
            ("area", "area_um2"),
            ("access", "time_ns"),
        ):
            yield _SRAM.format(action=action, figure=figure, capacity=_number(capacity_kib), word=word_bits)


def _macro(buffer: SramConfig) -> tuple[float, int]:
    """The macro that a buffer would be one of."""
    side_by_side = -(-buffer.word_bits // buffer.macro_word_bits) * buffer.all_ports
    return buffer.capacity_kib / side_by_side, buffer.touched_bits
