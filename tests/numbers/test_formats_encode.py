"""Does every real value round to the right code?"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from math import copysign

import gfloat
import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.numerics import Format, get_format
from simulator.numerics.formats.code_tables import COMPILED_FROM
from tests.numbers.format_cases import BIASES, POSITS, nearest_formats, tapered_values
from tests.reference import formats as reference

SAMPLES = """int8 uint4 int16 fix8.5 ufix8.5 e4m3 e3m0 ue4m4b9 e2m1 e1m6 ue8m0 e5m10 e4m3b-3 ue5m3b20
    e4m3fn e5m2ieee e5m2sat e4m3fnuz e5m2fnuz fp16 bf16 tf32 fp32 fp64 log8.1 log8.1(5,8,7) log7.1 log16
    posit8.1 posit8.0 posit9.1 posit16.1 posit16.4""".split()  # noqa: SIM905 - easier to read than 33 quoted names


def awkward_values(
    values: Iterable[reference.Value], dtype: type[np.float32 | np.float64]
) -> npt.NDArray[np.float32 | np.float64]:
    """Every value, midpoint and overflow threshold, their neighbours in `dtype`, and what lies beyond."""
    finite = sorted({value for value in values if isinstance(value, Fraction)})
    midpoints = [(low + high) / 2 for low, high in pairwise(finite)]
    past = [
        finite[-1] + (finite[-1] - finite[-2]) / 2,
        finite[0] - (finite[1] - finite[0]) / 2,
        2 * finite[-1],
    ]
    points = [float(value) for value in [*finite, *midpoints, *past]] + [1e30, -1e30, 1e-30, -1e-30]
    limit = float(np.finfo(dtype).max) / 2
    centres = np.array([point for point in points if abs(point) < limit], dtype)
    return np.concatenate([centres, *(np.nextafter(centres, dtype(side)) for side in (-np.inf, np.inf))])


def exact(value: float) -> Fraction:
    """The Fraction of a float; minus zero becomes a negative number too small to matter."""
    is_minus_zero = value == 0 and copysign(1, value) < 0
    return Fraction(-1, 1 << 2000) if is_minus_zero else Fraction(value)


@pytest.mark.parametrize("spec", nearest_formats())
def test_the_nearest_value_with_ties_to_the_even_code(spec: str) -> None:
    fmt, expected = get_format(spec), nearest_formats()[spec]
    for dtype in (np.float32, np.float64):
        values = awkward_values(expected.values, dtype)
        codes = fmt.encode(values)
        assert codes.dtype == fmt.code_dtype
        assert codes.tolist() == [expected.nearest(exact(value)) for value in values.tolist()]


@pytest.mark.parametrize(("bits", "s"), [*POSITS, (9, 1), (10, 2)])
def test_posits_round_to_even_on_the_tapered_string(bits: int, s: int) -> None:
    fmt = get_format(f"posit{bits}.{s}")
    values = awkward_values(reference.posit_values(bits, s), np.float64)
    wanted = [reference.posit_from_real(Fraction(value), bits, s) for value in values.tolist()]
    assert fmt.encode(values).tolist() == wanted


@pytest.mark.parametrize("spec", [spec for spec in SAMPLES if spec != "log16"])
def test_every_value_encodes_to_its_own_code(spec: str) -> None:
    fmt = get_format(spec)
    everything, step = 1 << fmt.bits, max(1, (1 << fmt.bits) // 42_949)
    codes = np.arange(0, min(everything, 1 << 63), step).astype(fmt.code_dtype)
    codes = np.concatenate([codes, fmt.code_dtype.type(everything - 1) - codes])  # the negative half of fp64
    values = fmt.decode(codes)
    kept = np.isfinite(values) if spec == "e5m2sat" else ~np.isnan(values)  # whose infinities saturate
    assert np.array_equal(fmt.encode(values[kept]), codes[kept])


def oracle(exponent_bits: int, fraction_bits: int, bias: int, *, signed: bool) -> gfloat.FormatInfo:
    return gfloat.FormatInfo(
        "oracle",
        exponent_bits + fraction_bits + int(signed),
        fraction_bits + 1,
        bias=bias,
        is_signed=signed,
        domain=gfloat.Domain.Finite,
        has_nz=signed,
        num_high_nans=0,
        has_subnormals=True,
        is_twos_complement=False,
    )


MINIFLOATS = [
    (exponent_bits, fraction_bits, bias, signed)
    for signed in (True, False)
    for exponent_bits in range(2, 8)
    for fraction_bits in range(8)
    if 3 <= exponent_bits + fraction_bits + signed <= 12
    for bias in (2 ** (exponent_bits - 1) - 1, *BIASES)
]


def test_the_oracle_sees_at_least_200_formats() -> None:
    assert len(set(MINIFLOATS)) >= 200


@pytest.mark.parametrize(("exponent_bits", "fraction_bits", "bias", "signed"), MINIFLOATS)
def test_minifloats_agree_with_gfloat(
    exponent_bits: int, fraction_bits: int, bias: int, signed: bool
) -> None:
    info = oracle(exponent_bits, fraction_bits, bias, signed=signed)
    fmt = get_format(f"{'' if signed else 'u'}e{exponent_bits}m{fraction_bits}b{bias}")
    codes = np.arange(1 << fmt.bits)
    table = gfloat.decode_ndarray(info, codes)
    assert np.array_equal(fmt.values().view(np.int64), table.view(np.int64))
    rng = np.random.default_rng([exponent_bits, fraction_bits, bias + 10])
    scale = np.exp2(rng.uniform(np.log2(fmt.smallest_positive) - 2, np.log2(fmt.largest) + 2, 500))
    positive = np.unique(np.abs(table))
    values = np.concatenate([scale, (positive[1:] + positive[:-1]) / 2, [np.inf]])
    values = np.concatenate([values, -values]) if signed else values
    rounded = gfloat.round_ndarray(info, values, gfloat.RoundMode.TiesToEven, sat=True)
    assert np.array_equal(fmt.encode(values), gfloat.encode_ndarray(info, rounded))


@pytest.mark.parametrize(
    ("spec", "dtype", "saturates"),
    [
        ("e4m3fn", ml_dtypes.float8_e4m3fn, True),
        ("e5m2ieee", ml_dtypes.float8_e5m2, False),
        ("bf16", ml_dtypes.bfloat16, False),
        ("fp16", np.float16, False),
        ("fp32", np.float32, False),
        ("e5m2sat", ml_dtypes.float8_e5m2, True),
        ("e4m3fnuz", ml_dtypes.float8_e4m3fnuz, True),
        ("e5m2fnuz", ml_dtypes.float8_e5m2fnuz, True),
        ("fp64", np.float64, False),
        ("int8", np.int8, True),
        ("e2m1", ml_dtypes.float4_e2m1fn, True),
        ("e2m3", ml_dtypes.float6_e2m3fn, True),
        ("e3m2", ml_dtypes.float6_e3m2fn, True),
    ],
)
def test_float32_agrees_with_ml_dtypes(spec: str, dtype: npt.DTypeLike, saturates: bool) -> None:
    fmt = get_format(spec)
    patterns = np.random.default_rng(2).integers(0, 1 << 32, 200_000, dtype=np.uint32)
    values = np.concatenate([patterns.view(np.float32), np.linspace(-20, 20, 4097, dtype=np.float32)])
    values = values[np.isfinite(values)]
    inside = np.clip(values, np.float32(fmt.lowest), np.float32(fmt.largest)) if saturates else values
    with np.errstate(over="ignore"):
        cast = (np.rint(inside) if spec == "int8" else inside).astype(dtype)
    assert np.array_equal(fmt.encode(values), cast.view(fmt.code_dtype))


@pytest.mark.parametrize("spec", SAMPLES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_compiled_loops_agree_with_numpy(spec: str, dtype: type[np.float32 | np.float64]) -> None:
    fmt, rng = get_format(spec), np.random.default_rng(3)
    unsigned = np.uint32 if dtype == np.float32 else np.uint64
    anything = rng.integers(0, np.iinfo(unsigned).max, COMPILED_FROM, dtype=unsigned).view(dtype)
    usual = (rng.standard_normal(COMPILED_FROM) * np.exp2(rng.integers(-20, 20, COMPILED_FROM))).astype(dtype)
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan], dtype)
    with np.errstate(over="ignore"):
        held = np.resize(fmt.values() if fmt.bits <= 16 else usual, COMPILED_FROM).astype(dtype)
    values = np.concatenate([anything, usual, held, np.nextafter(held, dtype(0)), special])
    short = [fmt.encode(part) for part in np.array_split(values, values.size // COMPILED_FROM + 2)]
    assert np.array_equal(fmt.encode(values), np.concatenate(short))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_long_array_of_any_narrow_format_encodes_as_short_ones_do(
    dtype: type[np.float32 | np.float64],
) -> None:
    """Long arrays are compiled, short ones numpy's: every format of up to 8 bits, near all its values."""
    rng = np.random.default_rng(5)
    for spec in (*nearest_formats(), *tapered_values()):
        fmt = get_format(spec)
        within = np.abs(fmt.values()) <= np.finfo(dtype).max / 16
        held: npt.NDArray[np.floating] = np.unique(fmt.values()[within]).astype(dtype)
        middles = (held[1:] + held[:-1]) / 2
        beside = [np.nextafter(middles, dtype(side)) for side in (-np.inf, np.inf)]
        few = np.concatenate([held, middles, *beside, [np.inf, -np.inf, np.nan, -0.0]]).astype(dtype)
        spread = rng.uniform(-2, 2, 512).astype(dtype) * np.abs(held).max()
        few = np.concatenate([few, spread])
        long = np.resize(few, COMPILED_FROM + few.size)
        assert np.array_equal(fmt.encode(long), np.resize(fmt.encode(few), long.size)), spec


