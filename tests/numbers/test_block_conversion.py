"""Tensors in block-scaled formats, against the slow reference and values worked out by hand."""

from __future__ import annotations

import warnings
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.numerics import get_format
from simulator.numerics.block_scaled import BlockFormat, ScaleRule, block_format_names, get_block_format
from tests.numbers.block_cases import random_blocks, reference_block
from tests.reference import block_scaled as reference

MX = ("mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e3m2", "mxfp6_e2m3", "mxfp4", "mxint8")
RULES: tuple[ScaleRule, ...] = ("floor", "ceil", "even", "rceil")
BLOCKS = 220


@pytest.mark.parametrize("name", MX)
@pytest.mark.parametrize("rule", RULES)
def test_mx_codes_are_those_of_the_reference(name: str, rule: ScaleRule) -> None:
    fmt = replace(get_block_format(name), rule=rule)
    values = random_blocks(np.random.default_rng(1), BLOCKS, 32)
    found = fmt.encode(values)
    for row, block in enumerate(values):
        scale, codes = reference_block(fmt, block)
        assert (int(found.scales[row, 0]), found.elements[row].tolist()) == (scale, codes), row


def test_full_range_integers_use_the_lowest_code() -> None:
    fmt = replace(get_block_format("mxint8"), full_range=True)
    values = random_blocks(np.random.default_rng(2), BLOCKS, 32)
    found = fmt.encode(values)
    for row, block in enumerate(values):
        assert found.elements[row].tolist() == reference_block(fmt, block)[1]
    assert (found.elements == 0x80).any()
    assert not (get_block_format("mxint8").encode(values).elements == 0x80).any()


def test_nvfp4_codes_are_those_of_the_reference() -> None:
    fmt = get_block_format("nvfp4_single")
    values = random_blocks(np.random.default_rng(3), BLOCKS, 16)
    found = fmt.encode(values)
    for row, block in enumerate(values):
        scale, codes = reference_block(fmt, block)
        assert (int(found.scales[row, 0]), found.elements[row].tolist()) == (scale, codes), row


def test_nvfp4_with_a_scale_of_the_tensor() -> None:
    fmt = get_block_format("nvfp4")
    for rows in random_blocks(np.random.default_rng(4), BLOCKS, 16).reshape(-1, 4, 16):
        found = fmt.encode(rows)
        largest = float(np.abs(rows).max())
        expected = reference.float32_value(reference.float32_code(Fraction(largest) / 2688)) if largest else 1
        assert isinstance(expected, Fraction | int)
        scale = Fraction(expected) or Fraction(1)
        assert Fraction(float(found.tensor_scale)) == scale
        for row, block in enumerate(rows):
            code, codes = reference.nvfp4_block([float(value) for value in block], scale)
            assert (int(found.scales[row, 0]), found.elements[row].tolist()) == (code, codes)


@pytest.mark.parametrize(
    ("name", "largest", "codes"),
    [
        # floor, ceil, even, rceil: code = exponent + 127.
        ("mxfp8_e4m3", 1.0, (119, 119, 119, 119)),  # 0 - 8; 1/448 lies in (2^-9, 2^-8)
        ("mxfp8_e4m3", 1.75, (119, 120, 119, 119)),  # 1.75 / 448 is 2^-8
        ("mxfp8_e4m3", 1.9375, (119, 120, 120, 120)),  # 1.9375 rounds up to 2 at three fraction bits
        ("mxfp8_e5m2", 1.75, (112, 113, 112, 112)),
        ("mxfp8_e5m2", 1.875, (112, 113, 113, 113)),  # a half goes up
        ("mxfp6_e3m2", 28.0, (127, 128, 127, 127)),
        ("mxfp6_e2m3", 7.5, (127, 128, 127, 127)),
        ("mxfp4", 6.0, (127, 128, 127, 127)),
        ("mxfp4", 7.0, (127, 128, 128, 128)),
        ("mxint8", 127 / 64, (127, 128, 127, 127)),
        ("mxint8", 2.0, (128, 128, 128, 128)),  # 2 / (127/64) lies in (1, 2)
    ],
)
def test_scale_rules_by_hand(name: str, largest: float, codes: tuple[int, ...]) -> None:
    values = np.zeros(32, np.float32)
    values[7] = -largest
    found = tuple(int(replace(get_block_format(name), rule=rule).encode(values).scales[0]) for rule in RULES)
    assert found == codes


@pytest.mark.parametrize("name", MX)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_take_their_block(name: str, bad: float) -> None:
    values = np.linspace(-1, 1, 64, dtype=np.float32)
    values[40] = bad
    fmt = get_block_format(name)
    found = fmt.encode(values)
    assert found.scales[1] == 0xFF
    assert not found.elements[32:].any()
    assert found.lost_blocks == 1
    assert np.array_equal(found.elements[:32], fmt.encode(values[:32]).elements)
    assert np.isnan(fmt.decode(found)[32:]).all()


