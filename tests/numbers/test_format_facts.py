"""Are the facts of each format right, by hand from layouts and standards, and are special codes found?"""

from __future__ import annotations

from math import log10

import numpy as np
import numpy.typing as npt
import pytest

from simulator.foundation import UserError
from simulator.numerics import get_format
from simulator.numerics.formats.code_tables import has_special, is_special, look_up, present_codes

FACTS = {
    # largest, lowest, smallest positive, normal, step, exponents, lowest bit, infinity, NaN, minus zero
    "int4": (7, -8, 1, 1, 1, (0, 3), 0, False, False, False),
    "uint4": (15, 0, 1, 1, 1, (0, 3), 0, False, False, False),
    "fix8.5": (127 / 32, -4, 2.0**-5, 2.0**-5, 2.0**-5, (-5, 2), -5, False, False, False),
    # A sign beside the magnitude: the sign bit alone is minus zero.
    "e4m3": (480, -480, 2.0**-9, 2.0**-6, 2.0**-9, (-9, 8), -9, False, False, True),
    "ue2m2": (14 / 2, 0, 0.25, 1, 0.25, (-2, 2), -2, False, False, False),
    "e3m0": (16, -16, 0.25, 0.25, 0.25, (-2, 4), -2, False, False, True),
    "e5m2ieee": (57344, -57344, 2.0**-16, 2.0**-14, 2.0**-16, (-16, 15), -16, True, True, True),
    "e4m3fn": (448, -448, 2.0**-9, 2.0**-6, 2.0**-9, (-9, 8), -9, False, True, True),
    "fp16": (65504, -65504, 2.0**-24, 2.0**-14, 2.0**-24, (-24, 15), -24, True, True, True),
    "fp32": (
        (2 - 2.0**-23) * 2.0**127,
        -(2 - 2.0**-23) * 2.0**127,
        2.0**-149,
        2.0**-126,
        2.0**-149,
        (-149, 127),
        -149,
        True,
        True,
        True,
    ),
    # Regimes end at 4**6; next to zero are 4**-6 and, with no bit left, 4**-5.
    "posit8.1": (4096, -4096, 2.0**-12, 2.0**-12, 2.0**-12, (-12, 12), -12, True, False, False),
}


@pytest.mark.parametrize("spec", FACTS)
def test_facts_of_a_format(spec: str) -> None:
    fmt = get_format(spec)
    largest, lowest, smallest, normal, step, exponents, lsb, infinity, nan, minus_zero = FACTS[spec]
    assert (fmt.largest, fmt.lowest, fmt.smallest_positive) == (largest, lowest, smallest)
    assert (fmt.smallest_normal, fmt.smallest_step) == (normal, step)
    assert (fmt.exponent_range, fmt.lsb) == (exponents, lsb)
    assert (fmt.has_infinity, fmt.has_nan, fmt.has_negative_zero) == (infinity, nan, minus_zero)
    assert fmt.decades == pytest.approx(log10(largest / smallest))
    told = fmt.describe()
    assert (told["least_exponent"], told["greatest_exponent"]) == exponents
    assert told["decades"] == fmt.decades
    assert (told["largest"], told["smallest_step"], told["has_nan"]) == (largest, step, nan)


@pytest.mark.parametrize("spec", ["int4", "e4m3", "posit8.1", "log8.1", "e4m3fn", "e5m2sat", "e4m3fnuz"])
def test_most_formats_saturate(spec: str) -> None:
    fmt = get_format(spec)
    assert not fmt.overflows_to_infinity
    assert fmt.decode(fmt.encode([3 * fmt.largest, -3 * fmt.largest])).tolist() == [fmt.largest, fmt.lowest]


@pytest.mark.parametrize("spec", ["fp16", "bf16", "fp32", "tf32", "e5m2ieee"])
def test_floats_overflow_to_infinity_as_in_ieee_754(spec: str) -> None:
    fmt = get_format(spec)
    assert fmt.overflows_to_infinity
    assert fmt.decode(fmt.encode([3 * fmt.largest, -3 * fmt.largest])).tolist() == [np.inf, -np.inf]