def test_each_family_says_what_nan_infinity_and_zeros_do() -> None:
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, -1e-300])
    expected = {
        "int8": [0, 0x7F, 0x80, 0, 0, 0],
        "uint8": [0, 0xFF, 0, 0, 0, 0],
        "ufix8.5": [0, 0xFF, 0, 0, 0, 0],
        "e4m3": [0, 0x7F, 0xFF, 0, 0x80, 0x80],
        "ue4m4b9": [0, 0xFF, 0, 0, 0, 0],
        "e4m3fn": [0x7F, 0x7E, 0xFE, 0, 0x80, 0x80],
        "e5m2ieee": [0x7E, 0x7C, 0xFC, 0, 0x80, 0x80],
        "e5m2sat": [0x7E, 0x7B, 0xFB, 0, 0x80, 0x80],
        "e4m3fnuz": [0x80, 0x7F, 0xFF, 0, 0, 0],
        "e5m2fnuz": [0x80, 0x7F, 0xFF, 0, 0, 0],
        "tf32": [0x3FE00, 0x3FC00, 0x7FC00, 0, 1 << 18, 1 << 18],
        "fp64": [0x7FF8 << 48, 0x7FF0 << 48, 0xFFF0 << 48, 0, 1 << 63, 0x81A56E1FC2F8F359],
        "fp16": [0x7E00, 0x7C00, 0xFC00, 0, 0x8000, 0x8000],
        "bf16": [0x7FC0, 0x7F80, 0xFF80, 0, 0x8000, 0x8000],
        "fp32": [0x7FC00000, 0x7F800000, 0xFF800000, 0, 1 << 31, 1 << 31],
        "log8.1": [0x80, 0x80, 0x80, 0, 0, 0],
        "log16": [0x7C00, 0x7C00, 0x7C00, 0, 0, 0],
        "posit8.1": [0x80, 0x80, 0x80, 0, 0, 0],
    }
    for spec, codes in expected.items():
        assert get_format(spec).encode(special).tolist() == codes, spec


