"""Do ports and output path take the cycles that words, ports and turns say? Vector by vector, by hand."""

from __future__ import annotations

import pytest

from simulator.arch import ArchConfig, load_arch
from simulator.operands import FILTER, IFMAP, OFMAP
from simulator.system import ports
from simulator.system.footprint import StorageBits
from simulator.system.ports import Delay, Edges, Pace, Side

APART = Edges(
    left=Side(IFMAP, 8, 0, 2),
    top=Side(FILTER, 4, 1, 2),
    ifmap_bits=8,
    filter_bits=4,
    sum_bits=24,
    result_bits=8,
    residual_bits=0,
    word=(16, 24, 32),
    ports=(2, 1, 3),
    macro=(16, 24, 32),
    turns=(0, 1, 2),
    values_per_cycle=4,
)
TOGETHER = APART._replace(word=(32, 32, 32), ports=(2, 2, 2), turns=(0, 0, 0))
"""One memory for all operands."""


@pytest.mark.parametrize(("a", "b", "quotient"), [(0, 3, 0), (1, 3, 1), (3, 3, 1), (4, 3, 2), (7, 1, 7)])
def test_quotients_are_rounded_up(a: int, b: int, quotient: int) -> None:
    assert ports.ceil_div(a, b) == quotient


def test_a_memory_moves_a_word_through_each_port() -> None:
    assert [APART.rate_of(operand) for operand in (IFMAP, FILTER, OFMAP)] == [32, 24, 96]


def test_each_operand_has_its_edge() -> None:
    assert APART.side_of(IFMAP) is APART.left
    assert APART.side_of(FILTER) is APART.top


def test_an_architecture_says_what_its_memories_move() -> None:
    changes = {
        "sram.ifmap.word_bits": 16, "sram.ifmap.ports": 2, "sram.filter.word_bits": 24, "sram.ofmap.ports": 3,
        "output_path.values_per_cycle": 5,
    }  # fmt: skip
    bits = StorageBits(activation=8, weight=4, accumulator=24, result=9, residual=7)
    edges = ports.edges_of(load_arch("int8_32x32", changes), bits, "os")
    assert (edges.word[:2], edges.ports, edges.turns) == ((16, 24), (2, 1, 3), (0, 1, 2))
    assert (edges.ifmap_bits, edges.filter_bits, edges.sum_bits) == (8, 4, 24)
    assert (edges.result_bits, edges.residual_bits, edges.values_per_cycle) == (9, 7, 5)
    assert (edges.left.operand, edges.left.bits) == (IFMAP, 8)
    assert (edges.top.operand, edges.top.bits) == (FILTER, 4)


@pytest.mark.parametrize(
    ("operand", "bits", "cycles"),
    # Words of 16 bits, two in a cycle; of 24, one; of 32, three.
    [
        (IFMAP, 32, 1),
        (IFMAP, 33, 2),
        (IFMAP, 48, 2),
        (IFMAP, 65, 3),
        (FILTER, 25, 2),
        (OFMAP, 96, 1),
        (OFMAP, 97, 2),
    ],
)
def test_a_vector_takes_its_words_a_port_each(operand: int, bits: int, cycles: int) -> None:
    assert ports.port_cycles(APART, operand, bits) == cycles


def test_vectors_pass_side_by_side_unless_they_take_turns() -> None:
    # 80 bits are 5 words of 16, 3 cycles; 100 bits are 5 words of 24, 5 cycles.
    assert ports.port_cycles_of_two(APART, IFMAP, 80, FILTER, 100) == 5
    assert ports.port_cycles_of_two(APART, IFMAP, 200, FILTER, 24) == 7
    # One memory: 3 and 4 words of 32 bits, which no word shares; 7 words pass two ports in 4 cycles.
    assert ports.port_cycles_of_two(TOGETHER, IFMAP, 80, FILTER, 100) == 4
    assert ports.port_cycles_of_two(TOGETHER, IFMAP, 32, FILTER, 32) == 1


@pytest.mark.parametrize(
    ("rows", "columns", "interval", "pace"),
    # Rows bring 8 bits each, 32 in a cycle; columns 4 bits each, 24 in a cycle.
    [(4, 6, 1, 1), (5, 6, 1, 2), (4, 7, 1, 2), (9, 6, 1, 3), (4, 6, 4, 4), (20, 6, 4, 5)],
)
def test_operands_come_as_fast_as_the_slower_port_and_the_mac_allow(
    rows: int, columns: int, interval: int, pace: int
) -> None:
    assert ports.operand_pace(APART, rows, columns, interval) == pace


