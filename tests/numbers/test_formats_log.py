"""Are log numbers and posits converted as the published circuits convert them, quirks included?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from simulator.numerics import get_format
from simulator.numerics.formats.log import LogBase
from simulator.numerics.formats.posit import Posit
from simulator.numerics.logarithm import accumulator_to_code
from simulator.numerics.quire import quire_to_code
from tests.reference import formats as reference
from tests.reference.formats import LogReference
from tests.reference.recorded import recomputed

CONVERTERS = {
    "log8.1": LogReference(8, 1, beta=5, gamma=7),
    "log8.1(5,8,7)": LogReference(8, 1, beta=8, gamma=7),
    "log16": LogReference(16, 0, beta=11, gamma=10),
    "log7.1": LogReference(7, 1, beta=4, gamma=6),
    "log8.0": LogReference(8, 0, beta=6, gamma=8),
}


def log_format(spec: str) -> LogBase:
    fmt = get_format(spec)
    assert isinstance(fmt, LogBase)
    return fmt


def posit(spec: str) -> Posit:
    fmt = get_format(spec)
    assert isinstance(fmt, Posit)
    return fmt


def test_float32_to_log8_is_the_circuits() -> None:
    recorded = recomputed("float32_to_log8")
    patterns, beta5, beta8 = recorded["f32_bits"], recorded["code_beta5"], recorded["code_beta8"]
    with np.errstate(invalid="ignore"):  # signalling NaNs
        forms = (patterns.view(np.float32), patterns.view(np.float32).astype(np.float64))
    for values in forms:
        for repeat in (1, 4):  # short arrays and long ones take different paths
            assert np.array_equal(
                get_format("log8.1").encode(np.tile(values, repeat)), np.tile(beta5, repeat)
            )
            assert np.array_equal(
                get_format("log8.1(5,8,7)").encode(np.tile(values, repeat)), np.tile(beta8, repeat)
            )


def boundary_patterns(beta: int, fields: range) -> npt.NDArray[np.uint32]:
    """float32 patterns at and beside every tie of the first rounding, in the exponent fields given."""
    step = 1 << (23 - beta)
    points = np.arange(step // 2, 1 << 23, step)
    fractions = np.unique(np.concatenate([[0, 1, (1 << 23) - 1], points - 1, points, points + 1]))
    signs_and_fields = np.array([sign << 31 | field << 23 for sign in (0, 1) for field in fields])
    patterns: npt.NDArray[np.uint32] = (signs_and_fields[:, None] | fractions).astype(np.uint32).reshape(-1)
    return patterns


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ("log8.1", range(256)),
        ("log8.1(5,8,7)", range(105, 145)),
        ("log8.1(5,8,7)", range(251, 256)),
        ("log16", range(108, 114)),
        ("log16", range(140, 143)),
        ("log7.1", range(100, 150)),
        ("log8.0", range(100, 150)),
    ],
)
def test_float32_to_log_at_every_boundary(spec: str, fields: range) -> None:
    patterns = boundary_patterns(CONVERTERS[spec].beta, fields)
    expected = [CONVERTERS[spec].from_float32(pattern) for pattern in patterns.tolist()]
    with np.errstate(invalid="ignore"):
        values = patterns.view(np.float32)
        assert get_format(spec).encode(values).tolist() == expected
        assert get_format(spec).encode(values.astype(np.float64)).tolist() == expected


@pytest.mark.slow
def test_every_float32_pattern_to_log8() -> None:
    """All 2**32 patterns: the runs of fractions that the first rounding joins, and the code of each run."""
    fmt, converter = get_format("log8.1"), CONVERTERS["log8.1"]
    half = 1 << (22 - converter.beta)
    rounded = range((1 << converter.beta) + 1)
    # Even results take both ties around them, odd results neither.
    firsts = [max(0, (q * 2 - 1) * half + q % 2) for q in rounded]
    lengths = np.diff([*firsts, 1 << 23])
    fractions = np.arange(1 << 23, dtype=np.uint32)
    for head in range(512):
        patterns = fractions | np.uint32(head << 23)
        codes = [converter.from_float32(head << 23 | first) for first in firsts]
        expected = np.repeat(np.array(codes, np.uint8), lengths)
        assert np.array_equal(fmt.encode(patterns.view(np.float32)), expected), head


def test_quirks_next_to_the_ends_of_float32() -> None:
    beta5, beta8 = get_format("log8.1"), get_format("log8.1(5,8,7)")
    wraps = np.float32((2 - 2.0**-6) * 2.0**127)
    below = np.nextafter(wraps, np.float32(0))
    assert beta5.encode(np.array([below, wraps, -wraps, np.finfo(np.float32).max])).tolist() == [
        0x7F,
        0,
        0,
        0,
    ]
    assert beta8.encode(np.array([3.3928e38, 3.3930e38], np.float32)).tolist() == [0x7F, 0]
    # What float32 cannot hold is infinite, as a float32 input would be.
    assert beta5.encode(np.array([2.0**128, -1e300])).tolist() == [0x80, 0x80]
    assert beta5.encode(np.array([1e-40, -1e-300])).tolist() == [0, 0]


@pytest.mark.parametrize(("spec", "published_percent"), [("log8.1", 3.6), ("log8.1(5,8,7)", 2.0)])
def test_three_roundings_miss_the_nearest_code_as_often_as_published(
    spec: str, published_percent: float
) -> None:
    """Patterns in [2**-12, 2**12.5) that land beside the nearest code in the log domain, in percent."""
    first, last = (int(np.array(2.0**e, np.float32).view(np.uint32)) for e in (-12, 12.5))
    patterns = np.arange(first, last, 509, dtype=np.uint32)
    logs = np.log2(patterns.view(np.float32).astype(np.float64))
    exponents, fractions = zip(*(tapered_log(code) for code in range(1, 128)), strict=True)
    positions = np.array(exponents) + np.array(fractions)
    nearest = np.searchsorted((positions[1:] + positions[:-1]) / 2, logs) + 1
    distance = np.abs(get_format(spec).encode(patterns.view(np.float32)).astype(int) - nearest)
    assert distance.max() == 1
    assert round(100 * float(distance.mean()), 1) == published_percent


def tapered_log(code: int) -> tuple[int, float]:
    fields = reference.tapered_fields(code, 8, 1)
    assert not isinstance(fields, str)
    return fields[1], float(fields[2])


def test_log16_words_below_the_smallest_exponent() -> None:
    fmt = get_format("log16")
    assert fmt.encode(2.0**-14) == 0x0400
    assert fmt.decode(fmt.encode(2.0**-15)) == 0  # exponent field 0
    assert np.isinf(fmt.decode(fmt.encode(2.0**-16)))  # exponent field 31
    assert fmt.encode(2.0**-17) == 0
    assert fmt.encode([2.0**15, 1e6, -1e6]).tolist() == [0x7BFF, 0x7BFF, 0xFBFF]


def test_accumulator_to_log8_is_the_circuits() -> None:
    recorded = recomputed("accumulator_to_log8")
    plain = recorded["is_overflow"] == 0  # overflow detection is off in the paper's PEs
    sums, infinite = recorded["acc"][plain], recorded["is_inf"][plain]
    expected = {"log8.1": recorded["code_beta5"][plain], "log8.1(5,8,7)": recorded["code_beta8"][plain]}
    for spec, codes in expected.items():
        for repeat in (1, 6):
            converted = accumulator_to_code(
                np.tile(sums, repeat), np.tile(infinite, repeat), log_format(spec)
            )
            assert converted.dtype == np.uint8
            assert np.array_equal(converted, np.tile(codes, repeat))


@pytest.mark.parametrize("spec", CONVERTERS)
def test_accumulators_at_every_boundary(spec: str) -> None:
    fmt, converter = log_format(spec), CONVERTERS[spec]
    bits, lsb, beta = fmt.accumulator_bits, fmt.accumulator_lsb, fmt.beta
    rng = np.random.default_rng(4)
    ties = {
        ((1 << (beta + 1)) + odd << (position - beta - 1)) + offset
        for position in range(beta + 1, bits - 1)
        for odd in (1, 3, (1 << (beta + 1)) - 1, *rng.integers(0, 1 << (beta + 1), 8).tolist())
        for offset in (-1, 0, 1)
    }
    powers = {(1 << position) + offset for position in range(bits - 1) for offset in (-1, 0, 1)}
    positive = sorted(value for value in {*range(200), *ties, *powers} if 0 <= value < 1 << (bits - 1))
    sums = np.array([*positive, *(-value for value in positive), -(1 << (bits - 1))])
    expected = [converter.from_accumulator(value, bits, lsb) for value in sums.tolist()]
    assert accumulator_to_code(sums, None, fmt).tolist() == expected
    repeat = (1 << 16) // sums.size + 1
    assert np.array_equal(accumulator_to_code(np.tile(sums, repeat), None, fmt), np.tile(expected, repeat))
    flags = np.arange(sums.size) % 2 == 1
    assert (accumulator_to_code(sums, flags, fmt)[flags] == fmt.code_of_infinity).all()


def test_the_parameters_of_the_paper() -> None:
    log8, log16, posit8 = log_format("log8.1"), log_format("log16"), posit("posit8.1")
    assert (log8.alpha, log8.beta, log8.gamma) == (5, 5, 7)
    assert (log16.alpha, log16.beta, log16.gamma) == (11, 11, 10)
    assert (log8.accumulator_bits, log8.accumulator_lsb, log8.exponent_limits) == (38, -24, (-16, 15))
    assert (log16.accumulator_bits, log16.accumulator_lsb) == (49, -32)
    assert (posit8.accumulator_bits, posit8.accumulator_lsb) == (38, -24)


@pytest.mark.parametrize("spec", ["log8.1", "log8.1(5,8,7)"])
def test_code_to_accumulator_and_back_is_the_identity(spec: str) -> None:
    fmt = log_format(spec)
    values = fmt.values()
    sums = np.ldexp(np.where(np.isinf(values), 0, values), -fmt.accumulator_lsb).astype(np.int64)
    assert np.array_equal(accumulator_to_code(sums, np.isinf(values), fmt), np.arange(256))


@pytest.mark.parametrize("spec", ["posit8.1", "posit8.0", "posit7.1", "posit9.1"])
def test_quires_at_every_boundary(spec: str) -> None:
    fmt = posit(spec)
    bits, s = fmt.bits, fmt.exponent_field_bits
    values = np.unique(np.abs(fmt.values()[np.isfinite(fmt.values())]))
    points = np.ldexp(np.concatenate([values, (values[1:] + values[:-1]) / 2]), -fmt.accumulator_lsb).astype(
        np.int64
    )
    most = 1 << (fmt.accumulator_bits - 1)
    top = np.array([most - 1, most // 2, most // 3])
    positive = np.unique(np.concatenate([points - 1, points, points + 1, top]))
    positive = positive[(positive >= 0) & (positive < most)]
    sums = np.concatenate([positive, -positive, [-most]])
    expected = [reference.posit_from_quire(value, bits, s) for value in sums.tolist()]
    assert quire_to_code(sums, None, fmt).tolist() == expected
    repeat = (1 << 16) // sums.size + 1
    assert np.array_equal(quire_to_code(np.tile(sums, repeat), None, fmt), np.tile(expected, repeat))


def test_quire_flags() -> None:
    fmt = posit("posit8.1")
    sums = np.array([5 << 24, 5 << 24, -5, 0])
    assert quire_to_code(sums, np.array([True, False, True, False]), fmt).tolist()[::2] == [0x80, 0x80]
    assert quire_to_code(sums, None, fmt, overflow_sign=np.array([1, -1, -1, 0])).tolist() == [
        0x7F,
        0xFF,
        0xFF,
        0,
    ]


def test_zero_and_infinity_of_log16_read_as_the_least_exponent_of_a_positive_number() -> None:
    fmt = get_format("log16")
    assert isinstance(fmt, LogBase)
    fields = fmt.unpack(np.array([0x0000, 0x8123, 0x7C00, 0xFFFF, 0x0400, 0xBC01]))
    assert fields.sign.tolist() == [0, 0, 0, 0, 0, 1]
    assert fields.exponent.tolist() == [-15, -15, -15, -15, -14, 0]
    assert fields.fraction.tolist() == [0, 0, 0, 0, 0, 1]
    assert fields.is_zero.tolist() == [True, True, False, False, False, False]
    assert fields.is_infinite.tolist() == [False, False, True, True, False, False]


@pytest.mark.parametrize(
    ("spec", "bits", "lsb"),
    [("posit8.1", 38, -24), ("posit8.0", 20, -12), ("posit8.2", 74, -48), ("posit16.1", 86, -56),
     ("log8.1", 38, -24), ("log8.0", 20, -12), ("log12.1", 62, -40), ("log16", 49, -32)],
)  # fmt: skip
def test_published_accumulators_hold_products_of_the_smallest_and_sums_past_the_largest(
    spec: str, bits: int, lsb: int
) -> None:
    """Twice the least exponent down, the greatest up, a sign and one more: 38 bits of (8,1), 49 of log16."""
    fmt = get_format(spec)
    assert isinstance(fmt, Posit | LogBase)
    assert (fmt.accumulator_bits, fmt.accumulator_lsb) == (bits, lsb)