def test_float64_is_rounded_once() -> None:
    fmt = get_format("e4m3")
    value = 1 + 2.0**-4 + 2.0**-40  # float32 would drop the last bit and make a tie of it
    assert fmt.encode(np.float64(value)) == 0x39
    assert fmt.encode(np.float32(value)) == 0x38
    assert get_format("posit8.1").encode(1 + 2.0**-5 + 2.0**-40) == 0x41
    assert get_format("posit8.1").encode(1 + 2.0**-5) == 0x40


@given(st.integers(-(2**63), 2**64 - 1))
def test_integers_are_taken_exactly(number: int) -> None:
    values = np.array([number], dtype=np.int64 if number < 2**63 else np.uint64)
    fmt = get_format("fp32")
    decoded = Fraction(float(fmt.decode(fmt.encode(values))[0]))
    code = int(fmt.encode(values)[0])
    neighbours = [
        Fraction(float(value)) for value in fmt.decode(np.array([max(code - 1, 0), code + 1], np.uint32))
    ]
    assert all(abs(decoded - number) <= abs(neighbour - number) for neighbour in neighbours)
    if any(abs(decoded - number) == abs(neighbour - number) for neighbour in neighbours) and number:
        assert code % 2 == 0
    assert get_format("int16").encode(values) == max(-(2**15), min(number, 2**15 - 1)) % 2**16


@pytest.mark.parametrize("spec", SAMPLES)
def test_other_inputs_encode_as_float64(spec: str) -> None:
    fmt: Format = get_format(spec)
    halves = np.arange(0x7C00, dtype=np.uint16).view(np.float16)[::7]
    assert np.array_equal(fmt.encode(halves), fmt.encode(halves.astype(np.float64)))
    small = np.arange(-128, 128, dtype=np.int8)
    assert np.array_equal(fmt.encode(small), fmt.encode(small.astype(np.float64)))
    assert np.array_equal(fmt.encode(small.tolist()), fmt.encode(small.astype(np.float64)))
    swapped = halves.astype(">f8").reshape(-1, 1)
    assert np.array_equal(fmt.encode(swapped), fmt.encode(halves).reshape(-1, 1))
    assert fmt.encode(1.0).shape == ()
    assert fmt.encode([]).shape == (0,)
