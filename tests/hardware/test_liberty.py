"""Are libraries read as Liberty says, in every form that their makers write?"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("amaranth", reason="needs Amaranth: pip install 'systolic-simulator[rtl]'")
pytest.importorskip("pyosys", reason="needs pyosys: pip install 'systolic-simulator[rtl]'")

from simulator.foundation import UserError
from simulator.hardware.cell_functions import parse_function
from simulator.hardware.generic_library import generic_library
from simulator.hardware.liberty_reader import parse_library, read_library
from simulator.hardware.liberty_writer import liberty_text

HEAD = """\
/* A library with units that differ
   from this project's. */
library (tiny) {
  delay_model : table_lookup;
  time_unit : "1ps";
  voltage_unit : "1V";
  leakage_power_unit : "1pW";
  capacitive_load_unit (1, pf);
  nom_voltage : 0.9; nom_temperature : 25
  lu_table_template (by_load_first) {
    variable_1 : total_output_net_capacitance;
    variable_2 : input_net_transition;
    index_1 ("0.001, 0.003"); index_2 ("10, 30");
  }
  lu_table_template (by_load) { variable_1 : total_output_net_capacitance; index_1 ("0.001, 0.003"); }
"""
INVERTER = """\
  cell (INV) {
    area : 2.5; cell_leakage_power : 4000;
    pin (A) { direction : input; capacitance : 0.0008; }
    pin (Y) { direction : output; function : "A'";
      timing () { related_pin : "A";
        cell_rise (by_load_first) { values ("10, 20", \\
                                            "30, 40"); }
        cell_fall (scalar) { values ("25"); }
        rise_transition (by_load) { values ("5, 15"); }
        fall_transition (scalar) { values ("1"); }
      }
      internal_power () { related_pin : "A"; rise_power (scalar) { values ("0.002"); }
        fall_power (scalar) { values ("0.004"); } }
    }
  }
"""
NAND = """\
  cell ("NAND2_1") { area : 4;
    leakage_power () { when : "A"; value : 1000; } leakage_power () { when : "!A"; value : 3000; }
    pin (A, B) { direction : "input"; capacitance : 0.001 }
    pin (Y) { direction : output; function : "!(A * B)";
      timing () { related_pin : "A B"; intrinsic_rise : 12; rise_resistance : 2000; intrinsic_fall : 12; }
    }
  }
"""
FLIP_FLOP = """\
  cell (DFF) { area : 20;
    ff (IQ, IQN) { clocked_on : "CK"; next_state : "D"; }
    pin (D) { direction : input; capacitance : 0.0012;
      timing () { related_pin : "CK"; timing_type : setup_rising;
        rise_constraint (scalar) { values ("40"); } fall_constraint (scalar) { values ("55"); } } }
    pin (CK) { direction : input; clock : true; capacitance : 0.0007;
      internal_power () { rise_power (scalar) { values ("0.001"); } fall_power (one) { values ("0.003"); } } }
    pin (Q) { direction : output; function : "IQ";
      timing () { related_pin : "CK"; timing_type : rising_edge;
        cell_rise (by_load) { values ("50, 90"); } } }
  }
"""
TAIL = "}\n"


def library(*cells: str) -> str:
    return HEAD + "".join(cells) + TAIL


def test_numbers_in_ns_ff_fj_and_nw() -> None:
    found = parse_library(library(INVERTER, NAND, FLIP_FLOP), source="tiny.lib")
    inverter, nand, flip_flop = found.cells["INV"], found.cells["NAND2_1"], found.flip_flop
    assert (found.voltage_v, found.temperature_c) == (0.9, 25)
    assert [inverter.area, inverter.inputs["A"], inverter.leakage_nw] == pytest.approx([2.5, 0.8, 4])
    assert nand.leakage_nw == pytest.approx(2)  # the mean of its states
    assert list(nand.inputs) == ["A", "B"]
    arc = inverter.outputs["Y"].arcs["A"]
    # 2 fF is halfway between 1 and 3, 20 ps between 10 and 30: corners 25, 25 (both fall), 30, 40 ps.
    assert arc.delay_ns.at(0.020, 2.0) == pytest.approx((25 + 25 + 30 + 40) / 4 / 1000)
    assert arc.transition_ns.at(0.5, 1.5) == pytest.approx(0.0075)
    # pF V^2 is pJ: 3 fJ is the mean of 2 and 4.
    energy = inverter.outputs["Y"].energy_fj
    assert energy is not None
    assert energy.at(0, 0) == pytest.approx(3)
    # The older delay model: 12 ps and 2000 ps for each pF.
    assert nand.outputs["Y"].arcs["B"].delay_ns.at(0.1, 5.0) == pytest.approx(0.012 + 2.0 * 0.005)
    assert [flip_flop.data_ff, flip_flop.clock_ff] == pytest.approx([1.2, 0.7])
    assert [flip_flop.setup_ns, flip_flop.clock_energy_fj] == pytest.approx([0.055, 4])
    assert flip_flop.arc is not None
    assert flip_flop.arc.delay_ns.at(0, 5.0) == pytest.approx(0.130)  # extrapolated: 20 ps for each fF
    assert found.nand2_area == 4
    assert any("flip-flop" in note or "leakage" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("!(A & B)", 0b0111),
        ("(A*B)'", 0b0111),
        ("A' + B'", 0b0111),
        ("A ^ B", 0b0110),
        ("A B", 0b1000),
        ("A B'", 0b0010),
        ("A | B ^ B", 0b1010),
        ("A & B ^ B", 0b0000),
        ("!A'", 0b1010),
        ("1", 0b1111),
    ],
)
def test_functions_as_truth_tables(text: str, table: int) -> None:
    """Bit i is the value for A in bit 0 of i and B in bit 1; exclusive or binds closer than and."""
    assert parse_function(text).table(("A", "B")) == table


@pytest.mark.parametrize("text", ["", "A &", "(A", "A)", "& A", "A ~ B", "2", "A" * 5000])
def test_what_is_no_function(text: str) -> None:
    with pytest.raises(UserError, match=r"is no function of pins|too long"):
        parse_function(text)


def variant(pattern: str, to: str, text: str = FLIP_FLOP) -> str:
    changed = re.sub(pattern, to, text)
    assert changed != text
    return changed


SCAN = variant(r'"D"; }', '"(SE SI) + (SE\' D)"; clear : "!RN"; }').replace(
    "    pin (Q)",
    "    pin (SE, SI, RN) { direction : input; capacitance : 0.001; }\n    pin (Q)",
)


TWO_STATES = variant(
    r"(    ff .*\n)", r'\1    ff (JQ, JQN) { clocked_on : "CK"; next_state : "D2"; }\n'
).replace(
    "    pin (Q)",
    "    pin (D2) { direction : input; capacitance : 0.001; }\n"
    '    pin (Q2) { direction : output; function : "JQ"; }\n    pin (Q)',
)


def test_a_flip_flop_of_two_states_ties_neither_off() -> None:
    assert parse_library(library(INVERTER, NAND, TWO_STATES), source="x").flip_flop.tied_pins == ()


def test_the_data_pin_is_not_an_enable_of_the_same_letter() -> None:
    enable = variant(r'"D"; }', '"(DE & D) | (!DE & IQ)"; }').replace(
        "    pin (Q)", "    pin (DE) { direction : input; capacitance : 0.009; }\n    pin (Q)"
    )
    flip_flop = parse_library(library(INVERTER, NAND, enable), source="x").flip_flop
    assert flip_flop.data_ff == pytest.approx(1.2)
    assert flip_flop.tied_pins == ("DE",)


@pytest.mark.parametrize(
    "state",
    ["ff ()", "ff_bank (IQ, IQN, w)", "ff_bank (IQ, IQN, 1e3)", "ff_bank (IQ, IQN, 0)", "ff_bank (IQ)"],
)
def test_a_flip_flop_whose_state_is_unclear_is_left_out(state: str) -> None:
    text = library(INVERTER, NAND, variant(r"ff \(IQ, IQN\)", state))
    with pytest.raises(UserError, match=r"no D flip-flop .*; cells left out: 1 with no output that is the"):
        parse_library(text, source="x")


def test_a_cell_that_says_that_it_is_no_pad_is_used() -> None:
    cell = INVERTER.replace("area : 2.5;", "area : 2.5; pad_cell : false; is_level_shifter : false;")
    assert "INV" in parse_library(library(cell, NAND, FLIP_FLOP), source="x").cells


@pytest.mark.parametrize(("unit", "written"), [("1mV", 900), ("100mV", 9)])
def test_nom_voltage_is_in_the_unit_of_voltages(unit: str, written: int) -> None:
    text = library(INVERTER, NAND, FLIP_FLOP).replace('"1V"', f'"{unit}"').replace("0.9;", f"{written};")
    assert parse_library(text, source="x").voltage_v == pytest.approx(0.9)


@pytest.mark.parametrize("unit", ["", "1", "0, pf", "-1, pf", "nan, pf", "1e400, pf"])
def test_loads_need_a_unit(unit: str) -> None:
    text = library(INVERTER, NAND, FLIP_FLOP).replace("(1, pf)", f"({unit})")
    with pytest.raises(UserError, match=r"capacitive_load_unit: is no unit .*such as 1nf"):
        parse_library(text, source="x")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("area : 2.5", "area : 1e300"), "an area of 1e"),
        (
            ('values ("10, 20", \\\n                                            "30, 40")', 'values ("-1")'),
            "",
        ),
        (("A'", "(" * 1900 + "A" + ")" * 1900), "too many brackets"),
        (("A'", "!" * 3999 + "A"), "too many brackets"),
    ],
)
def test_a_cell_with_a_figure_beyond_all_use_is_left_out(change: tuple[str, str], reason: str) -> None:
    cell = INVERTER.replace(*change).replace('"25"', '"-1"' if not reason else '"25"')
    assert cell != INVERTER
    with pytest.raises(UserError, match=f"lacks an inverter.*left out: 1 with .*{reason or 'above zero'}"):
        parse_library(library(cell, NAND, FLIP_FLOP), source="x")


@pytest.mark.parametrize("written", ["nan", "warm", "inf"])
def test_a_temperature_that_is_no_number_is_unknown(written: str) -> None:
    text = library(INVERTER, NAND, FLIP_FLOP).replace("temperature : 25", f"temperature : {written}")
    assert parse_library(text, source="x").temperature_c is None


def test_what_is_included_is_not_left_out_in_silence() -> None:
    text = library(INVERTER, NAND, FLIP_FLOP).replace("  nom_v", '  include_file ("more.lib");\n  nom_v')
    with pytest.raises(UserError, match="includes another file, which is not read"):
        parse_library(text, source="x")


@pytest.mark.parametrize(
    ("before", "line_end"), [(b"", b"\n"), (b"\xef\xbb\xbf", b"\n"), (b"/* \xa9 */ ", b"\n"), (b"", b"\r\n")]
)
def test_files_as_editors_and_vendors_write_them(tmp_path: Path, before: bytes, line_end: bytes) -> None:
    """With a byte order mark, Latin-1 in comments, or other line ends; the hash is that of the file."""
    content = before + library(INVERTER, NAND, FLIP_FLOP).encode().replace(b"\n", line_end)
    (tmp_path / "x.lib").write_bytes(content)
    found = read_library(tmp_path / "x.lib")
    assert set(found.cells) == {"INV", "NAND2_1"}
    assert found.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("content", [b"\x1f\x8b\0\0", library(INVERTER).encode("utf-16")])
def test_a_file_that_is_no_text(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.lib").write_bytes(content)
    with pytest.raises(UserError, match="is no text: it holds zero bytes"):
        read_library(tmp_path / "x.lib")


def test_a_renamed_cell_computes_the_same() -> None:
    cell = parse_library(library(INVERTER, NAND, FLIP_FLOP), source="x").cells["NAND2_1"]
    other = cell.renamed("plain")
    output = other.outputs["o0"]
    assert (other.name, list(other.inputs), set(output.arcs)) == ("plain", ["i0", "i1"], {"i0", "i1"})
    assert output.function.text == "!((i0 & i1))"
    assert output.function.table(other.input_order) == 0b0111
    text = "A ^ B & A | !B"
    again = parse_function(parse_function(text).renamed({"A": "i0", "B": "i1"}).text)
    assert again.table(("i0", "i1")) == parse_function(text).table(("A", "B")) == 0b0011 | 0b0010


@pytest.mark.parametrize(
    ("cell", "area", "bits", "output", "note"),
    [
        (FLIP_FLOP, 20, 1, "Q", ""),
        (variant(r'function : "IQ"', 'function : "IQN"'), 20, 1, "QN", "an inverted output only"),
        (variant(r"ff \(IQ, IQN\)", "ff_bank (IQ, IQN, 4)"), 5, 4, "Q", "flip-flops of 4 bits"),
        (TWO_STATES, 10, 2, "Q", "flip-flops of 2 bits"),
        (variant(r"ff \(IQ, IQN\)", "ff (IQ)"), 20, 1, "Q", ""),
        (SCAN, 20, 1, "Q", "other input pins of its flip-flops are tied off: 3"),
        (variant(r"internal_power.*\n", "}\n"), 20, 1, "Q", "does not say what a clock edge costs"),
        (
            variant(r"(?s)timing \(\) { related_pin : \"CK\"; timing_type : rising.*?} }", ""),
            20,
            1,
            "Q",
            "0 is taken",
        ),
    ],
)
def test_flip_flops_of_any_kind(cell: str, area: float, bits: int, output: str, note: str) -> None:
    found = parse_library(library(INVERTER, NAND, cell), source="tiny.lib")
    assert (found.flip_flop.area, found.flip_flop.bits, found.flip_flop.output) == (area, bits, output)
    assert any(note in each for each in found.notes)


def test_a_plain_flip_flop_comes_before_others() -> None:
    small_scan = SCAN.replace("(DFF)", "(SDFF)").replace("area : 20", "area : 9")
    found = parse_library(library(INVERTER, small_scan, NAND, FLIP_FLOP), source="tiny.lib")
    assert found.flip_flop.name == "DFF"


def test_cells_that_are_left_out_are_counted() -> None:
    odd = [
        NAND.replace("NAND2_1", "FORBIDDEN").replace("area : 4;", "area : 1; dont_use : true;"),
        NAND.replace("NAND2_1", "PAD").replace("area : 4;", "area : 1; pad_cell : true;"),
        NAND.replace("NAND2_1", "TRI").replace('function : "!(A', 'three_state : "A"; function : "!(A'),
        NAND.replace("NAND2_1", "BARE").replace("area : 4;", ""),
        NAND.replace("NAND2_1", "WILD").replace("!(A * B)", "A ? B"),
        NAND.replace("NAND2_1", "SLOW").replace("intrinsic", "extrinsic"),
        "  cell (FILL) { area : 3; }\n",
    ]
    found = parse_library(library(INVERTER, NAND, *odd, FLIP_FLOP), source="tiny.lib")
    assert set(found.cells) == {"INV", "NAND2_1"}
    (note,) = [each for each in found.notes if each.startswith("cells left out")]
    assert sum(int(count) for count in re.findall(r"(\d+) with", note)) == len(odd)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty: it holds no library"),
        ("module x; endmodule", r"line 1: has neither `\(` nor `:` behind 'module'"),
        ("cell (x) { }", r"line 1: is no Liberty file \(got 'cell'\)"),
        (library(INVERTER)[:-3], r"ends where .* is expected"),
        ('library (x) { date : "today', "has a string without an end"),
        ("library (x) {" + "a (b) {" * 200, "groups inside each other without end"),
        (library(), "has no combinational cell that can be used"),
        (library(INVERTER, NAND), "has no D flip-flop of the rising clock edge"),
        (library(NAND, FLIP_FLOP), "lacks an inverter"),
        (library(INVERTER, FLIP_FLOP), "lacks an inverter or a two-input NAND"),
        (library(INVERTER, NAND, FLIP_FLOP).replace("0.9;", "0;"), "needs nom_voltage"),
        (library(INVERTER, NAND, FLIP_FLOP).replace('"1ps"', '"1 fortnight"'), "time_unit: is no unit"),
        (library(variant(r'"A\'"', '"A"', INVERTER), NAND, FLIP_FLOP), "lacks an inverter"),
        (library(variant('"25"', '"1, 2, 3"', INVERTER), NAND, FLIP_FLOP), "lacks an inverter"),
        (library(variant(r"clocked_on : \"CK\"", 'clocked_on : "!CK"')), "has no combinational cell"),
        (library(INVERTER, NAND, variant(r"clocked_on : \"CK\"", 'clocked_on : "!CK"')), "rising clock edge"),
    ],
)
def test_libraries_that_cannot_be_used_are_refused_in_one_sentence(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        parse_library(text, source="odd.lib")
    assert "\n" not in str(caught.value)


def test_the_generic_library_survives_being_written_and_read() -> None:
    library = generic_library()
    read = parse_library(liberty_text(library, library.cells.values()), source="generic")
    assert set(read.cells) == set(library.cells)
    for name, cell in library.cells.items():
        other = read.cells[name]
        assert other.area == pytest.approx(cell.area)
        assert dict(other.inputs) == pytest.approx(dict(cell.inputs))
        for pin, output in cell.outputs.items():
            again = other.outputs[pin]
            order = cell.input_order
            assert again.function.table(order) == output.function.table(order)
            for source, arc in output.arcs.items():
                assert again.arcs[source].delay_ns.at(0.05, 2.2) == pytest.approx(arc.delay_ns.at(0.05, 2.2))
    assert read.flip_flop.clock_energy_fj == pytest.approx(library.flip_flop.clock_energy_fj)


def test_the_generic_library_by_hand() -> None:
    """From transistors: areas in thirds of a NAND2, 4 ps x (parasitic + load), C V^2 / 2."""
    library = generic_library()
    areas = {name: round(3 * cell.area) for name, cell in library.cells.items()}
    wanted = {
        "INV_X1": 2,
        "INV_X4": 5,
        "NAND2_X1": 3,
        "NAND2_X2": 5,
        "NOR3_X1": 4,
        "XOR2_X1": 6,
        "MUX2_X1": 7,
    }
    assert {name: areas[name] for name in wanted} == wanted
    assert library.flip_flop.area == pytest.approx(16 / 3)
    inverter = library.cells["INV_X1"]
    fan_out_of_four = inverter.outputs["Y"].arcs["A"].delay_ns.at(0.0, 4 * inverter.inputs["A"])
    assert fan_out_of_four == pytest.approx(0.020)
    nand = library.cells["NAND2_X1"]
    inside = nand.outputs["Y"].energy_fj
    assert inside is not None
    assert nand.inputs["A"] / 2 + inside.at(0, 0) == pytest.approx(1.0)
    # Its functions are those of their names, for all inputs.
    functions: dict[str, Callable[..., bool]] = {
        "AOI22_X1": lambda a, b, c, d: not ((a and b) or (c and d)),
        "OAI21_X1": lambda a, b, c: not ((a or b) and c),
        "MUX2_X1": lambda a, b, s: b if s else a,
        "XNOR2_X2": lambda a, b: a == b,
    }
    for name, function in functions.items():
        cell = library.cells[name]
        table = cell.outputs["Y"].function.table(cell.input_order)
        for place in range(1 << len(cell.inputs)):
            bits = [bool(place >> bit & 1) for bit in range(len(cell.inputs))]
            assert bool(table >> place & 1) == bool(function(*bits)), (name, bits)


def test_words_are_evaluated_as_truth_tables_say() -> None:
    function = parse_function("!((A & B) | C)")
    words = {
        pin: np.array([0x0123456789ABCDEF * factor & (2**64 - 1)], np.uint64)
        for pin, factor in zip("ABC", (1, 3, 7), strict=True)
    }
    a, b, c = (int(words[pin][0]) for pin in "ABC")
    assert int(function.evaluate(words)[0]) == ~((a & b) | c) & (2**64 - 1)
