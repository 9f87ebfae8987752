"""Does a wrong format, or a wrong code, say what is wrong and what would be right?"""

from __future__ import annotations

import numpy as np
import pytest

from simulator.foundation import UserError
from simulator.numerics import get_format
from simulator.numerics.formats.log import LogBase
from simulator.numerics.logarithm import accumulator_to_code


@pytest.mark.parametrize(
    ("spec", "nearest"),
    [("e4m", "e4m3"), ("int", "int8"), ("e4m3fm", "e4m3fn"), ("posit8", "posit8."), ("log8", "log8.1"),
     ("f16", "fp16"), ("fix8.", "fix8.5"), ("ue4m4b", "ue4m4b9"), ("log8.1(5,8)", "log8.1(5,8,7)")],
)  # fmt: skip
def test_a_malformed_spec_suggests_the_nearest(spec: str, nearest: str) -> None:
    with pytest.raises(UserError, match="unknown number format") as caught:
        get_format(spec)
    assert repr(spec) in str(caught.value)
    assert f"did you mean '{nearest}" in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("int1", "impossible width (got 1); allowed: 2 to 16"),
        ("uint17", "impossible width (got 17); allowed: 2 to 16"),
        ("fix17.0", "impossible width (got 17); allowed: 2 to 16"),
        ("ufix1.0", "impossible width (got 1); allowed: 2 to 16"),
        ("fix8.9", "impossible number of fraction bits (got 9); allowed: 0 to 8"),
        ("e1m0", "impossible width (got 2); allowed: 3 to 16"),
        ("e8m8", "impossible width (got 17); allowed: 3 to 16"),
        ("e0m4", "impossible number of exponent bits (got 0); allowed: 1 to 10"),
        ("e4m3b2000", "impossible bias"),
        ("e4m3b-2000", "impossible bias"),
        ("posit3.1", "impossible width (got 3); allowed: 4 to 16"),
        ("posit8.5", "impossible exponent field (got 5); allowed: 0 to 4"),
        ("log17.1", "impossible width (got 17); allowed: 5 to 16"),
        ("log8.1(5,99,7)", "impossible beta (got 99); allowed: 1 to 14"),
        ("log8.1(2,5,7)", "impossible alpha (got 2); allowed: 3 to 20"),
        ("log8.1(5,5,3)", "impossible gamma (got 3); allowed: 4 to 20"),
        ("log16(11,11,9)", "impossible gamma (got 9); allowed: 10"),
    ],
)
def test_impossible_widths(spec: str, reason: str) -> None:
    with pytest.raises(UserError) as caught:
        get_format(spec)
    assert repr(spec) in str(caught.value)
    assert reason in str(caught.value)


@pytest.mark.parametrize("spec", [8, None, 1.5])
def test_a_spec_is_a_string(spec: object) -> None:
    with pytest.raises(UserError, match="named by a string"):
        get_format(spec)  # type: ignore[arg-type]  # the point of the test


@pytest.mark.parametrize(
    ("spec", "codes", "reason"),
    [
        ("e4m3", [0, 256, 1], "codes outside format e4m3 of 8 bits (got 256); allowed: 0 to 255"),
        ("e4m3", [0, -1], "codes outside format e4m3 of 8 bits (got -1); allowed: 0 to 255"),
        ("int8", [-129], "codes outside format int8 of 8 bits (got -129); allowed: -128 to 255"),
        ("int4", [16], "codes outside format int4 of 4 bits (got 16); allowed: -8 to 15"),
        ("log8.1", [1 << 40], "allowed: 0 to 255"),
        ("e2m1", [0.5], "codes of e2m1 must be integers (got 'float64')"),
        ("e2m1", ["1"], "codes of e2m1 must be integers"),
    ],
)
def test_codes_out_of_range(spec: str, codes: list[object], reason: str) -> None:
    with pytest.raises(UserError) as caught:
        get_format(spec).decode(np.array(codes))
    assert reason in str(caught.value)


@pytest.mark.parametrize("values", [np.array(["1.5"]), np.array([1 + 2j]), np.array([None])])
def test_values_that_are_no_numbers(values: np.ndarray) -> None:
    with pytest.raises(UserError, match="must be real numbers"):
        get_format("int8").encode(values)


def test_no_table_for_wide_formats() -> None:
    with pytest.raises(
        UserError, match=r"fp32: has no table of all values; allowed: formats of up to 16 bits"
    ):
        get_format("fp32").values()


def test_an_accumulator_too_wide_to_convert() -> None:
    fmt = get_format("log8.2")
    assert isinstance(fmt, LogBase)
    assert fmt.accumulator_bits > 64
    with pytest.raises(UserError, match=r"accumulator of log8\.2 is too wide to convert"):
        accumulator_to_code(np.zeros(3, np.int64), None, fmt)
