"""Area, delay and energy of MACs in cells, against sums by hand and slow references."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("amaranth", reason="needs Amaranth: pip install 'systolic-simulator[rtl]'")
pytest.importorskip("pyosys", reason="needs pyosys: pip install 'systolic-simulator[rtl]'")

from dataclasses import replace

from simulator.foundation import UserError
from simulator.foundation.defects import DefectError
from simulator.hardware.candidates import abc_script, candidates_of, synthesis_script
from simulator.hardware.cell_netlists import CellNetlist, PlacedCell, cell_netlist, read_cell_netlist
from simulator.hardware.generic_library import generic_library
from simulator.hardware.glitch_simulation import glitch_toggles
from simulator.hardware.liberty_writer import liberty_text
from simulator.hardware.mac_synthesis import MacSynthesis, synthesise
from simulator.hardware.processing_element import mac_design
from simulator.hardware.static_timing import timing_of
from simulator.hardware.switching_energy import step_energy
from simulator.hardware.switching_stimuli import bench_stimuli, layer_stimuli
from simulator.hardware.yosys_runs import run_yosys
from simulator.numerics import get_mac
from tests.command import run

LIBRARY = generic_library()
TINY = {"activation": "int4", "weight": "int4", "accumulator": {"kind": "fixed", "bits": 12, "lsb": 0}}
FLIP_FLOPS = {"int8": 8 + 8 + 32, "elma8": 12 + 12 + 38 + 1}


@cache
def synthesised(name: str, clock_mhz: float | None = None) -> MacSynthesis:
    mac = get_mac(name)
    return synthesise(mac, LIBRARY, bench_stimuli(mac, 1), clock_mhz=clock_mhz, must_meet=True)


def placed(name: str, inputs: tuple[int, ...], output: int) -> PlacedCell:
    return PlacedCell(LIBRARY.cells[name], inputs, (("Y", output),))


# Areas


@pytest.mark.parametrize("name", list(FLIP_FLOPS))
def test_areas_are_the_sums_of_cells(name: str) -> None:
    """A flip-flop is 16/3 NAND2, other cells their pairs of transistors and one, in thirds."""
    found = synthesised(name)
    chosen = found.chosen
    assert sum(found.register_bits.values()) == FLIP_FLOPS[name]
    assert chosen.register_area == pytest.approx(FLIP_FLOPS[name] * 16 / 3)
    by_hand = sum(count * LIBRARY.cells[cell].area for cell, count in chosen.netlist.counts.items())
    assert chosen.area == pytest.approx(by_hand + FLIP_FLOPS[name] * 16 / 3)
    assert chosen.area == min(each.area for each in found.implementations)
    curve = [(each.area, each.timing.period_ns) for each in found.curve]
    everything = [(each.area, each.timing.period_ns) for each in found.implementations]
    for area, period in everything:
        assert any(a <= area and p <= period for a, p in curve)
    for area, period in curve:
        assert not any(a <= area and p <= period and (a, p) != (area, period) for a, p in everything)


def test_multipliers_differ_only_where_there_is_one() -> None:
    assert len(synthesised("int8").implementations) == 3 * 3 + 2
    assert len(synthesised("elma8").implementations) == 3 * 3
    by_name = {each.candidate.name: each for each in synthesised("int8").implementations}
    booth, array = (f"{kind} multiplier, sklansky adders, small" for kind in ("booth", "array"))
    # Booth recodes 8 bits to 5 rows of partial products instead of 8.
    assert by_name[array].area > 1.1 * by_name[booth].area


# Delays


def test_delays_are_those_that_abc_finds() -> None:
    """Its own static timing, of the same netlists: inputs without transition, outputs without load."""
    design = mac_design(get_mac("elma8"))
    candidates = [each for each in candidates_of(design) if each.adder != "ripple"]
    files = [f"{place}.json" for place in range(len(candidates))]
    inputs = {
        "design.il": design.text,
        "cells.lib": liberty_text(LIBRARY, LIBRARY.cells.values(), with_flip_flop=False),
        **{f"{place}.abc": abc_script(each, 1.5) for place, each in enumerate(candidates)},
    }
    done = run_yosys(synthesis_script(candidates), inputs, files)
    told = [
        (float(area), float(delay) / 1000)
        for area, delay in re.findall(r"Area =\s*([\d.]+).*?Delay =\s*([\d.]+) ps", done.log)
    ]
    bare = replace(LIBRARY, flip_flop=replace(LIBRARY.flip_flop, arc=None, data_ff=0.0, setup_ns=0.0))
    assert len(told) == len(candidates) == 6
    for file, (area, delay_ns) in zip(files, told, strict=True):
        netlist = read_cell_netlist(done.files[file], design.name, bare.cells)
        assert netlist.area == pytest.approx(area, rel=1e-3)
        assert timing_of(netlist, bare).logic_ns == pytest.approx(delay_ns, rel=1e-3)


def test_a_chain_of_inverters_by_hand() -> None:
    """4 ps x (1 + load / 0.6 fF), and a tenth of the transition before, 1.4 x the stage's own part."""
    chain = [placed("INV_X1", (2,), 3), placed("INV_X2", (3,), 4), placed("INV_X1", (4,), 5)]
    netlist = cell_netlist("chain", {"a": (2,)}, {"y": (5,)}, chain)
    timing = timing_of(netlist, LIBRARY)
    # The flip-flop drives an inverter and the next PE's register; 8 stages inside.
    clock_to_q, after = 0.004 * (8 + 2), 1.4 * 0.004 * (1 + 2)
    first, second, third = 0.004 * (1 + 2), 0.004 * (1 + 0.5), 0.004 * (1 + 1)
    slopes = 0.1 * (after + 1.4 * first + 1.4 * second)
    assert timing.logic_ns == pytest.approx(first + second + third + slopes)
    assert timing.period_ns == pytest.approx(clock_to_q + first + second + third + slopes + 6 * 0.004)


