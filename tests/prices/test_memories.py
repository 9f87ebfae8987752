"""Do memories of any size cost what their table says, and never less for more?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.arch.config import ArchConfig
from simulator.cost.memory import SramCost, sram_cost
from simulator.cost.price import NotPriced, Uses
from simulator.cost.price_tables import load_table, parse_table
from simulator.cost.run_prices import Prices
from simulator.foundation import UserError
from simulator.result import priced

BEFORE = ["johnson2018_28nm", "parts_28nm"]
AFTER = ["dram", "interconnect_28nm"]


def buffer(tables: list[str] | None = None, clock_mhz: float = 500, **fields: Any) -> SramCost:
    """The filter buffer of an architecture with these fields."""
    document: dict[str, Any] = {"sram": {"filter": fields}, "clock_mhz": clock_mhz}
    arch = ArchConfig.model_validate(document | ({"tables": tables} if tables else {}))
    return sram_cost(arch.sram["filter"], Prices.of(arch), field="sram.filter")


def words_pj(cost: SramCost, word_bits: int, macro_word_bits: int = 256) -> tuple[float, float]:
    """What reading and writing a whole word of the buffer costs: every macro of the word switches."""
    touched = min(word_bits, macro_word_bits)
    touched_bytes = -(-word_bits // touched) * touched / 8
    return priced(cost.read_pj_per_byte) * touched_bytes, priced(cost.write_pj_per_byte) * touched_bytes


def reason(uses: Uses) -> str:
    assert isinstance(uses, NotPriced)
    return uses.reason


# The bundled table: never less for more, wherever the simulator cuts


KIB = st.floats(1, 16384) | st.sampled_from([2.0**n for n in range(15)])
BITS = st.integers(8, 4096) | st.sampled_from([8, 32, 255, 256, 257, 512, 513, 1024, 2048, 4096])
PORTS = st.integers(1, 8)
EXACT = 1 + 1e-9


@settings(max_examples=300)
@given(kib=st.tuples(KIB, KIB), bits=BITS, ports=PORTS)
def test_more_capacity_never_costs_less(kib: tuple[float, float], bits: int, ports: int) -> None:
    less, more = (buffer(capacity_kib=size, word_bits=bits, ports=ports) for size in sorted(kib))
    for low, high in zip(words_pj(less, bits), words_pj(more, bits), strict=True):
        assert low <= high * EXACT
    assert priced(less.area_um2) <= priced(more.area_um2) * EXACT
    assert priced(less.leakage_mw) <= priced(more.leakage_mw) * EXACT
    assert priced(less.access_ns) <= priced(more.access_ns) * EXACT


@settings(max_examples=300)
@given(kib=KIB, bits=st.tuples(BITS, BITS), ports=PORTS)
def test_a_wider_word_never_costs_less(kib: float, bits: tuple[int, int], ports: int) -> None:
    narrow, wide = sorted(bits)
    less, more = (buffer(capacity_kib=kib, word_bits=word, ports=ports) for word in (narrow, wide))
    for low, high in zip(words_pj(less, narrow), words_pj(more, wide), strict=True):
        assert low <= high * EXACT
    assert priced(less.area_um2) <= priced(more.area_um2) * EXACT


@settings(max_examples=200)
@given(kib=KIB, bits=BITS, macro_bits=st.tuples(BITS, BITS), ports=st.tuples(PORTS, PORTS))
def test_more_macros_never_take_less_area_and_never_make_an_access_cheaper(
    kib: float, bits: int, macro_bits: tuple[int, int], ports: tuple[int, int]
) -> None:
    narrow, wide = sorted(macro_bits)
    few, many = sorted(ports)
    one = buffer(capacity_kib=kib, word_bits=bits, macro_word_bits=wide, ports=few)
    cut = buffer(capacity_kib=kib, word_bits=bits, macro_word_bits=wide, ports=many)
    assert cut.macros >= one.macros
    assert priced(one.area_um2) <= priced(cut.area_um2) * EXACT
    assert priced(one.leakage_mw) <= priced(cut.leakage_mw) * EXACT
    assert words_pj(one, bits, wide) == pytest.approx(words_pj(cut, bits, wide))
    if bits % wide == 0 and wide % narrow == 0:
        side_by_side = buffer(capacity_kib=kib, word_bits=bits, macro_word_bits=narrow, ports=few)
        assert side_by_side.macros == one.macros * wide // narrow
        assert priced(one.area_um2) <= priced(side_by_side.area_um2) * EXACT
        for low, high in zip(words_pj(one, bits, wide), words_pj(side_by_side, bits, narrow), strict=True):
            assert low <= high * EXACT


def test_the_bytes_of_a_touched_macro_cost_the_same_in_a_word_of_2048_bits() -> None:
    """A buffer as wide as eight macros reads one of them as cheaply as a buffer of one, not at 29 % of it."""
    one, eight = buffer(word_bits=256), buffer(word_bits=2048)
    assert eight.read_pj_per_byte == one.read_pj_per_byte
    assert (one.macros, eight.macros) == (1, 8)
    # area: 1483.4 um2 a KiB, and 9.6685 um2 a bit of each macro
    assert one.area_um2 == pytest.approx(1483.4 * 256 + 9.6685 * 256)
    assert eight.area_um2 == pytest.approx(1483.4 * 256 + 9.6685 * 2048)


@pytest.mark.parametrize(
    ("bits", "ports", "macros"), [(256, 1, 1), (257, 1, 2), (320, 3, 6), (512, 1, 2), (513, 2, 6), (8, 4, 4)]
)
def test_a_word_is_made_of_as_many_macros_as_it_needs(bits: int, ports: int, macros: int) -> None:
    """9.6685 um2 a bit of each macro's word, of 32 bits at least; the capacity is shared."""
    cost = buffer(word_bits=bits, ports=ports)
    assert cost.macros == macros
    word = max(32, min(bits, 256))
    assert cost.area_um2 == pytest.approx(1483.4 * 256 + 9.6685 * word * macros)


