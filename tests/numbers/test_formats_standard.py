"""Are the formats of standards and of hardware what their definitions say, each in its own corners?"""

from __future__ import annotations

from fractions import Fraction

import gfloat
import ml_dtypes
import numpy as np
import pytest
from gfloat.formats import format_info_ocp_e4m3, format_info_ocp_e5m2

from simulator.foundation import UserError
from simulator.numerics import get_format
from simulator.numerics.array_types import code_dtype
from simulator.numerics.formats import FAMILIES
from simulator.numerics.formats.code_tables import COMPILED_FROM


def long(values: list[float]) -> np.ndarray:
    """The same values again and again, so many that the compiled loops take them."""
    return np.resize(np.array(values), COMPILED_FROM + len(values))


@pytest.mark.parametrize(
    ("spec", "largest", "smallest_normal", "smallest", "bits"),
    [
        # OCP 8-bit floating point (OFP8), table of key values; e4m3 and e5m2 are this project's own.
        ("e4m3fn", 448.0, 2.0**-6, 2.0**-9, 8),
        ("e5m2ieee", 57_344.0, 2.0**-14, 2.0**-16, 8),
        ("e5m2sat", 57_344.0, 2.0**-14, 2.0**-16, 8),
        ("e4m3", 480.0, 2.0**-6, 2.0**-9, 8),
        ("e5m2", 114_688.0, 2.0**-14, 2.0**-16, 8),
        # Noune et al. 2022 (arXiv 2206.02915): one code for NaN, bias 8 and 16.
        ("e4m3fnuz", 240.0, 2.0**-7, 2.0**-10, 8),
        ("e5m2fnuz", 57_344.0, 2.0**-15, 2.0**-17, 8),
        # fp32's exponent, fp16's fraction.
        ("tf32", (2 - 2.0**-10) * 2.0**127, 2.0**-126, 2.0**-136, 19),
        ("bf16", (2 - 2.0**-7) * 2.0**127, 2.0**-126, 2.0**-133, 16),
        ("fp16", 65_504.0, 2.0**-14, 2.0**-24, 16),
        ("fp64", float(np.finfo(np.float64).max), 2.0**-1022, 2.0**-1074, 64),
    ],
)
def test_key_values(spec: str, largest: float, smallest_normal: float, smallest: float, bits: int) -> None:
    fmt = get_format(spec)
    assert (fmt.largest, fmt.lowest, fmt.bits) == (largest, -largest, bits)
    assert (fmt.smallest_normal, fmt.smallest_positive) == (smallest_normal, smallest)


@pytest.mark.parametrize(
    ("spec", "info"), [("e5m2sat", format_info_ocp_e5m2), ("e4m3fn", format_info_ocp_e4m3)]
)
def test_saturating_ocp_formats_agree_with_gfloat(spec: str, info: gfloat.FormatInfo) -> None:
    """Infinities too become the largest value, and NaN stays NaN (OFP8, conversion with saturation)."""
    fmt = get_format(spec)
    largest = fmt.largest
    beyond = [largest * factor for factor in (1, 1.01, 1.0625, 1.125, 1.2, 2, 1e6)]
    values = np.array([*beyond, *(-x for x in beyond), np.inf, -np.inf, *fmt.values(), 3.3, -1e-9, 0.7])
    values = values[~np.isnan(values)]
    rounded = gfloat.round_ndarray(info, values, gfloat.RoundMode.TiesToEven, sat=True)
    codes = gfloat.encode_ndarray(info, rounded)
    assert fmt.encode(values).tolist() == codes.tolist()
    assert fmt.encode(np.resize(values, COMPILED_FROM))[: values.size].tolist() == codes.tolist()
    assert fmt.encode(np.nan) == fmt.code_of_nan  # type: ignore[attr-defined]
    assert np.isnan(fmt.decode(fmt.encode(np.nan)))


@pytest.mark.parametrize(
    ("spec", "dtype"),
    [("e4m3fnuz", ml_dtypes.float8_e4m3fnuz), ("e5m2fnuz", ml_dtypes.float8_e5m2fnuz)],
)
def test_fnuz_formats_have_no_minus_zero_no_infinity_and_one_nan(spec: str, dtype: type) -> None:
    fmt = get_format(spec)
    assert (fmt.has_infinity, fmt.has_nan, fmt.has_negative_zero) == (False, True, False)
    assert np.flatnonzero(np.isnan(fmt.values())).tolist() == [0x80]
    tiny = fmt.smallest_positive / 4
    rounds_to_zero = [-0.0, -tiny, -1e-300, -2 * tiny]
    assert fmt.encode(rounds_to_zero).tolist() == [0, 0, 0, 0]
    assert (fmt.encode(long(rounds_to_zero)) == 0).all()
    assert fmt.encode([np.nan, -np.nan]).tolist() == [0x80, 0x80]
    assert fmt.encode([np.inf, -np.inf, 1e9, -1e9]).tolist() == [0x7F, 0xFF, 0x7F, 0xFF]
    inside = np.linspace(-fmt.largest, fmt.largest, 5001).astype(np.float32)
    assert np.array_equal(fmt.encode(inside), inside.astype(dtype).view(np.uint8))