def test_a_signalling_nan_takes_its_block_without_a_warning() -> None:
    values = np.array([1.0, 2.0], np.float32)
    values.view(np.uint32)[1] = 0x7F800001
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = get_block_format("mxfp4").encode(values)
    assert (found.scales.tolist(), found.elements.tolist()) == ([255], [0, 0])


def test_nan_in_nvfp4_is_scale_7f() -> None:
    values = np.ones(32, np.float32)
    values[3] = np.nan
    found = get_block_format("nvfp4").encode(values)
    assert found.scales.tolist() == [0x7F, 0x7E]  # 448 x 6 x S is the largest finite value
    assert found.elements.tolist() == [0] * 16 + [7] * 16
    assert found.tensor_scale == np.float32(1) / np.float32(2688)


@pytest.mark.parametrize(
    ("name", "minus_zero"),
    [("mxfp8_e4m3", 0x80), ("mxfp8_e5m2", 0x80), ("mxfp6_e3m2", 0x20), ("mxfp4", 8), ("mxint8", 0)],
)
def test_zeros_keep_their_signs(name: str, minus_zero: int) -> None:
    found = get_block_format(name).encode(np.array([0.0, -0.0] * 16, np.float32))
    assert found.scales.tolist() == [0]
    assert found.elements.tolist() == [0, minus_zero] * 16


@pytest.mark.parametrize("name", block_format_names())
@pytest.mark.parametrize("length", [1, 5, 15, 16, 17, 31, 33, 50])
def test_a_tail_is_as_if_padded_with_zeros(name: str, length: int) -> None:
    fmt = get_block_format(name)
    values = np.random.default_rng(length).normal(size=(3, length)).astype(np.float32)
    blocks = -(-length // fmt.block)
    padded = np.zeros((3, blocks * fmt.block), np.float32)
    padded[:, :length] = values
    found, whole = fmt.encode(values), fmt.encode(padded)
    assert found.scales.shape == (3, blocks)
    assert np.array_equal(found.scales, whole.scales)
    assert np.array_equal(found.elements, whole.elements[:, :length])


def test_losses_are_counted() -> None:
    values = np.full(32, 7.9, np.float32)  # floor: scale 1 for amax in [4, 8), all beyond 6
    values[1] = 0.2  # below half of the smallest element, 0.5
    found = get_block_format("mxfp4").encode(values)
    assert (found.saturated, found.underflowed) == (31, 1)
    values[2] = 0.0
    assert get_block_format("mxfp4").encode(values).underflowed == 1
    assert replace(get_block_format("mxfp4"), rule="rceil").encode(values).saturated == 0


def own(**fields: object) -> BlockFormat:
    return get_block_format(fields, name="mine")


def test_own_formats_as_data() -> None:
    """A shared-exponent tile (MSFP-like) and integers with a float scale for a group."""
    tile = own(element="sm4", scale="e8m0", block=4)
    found = tile.encode(np.array([7.0, -3.4, 0.5, 8.0], np.float32))  # 8 = 1000b: exponent 3 - 2
    assert found.scales.tolist() == [128]
    assert tile.decode(found).tolist() == [8.0, -4.0, 0.0, 8.0]  # in steps of 2
    group = own(element="int4", scale="fp16", block=64)
    assert group.rule == "nearest"
    values = np.linspace(-1, 1, 64, dtype=np.float32)
    coded = group.encode(values)
    scale = np.float16(1 / 7)
    assert coded.scales.view(np.float16).tolist() == [scale]
    expected = np.clip(np.rint(values.astype(np.float64) / float(scale)), -7, 7)
    assert np.array_equal(get_format("int4").decode(coded.elements), expected)
    assert group.bits_per_element == 4.25


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"element": "e2m1", "rule": "nearest"}, "rule"),
        ({"element": "e2m1", "scale": "fp16", "rule": "floor"}, "rule"),
        ({"element": "e2m1", "scale": "int8"}, "block scales"),
        ({"element": "e2m1", "scale": "fp32"}, "block scales"),
        ({"element": "uint4"}, "element"),
        ({"element": "fp16"}, "element"),
        ({"element": "e2m1", "tensor_scale": True}, "tensor_scale"),
        ({"element": "e2m1", "scale": "e4m3fm"}, "mine.*scale.*did you mean 'e4m3fn'"),
        ({"element": "int8", "scale": "bf16", "tensor_scale": True}, "tensor_scale"),
        ({"element": "e2m1", "block": 0}, "block"),
        ({"element": "e2m1", "size": 3}, "size"),
    ],
)
def test_combinations_that_cannot_be(fields: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        own(**fields)


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match="mxfp4"):
        get_block_format("mxfp44")


def scales_of(fmt: BlockFormat) -> NDArray[np.float64]:
    return fmt.scale_format.values


def test_scale_tables() -> None:
    powers = scales_of(get_block_format("mxfp4"))
    assert powers[:255].tolist() == [2.0 ** (code - 127) for code in range(255)]
    assert np.isnan(powers[255])
    floats = scales_of(get_block_format("nvfp4"))
    assert floats[0x7E] == 448
    assert floats[1] == 2.0**-9
    assert np.array_equal(floats[128:], floats[:128], equal_nan=True)
    assert np.isnan(floats[0x7F])