@pytest.mark.parametrize(
    ("fields", "built_of"),
    [
        ({}, "256 KiB x 256 bit"),
        ({"word_bits": 512}, "2 x 128 KiB x 256 bit"),
        ({"capacity_kib": 96, "word_bits": 64, "ports": 3}, "3 x 32 KiB x 64 bit"),
    ],
)
def test_a_fitted_memory_says_what_it_is_built_of(fields: dict[str, Any], built_of: str) -> None:
    assert buffer(**fields).built_of == built_of


def test_a_small_memory_costs_the_sum_of_its_terms() -> None:
    """16 KiB x 64 bit: 16^0.25 is 2, 16^0.5 is 4, 16^0.75 is 8; 64^0.5 is 8, 64^-0.25 is 1 / 8^0.5."""
    cost = buffer(capacity_kib=16, word_bits=64)
    read = 0.00096926 * 64 + 0.33806 * 4 + 0.004905 * 4 * 64 + 0.00044224 * 8 * 64
    write = (
        0.059116 + 0.0059699 * 2 * 64 + 0.16029 * 4 + 0.006457 * 4 * 64 + 0.0057811 * 8 + 1.8931e-5 * 16 * 64
    )
    assert words_pj(cost, 64) == pytest.approx((read, write))
    assert cost.leakage_mw == pytest.approx(0.0029733 * 4 * 8 + 0.12079 * 8 / 8**0.5 + 0.33796 * 16 / 64)
    assert cost.area_um2 == pytest.approx(9.6685 * 64 + 1483.4 * 16)
    access_ns = 0.0067679 + 0.14032 * 2 + 0.018582 * 4 + 0.00022016 * 4 * 8
    assert cost.access_ns == pytest.approx(access_ns)
    assert cost.notes == ()


# What is extrapolated, and what is too slow