def test_a_clock_is_met_or_refused_with_the_nearest_that_is() -> None:
    mac = get_mac(TINY)
    stimuli = bench_stimuli(mac, 1)
    smallest = synthesise(mac, LIBRARY, stimuli, clock_mhz=None, must_meet=True, efforts=("small",))
    clock_mhz = 1.1 * smallest.chosen.timing.most_mhz
    fast = synthesise(mac, LIBRARY, stimuli, clock_mhz=clock_mhz, must_meet=True)
    assert fast.chosen.timing.period_ns <= 1000 / clock_mhz
    assert smallest.chosen.area < fast.chosen.area
    with pytest.raises(
        UserError, match=r"meets this clock \(got 5000\); allowed: \d+, the nearest"
    ) as caught:
        synthesise(mac, LIBRARY, stimuli, clock_mhz=5000, must_meet=True)
    near = float(re.findall(r"allowed: (\d+)", str(caught.value))[0])
    # What is shown to be met without a clock is met with one.
    unbound = synthesise(mac, LIBRARY, stimuli, clock_mhz=None, must_meet=True)
    assert near == int(max(each.timing.most_mhz for each in unbound.implementations))
    with pytest.raises(UserError, match="the nearest"):
        synthesise(mac, LIBRARY, stimuli, clock_mhz=1e12, must_meet=True)
    assert synthesise(mac, LIBRARY, stimuli, clock_mhz=5e-324, must_meet=True).meets_clock
    assert synthesise(mac, LIBRARY, stimuli, clock_mhz=near, must_meet=True).meets_clock


# Toggles and energy


def bits_by_hand(netlist: CellNetlist, inputs: dict[str, int]) -> list[int]:
    """All nets of one pattern, a bit at a time, from the cells' formulas read as Python."""
    nets = [0] * netlist.nets
    nets[1] = 1
    for port, places in netlist.inputs.items():
        for place, net in enumerate(places):
            nets[net] = inputs[port] >> place & 1
    for cell in netlist.cells:
        pins = {pin: bool(nets[net]) for pin, net in zip(cell.cell.inputs, cell.inputs, strict=True)}
        for pin, net in cell.outputs:
            text = cell.cell.outputs[pin].function.text
            for sign, word in (("!", " not "), ("&", " and "), ("|", " or "), ("^", " != ")):
                text = text.replace(sign, word)
            nets[net] = int(eval(text, {}, pins))
    return nets


