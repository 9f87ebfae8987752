"""What `systolic rtl synth` prints: candidates, area, delay, energy, as text and as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simulator.report.pe_blocks import PeBlock, PeBlocks
from simulator.report.synthesis_page import CandidatePoint, SynthesisPage

if TYPE_CHECKING:
    from simulator.hardware.mac_synthesis import Implementation, MacSynthesis
    from simulator.hardware.synthesised_prices import SynthesisedPrice

_NAME: Final = 42


def synthesis_text(synthesis: MacSynthesis) -> str:
    """A report for a terminal."""
    mac, library, chosen = synthesis.mac, synthesis.library, synthesis.chosen
    area, energy_unit, energy = library.area_unit, library.energy_unit, synthesis.energy
    bits = sum(synthesis.register_bits.values())
    lines = [
        f"{mac.name}: {mac.pair.specs}, {mac.accumulator.summary}",
        f"{library.name} library, sha256 {library.sha256[:12]}",
        "",
        f"{'candidate':<{_NAME}}{'area ' + area:>12}{'period ns':>11}{'MHz':>8}",
    ]
    curve = {id(each) for each in synthesis.curve}
    for each in synthesis.implementations:
        mark = "*" if each is chosen else "-" if id(each) in curve else " "
        lines.append(
            f"{mark} {each.candidate.name:<{_NAME - 2}}{each.area:>12,.1f}{each.timing.period_ns:>11.3f}"
            f"{each.timing.most_mhz:>8,.0f}"
        )
    lines += [
        "* chosen: " + _why(synthesis) + "; - on the curve of area against delay",
        "",
        f"area      {chosen.area:,.1f} {area}: logic {chosen.netlist.area:,.1f} in "
        f"{len(chosen.netlist.cells):,} cells, {bits} flip-flops {chosen.register_area:,.1f}",
        f"period    {chosen.timing.period_ns:.3f} ns, {chosen.timing.most_mhz:,.0f} MHz",
        f"energy    {energy.whole:,.1f} {energy_unit} a cycle, zero-delay: logic {energy.logic:,.1f}, "
        f"registers {energy.registers:,.1f} (of it clock {energy.clock:,.1f})",
        f"glitches  {energy.glitches:,.1f} {energy_unit} a cycle more with the delays of cells",
    ]
    if synthesis.leakage_nw is not None:
        lines.append(f"leakage   {synthesis.leakage_nw:,.1f} nW")
    toggles = ", ".join(f"{port} {count:.2f}" for port, count in energy.toggles.items())
    lines += [f"stimulus  {synthesis.stimuli.what}, seed {synthesis.stimuli.seed}; bits toggled: {toggles}"]
    lines += [f"note: {note}" for note in synthesis.notes]
    return "\n".join(lines)


def page_of(synthesis: MacSynthesis) -> SynthesisPage:
    """The page of a synthesis, for `simulator.report`."""
    mac, library, chosen, energy = synthesis.mac, synthesis.library, synthesis.chosen, synthesis.energy
    flip_flop = library.flip_flop.area

    def register(name: str, port: str, fmt: str) -> PeBlock:
        bits = synthesis.register_bits[port]
        return PeBlock(name, f"{bits} flip-flops, {fmt}", bits * flip_flop / chosen.area)

    identity = mac.accumulator.identity
    sums = f"sum of {identity}" + (" bits" if isinstance(identity, int) else "")
    logic = PeBlock("MAC", chosen.candidate.name, chosen.netlist.area / chosen.area)
    blocks = PeBlocks(
        register("activation register", "activation", mac.activation.spec),
        register("weight register", "weight", mac.weight.spec),
        logic,
        register("sum register", "accumulator", sums),
    )
    curve = {id(each) for each in synthesis.curve}
    points = [
        CandidatePoint(
            each.candidate.name, each.area, each.timing.period_ns, id(each) in curve, each is chosen
        )
        for each in synthesis.implementations
    ]
    unit = library.energy_unit
    facts = [
        ("area", f"{chosen.area:,.1f} {library.area_unit}"),
        ("logic", f"{chosen.netlist.area:,.1f} {library.area_unit} in {len(chosen.netlist.cells):,} cells"),
        ("registers", f"{chosen.register_area:,.1f} {library.area_unit}"),
        ("period", f"{chosen.timing.period_ns:.3f} ns, {chosen.timing.most_mhz:,.0f} MHz"),
        ("energy a cycle, zero-delay", f"{energy.whole:,.1f} {unit}"),
        ("of it logic", f"{energy.logic:,.1f} {unit}"),
        ("of it registers", f"{energy.registers:,.1f} {unit}, their clock {energy.clock:,.1f}"),
        ("glitches, beside it", f"{energy.glitches:,.1f} {unit}"),
        *([] if synthesis.leakage_nw is None else [("leakage", f"{synthesis.leakage_nw:,.1f} nW")]),
        ("stimulus", f"{synthesis.stimuli.what}, seed {synthesis.stimuli.seed}"),
        ("library", f"{library.name}, sha256 {library.sha256}"),
    ]
    title = f"{mac.name}: {mac.pair.specs}, synthesised"
    return SynthesisPage(title, library.area_unit, blocks, points, facts, synthesis.notes)


def _why(synthesis: MacSynthesis) -> str:
    if synthesis.clock_mhz is None:
        return "the smallest"
    if synthesis.meets_clock:
        return f"the smallest at {synthesis.clock_mhz:g} MHz"
    return f"the fastest, as none meets {synthesis.clock_mhz:g} MHz"


def synthesis_document(synthesis: MacSynthesis) -> dict[str, object]:
    """The same as data; units are in `area_unit` and `energy_unit`."""
    library, chosen, energy = synthesis.library, synthesis.chosen, synthesis.energy
    curve = {id(each) for each in synthesis.curve}
    return {
        "mac": synthesis.mac.name,
        "library": {"name": library.name, "sha256": library.sha256, "voltage_v": library.voltage_v},
        "area_unit": library.area_unit,
        "energy_unit": library.energy_unit,
        "clock_mhz": synthesis.clock_mhz,
        "meets_clock": synthesis.meets_clock,
        "candidates": [
            {**_point(each), "chosen": each is chosen, "on_curve": id(each) in curve}
            for each in synthesis.implementations
        ],
        "area": {"whole": chosen.area, "logic": chosen.netlist.area, "registers": chosen.register_area},
        # Names of a given library's cells are shown nowhere.
        "cells": dict(sorted(chosen.netlist.counts.items())) if library.name == "generic" else None,
        "flip_flops": synthesis.register_bits,
        "period_ns": chosen.timing.period_ns,
        "energy": {
            "whole": energy.whole,
            "logic": energy.logic,
            "registers": energy.registers,
            "clock": energy.clock,
            "glitches": energy.glitches,
        },
        "leakage_nw": synthesis.leakage_nw,
        "toggles": energy.toggles,
        "stimulus": {"what": synthesis.stimuli.what, "seed": synthesis.stimuli.seed},
        "notes": list(synthesis.notes),
    }


def _point(each: Implementation) -> dict[str, object]:
    return {"candidate": each.candidate.name, "area": each.area, "period_ns": each.timing.period_ns}


def price_text(price: SynthesisedPrice) -> str:
    """What a written table says of the whole PE, and what it is calibrated on."""
    from simulator.cost.price_tables import parse_table

    table = parse_table(price.text, source="the table")
    variant = next(iter(table.macs))
    least = "at least " if price.at_least else ""
    lines = []
    for action, what in (("area", "area"), ("operate", "energy a cycle")):
        row = table.rows[f"pe/{variant}/{action}"]
        lines.append(f"{what:<16}{least}{row.value:.4g} {row.unit} ({row.low:.4g} to {row.high:.4g})")
    calibrated = (
        "absolute, from your library" if price.calibration == "none" else f"calibrated on {price.calibration}"
    )
    return "\n".join([*lines, f"{calibrated}; {price.synthesis.chosen.candidate.name}"])