@pytest.mark.parametrize(
    ("fields", "notes"),
    [
        ({"capacity_kib": 1}, []),
        ({"capacity_kib": 0.5}, ["0.5 KiB extrapolated from memories of 1 to 4096 KiB"]),
        ({"capacity_kib": 4096, "word_bits": 512}, []),
        ({"capacity_kib": 2, "ports": 4}, ["0.5 KiB extrapolated from memories of 1 to 4096 KiB"]),
        (
            {"capacity_kib": 16384, "ports": 2},
            ["16384 KiB and 8192 KiB extrapolated from memories of 1 to 4096 KiB"],
        ),
        ({"word_bits": 32}, []),
        ({"word_bits": 8}, ["words of 8 bit are priced as words of 32 bit"]),
        (
            {"word_bits": 1024, "macro_word_bits": 1024},
            ["macros of 1024 bit extrapolated from 32 to 512 bit"],
        ),
    ],
)
def test_what_was_not_fitted_is_marked(fields: dict[str, Any], notes: list[str]) -> None:
    cost = buffer(clock_mhz=1, tables=None, **fields)
    assert list(cost.notes) == [f"sram.filter: {note}" for note in notes]


def test_the_uses_of_an_extrapolated_memory_say_so() -> None:
    cost = buffer(capacity_kib=8192, ports=2, clock_mhz=1)
    assert not isinstance(cost.read, NotPriced)
    assert not isinstance(cost.area, NotPriced)
    assert {use.what for use in cost.read} == {"an access of 256 bit in 8192 KiB (extrapolated)"}
    assert {use.what for use in cost.area} == {"2 x 4096 KiB x 256 bit"}


def test_a_narrow_word_costs_what_the_narrowest_fitted_one_costs() -> None:
    eight, narrowest = buffer(word_bits=8), buffer(word_bits=32)
    assert words_pj(eight, 8) == pytest.approx(words_pj(narrowest, 32))
    assert (eight.area_um2, eight.leakage_mw) == (narrowest.area_um2, narrowest.leakage_mw)


@pytest.mark.parametrize(("clock_mhz", "slow"), [(1084, False), (1086, True)])
def test_a_macro_that_is_slower_than_the_clock_is_a_warning(clock_mhz: float, slow: bool) -> None:
    """256 KiB x 256 bit: 0.0067679 + 0.14032 x 4 + 0.018582 x 16 + 0.00022016 x 16 x 16 = 0.92172 ns."""
    cost = buffer(clock_mhz=clock_mhz)
    assert cost.access_ns == pytest.approx(0.92172, rel=1e-5)
    assert bool(cost.warnings) == slow
    assert cost.notes == ()
    if slow:
        assert cost.warnings[0].startswith(
            "sram.filter: a macro of 256 KiB x 256 bit takes 0.922 ns, longer than the 0.921 ns of a cycle "
            "at 1086 MHz"
        )


# Macros of one's own


def table(folder: Path, rows: list[dict[str, Any]], **more: Any) -> str:
    """A table `mine` of SRAM rows."""
    shared = {"component": "sram", "variant": "a", "conditions": "cells", "source": "us", "status": "model"}
    document: dict[str, Any] = {
        "table": "mine",
        "description": "macros",
        "sources": {"us": "a compiler"},
        "conditions": {"cells": {"scope": "macro", "node_nm": 28, "activity": "any"}},
        "rows": [shared | row for row in rows],
    }
    file = folder / "mine.yaml"
    file.write_text(yaml.safe_dump(document | more))
    return str(file)


def macro(
    kib: float,
    bits: int | str,
    read: float,
    write: float,
    leak: float,
    area: float,
    ns: float,
    name: str = "a",
) -> list[dict[str, Any]]:
    at = {"variant": name, "capacity_kib": kib, "word_bits": bits}
    return [
        at | {"action": "read", "energy_pj": read},
        at | {"action": "write", "energy_pj": write},
        at | {"action": "leakage", "leakage_mw": leak},
        at | {"action": "area", "area_um2": area},
        at | {"action": "access", "time_ns": ns},
    ]


SMALL = macro(32, 64, 4, 5, 0.25, 50_000, 1.5)
"""32 KiB x 64 bit: 0.5 pJ a byte read, 0.625 written."""


