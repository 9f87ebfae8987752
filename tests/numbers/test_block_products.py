"""Sums of block-scaled products, against the slow reference in fractions and values worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simulator.foundation import UserError
from simulator.numerics.block_scaled import SUM_RULES, BlockFormat, BlockTensor, get_block_format
from simulator.numerics.engines.block_products import multiply_blocks
from tests.numbers.block_cases import random_blocks, reference_blocks, reference_sum

MX = ("mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e3m2", "mxfp6_e2m3", "mxfp4", "mxint8")
NAMES = (*MX, "nvfp4_single")
EXACT = [rule for rule in SUM_RULES if rule != "blackwell"]
CASES = [(name, rule) for name in NAMES for rule in SUM_RULES if (name, rule) != ("mxint8", "blackwell")]
"""NVIDIA has no MXINT8."""


def tensor(fmt: BlockFormat, rows: int, length: int, seed: int, *, tame: bool) -> BlockTensor:
    rng = np.random.default_rng(seed)
    blocks = -(-length // fmt.block)
    values = random_blocks(rng, rows * blocks, fmt.block)
    if tame:
        values = rng.normal(size=values.shape).astype(np.float32)
    elif fmt.scale == "e4m3fn":
        values = np.clip(values, -2000, 2000)
    return fmt.encode(values.reshape(rows, -1)[:, :length])


def disagreements(
    rule: str, left: BlockFormat, a: BlockTensor, right: BlockFormat, w: BlockTensor
) -> list[tuple[int, int, str, str]]:
    found = multiply_blocks(left, a, right, w, rule=rule)  # type: ignore[arg-type]
    assert found.shape == (len(a.elements), len(w.elements))
    wrong = []
    for m in range(len(a.elements)):
        for n in range(len(w.elements)):
            expected = reference_sum(
                rule, left, reference_blocks(left, a, m), right, reference_blocks(right, w, n)
            )
            if int(found[m, n]) != expected:
                wrong.append((m, n, hex(int(found[m, n])), hex(expected)))
    return wrong


@pytest.mark.parametrize(("name", "rule"), CASES)
@pytest.mark.parametrize("tame", [True, False])
@pytest.mark.parametrize("length", [128, 70])
def test_sums_are_those_of_the_reference(name: str, rule: str, tame: bool, length: int) -> None:
    fmt = get_block_format(name)
    a = tensor(fmt, 9, length, 5, tame=tame)
    w = tensor(fmt, 7, length, 6, tame=tame)
    assert disagreements(rule, fmt, a, fmt, w) == []


@pytest.mark.parametrize("rule", SUM_RULES)
def test_operands_of_two_formats(rule: str) -> None:
    left, right = get_block_format("mxfp8_e5m2"), get_block_format("mxfp4")
    a, w = tensor(left, 6, 96, 7, tame=True), tensor(right, 5, 96, 8, tame=True)
    assert disagreements(rule, left, a, right, w) == []


@pytest.mark.parametrize(("name", "rule"), CASES)
def test_sums_that_nearly_cancel(name: str, rule: str) -> None:
    """Two halves of a row with opposite signs: what is left is far below the largest product."""
    fmt = get_block_format(name)
    half = tensor(fmt, 5, 64, 9, tame=True)
    other = tensor(fmt, 5, 64, 10, tame=True)
    small = replace(other, scales=np.maximum(other.scales, 30) - 20)
    a = BlockTensor(
        np.hstack([half.elements, half.elements, small.elements]),
        np.hstack([half.scales, half.scales, small.scales]),
    )
    minus = fmt.encode(-fmt.decode(half))
    w = BlockTensor(
        np.hstack([half.elements, minus.elements, other.elements]),
        np.hstack([half.scales, minus.scales, other.scales]),
    )
    assert disagreements(rule, fmt, a, fmt, w) == []


@pytest.mark.parametrize("rule", EXACT)
@pytest.mark.parametrize("name", ["mxfp8_e4m3", "mxfp8_e5m2"])
def test_special_elements_and_scales(rule: str, name: str) -> None:
    """Codes that conversion never gives: NaN and infinite elements, NaN scales, on their own and together."""
    fmt = get_block_format(name)
    rng = np.random.default_rng(11)
    a, w = tensor(fmt, 12, 96, 12, tame=True), tensor(fmt, 12, 96, 13, tame=True)
    specials = [0x7C, 0xFC, 0x7F, 0x7D] if name == "mxfp8_e5m2" else [0x7F, 0xFF]
    for each in (a, w):
        for row in range(2, 12):
            for _ in range(row % 3):
                each.elements[row, rng.integers(96)] = rng.choice([*specials[:2], *specials, 0])
        each.scales[5, 1] = 255
        each.elements[6, :] = 0
    found = disagreements(rule, fmt, a, fmt, w)
    assert found == []
    values = multiply_blocks(fmt, a, fmt, w, rule=rule).view(np.float32)  # type: ignore[arg-type]
    assert np.isnan(values[5]).all()
    assert np.isnan(values[:, 5]).all()


def test_blackwell_specials() -> None:
    fmt = get_block_format("mxfp8_e5m2")
    a, w = tensor(fmt, 4, 32, 14, tame=True), tensor(fmt, 1, 32, 15, tame=True)
    w.elements[0, 3] = 0x3C  # 1
    a.elements[1, 3], a.elements[2, 3], a.scales[3, 0] = 0xFC, 0x7D, 255
    found = multiply_blocks(fmt, a, fmt, w, rule="blackwell")[:, 0].tolist()
    assert found[1:] == [0xFF800000, 0x7FFFFFFF, 0x7FFFFFFF]


def one_block(values: dict[int, float], scale: int, length: int = 32) -> BlockTensor:
    fmt = get_block_format("mxfp8_e4m3")
    elements = np.zeros((1, length))
    for at, value in values.items():
        elements[0, at] = value
    return BlockTensor(fmt.element_format.encode(elements), np.full((1, -(-length // 32)), scale, np.uint8))


def test_once_and_fused_by_hand() -> None:
    """1 + 2**-24 + 2**-24: rounded once it is 1 + 2**-23; block by block both small ones are lost to ties."""
    fmt = get_block_format("mxfp8_e4m3")
    ones = one_block({0: 1.0, 32: 1.0, 64: 1.0}, 127, 96)
    scaled = BlockTensor(ones.elements, np.array([[127, 127 - 24, 127 - 24]], np.uint8))
    assert multiply_blocks(fmt, scaled, fmt, ones, rule="once").tolist() == [[0x3F800001]]
    assert multiply_blocks(fmt, scaled, fmt, ones, rule="fused").tolist() == [[0x3F800000]]


def test_blackwell_cuts_off_at_25_fraction_bits() -> None:
    """448 x 448 has exponent 16: products below 2**(16 - 25) vanish; without it the same ones stay."""
    fmt = get_block_format("mxfp8_e4m3")
    small = dict.fromkeys(range(1, 32), 2.0**-9)
    large = one_block({0: 448.0} | small, 127)
    assert multiply_blocks(fmt, large, fmt, large, rule="blackwell").view(np.float32)[0, 0] == 448**2
    alone = one_block({0: 0.0} | small, 127)
    assert multiply_blocks(fmt, alone, fmt, alone, rule="blackwell").view(np.float32)[0, 0] == 31 * 2.0**-18
    # Units of 2**(16 - 25) stay: 31 of them are 3.875 steps of float32 there, cut off to 3. Halves do not.
    for factor, steps in ((1.0, 3), (0.5, 0)):
        other = one_block({0: 448.0} | dict.fromkeys(range(1, 32), factor), 127)
        found = multiply_blocks(fmt, large, fmt, other, rule="blackwell").view(np.float32)[0, 0]
        assert found == 448.0**2 + steps * 2.0**-6


def test_overflow_and_underflow() -> None:
    fmt = get_block_format("mxfp8_e4m3")
    large, ones = one_block({0: 448.0}, 254), one_block({0: 448.0}, 127)
    for rule in SUM_RULES:
        assert multiply_blocks(fmt, large, fmt, ones, rule=rule).tolist() == [[0x7F800000]]
    tiny = one_block({0: 2.0**-9}, 0)
    for rule in SUM_RULES:
        assert multiply_blocks(fmt, tiny, fmt, tiny, rule=rule).tolist() == [[0]]
    denormal = one_block({0: 2.0**-9}, 127 - 64), one_block({0: 2.0**-4}, 127 - 70)  # 2**-147
    for rule in SUM_RULES:
        assert multiply_blocks(fmt, denormal[0], fmt, denormal[1], rule=rule).tolist() == [[4]]


def test_positions_end_blocks() -> None:
    """[M, positions, channels] is what a convolution has: blocks along channels, none over two positions."""
    fmt = get_block_format("mxfp4")
    rng = np.random.default_rng(16)
    a, w = rng.normal(size=(5, 9, 40)).astype(np.float32), rng.normal(size=(3, 9, 40)).astype(np.float32)
    padded = [np.concatenate([x, np.zeros((len(x), 9, 24), np.float32)], axis=2) for x in (a, w)]
    flat = [fmt.encode(x.reshape(len(x), -1)) for x in padded]
    for rule in SUM_RULES:
        found = multiply_blocks(fmt, fmt.encode(a), fmt, fmt.encode(w), rule=rule)
        assert np.array_equal(found, multiply_blocks(fmt, flat[0], fmt, flat[1], rule=rule))


def test_results_do_not_depend_on_threads_or_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    fmt = get_block_format("mxfp8_e5m2")
    a, w = tensor(fmt, 40, 64, 17, tame=True), tensor(fmt, 30, 64, 18, tame=True)
    for rule in SUM_RULES:
        whole = multiply_blocks(fmt, a, fmt, w, rule=rule, threads=1)
        with monkeypatch.context() as patch:
            patch.setattr("simulator.numerics.engines.block_products._CHUNK_ELEMENTS", 100)
            assert np.array_equal(whole, multiply_blocks(fmt, a, fmt, w, rule=rule, threads=3))


def test_empty_products() -> None:
    fmt = get_block_format("mxfp4")
    empty = fmt.encode(np.zeros((3, 0), np.float32))
    assert multiply_blocks(fmt, empty, fmt, empty).tolist() == [[0] * 3] * 3


def test_what_is_refused() -> None:
    mxfp4, nvfp4, mxint8 = (get_block_format(name) for name in ("mxfp4", "nvfp4", "mxint8"))
    a = mxfp4.encode(np.zeros((2, 64), np.float32))
    with pytest.raises(UserError, match="different length"):
        multiply_blocks(mxfp4, a, nvfp4, nvfp4.encode(np.zeros((2, 64), np.float32)))
    with pytest.raises(UserError, match="tensor cores"):
        multiply_blocks(mxint8, a, mxint8, a, rule="blackwell")
    with pytest.raises(UserError, match="shapes do not match"):
        multiply_blocks(mxfp4, a, mxfp4, mxfp4.encode(np.zeros((2, 96), np.float32)))
    wide = get_block_format({"element": "e5m2ieee", "scale": "fp16", "block": 32})
    coded = wide.encode(np.zeros((2, 64), np.float32))
    with pytest.raises(UserError, match="too wide"):
        multiply_blocks(wide, coded, wide, coded)
    with pytest.raises(UserError, match="do not belong together"):
        multiply_blocks(mxfp4, BlockTensor(a.elements, a.scales[:, :1]), mxfp4, a)


def test_group_scales_of_integers() -> None:
    """int4 x int4 with fp16 scales over 64: exact sums, compared in float64, which holds them all."""
    fmt = get_block_format({"element": "int4", "scale": "fp16", "block": 64})
    rng = np.random.default_rng(19)
    a, w = (fmt.encode(rng.normal(size=(4, 192)).astype(np.float32)) for _ in range(2))
    exact = fmt.decode(a) @ fmt.decode(w).T  # 22 bits of scales, 12 of a sum
    found = multiply_blocks(fmt, a, fmt, w).view(np.float32)
    assert np.array_equal(found, exact.astype(np.float32))