@pytest.mark.parametrize(
    ("columns", "residual_bits", "port", "path"),
    # 8 bits a result, and 16 of what is added: words of 32 bits, three in a cycle. Four values in a cycle.
    [(4, 0, 1, 1), (12, 0, 1, 3), (13, 0, 2, 4), (13, 16, 4, 4), (40, 16, 10, 10)],
)
def test_results_pass_the_port_and_the_output_path(
    columns: int, residual_bits: int, port: int, path: int
) -> None:
    assert ports.result_pace(APART._replace(residual_bits=residual_bits), columns) == (port, path)


@pytest.mark.parametrize(
    ("rows", "columns", "beside", "delay"),
    [
        (5, 4, 0, Delay(0, 0)),  # a vector a cycle both ways
        (5, 13, 0, Delay(5 * 1, 5 * 2)),  # 2 cycles at the port, 4 on the path: 2 beyond the port's
        (5, 13, 5, Delay(5, 10)),  # as many cycles as rows are there in any case
        (5, 13, 12, Delay(5, 3)),  # 7 more hide what the path takes first
        (5, 13, 17, Delay(3, 0)),  # and then the port
        (5, 13, 40, Delay(0, 0)),
    ],
)
def test_results_are_late_by_what_the_next_fold_does_not_hide(
    rows: int, columns: int, beside: int, delay: Delay
) -> None:
    assert ports.delay_of_results(APART, rows, columns, beside) == delay


@pytest.mark.parametrize(
    ("first", "last", "port", "path"),
    [
        # 3 rows bring 24 bits, one cycle. 13 sums are 312 bits, 10 words, 4 cycles; both ways 20 words.
        (1, 0, 4, 1),
        (0, 0, 7, 1),
        # Results are 104 bits, 4 words, 2 cycles; with sums that come back 416 bits, 13 words, 5 cycles.
        (1, 1, 2, 4),
        (0, 1, 5, 4),
    ],
)
def test_sums_come_back_and_leave_past_their_port(first: int, last: int, port: int, path: int) -> None:
    # 13 weights of 4 bits are 52 bits, 3 words of 24.
    assert ports.stationary_pace(APART, 3, 13, first, last) == Pace(3, port, path)


def test_rows_may_be_what_a_stationary_fold_waits_for_and_residuals_pass_too() -> None:
    assert ports.stationary_pace(APART, 30, 1, 1, 1) == Pace(1, 8, 1)  # 240 bits, 15 words of 16
    added = APART._replace(residual_bits=16)
    assert ports.stationary_pace(added, 1, 13, 1, 1).port == 4  # 312 bits, 10 words
    assert ports.stationary_pace(added, 1, 13, 1, 0).port == 4  # sums, without what is added


def test_a_stationary_fold_is_late_by_its_vectors() -> None:
    assert ports.delay_of_stationary(Pace(3, 4, 6), 5, 7) == Delay(5 * 2 + 7 * 3, 7 * 2)
    assert ports.delay_of_stationary(Pace(1, 4, 2), 5, 7) == Delay(21, 0)


@pytest.mark.parametrize(("lanes", "bits", "macro", "words"), [(4, 8, 16, 2), (5, 8, 16, 3), (1, 3, 16, 1)])
def test_vectors_touch_whole_words(lanes: int, bits: int, macro: int, words: int) -> None:
    assert ports.words_of(lanes, bits, macro) == words


@pytest.mark.parametrize(
    ("holds", "port_use", "together"),
    [
        ((), "shared", [[0], [1], [2]]),
        (("ifmap", "filter"), "shared", [[0, 1], [2]]),
        (("filter", "ofmap"), "shared", [[0], [1, 2]]),
        (("ifmap", "filter", "ofmap"), "shared", [[0, 1, 2]]),
        (("ifmap", "filter", "ofmap"), "own", [[0], [1], [2]]),
    ],
)
def test_tensors_of_one_memory_take_turns_at_its_ports_unless_each_has_its_own(
    holds: tuple[str, ...], port_use: str, together: list[list[int]]
) -> None:
    sram = {"buffer": {"holds": list(holds), "port_use": port_use}} if holds else {}
    arch = ArchConfig.model_validate({"sram": sram})
    bits = StorageBits(activation=8, weight=8, accumulator=32, result=8, residual=8)
    turns = ports.edges_of(arch, bits, "os").turns
    by_turn = {turn: [operand for operand in range(3) if turns[operand] == turn] for turn in turns}
    assert sorted(by_turn.values()) == together
