"""Do a MAC's gates compute what its numerics says, and what a person works out by hand?"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from simulator.numerics import get_mac
from tests.hardware.random_macs import random_mac
from tests.reference import mac as reference

pytest.importorskip("amaranth", reason="needs Amaranth: pip install 'systolic-simulator[rtl]'")
pytest.importorskip("pyosys", reason="needs pyosys: pip install 'systolic-simulator[rtl]'")

from simulator.foundation import UserError
from simulator.hardware.array_circuit import ArrayShape
from simulator.hardware.operand_decoders import decode_register
from simulator.hardware.step_checks import check_converter, check_decoders, check_steps, evaluate
from simulator.hardware.synthesized_macs import SynthesizedMac
from tests.hardware.synthesized import synthesized

LIGHT = ("int8", "elma8", "elma16", "fp16", "posit8", "mixed8", "fp8", "fp8_fp16", "bf16")


def steps(name: str, *cases: tuple[int, int, int]) -> list[int]:
    """Sums after one step of (sum, activation code, weight code), in two's complement bits."""
    unit = get_mac(name)
    sums, a, w = (list(column) for column in zip(*cases, strict=True))
    inputs = {
        "activation": unit.activation.register_patterns(np.array(a).astype(unit.activation.code_dtype)),
        "weight": unit.weight.register_patterns(np.array(w).astype(unit.weight.code_dtype)),
        "sum_in": np.array(sums, object) & ((1 << unit.accumulator_bits) - 1),
    }
    found = evaluate(synthesized(name).simulation("mac"), inputs, "sum_out")
    return [int(word) & ((1 << unit.accumulator_bits) - 1) for word in found]


@pytest.mark.parametrize("name", LIGHT)
def test_steps_decoders_and_converters_of_presets_are_those_of_numerics(name: str) -> None:
    hardware = synthesized(name)
    step = check_steps(hardware, 0, 30_000)
    unit = hardware.mac
    short = unit.activation.bits + unit.weight.bits <= 16
    # Every pair of 8-bit codes meets four sums.
    assert step.compared == (4 * 65536 if short else 30_000)
    assert step.first is None
    decoders = check_decoders(hardware)
    assert [each.compared for each in decoders] == ([256, 256] if name in ("elma8", "posit8") else [])
    converter = check_converter(hardware, 0)
    assert converter is not None
    assert converter.compared >= 50_000
    for each in (step, *decoders, converter):
        assert (each.differing, each.first) == (0, None)


@pytest.mark.exhaustive
def test_steps_of_fp32_are_those_of_numerics() -> None:
    hardware = synthesized("fp32")
    for each in (check_steps(hardware, 1, 400_000), check_converter(hardware, 1)):
        assert each is not None
        assert (each.differing, each.first) == (0, None)


def test_int8_by_hand() -> None:
    wrapped = (1 << 31) - 1
    assert steps("int8", (0, 0x80, 0x80), (5, 0xFF, 3), (wrapped, 1, 1)) == [16384, 2, 1 << 31]


def test_log8_by_hand() -> None:
    """From the published circuit: 0x40 is 1, 0x01 is 2^-12, 0x7f is 2^12; the lowest bit is 2^-24."""
    negative = (1 << 38) - 1
    assert steps("elma8", (0, 0x40, 0x40), (0, 0x01, 0x01), (0, 0x81, 0x01)) == [1 << 24, 1, negative]
    # 2^12 x 2^12 is past the top and vanishes: 0, or -1 where negative. 2^12 x 1 is the largest that stays.
    assert steps("elma8", (7, 0x7F, 0x7F), (0, 0xFF, 0x7F), (0, 0x7F, 0x40)) == [7, negative, 1 << 36]


def test_posit8_zero_times_a_negative_number_adds_nothing() -> None:
    assert steps("posit8", (9, 0x00, 0xC0), (9, 0x40, 0xC0)) == [9, (9 - (1 << 24)) & ((1 << 38) - 1)]


def test_fp16_by_hand() -> None:
    """Ties go to even, subnormals are zero, overflow is infinity, infinity less infinity is NaN."""
    one, two_k, two_k_two, largest, infinity = 0x3C00, 0x6800, 0x6801, 0x7BFF, 0x7C00
    assert steps("fp16", (two_k, one, one), (two_k_two, one, one)) == [0x6800, 0x6802]
    assert steps("fp16", (largest, largest, one), (infinity, infinity, 0xBC00)) == [infinity, 0x7E00]
    assert steps("fp16", (0, 0x0001, one), (0x8000, 0x8000, one), (0x0400, 0x0400, 0xBC00)) == [0, 0x8000, 0]


