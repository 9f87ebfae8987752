"""Drawings of one run: its memories with bytes on their arrows, and its folds over time."""

from __future__ import annotations

from simulator.operands import OPERANDS, Operand
from simulator.report import units
from simulator.report.components import CYCLE_CAUSES, STALL_COLOURS, Colour
from simulator.report.run_conditions import of_what
from simulator.report.svg import arrow, box, drawing, shortened, text
from simulator.result import LayerResult, Result

_STALL = STALL_COLOURS["dram"]
_MOST_LAYERS = 600
"""Layers that a strip of a few hundred points can show apart."""


def memory_diagram(result: Result) -> str:
    """DRAM, SRAM of each operand and PE array, with the bytes of the whole run on the arrows between them.

    Bytes are those of whole words and bursts where the result knows them.
    """
    sram = {operand: _moved(result, "sram_bytes", operand) for operand in OPERANDS}
    dram = {operand: _moved(result, "dram_bytes", operand) for operand in OPERANDS}
    most = max(1, *(bytes_ for sides in (*sram.values(), *dram.values()) for bytes_ in sides))
    parts = [
        box(6, 6, 84, 264),
        text(48, 130, "DRAM", "name"),
        text(48, 148, _energy(result, "dram"), "quiet"),
        box(400, 6, 84, 264),
        text(442, 122, "PE array", "name"),
        text(442, 140, _grid(result), "quiet"),
    ]
    for place, operand in enumerate(OPERANDS):
        y = 6 + 92 * place
        parts += [
            box(196, y, 98, 80),
            text(245, y + 24, f"SRAM {operand}", "name"),
            text(245, y + 42, _energy(result, f"sram_{operand}"), "quiet"),
        ]
        (dram_read, dram_write), (sram_read, sram_write) = dram[operand], sram[operand]
        if operand == "ofmap":
            parts += _labelled(400, 294, y + 62, sram_write, most)
            parts.append(text(245, y + 62, f"{units.data_size(sram_read)} read", "small"))
        else:
            parts += _labelled(294, 400, y + 44, sram_read, most)
            parts.append(text(245, y + 62, f"{units.data_size(sram_write)} written", "small"))
        parts += _labelled(90, 196, y + 24, dram_read, most)
        parts += _labelled(196, 90, y + 62, dram_write, most)
    told = f"Bytes {of_what(result)} between DRAM, SRAM and the PE array."
    return drawing(490, 276, parts, told)


def _labelled(x1: float, x2: float, y: float, count: int, most: int) -> list[str]:
    """An arrow between two boxes with its bytes, thicker for more; nothing for none."""
    if not count:
        return []
    thick = 1 + 6 * (count / most) ** 0.5
    return [
        arrow((x1, y), (x2, y), thick),
        text((x1 + x2) / 2, y - 5 - thick / 2, units.data_size(count), "small"),
    ]


def _moved(result: Result, memory: str, operand: Operand) -> tuple[int, int]:
    sides = [getattr(getattr(layer, memory), operand) for layer in result.layers]
    return (
        sum(side.moved_read or side.read for side in sides),
        sum(side.moved_write or side.write for side in sides),
    )


def _energy(result: Result, prefix: str) -> str:
    parts = [
        pj
        for name, pj in result.totals.energy_by_component_pj.items()
        if name == prefix or name.startswith(f"{prefix}_")
    ]
    known = [pj for pj in parts if pj is not None]
    if len(known) < len(parts):
        return units.NOT_PRICED
    return units.energy(sum(known), 3) if parts else ""


def _grid(result: Result) -> str:
    array = result.arch.get("array", {})
    return f"{array['rows']} × {array['columns']}" if {"rows", "columns"} <= array.keys() else ""


def fold_diagram(result: Result) -> str:
    """The layers along the cycles of the run, and the mean fold of the longest one, phase by phase."""
    total, wide = result.totals.cycles, 480
    parts = [text(6, 14, "layers in the order of execution", "small", anchor="start")]
    shown = sorted(result.layers, key=lambda layer: -layer.cycles.total)[:_MOST_LAYERS]
    for layer in sorted(shown, key=lambda layer: layer.start_cycle):
        x = 6 + wide * (layer.start_cycle / total)
        for cause, share, colour in _phases(layer):
            width = wide * (layer.cycles.total / total) * share
            cycles = (
                f"{layer.name}: {cause} {units.percent(share)} of {units.whole(layer.cycles.total)} cycles"
            )
            parts.append(box(x, 22, width, 34, "part", colour=colour, title=cycles))
            x += width
    longest = shown[0]
    start = 6 + wide * (longest.start_cycle / total)
    end = start + wide * (longest.cycles.total / total)
    parts += [
        text(6, 70, "0", "small", anchor="start"),
        text(486, 70, f"{units.whole(total)} cycles", "small", anchor="end"),
        f'<path class="zoom" d="M{start:.1f} 57 L6 96 H486 L{end:.1f} 57 Z"/>',
    ]
    x = 6.0
    each = longest.cycles.total / longest.folds
    for cause, share, colour in _phases(longest):
        told = f"{cause}: {units.significant(each * share)} cycles a fold"
        parts.append(box(x, 96, wide * share, 34, "part", colour=colour, title=told))
        if share > 0.14:
            parts.append(
                text(x + wide * share / 2, 117, f"{cause} {units.significant(each * share, 3)}", "on")
            )
        x += wide * share
    name = shortened(longest.name, 34)
    said = f"mean of the {units.whole(longest.folds)} folds of {name}: {units.significant(each)} cycles"
    parts.append(text(6, 146, said, "small", anchor="start"))
    if len(result.layers) > _MOST_LAYERS:
        left_out = f"the {_MOST_LAYERS} longest of {len(result.layers):,} layers are drawn"
        parts.append(text(6, 162, left_out, "small", anchor="start"))
    return drawing(492, 168, parts, f"The layers along {units.whole(total)} cycles; {said}.")


def _phases(layer: LayerResult) -> list[tuple[str, float, Colour]]:
    cycles = layer.cycles
    split = (
        ("fill", cycles.fill, CYCLE_CAUSES["fill"]),
        ("compute", cycles.compute, CYCLE_CAUSES["compute"]),
        ("drain", cycles.drain, CYCLE_CAUSES["drain"]),
        ("stall", cycles.stall, _STALL),
    )
    return [(name, count / cycles.total, colour) for name, count, colour in split if count]