@pytest.mark.parametrize("name", ["int8", "elma8"])
def test_energy_is_that_of_a_slow_count(name: str) -> None:
    """300 steps: every net of every step by itself, its pins' capacitance and what the cell holds inside."""
    found = synthesised(name)
    netlist, timing = found.chosen.netlist, found.chosen.timing
    stimuli = found.stimuli.first(300)
    patterns = [
        bits_by_hand(netlist, {port: int(values[step]) for port, values in stimuli.ports.items()})
        for step in range(300)
    ]
    loads = [0.0] * netlist.nets
    for cell in netlist.cells:
        for net, capacitance in zip(cell.inputs, cell.cell.inputs.values(), strict=True):
            loads[net] += capacitance
    for net in netlist.outputs["sum_out"]:
        loads[net] += 0.6
    inside = {net: cell.cell.outputs[pin].energy_fj for cell in netlist.cells for pin, net in cell.outputs}
    registers = [net for nets in netlist.inputs.values() for net in nets]
    logic = flip_flops = 0.0
    edges = [step for step in range(299) if step % 128 != 127]
    for step in edges:
        for net, (old, new) in enumerate(zip(patterns[step], patterns[step + 1], strict=True)):
            if old != new and net in inside:
                table = inside[net]
                assert table is not None
                logic += loads[net] / 2 + table.at(0, 0)
    for step in edges:
        for net in registers:
            if patterns[step][net] != patterns[step + 1][net]:
                flip_flops += (loads[net] + 0.6) / 2 + 13 * 0.6 / 2
    energy = step_energy(netlist, LIBRARY, timing, stimuli)
    assert energy.logic == pytest.approx(logic / len(edges))
    # A clock pin of 0.6 fF and 7 times as much inside, charged and discharged in each cycle.
    clock = FLIP_FLOPS[name] * 8 * 0.6
    assert energy.clock == pytest.approx(clock)
    assert energy.registers == pytest.approx(clock + flip_flops / len(edges))


def test_the_bench_toggles_as_published() -> None:
    """Register bits that toggled in a cycle of the published circuits' own benches, of which 256 PEs do."""
    for name, published in (("int8", (4.02, 4.03, 6.68)), ("elma8", (4.75, 4.78, 4.73))):
        toggles = synthesised(name).energy.toggles
        found = (toggles["activation"], toggles["weight"], toggles["sum_in"])
        assert found == pytest.approx(published, rel=0.04)


def test_a_netlist_that_computes_something_else_is_told() -> None:
    found = synthesised("int8")
    netlist = found.chosen.netlist
    place = next(i for i, cell in enumerate(netlist.cells) if cell.cell.name == "XOR2_X1")
    wrong = list(netlist.cells)
    wrong[place] = replace(wrong[place], cell=LIBRARY.cells["XNOR2_X1"])
    with pytest.raises(DefectError, match="does not compute the sums"):
        step_energy(replace(netlist, cells=tuple(wrong)), LIBRARY, found.chosen.timing, found.stimuli)


def waves(cells: list[PlacedCell], delays: list[int], old: int, new: int) -> list[int]:
    """Toggles of nets 3 and up of a netlist of one input, net 2."""
    netlist = cell_netlist("tiny", {"a": (2,)}, {"y": (cells[-1].outputs[0][1],)}, cells)
    values = netlist.settle({"a": np.array([old, new])})
    before, after = values & np.uint64(1), values >> np.uint64(1)
    by_cell = dict(zip((cell.outputs for cell in cells), delays, strict=True))
    ordered = [by_cell[cell.outputs] for cell in netlist.cells]
    toggles = glitch_toggles(netlist, before, after, np.array([1], np.uint64), ordered)
    return [int(count) for count in toggles[3:]]


@pytest.mark.parametrize(
    ("inverter", "gate", "old", "new", "pulse"),
    [
        (2, 1, 0, 1, 2),  # both inputs are 1 for 2 steps: the AND rises and falls
        (2, 2, 0, 1, 2),  # a pulse as long as the delay leaves
        (2, 3, 0, 1, 0),  # a shorter one does not
        (2, 1, 1, 0, 0),  # both are 0 for 2 steps
        (5, 4, 0, 1, 2),
    ],
)
def test_glitches_of_an_and_behind_an_inverter(
    inverter: int, gate: int, old: int, new: int, pulse: int
) -> None:
    """a AND NOT a is always 0 without delays."""
    cells = [placed("INV_X1", (2,), 3), placed("AND2_X1", (2, 3), 4)]
    assert waves(cells, [inverter, gate], old, new) == [1, pulse, 0]


def test_glitches_of_a_chain_of_exclusive_ors() -> None:
    """a, its inverse after 1 and that one's after 3 meet: the output goes 1, 0 and back, or not at all."""
    inverters = [placed("INV_X1", (2,), 3), placed("INV_X1", (3,), 4)]
    parity = [placed("XOR2_X1", (2, 3), 5), placed("XOR2_X1", (5, 4), 6)]
    # Net 3 falls at 1, net 4 rises at 3. Net 5 is a ^ net 3: 0 from 1 to 2, after its delay of 1.
    # Net 6 is net 5 ^ net 4, 1 at first; 0 while net 5 is 0 (1 step), 0 from 3 on: with its delay of 1.
    assert waves([*inverters, *parity], [1, 2, 1, 1], 0, 1) == [1, 1, 2, 3, 0]
    # With a delay of 2 the pulse of one step stays inside.
    assert waves([*inverters, *parity], [1, 2, 1, 2], 0, 1) == [1, 1, 2, 1, 0]