def test_mixed8_by_hand() -> None:
    """1.0 in fix8.5 is 0x20, 1.0 in e4m3 is 0x38; the smallest weight is 2^-9 and the lowest bit 2^-14."""
    assert steps("mixed8", (0, 0x20, 0x38), (0, 0x01, 0x01), (0, 0xFF, 0x01)) == [1 << 14, 1, (1 << 32) - 1]


@pytest.mark.parametrize(
    ("name", "twin"),
    [
        (
            "elma8",
            reference.Fixed("log8.1", "log8.1", bits=38, lsb=-24, log=True),
        ),
        ("mixed8", reference.Fixed("fix8.5", "e4m3", bits=32, lsb=-14)),
        ("posit8", reference.Fixed("posit8.1", "posit8.1", bits=38, lsb=-24, overflow="sticky")),
    ],
)
def test_steps_are_those_of_the_slow_reference(name: str, twin: reference.Fixed) -> None:
    """Which shares no code with numerics."""
    generator = np.random.default_rng(3)
    cases = [
        (
            int(generator.integers(-(1 << 31), 1 << 31)),
            int(generator.integers(256)),
            int(generator.integers(256)),
        )
        for _ in range(500)
    ]
    mask = (1 << get_mac(name).accumulator_bits) - 1
    assert steps(name, *cases) == [twin.step(*case)[0] & mask for case in cases]


@pytest.mark.parametrize(
    ("name", "twin"),
    [
        ("fp16", reference.Float("fp16", "fp16", "fp16", flush=True)),
        ("fp8_fp16", reference.Float("e4m3fn", "e4m3fn", "fp16", flush=False)),
    ],
)
def test_float_steps_are_those_of_the_slow_reference(name: str, twin: reference.Float) -> None:
    generator = np.random.default_rng(4)
    bits = get_mac(name).activation.bits
    cases = [
        (
            int(generator.integers(1 << 16)),
            int(generator.integers(1 << bits)),
            int(generator.integers(1 << bits)),
        )
        for _ in range(500)
    ]
    assert steps(name, *cases) == [twin.step(*case) for case in cases]


def check_random(seed: int) -> None:
    unit = random_mac(seed)
    hardware = SynthesizedMac.of(unit, ArrayShape.of(1, 1, "os"))
    converter = check_converter(hardware, seed)
    for each in (check_steps(hardware, seed, 20_000), *check_decoders(hardware), converter):
        if each is not None:
            assert (each.differing, each.first) == (0, None), (unit.spec, each.what)


@pytest.mark.parametrize("seed", range(6))
def test_random_macs(seed: int) -> None:
    check_random(seed)


@pytest.mark.parametrize(
    "overflow",
    [
        "saturate",
        pytest.param("wrap", marks=pytest.mark.exhaustive),
        pytest.param("sticky", marks=pytest.mark.exhaustive),
    ],
)
def test_accumulators_of_more_than_64_bits(overflow: str) -> None:
    accumulator = {"kind": "fixed", "bits": 101, "lsb": -40, "overflow": overflow}
    unit = get_mac({"activation": "e5m2sat", "weight": "e5m3", "accumulator": accumulator})
    hardware = SynthesizedMac.of(unit, ArrayShape.of(1, 1, "os"))
    step, converter = check_steps(hardware, 0, 20_000), check_converter(hardware, 0)
    assert converter is not None
    assert step.compared == 20_000
    assert (step.first, converter.first) == (None, None)


@pytest.mark.exhaustive
@pytest.mark.parametrize("first", range(100, 300, 20))
def test_two_hundred_random_macs(first: int) -> None:
    for seed in range(first, first + 20):
        check_random(seed)


def test_parts_without_a_circuit_are_named() -> None:
    strange = SimpleNamespace(spec="ternary3", family="ternary")
    message = "format 'ternary3' has no hardware: there is no decoder of the family 'ternary'"
    with pytest.raises(UserError, match=message):
        decode_register(cast("Any", strange), cast("Any", None), None, flush=False)