def test_tf32_is_fp32_without_the_last_thirteen_bits() -> None:
    """Every code shifted left by 13 is the fp32 pattern of the same value; rounding is to nearest even."""
    fmt = get_format("tf32")
    codes = np.arange(1 << 19, dtype=np.uint32)
    with np.errstate(invalid="ignore"):
        same = (codes << np.uint32(13)).view(np.float32).astype(np.float64)
    decoded = fmt.decode(codes)
    assert np.array_equal(decoded, same, equal_nan=True)
    numbers = ~np.isnan(decoded)
    assert np.array_equal(np.signbit(decoded[numbers]), np.signbit(same[numbers]))
    one = 127 << 10
    half_step, step = 2.0**-11, 2.0**-10
    values = [
        1.0,
        1 + half_step,
        1 + step,
        1 + 3 * half_step,
        1 + half_step + 2.0**-40,
        1 + half_step - 2.0**-40,
    ]
    assert fmt.encode(values).tolist() == [one, one, one + 1, one + 2, one + 1, one]
    last, past = (2 - step) * 2.0**127, (2 - half_step) * 2.0**127
    assert fmt.encode([last, np.nextafter(past, 0), past]).tolist() == [0x3FBFF, 0x3FBFF, 0x3FC00]
    assert fmt.encode(long([last, past, -past])).tolist()[:3] == [0x3FBFF, 0x3FC00, 0x7FC00]


def test_fp64_is_numpys_float64_and_keeps_every_bit() -> None:
    fmt, rng = get_format("fp64"), np.random.default_rng(4)
    patterns = rng.integers(0, 1 << 64, COMPILED_FROM + 5, dtype=np.uint64)
    values = patterns.view(np.float64)
    numbers = ~np.isnan(values)
    assert np.array_equal(fmt.encode(values)[numbers], patterns[numbers])
    assert np.array_equal(fmt.encode(values[:100])[numbers[:100]], patterns[:100][numbers[:100]])
    assert np.array_equal(fmt.decode(patterns)[numbers], values[numbers])
    assert (fmt.encode(values[~numbers]) == 0x7FF8 << 48).all()
    assert fmt.encode([np.nan]).tolist() == [0x7FF8 << 48]
    before = patterns.copy()
    fmt.decode(patterns)[0] = 1.0
    assert np.array_equal(patterns, before)  # the caller's codes stay theirs
    assert fmt.code_dtype == np.uint64
    assert fmt.decode(np.array([0, 1, 1], np.int8)).tolist() == [0.0, 2.0**-1074, 2.0**-1074]


def test_fp64_rounds_large_integers_to_nearest_even() -> None:
    fmt = get_format("fp64")
    numbers = [2**53 + 1, 2**53 + 3, 2**63 + 2**10, 2**63 + 2**10 + 1, 2**64 - 1, 3 * 2**60 + 2**8]
    for values in (np.array(numbers, np.uint64), np.array(numbers, object), numbers):
        assert fmt.decode(fmt.encode(values)).tolist() == [float(number) for number in numbers]
    halfway = 2**1024 - 2**970  # between the largest value and 2**1024: a tie, which goes up as in IEEE 754
    values = [2**1024, -(2**5000), halfway, -halfway, halfway - 1, -halfway + 1]
    largest = float(2**1024 - 2**971)
    expected = [np.inf, -np.inf, np.inf, -np.inf, largest, -largest]
    assert fmt.decode(fmt.encode(values)).tolist() == expected


def test_which_formats_overflow_to_infinity() -> None:
    standard = next(family for family in FAMILIES if family.name == "standard float")
    overflowing = {spec for spec in standard.examples if get_format(spec).overflows_to_infinity}
    assert overflowing == {"e5m2ieee", "fp16", "bf16", "tf32", "fp32", "fp64"}
    for spec in standard.examples:
        fmt = get_format(spec)
        with np.errstate(over="ignore"):
            past = float(fmt.decode(fmt.encode(np.inf)))
        assert (past == np.inf) == (spec in overflowing)
    assert not get_format("e4m3").overflows_to_infinity
    assert not get_format("posit8.1").overflows_to_infinity