def test_a_buffer_that_is_one_macro_costs_what_the_macro_costs(tmp_path: Path) -> None:
    cost = buffer(
        [*BEFORE, table(tmp_path, macro(96, 512, 40, 50, 1, 2e5, 1)), *AFTER],
        capacity_kib=96,
        word_bits=512,
        macro_word_bits=512,
    )
    assert (cost.read_pj_per_byte, cost.write_pj_per_byte) == (40 / 64, 50 / 64)
    assert (cost.leakage_mw, cost.area_um2, cost.access_ns, cost.macros) == (1, 2e5, 1, 1)
    assert cost.notes == ()


def test_a_buffer_is_built_of_macros_side_by_side_and_in_depth(tmp_path: Path) -> None:
    """256 KiB x 128 bit of 32 KiB x 64 bit: two make a word, four in depth; 16 bytes cost two accesses."""
    cost = buffer([table(tmp_path, SMALL)], capacity_kib=256, word_bits=128)
    assert cost.macros == 8
    assert (cost.read_pj_per_byte, cost.write_pj_per_byte) == (2 * 4 / 16, 2 * 5 / 16)
    assert (cost.leakage_mw, cost.area_um2, cost.access_ns) == (2, 400_000, 1.5)
    (note,) = cost.notes
    assert note.startswith("sram.filter: 256 KiB x 128 bit is built of 8 x a (32 KiB x 64 bit); what lies")


def test_the_widest_macro_makes_a_word_alone(tmp_path: Path) -> None:
    cost = buffer([table(tmp_path, macro(256, "1048576", 4, 5, 0.25, 50_000, 1.5))], capacity_kib=256)
    assert (cost.macros, cost.area_um2) == (1, 50_000)


@pytest.mark.parametrize(
    ("fields", "macros"),
    [
        ({"capacity_kib": 10, "word_bits": 16}, 1),
        ({"capacity_kib": 33, "word_bits": 64}, 2),
        ({"capacity_kib": 64, "word_bits": 65}, 2),
        ({"capacity_kib": 65, "word_bits": 65}, 4),
        ({"capacity_kib": 64, "word_bits": 64, "ports": 4}, 4),
        ({"capacity_kib": 256, "word_bits": 64, "ports": 2}, 8),
        ({"capacity_kib": 32, "word_bits": 2048}, 32),
    ],
)
def test_what_a_macro_does_not_fill_is_paid_for(tmp_path: Path, fields: dict[str, Any], macros: int) -> None:
    cost = buffer([table(tmp_path, SMALL)], **fields)
    assert cost.macros == macros
    assert cost.area_um2 == 50_000 * macros
    assert cost.leakage_mw == 0.25 * macros
    (note,) = cost.notes
    assert "is built of" in note


def test_a_word_that_leaves_a_macro_unused_pays_for_its_whole_word(tmp_path: Path) -> None:
    """16 bit of a 64-bit macro: 4 pJ for 2 bytes. 96 bit: two macros, 8 pJ for 12 bytes."""
    mine = [table(tmp_path, SMALL)]
    assert buffer(mine, capacity_kib=32, word_bits=16).read_pj_per_byte == 2
    assert buffer(mine, capacity_kib=64, word_bits=96).read_pj_per_byte == pytest.approx(8 / 12)


def test_a_macro_that_is_wider_than_what_is_touched_says_so(tmp_path: Path) -> None:
    mine = [table(tmp_path, macro(64, 512, 32, 32, 1, 1e5, 1))]
    cost = buffer(mine, capacity_kib=64, word_bits=512)
    assert cost.read_pj_per_byte == 1
    assert "set sram.filter.macro_word_bits to 512" in cost.notes[0]
    told = buffer(mine, capacity_kib=64, word_bits=512, macro_word_bits=512)
    assert told.read_pj_per_byte == 0.5
    assert told.notes == ()


def test_among_several_macros_the_one_of_least_area_is_taken(tmp_path: Path) -> None:
    large = macro(128, 64, 9, 9, 1, 150_000, 1.8, name="b")
    mine = [table(tmp_path, SMALL + large)]
    assert buffer(mine, capacity_kib=128, word_bits=64).built_of == "b (128 KiB x 64 bit)"
    assert buffer(mine, capacity_kib=64, word_bits=64).built_of == "2 x a (32 KiB x 64 bit)"
    assert buffer(mine, capacity_kib=128, word_bits=256).built_of == "4 x a (32 KiB x 64 bit)"


