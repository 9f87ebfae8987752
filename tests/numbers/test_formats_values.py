"""Is every code's value right, and what a format says of itself?"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest

from simulator.numerics import Format, as_codes, get_format
from simulator.numerics.formats import FAMILIES, example_specs
from simulator.numerics.formats.log import LogBase
from simulator.numerics.formats.posit import Posit
from simulator.numerics.logarithm import LogFormat, log2_table, pow2_table
from tests.numbers.format_cases import nearest_formats, tapered_values
from tests.reference import formats as reference
from tests.reference.recorded import recomputed

DEFINED = {spec: case.values for spec, case in nearest_formats().items()} | tapered_values()


def as_float(value: reference.Value) -> float:
    """The float64 of a reference value, which must hold it exactly."""
    if isinstance(value, str):
        return float(value)
    assert Fraction(float(value)) == value
    return float(value)


def log_format(spec: str) -> LogFormat:
    fmt = get_format(spec)
    assert isinstance(fmt, LogBase)
    return fmt


def same_numbers(left: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> bool:
    """Equal, NaN equal to NaN, zeros of equal sign."""
    return np.array_equal(left, right, equal_nan=True) and np.array_equal(
        np.signbit(left) & ~np.isnan(left), np.signbit(right) & ~np.isnan(right)
    )


def test_there_are_at_least_250_formats_of_up_to_8_bits() -> None:
    assert len(DEFINED) >= 250


@pytest.mark.parametrize("spec", DEFINED)
def test_all_codes_of_formats_up_to_8_bits(spec: str) -> None:
    fmt, values = get_format(spec), DEFINED[spec]
    assert 1 << fmt.bits == len(values)
    expected = np.array([as_float(value) for value in values])
    assert same_numbers(fmt.values(), expected)
    assert same_numbers(fmt.decode(np.arange(len(values))), expected)


@pytest.mark.parametrize("spec", DEFINED)
def test_what_a_format_says_of_itself(spec: str) -> None:
    fmt, values = get_format(spec), DEFINED[spec]
    finite = [value for value in values if isinstance(value, Fraction)]
    positive = [value for value in finite if value > 0]
    assert fmt.largest == max(finite)
    assert fmt.lowest == min(finite)
    assert fmt.smallest_positive == min(positive)
    assert fmt.signed == (min(finite) < 0)
    assert (fmt.has_infinity, fmt.has_nan, fmt.has_negative_zero) == (
        reference.PLUS_INFINITY in values,
        reference.NAN in values,
        reference.MINUS_ZERO in values,
    )
    assert fmt.smallest_step == min(high - low for low, high in pairwise(sorted(set(finite))))
    unit = reference.power_of_two(fmt.lsb)
    multiples = [value / unit for value in finite]
    assert all(multiple.denominator == 1 for multiple in multiples)
    assert any(multiple.numerator % 2 for multiple in multiples)
    least, greatest = fmt.exponent_range
    magnitudes = [abs(value) for value in finite if value]
    assert reference.power_of_two(least) <= min(magnitudes) < reference.power_of_two(least + 1)
    assert reference.power_of_two(greatest) <= max(magnitudes) < reference.power_of_two(greatest + 1)


@pytest.mark.parametrize("spec", [*DEFINED, *example_specs()])
def test_the_canonical_spec_names_the_same_format(spec: str) -> None:
    fmt = get_format(spec)
    assert get_format(fmt.spec) == fmt
    assert get_format(f" {fmt.spec.upper()} ") == fmt
    assert get_format(fmt) is fmt
    assert fmt.spec in repr(fmt)


@pytest.mark.parametrize(
    ("spec", "significand_bits", "exponent_bits"),
    [("int8", 8, 0), ("fix8.5", 8, 0), ("e4m3", 4, 4), ("ue4m4b9", 5, 4), ("e3m0", 1, 3), ("fp16", 11, 5),
     ("bf16", 8, 8), ("tf32", 11, 8), ("fp32", 24, 8), ("fp64", 53, 11), ("log8.1", 6, 5), ("log16", 12, 5),
     ("posit8.1", 5, 5), ("posit8.0", 6, 4)],
)  # fmt: skip
def test_widths_that_hardware_needs(spec: str, significand_bits: int, exponent_bits: int) -> None:
    fmt = get_format(spec)
    assert (fmt.significand_bits, fmt.exponent_bits) == (significand_bits, exponent_bits)


@pytest.mark.parametrize(
    ("spec", "dtype"),
    [
        ("e4m3fn", ml_dtypes.float8_e4m3fn),
        ("e5m2ieee", ml_dtypes.float8_e5m2),
        ("e5m2sat", ml_dtypes.float8_e5m2),
        ("e4m3fnuz", ml_dtypes.float8_e4m3fnuz),
        ("e5m2fnuz", ml_dtypes.float8_e5m2fnuz),
        ("fp16", np.float16),
        ("bf16", ml_dtypes.bfloat16),
    ],
)
def test_standard_floats_are_those_of_ml_dtypes(spec: str, dtype: npt.DTypeLike) -> None:
    fmt = get_format(spec)
    codes = np.arange(1 << fmt.bits).astype(fmt.code_dtype)
    with np.errstate(invalid="ignore"):  # signalling NaNs
        expected = codes.view(dtype).astype(np.float64)
    assert same_numbers(fmt.values(), expected)
    info: Any = ml_dtypes.finfo
    assert fmt.smallest_normal == float(info(dtype).smallest_normal)
    assert fmt.largest == float(info(dtype).max)


def test_fp32_is_the_machines_float() -> None:
    fmt = get_format("fp32")
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 1 << 32, 100_000, dtype=np.uint32)
    with np.errstate(invalid="ignore"):  # signalling NaNs
        expected = codes.view(np.float32).astype(np.float64)
    assert same_numbers(fmt.decode(codes), expected)
    assert same_numbers(
        fmt._decode(codes.astype(np.int64)), expected
    )  # by the definition, without the machine
    info = np.finfo(np.float32)
    assert (fmt.largest, fmt.smallest_positive) == (float(info.max), float(info.smallest_subnormal))
    assert (fmt.lsb, fmt.exponent_range, fmt.lowest) == (-149, (-149, 127), -fmt.largest)
    assert fmt.has_infinity
    assert fmt.has_nan
    assert fmt.has_negative_zero


def test_log16_is_the_half_float_word_read_as_a_log_number() -> None:
    values = get_format("log16").values()
    for code in [
        0,
        1,
        0x03FF,
        0x0400,
        0x0401,
        0x3C00,
        0x3C01,
        0x7BFF,
        0x7C00,
        0x7FFF,
        0x8000,
        0x8400,
        0xC123,
        0xFC00,
    ]:
        field, fraction = code >> 10 & 31, code & 1023
        linear = 1 + Fraction(reference.pow2_entry(fraction, 10, 11), 1 << 11)
        exact = (-1 if code >> 15 else 1) * reference.power_of_two(field - 15) * linear
        expected = 0.0 if field == 0 else float("inf") if field == 31 else float(exact)
        assert values[code] == expected


@pytest.mark.parametrize("sizes", [(4, 3), (4, 5), (4, 8), (4, 11), (10, 11)])
def test_pow2_tables_hold_the_nearest_integers(sizes: tuple[int, int]) -> None:
    table = pow2_table(*sizes)
    assert table.tolist() == [reference.pow2_entry(fraction, *sizes) for fraction in range(1 << sizes[0])]
    assert table.max() < 1 << sizes[1]


@pytest.mark.parametrize("sizes", [(5, 7), (8, 7), (5, 4), (8, 4), (11, 10)])
def test_log2_tables_hold_the_nearest_integers(sizes: tuple[int, int]) -> None:
    table = log2_table(*sizes)
    assert table.tolist() == [reference.log2_entry(fraction, *sizes) for fraction in range(1 << sizes[0])]


def test_tables_are_the_circuits() -> None:
    tables = recomputed("tables")
    assert len(tables) == 9
    for name, expected in tables.items():
        kind, sizes = name.split("_")
        input_bits, output_bits = (int(size) for size in sizes.split("x"))
        table = (pow2_table if kind == "pow2" else log2_table)(input_bits, output_bits)
        assert np.array_equal(table, expected), name


def test_log8_codes_are_the_circuits() -> None:
    recorded = recomputed("log8_codes")
    for alpha in (5, 8, 11):
        values = get_format(f"log8.1({alpha},5,7)").values()
        assert np.array_equal(values, recorded[f"f32_alpha{alpha}"])
    fields = log_format("log8.1").unpack(np.arange(256))
    assert np.array_equal(fields.sign, recorded["sign"])
    assert np.array_equal(fields.exponent, recorded["log_exp"])
    assert np.array_equal(fields.fraction, recorded["log_frac"])
    assert np.array_equal(fields.is_zero, recorded["is_zero"])
    assert np.array_equal(fields.is_infinite, recorded["is_inf"])


@pytest.mark.parametrize("spec", ["int8", "fix6.2", "int4", "int16"])
def test_signed_arrays_are_codes_of_twos_complement_formats(spec: str) -> None:
    fmt = get_format(spec)
    half = 1 << (fmt.bits - 1)
    numbers = np.arange(-half, half)
    expected = numbers / 2.0 ** getattr(fmt, "fraction_bits", 0)
    for dtype in (np.int8, np.int16, np.int32, np.int64):
        if half - 1 <= np.iinfo(dtype).max:
            assert np.array_equal(fmt.decode(numbers.astype(dtype)), expected)
    assert np.array_equal(fmt.decode(numbers % (2 * half)), expected)
    assert as_codes(fmt, numbers).dtype == fmt.code_dtype
    assert np.array_equal(as_codes(fmt, numbers), numbers % (2 * half))


def test_codes_keep_their_shape_and_are_not_copied_for_nothing() -> None:
    fmt = get_format("e4m3")
    codes = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    assert as_codes(fmt, codes) is codes
    assert fmt.decode(codes[:, ::2, ::-1]).shape == (2, 2, 4)
    assert np.array_equal(fmt.decode(codes[:, ::2, ::-1]), fmt.decode(codes)[:, ::2, ::-1])
    assert fmt.decode(np.uint8(0x38)).shape == ()
    assert fmt.decode([]).shape == (0,)


@pytest.mark.parametrize("spec", ["int8", "e4m3", "log8.1", "posit8.1", "fp16", "log16"])
def test_long_arrays_decode_as_short_ones(spec: str) -> None:
    fmt = get_format(spec)
    codes = np.random.default_rng(1).integers(0, 1 << fmt.bits, 1 << 17).astype(fmt.code_dtype)
    assert same_numbers(fmt.decode(codes), fmt.values()[codes])
    strided = codes.reshape(-1, 2)[:, 0]
    assert same_numbers(fmt.decode(strided), fmt.values()[strided])


def test_formats_are_frozen_and_hashable() -> None:
    fmt = get_format("e4m3")
    with pytest.raises(AttributeError):
        fmt.bits = 9
    assert {fmt, get_format("E4M3b7")} == {fmt}
    with pytest.raises(ValueError, match="read-only"):
        fmt.values()[0] = 1.0


def test_every_family_lists_formats_of_its_own() -> None:
    for family in FAMILIES:
        assert family.examples
        for spec in family.examples:
            fmt: Format = get_format(spec)
            assert family.pattern.fullmatch(spec)
            assert fmt.spec == spec


@pytest.mark.parametrize(
    ("spec", "quire_bits", "quire_lsb", "significand_bits", "exponent_bits"),
    [
        # By the papers: (8,1) posit and (8,1,5,5,7) log float have 38 bits from 2**-24, log16 49 from 2**-32.
        ("posit8.1", 38, -24, 5, 5),
        ("log8.1", 38, -24, 6, 5),
        ("log16", 49, -32, 12, 5),
        # By hand: regimes of 7 bits reach 2**6 without an exponent field, 5 fraction bits at most.
        ("posit8.0", 20, -12, 6, 4),
        ("log8.0", 20, -12, 7, 4),
        # 11 bits of regime, one of exponent: 2**(2 * 10); 8 fraction bits and one more behind the table.
        ("log12.1", 62, -40, 10, 6),
        ("posit12.1", 62, -40, 9, 6),
    ],
)
def test_widths_of_tapered_and_log_numbers(
    spec: str, quire_bits: int, quire_lsb: int, significand_bits: int, exponent_bits: int
) -> None:
    fmt = get_format(spec)
    assert isinstance(fmt, Posit | LogBase)
    assert (fmt.accumulator_bits, fmt.accumulator_lsb) == (quire_bits, quire_lsb)
    assert (fmt.significand_bits, fmt.exponent_bits) == (significand_bits, exponent_bits)