# Stimuli


def test_a_layer_of_the_users_own(tmp_path: Path) -> None:
    path = tmp_path / "layer.npz"
    np.savez(path, activations=np.full((3, 40), 5.0), weights=np.zeros((40, 2)))
    mac = get_mac(TINY)
    still = synthesise(mac, LIBRARY, layer_stimuli(mac, path, 0), clock_mhz=None, must_meet=True)
    # Nothing toggles: 4 + 4 + 12 clock pins are all that takes energy.
    assert (still.energy.logic, still.energy.glitches) == (0, 0)
    assert still.energy.whole == pytest.approx(20 * 8 * 0.6)
    np.savez(path, activations=np.tile([0.0, -1.0], (3, 20)), weights=np.zeros((40, 2)))
    turning = step_energy(still.chosen.netlist, LIBRARY, still.chosen.timing, layer_stimuli(mac, path, 0))
    assert turning.toggles == {"activation": 4, "weight": 0, "sum_in": 0}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"activations": np.zeros((2, 3))}, "has no array 'weights'"),
        ({"activations": np.zeros((2, 3)), "weights": np.zeros((4, 2))}, "do not multiply"),
        ({"activations": np.zeros((2, 1)), "weights": np.zeros((1, 2))}, "holds no product of two or more"),
        ({"activations": np.array([["a"]]), "weights": np.zeros((1, 2))}, "activations: holds no numbers"),
    ],
)
def test_layers_that_cannot_be_used(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    path = tmp_path / "layer.npz"
    np.savez(path, **arrays)
    with pytest.raises(UserError, match=message):
        layer_stimuli(get_mac("int8"), path, 0)


# The command


def test_the_command_with_a_given_library(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its figures are in the library's own units, and none of its names is written."""
    path = tmp_path / "secret.lib"
    text = liberty_text(LIBRARY, LIBRARY.cells.values()).replace("_X", "-SECRET (")
    path.write_text(text, encoding="utf-8")
    done = run(capsys, "rtl", "synth", "int4 x int4", "--liberty", path, "--json").must_succeed()
    document = json.loads(done.stdout)
    assert (document["area_unit"], document["energy_unit"]) == ("um2", "fJ")
    assert document["library"]["name"] == "given"
    assert len(document["library"]["sha256"]) == 64
    assert "SECRET" not in done.stdout
    assert document["area"]["whole"] == document["area"]["logic"] + document["area"]["registers"]
    bits = sum(document["flip_flops"].values())
    assert document["area"]["registers"] == pytest.approx(bits * 16 / 3)


def _gate(name: str, function: str, area: float, *pins: str) -> str:
    arcs = "".join(
        f"timing () {{ related_pin : {pin}; intrinsic_rise : 0.02; intrinsic_fall : 0.02; }}" for pin in pins
    )
    inputs = "".join(f"pin ({pin}) {{ direction : input; capacitance : 1; }}" for pin in pins)
    return (
        f"cell ({name}) {{ area : {area}; {inputs}"
        f' pin (Y) {{ direction : output; function : "{function}"; {arcs} }} }}\n'
    )


SMALLEST = (
    _gate("GATE", "A'", 1, "A"),
    _gate("_const0_", "(module * input)'", 2, "module", "input"),
    _gate("XA", "A ^ B & C", 2.5, "A", "B", "C"),
)
DFF = """\
cell (module) { area : 10;
  ff (IQ) { clocked_on : CK; next_state : D; }
  pin (D) { direction : input; capacitance : 1;
    timing () { related_pin : CK; timing_type : setup_rising; rise_constraint (s) { values ("0.03"); } } }
  pin (CK) { direction : input; capacitance : 1; }
  pin (Q) { direction : output; function : "IQ";
    timing () { related_pin : CK; timing_type : rising_edge; cell_rise (s) { values ("0.05"); } } }
}
"""
SMALLEST_HEAD = "library (x) { capacitive_load_unit (1, ff); nom_voltage : 1;\n"


def test_a_smallest_library(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No buffer, delays without axes, words of ABC and Verilog as names, and `^` that binds before `&`."""
    path = tmp_path / "x.lib"
    path.write_text(SMALLEST_HEAD + "".join(SMALLEST) + DFF + "}", encoding="utf-8")
    done = run(capsys, "rtl", "synth", "int2 x int2", "--liberty", path, "--json").must_succeed()
    document = json.loads(done.stdout)
    for each in document["candidates"]:
        levels = (each["period_ns"] - 0.05 - 0.03) / 0.02
        assert levels == pytest.approx(round(levels))
        assert levels > 5
    # Half a cycle is C V^2 / 2 of one pin of 1 fF, in each flip-flop at both edges.
    assert document["energy"]["clock"] == pytest.approx(sum(document["flip_flops"].values()))
    assert any("has no buffer" in note for note in document["notes"])


def test_a_library_of_two_functions_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.lib"
    path.write_text(SMALLEST_HEAD + "".join(SMALLEST[:2]) + DFF + "}", encoding="utf-8")
    done = run(capsys, "rtl", "synth", "int2 x int2", "--liberty", path)
    done.must_refuse("--liberty: has cells of 2 functions that can be used, too few for ABC; allowed: 3")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("synth", "int8", "--liberty", "none.lib"), "none.lib: cannot be read: No such file or directory"),
        (("synth", "int8", "--clock-mhz", "-1"), "--clock-mhz: must be a positive number (got -1.0)"),
        (("synth", "int9x"), "int9x"),
        (("synth", "int8", "--operands", "none.npz"), "none.npz: cannot be read"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run(capsys, "rtl", *arguments).must_refuse(message)
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_library_that_abc_refuses_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ABC does not like in a given library's cells; none that is known gets so far."""

    def refuse(*_: object) -> None:
        message = "yosys failed: ABC: Aborted"
        raise DefectError(message)

    monkeypatch.setattr("simulator.hardware.candidates.run_yosys", refuse)
    mac = get_mac(TINY)
    given = replace(LIBRARY, name="given")
    with pytest.raises(
        UserError, match=r"--liberty: ABC cannot map int4_x_int4_mac onto the cells of this library"
    ):
        synthesise(mac, given, bench_stimuli(mac, 1), clock_mhz=None, must_meet=True)
    with pytest.raises(DefectError):
        synthesise(mac, LIBRARY, bench_stimuli(mac, 1), clock_mhz=None, must_meet=True)


@pytest.mark.parametrize("command", ["synth", "price"])
def test_a_mac_without_hardware_is_one_sentence(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arch = tmp_path / "arch.yaml"
    sums = "accumulator: {kind: float, format: fp16}, pipeline_depth: 3"
    arch.write_text(f"macs: {{slow: {{activation: fp16, weight: fp16, {sums}}}}}", encoding="utf-8")
    out = ("-o", tmp_path / "t.yaml") if command == "price" else ()
    done = run(capsys, "rtl", command, "slow", "--arch", arch, *out)
    done.must_refuse("pipeline_depth: MAC 'slow' has no hardware: pipelined PEs are not built (got 3)")
    run(capsys, "rtl", command, "mxfp4", *out).must_refuse("MAC 'mxfp4': RTL does not know block scales")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["arch.yaml"]


def test_all_candidates_compute_the_same_sums() -> None:
    for name, count in (("int8", 11), ("elma8", 9)):
        stimuli = bench_stimuli(get_mac(name), 2)
        implementations = synthesised(name).implementations
        assert len(implementations) == count
        for each in implementations:
            values = each.netlist.settle(stimuli.ports)
            found = each.netlist.read(values, "sum_out", len(stimuli))
            assert np.array_equal(found.astype(np.int64), stimuli.expected.astype(np.int64))


def test_the_page_shows_the_pe_and_the_curve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One file: four blocks whose shares of the area add up, and a dot for each candidate."""
    path = tmp_path / "page.html"
    run(capsys, "rtl", "synth", "elma8", "--report", path).must_succeed()
    page = path.read_text(encoding="utf-8")
    assert "http" not in page
    assert "<script" not in page
    assert page.count("<circle ") == 9
    assert page.count('class="chosen"') == 1
    found = synthesised("elma8")
    line = re.search(r'<polyline points="([^"]*)"', page)
    assert line is not None
    places = [[float(end) for end in point.split(",")] for point in line[1].split()]
    assert len(places) == len(found.curve)
    # Faster is to the left, and larger is higher.
    assert places == sorted(places)
    assert [y for _, y in places] == sorted(y for _, y in places)
    shares = [int(share) for share in re.findall(r"(\d+) ?% of the area</text>", page)]
    assert len(shares) == 4
    assert sum(shares) == pytest.approx(100, abs=2)
    whole = found.chosen.area
    by_hand = [12 * 16 / 3 / whole, 12 * 16 / 3 / whole, 1 - 63 * 16 / 3 / whole, 39 * 16 / 3 / whole]
    assert shares == [round(100 * share) for share in by_hand]