def test_a_larger_macro_of_less_area_is_taken(tmp_path: Path) -> None:
    dense = macro(128, 64, 9, 9, 1, 40_000, 1.8, name="b")
    assert buffer([table(tmp_path, SMALL + dense)], capacity_kib=32, word_bits=64).built_of == (
        "b (128 KiB x 64 bit)"
    )


@pytest.mark.parametrize(
    ("clock_mhz", "built_of"),
    [
        (500, "b (64 KiB x 64 bit)"),  # 2 ns a cycle: both answer, b takes 60,000 um2 beside 100,000
        (555, "b (64 KiB x 64 bit)"),  # 1.8018 ns
        (556, "2 x a (32 KiB x 64 bit)"),  # 1.7986 ns: only a answers
        (666, "2 x a (32 KiB x 64 bit)"),  # 1.5015 ns
        (667, "b (64 KiB x 64 bit)"),  # 1.4993 ns: neither answers, so the smaller
    ],
)
def test_a_macro_that_meets_the_clock_comes_before_a_smaller_one(
    tmp_path: Path, clock_mhz: float, built_of: str
) -> None:
    """a answers in 1.5 ns, b in 1.8."""
    mine = [table(tmp_path, SMALL + macro(64, 64, 9, 9, 1, 60_000, 1.8, name="b"))]
    cost = buffer(mine, clock_mhz=clock_mhz, capacity_kib=64, word_bits=64)
    assert cost.built_of == built_of
    assert bool(cost.warnings) == (clock_mhz == 667)


def test_a_macro_without_an_access_time_counts_as_in_time_and_one_without_rows_comes_last(
    tmp_path: Path,
) -> None:
    untimed = macro(64, 64, 9, 9, 1, 60_000, 1.8, name="b")[:-1]
    mine = [table(tmp_path, SMALL + untimed)]
    assert buffer(mine, clock_mhz=1000, capacity_kib=64, word_bits=64).built_of == "b (64 KiB x 64 bit)"
    fast = macro(64, 64, 9, 9, 1, 60_000, 0.5, name="b")[1:]  # in time, but nothing says what a read costs
    mine = [table(tmp_path, SMALL + fast)]
    slow = buffer(mine, clock_mhz=1000, capacity_kib=64, word_bits=64)
    assert slow.built_of == "2 x a (32 KiB x 64 bit)"
    assert slow.warnings


@pytest.mark.parametrize(
    ("kib", "word_bits", "macros"),
    [(0.0078125, 64, "131,072"), (1e-9, 64, "1,024,000,000,000"), (1, 8, "131,072")],
)
def test_no_buffer_is_built_of_absurdly_many_macros(
    tmp_path: Path, kib: float, word_bits: int, macros: str
) -> None:
    """1 MiB x 64 bit of 8 bytes, of a millionth of a byte, and 128 MiB x 128 bit of 1 KiB x 8 bit."""
    mine = [table(tmp_path, macro(kib, word_bits, 4, 5, 0.25, 50_000, 1.5))]
    wanted_kib, wanted_bits = (1024, 64) if word_bits == 64 else (131_072, 128)
    cost = buffer(mine, capacity_kib=wanted_kib, word_bits=wanted_bits)
    for uses in (cost.read, cost.write, cost.leakage, cost.area):
        assert f"would take {macros} macros of a" in reason(uses)
        assert "at most 65,536: check capacity_kib and word_bits in table mine" in reason(uses)
    assert cost.area_um2 is None