@pytest.mark.parametrize("spec", ["e5m2sat", "e4m3fnuz", "e5m2fnuz", "tf32"])
def test_a_value_between_two_neighbours_goes_to_the_nearer_one(spec: str) -> None:
    """In Fractions, on neighbours drawn at random; ties go to the even code."""
    fmt, rng = get_format(spec), np.random.default_rng(8)
    top = int(fmt.encode(fmt.largest))
    for code in rng.integers(0, top, 300).tolist():
        low, high = (Fraction(float(fmt.decode(c))) for c in (code, code + 1))
        middle = (low + high) / 2
        nudge = (high - low) / 1000
        points = [float(middle - nudge), float(middle), float(middle + nudge)]
        assert fmt.encode(points).tolist() == [code, code + code % 2, code + 1]
        negative = [int(fmt.encode(-point)) for point in points]
        sign = 1 << (fmt.bits - 1)
        signed = [c | sign if c or fmt.has_negative_zero else 0 for c in (code, code + code % 2, code + 1)]
        assert negative == signed


@pytest.mark.parametrize(
    ("spec", "code"),
    [("int8", 0), ("fix8.5", 0), ("e4m3", 0), ("ue4m4b9", 0), ("e4m3fn", 0x7F), ("e5m2ieee", 0x7E),
     ("e5m2sat", 0x7E), ("e4m3fnuz", 0x80), ("fp16", 0x7E00), ("tf32", 0x3FE00), ("fp32", 0x7FC00000),
     ("fp64", 0x7FF8 << 48),
     ("posit8.1", 0x80), ("log8.1", 0x80), ("log16", 0x7C00)],
)  # fmt: skip
def test_every_nan_has_the_same_code(spec: str, code: int) -> None:
    """Quiet and signalling, of either sign, least and greatest payload, in short arrays and long ones."""
    fmt = get_format(spec)
    patterns = np.array(
        [0x7FF0 << 48 | 1, 0xFFF0 << 48 | 1, 0x7FF8 << 48, (1 << 63) - 1, (1 << 64) - 1], np.uint64
    )
    singles = np.array([0x7F800001, 0xFF800001, 0x7FC00000, 0x7FFFFFFF, 0xFFFFFFFF], np.uint32)
    for values in (patterns.view(np.float64), singles.view(np.float32)):
        assert fmt.encode(values).tolist() == [code] * 5
        assert (fmt.encode(np.resize(values, COMPILED_FROM)) == code).all()


def test_decades_are_powers_of_ten_from_the_smallest_to_the_largest() -> None:
    assert get_format("int8").decades == pytest.approx(np.log10(127))
    assert get_format("e4m3").decades == pytest.approx(np.log10(480 * 512))
    assert get_format("fp64").decades == pytest.approx(np.log10(2.0) * 1024 - np.log10(2.0) * -1074, abs=1e-9)


@pytest.mark.parametrize(
    ("spec", "possible"),
    [
        # The top binade 2^(2^E - 1 - bias), and the finest step 2^(1 - bias - M) as it is and times 2^52.
        ("e8m7b-745", True),
        ("e8m7b-746", False),
        ("e4m3b-950", True),
        ("e4m3b-951", False),
        ("e4m3b998", True),
        ("e4m3b999", False),
        ("e10m0", True),
        ("ue10m6", True),
        ("e10m5b-400", False),
    ],
)
def test_biases_that_float64_holds(spec: str, possible: bool) -> None:
    if possible:
        fmt = get_format(spec)
        ends = [fmt.largest, fmt.smallest_positive]
        assert fmt.decode(fmt.encode(ends)).tolist() == ends
        assert fmt.decode(fmt.encode(long(ends)))[:2].tolist() == ends
    else:
        with pytest.raises(UserError, match="impossible bias"):
            get_format(spec)


def test_codes_take_the_smallest_unsigned_dtype() -> None:
    widths = {1: 8, 8: 8, 9: 16, 16: 16, 17: 32, 19: 32, 32: 32, 33: 64, 64: 64}
    for bits, dtype_bits in widths.items():
        assert code_dtype(bits) == np.dtype(f"uint{dtype_bits}"), bits
    assert [get_format(spec).code_dtype for spec in ("int8", "posit9.1", "fp16", "tf32", "fp64")] == [
        np.uint8, np.uint16, np.uint16, np.uint32, np.uint64,
    ]  # fmt: skip