@pytest.mark.parametrize(
    ("spec", "code"), [("log8.1", 0x80), ("log12.1", 0x800), ("log16", 0x7C00), ("posit8.1", 0x80)]
)
def test_tapered_and_log_numbers_have_one_code_for_all_that_is_not_finite(spec: str, code: int) -> None:
    fmt = get_format(spec)
    assert fmt.encode([np.inf, -np.inf, np.nan]).tolist() == [code] * 3
    assert fmt.decode([code]).tolist() == [np.inf]


@pytest.mark.parametrize(
    ("widest", "past_it", "what"),
    [
        ("posit16.4", "posit16.5", "exponent field .*5.*0 to 4"),
        ("log12.3", "log12.4", "exponent field .*4.*0 to 3"),
        ("posit16.0", "posit17.0", "width .*17.*3 to 16"),
        ("log16.0", "log17.0", "width .*17.*4 to 16"),
        ("int16", "int17", "width .*17.*2 to 16"),
        ("fix16.8", "fix17.8", "width .*17.*2 to 16"),
        ("fix16.16", "fix16.17", "fraction bits .*17.*0 to 16"),
        ("e10m5", "e11m4", "exponent bits .*11.*1 to 10"),
        ("e5m10", "e5m11", "width .*17.*3 to 16"),
        ("ue5m11", "ue5m12", "width .*17.*3 to 16"),
    ],
)
def test_widths_end_where_the_message_says(widest: str, past_it: str, what: str) -> None:
    assert get_format(widest).spec == widest
    with pytest.raises(UserError, match=f"format '{past_it}' has impossible .*{what}"):
        get_format(past_it)


@pytest.mark.parametrize("spec", ["int8", "fix12.5", "e4m3", "fp16", "posit8.1", "log8.1"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_arrays_are_encoded_as_their_rows_are(spec: str, dtype: type) -> None:
    fmt, random = get_format(spec), np.random.default_rng(3)
    draws = random.normal(size=(257, 256, 2)) * 10
    values: npt.NDArray[np.floating] = draws.astype(dtype)[..., 0]  # compiled, and not contiguous
    codes = fmt.encode(values)
    assert codes.shape == values.shape
    assert codes.dtype == fmt.code_dtype
    assert (codes == np.stack([fmt.encode(row) for row in values])).all()


# None; one; the two signs of one; more than four; a format without a table.
@pytest.mark.parametrize("spec", ["int8", "log8.1", "e4m3fn", "e5m2ieee", "fp16", "fp32"])
@pytest.mark.parametrize("shape", [(7, 11), (260, 263)])  # the larger one goes through compiled loops
def test_special_codes_are_found_wherever_they_are(spec: str, shape: tuple[int, int]) -> None:
    fmt, random = get_format(spec), np.random.default_rng(1)
    every = np.arange(1 << fmt.bits) if fmt.bits <= 16 else random.integers(0, 1 << fmt.bits, 1 << 16)
    special = ~np.isfinite(fmt.decode(every))
    ordinary = every[~special].astype(fmt.code_dtype)
    codes = random.choice(ordinary, size=shape)
    assert not has_special(fmt, codes)
    if fmt.bits <= 16:
        assert not is_special(fmt, codes).any()
    for code in every[special][:3].tolist():
        one = codes.copy()
        one[-1, -1] = code
        assert has_special(fmt, one)
        if fmt.bits <= 16:
            assert np.argwhere(is_special(fmt, one)).tolist() == [[shape[0] - 1, shape[1] - 1]]
    if fmt.bits <= 16:
        both = random.choice(every, size=shape).astype(fmt.code_dtype)
        assert (is_special(fmt, both) == special[both]).all()


@pytest.mark.parametrize("shape", [(5, 6), (257, 258)])
def test_tables_are_looked_up_in_any_shape(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(2)
    table = random.normal(size=200)
    codes = random.integers(3, 150, size=(*shape, 2)).astype(np.uint8)[..., 0]  # not contiguous
    found = look_up(table, codes)
    assert found.shape == shape
    assert found.tolist() == [[table[code] for code in row] for row in codes.tolist()]
    present = present_codes(codes, 200)
    assert np.flatnonzero(present).tolist() == sorted({code for row in codes.tolist() for code in row})
    assert present.shape == (200,)