def test_no_fitted_memory_is_cut_into_absurdly_many_macros() -> None:
    """65,536 words of 8 bit side by side with one port are the most, 131,072 with two."""
    fields: dict[str, Any] = {"capacity_kib": 65_536, "word_bits": 524_288, "macro_word_bits": 8}
    assert buffer(**fields).macros == 65_536
    assert buffer(**fields).area_um2 is not None
    cost = buffer(**fields, ports=2)
    assert reason(cost.area) == (
        "sram.filter of 65536 KiB x 524288 bit would take 131,072 macros of 0.5 KiB x 8 bit, and buffers are "
        "built of at most 65,536: set sram.filter.macro_word_bits to more than 8, or ports to fewer"
    )


def test_the_most_macros_are_still_priced_and_a_larger_macro_is_taken_instead(tmp_path: Path) -> None:
    tiny = macro(1, 64, 4, 5, 0.25, 10, 1.5)
    cost = buffer([table(tmp_path, tiny)], capacity_kib=65_536, word_bits=64)
    assert (cost.macros, cost.area_um2) == (65_536, 655_360)
    assert buffer([table(tmp_path, tiny)], capacity_kib=65_537, word_bits=64).area_um2 is None
    both = [table(tmp_path, tiny + macro(128, 64, 9, 9, 1, 1e6, 1.8, name="b"))]
    assert buffer(both, capacity_kib=65_537, word_bits=64).built_of == "513 x b (128 KiB x 64 bit)"


def test_without_areas_the_least_capacity_is_taken(tmp_path: Path) -> None:
    rows = [
        {"variant": name, "action": "read", "energy_pj": 4, "capacity_kib": kib, "word_bits": 64}
        for name, kib in (("big", 128), ("small", 48))
    ]
    mine = [table(tmp_path, rows)]
    assert buffer(mine, capacity_kib=40, word_bits=64).built_of == "small (48 KiB x 64 bit)"
    assert buffer(mine, capacity_kib=128, word_bits=64).built_of == "big (128 KiB x 64 bit)"


def test_a_macro_that_lacks_rows_is_taken_last(tmp_path: Path) -> None:
    bare = {"variant": "b", "capacity_kib": 64, "word_bits": 64, "action": "area", "area_um2": 1}
    assert buffer([table(tmp_path, [*SMALL, bare])], capacity_kib=64, word_bits=64).macros == 2


def test_a_row_without_a_word_serves_every_word_of_its_memory(tmp_path: Path) -> None:
    rows = [
        {"action": "area", "area_um2": 7000, "capacity_kib": 16},
        {"action": "read", "energy_pj_per_byte": 0.5, "capacity_kib": 16, "word_bits": 64},
        {"action": "read", "energy_pj_per_byte": 0.25, "capacity_kib": 16, "word_bits": 128},
    ]
    cost = buffer([table(tmp_path, rows)], capacity_kib=16, word_bits=128)
    assert (cost.read_pj_per_byte, cost.area_um2, cost.macros) == (0.25, 7000, 1)


def test_the_first_table_with_memories_prices_all_of_them(tmp_path: Path) -> None:
    """What it lacks has no price, although the bundled table behind it has one."""
    mine = table(tmp_path, [{"action": "read", "energy_pj": 8, "capacity_kib": 256, "word_bits": 256}])
    cost = buffer([mine, "sram_28nm"])
    assert cost.read_pj_per_byte == 0.25
    for action, uses in (("write", cost.write), ("leakage", cost.leakage), ("area", cost.area)):
        assert reason(uses) == (
            f"mine prices the memories and has no row of {action}, and tables are never mixed: add the row "
            "to mine, or put a table that has every row of its memories before it"
        )
    assert cost.access_ns is None
    assert buffer(["sram_28nm", mine]).write_pj_per_byte == pytest.approx(36.79546 / 32, rel=1e-6)


