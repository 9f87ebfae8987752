"""Are netlists read and gates evaluated as their truth tables say?"""

from __future__ import annotations

import json

import numpy as np
import pytest

from simulator.foundation.defects import DefectError
from simulator.hardware.gate_simulation import GateSimulation, from_words, to_words
from simulator.hardware.netlists import Gate, Instance, Netlist, flattened, read_netlists

# Outputs for inputs (first, second, third) = 000, 100, 010, 110, 001, 101, 011, 111, by the definitions.
TRUTH = {
    "$_BUF_": "01",
    "$_NOT_": "10",
    "$_AND_": "0001",
    "$_NAND_": "1110",
    "$_OR_": "0111",
    "$_NOR_": "1000",
    "$_XOR_": "0110",
    "$_XNOR_": "1001",
    "$_ANDNOT_": "0100",
    "$_ORNOT_": "1101",
    "$_MUX_": "01010011",
    "$_AOI3_": "11100000",
    "$_OAI3_": "11111000",
}


@pytest.mark.parametrize("kind", TRUTH)
def test_gates_have_their_truth_tables(kind: str) -> None:
    inputs = len(TRUTH[kind]).bit_length() - 1
    nets = tuple(range(2, 2 + inputs))
    netlist = Netlist("g", {"x": nets}, {"y": (9,)}, (Gate(kind, nets, 9),), (), (), 10)
    found = GateSimulation(netlist).evaluate({"x": np.arange(1 << inputs, dtype=np.uint8)})["y"]
    assert "".join(map(str, found)) == TRUTH[kind]


@pytest.mark.parametrize("bits", [1, 5, 63, 64, 65, 130])
def test_words_and_numbers_are_the_same(bits: int) -> None:
    numbers = [
        (0x1234_5678_9ABC_DEF0_0F1E_2D3C_4B5A_6978 * (index + 1)) & ((1 << bits) - 1) for index in range(70)
    ]
    words = to_words(np.array(numbers, object), bits)
    assert words.shape == (bits, 2)
    assert [(int(words[0, 0]) >> place) & 1 for place in range(3)] == [number & 1 for number in numbers[:3]]
    assert from_words(words, 70).tolist() == numbers


def test_negative_numbers_are_two_s_complement() -> None:
    assert from_words(to_words(np.array([-1, -2, 5], np.int64), 70), 3).tolist() == [2**70 - 1, 2**70 - 2, 5]


def test_a_flip_flop_takes_what_stood_before_it() -> None:
    # q1 <= not q1; q2 <= q1
    netlist = Netlist("t", {}, {"q": (2, 3)}, (Gate("$_NOT_", (2,), 4),), ((4, 2), (2, 3)), (), 5)
    simulation = GateSimulation(netlist)
    nets = simulation.start(1)
    simulation.settle(nets)
    seen = []
    for _ in range(4):
        simulation.clock(nets)
        seen.append(int(simulation.read(nets, "q", 1)[0]))
    assert seen == [1, 2, 1, 2]


def test_modules_are_put_in_their_places() -> None:
    inner = Netlist("inv", {"a": (2,)}, {"y": (3,)}, (Gate("$_NOT_", (2,), 3),), (), (), 4)
    through = Netlist("wire", {"a": (2,)}, {"y": (2,)}, (), (), (), 3)
    instances = (
        Instance("one", "inv", {"a": (2,), "y": (4,)}),
        Instance("two", "wire", {"a": (4,), "y": (5,)}),
        Instance("three", "inv", {"a": (5,), "y": (6,)}),
    )
    outer = Netlist("top", {"x": (2,)}, {"z": (6,), "n": (5,)}, (), (), instances, 7)
    flat = flattened("top", {"inv": inner, "wire": through, "top": outer})
    found = GateSimulation(flat).evaluate({"x": np.array([0, 1], np.uint8)})
    assert found["z"].tolist() == [0, 1]
    assert found["n"].tolist() == [1, 0]


def test_a_loop_of_gates_and_a_missing_driver_are_defects() -> None:
    loop = (Gate("$_NOT_", (3,), 2), Gate("$_NOT_", (2,), 3))
    for gates in (loop, (Gate("$_NOT_", (7,), 3),)):
        with pytest.raises(DefectError, match="loop of gates or a net without a driver"):
            GateSimulation(Netlist("bad", {}, {"y": (3,)}, gates, (), (), 8))


def test_a_netlist_is_read_with_its_constants_and_without_its_clock() -> None:
    cell = {"type": "$_MUX_", "connections": {"A": ["0"], "B": ["1"], "S": [3], "Y": [4]}}
    flip_flop = {"type": "$_DFF_P_", "connections": {"C": [2], "D": [4], "Q": [5]}}
    ports = {
        "clk": {"direction": "input", "bits": [2]},
        "s": {"direction": "input", "bits": [3]},
        "q": {"direction": "output", "bits": [5, "1"]},
    }
    text = json.dumps({"modules": {"m": {"ports": ports, "cells": {"c": cell, "f": flip_flop}}}})
    netlist = read_netlists(text)["m"]
    assert netlist.gates == (Gate("$_MUX_", (0, 1, 3), 4),)
    assert netlist.flip_flops == ((4, 5),)
    assert netlist.inputs == {"s": (3,)}
    assert netlist.outputs == {"q": (5, 1)}
    unknown = text.replace("$_MUX_", "$_LATCH_")
    with pytest.raises(DefectError, match=r"'m' has a cell of unknown type '\$_LATCH_'"):
        read_netlists(unknown)