def test_a_fitted_memory_of_ones_own_is_a_sum_of_its_terms(tmp_path: Path) -> None:
    """64 KiB x 128 bit: 2 + 0.5 x 8 + 0.01 x 8 x 128 = 16.24 pJ for 16 bytes."""

    def term(a: float, b: float, **value: float) -> dict[str, Any]:
        return {"capacity_exponent": a, "word_exponent": b, **value}

    rows = [
        term(0, 0, energy_pj=2) | {"action": "read"},
        term(0.5, 0, energy_pj=0.5) | {"action": "read"},
        term(0.5, 1, energy_pj=0.01) | {"action": "read"},
        term(1, 0, area_um2=1000) | {"action": "area"},
    ]
    mine = table(tmp_path, rows, fitted_memories={"capacity_kib": [8, 128], "word_bits": [16, 128]})
    cost = buffer([mine], capacity_kib=64, word_bits=128)
    assert cost.read_pj_per_byte == pytest.approx(16.24 / 16)
    assert cost.area_um2 == 64_000
    assert "mine prices the memories and has no row of write" in reason(cost.write)
    (note,) = buffer([mine], capacity_kib=256, word_bits=128).notes
    assert note == "sram.filter: 256 KiB extrapolated from memories of 8 to 128 KiB"


# Refusals


FITTED = {"capacity_kib": [1, 64], "word_bits": [8, 64]}


@pytest.mark.parametrize(
    ("row", "more", "complaint"),
    [
        (
            {"capacity_exponent": 1, "energy_pj": 1},
            {"fitted_memories": FITTED},
            "needs both capacity_exponent",
        ),
        ({"word_exponent": 1, "energy_pj": 1}, {"fitted_memories": FITTED}, "needs both capacity_exponent"),
        (
            {"capacity_exponent": 1, "word_exponent": 1, "energy_pj": 1},
            {},
            "has exponents, so the table needs fitted_memories",
        ),
        (
            {"capacity_exponent": 1, "word_exponent": 1, "energy_pj": 1, "word_bits": 8},
            {"fitted_memories": FITTED},
            "holds for no single capacity or word",
        ),
        (
            {"capacity_exponent": 1, "word_exponent": 1, "energy_pj_per_byte": 1},
            {"fitted_memories": FITTED},
            "has exponents, so it needs energy_pj",
        ),
        ({"energy_pj": 1, "capacity_kib": 4}, {}, "is the energy of an access, so it needs word_bits"),
        ({"energy_pj_per_bit": 1, "capacity_kib": 4}, {}, "is no energy of an SRAM"),
        ({"time_ns": 1, "capacity_kib": 4}, {}, "time_ns is no value of this action"),
        (
            {"capacity_exponent": -1, "word_exponent": 1, "energy_pj": 1},
            {"fitted_memories": FITTED},
            "capacity_exponent",
        ),
    ],
)
def test_rows_that_price_no_memory_are_refused(
    tmp_path: Path, row: dict[str, Any], more: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(UserError, match=complaint):
        load_table(table(tmp_path, [{"action": "read"} | row], **more))


def test_a_table_that_fits_memories_gives_none(tmp_path: Path) -> None:
    term = {"action": "read", "capacity_exponent": 1, "word_exponent": 1, "energy_pj": 1}
    with pytest.raises(UserError, match="put it into a table of its own"):
        load_table(table(tmp_path, [term, *SMALL], fitted_memories=FITTED))


def test_a_range_that_descends_is_refused(tmp_path: Path) -> None:
    term = {"action": "read", "capacity_exponent": 1, "word_exponent": 1, "energy_pj": 1}
    with pytest.raises(UserError, match="positive lower end"):
        load_table(table(tmp_path, [term], fitted_memories={"capacity_kib": [64, 1], "word_bits": [8, 64]}))


def test_only_memories_have_exponents() -> None:
    text = Path("energy_tables/dram.yaml").read_text()
    broken = text.replace("energy_pj_per_bit: 8,", "energy_pj_per_bit: 8, capacity_exponent: 1,", 1)
    with pytest.raises(UserError, match="only sram rows have exponents"):
        parse_table(broken, source="dram.yaml")


def test_macros_of_next_to_no_capacity_are_too_many(tmp_path: Path) -> None:
    """256 KiB / 1e-310 KiB is beyond a float."""
    cost = buffer([table(tmp_path, macro(1e-310, 64, 4, 5, 0.25, 50_000, 1.5))], capacity_kib=256)
    assert cost.area_um2 is None
    assert "macros" in " ".join(cost.notes) + str(cost)
