"""Are values that are rounded without codes those that codes would give?"""

from __future__ import annotations

import numpy as np
import pytest

from simulator.numerics.formats import get_format

SPECS = (
    "fp16",
    "bf16",
    "tf32",
    "fp32",
    "e4m3",
    "e5m2",
    "e3m0",  # ties go to the even exponent
    "e6m9",
    "ue4m4b9",  # unsigned
    "e8m7b120",
    "e4m3fn",
    "e5m2ieee",
    "e5m2sat",
    "e4m3fnuz",  # without minus zero
    "posit8.1",
    "posit8.2",
    "log8.1",
    "log16",
    "int8",
    "fix8.5",
)


def numbers(spec: str) -> np.ndarray:
    """Reals of all sizes; the format's values, the middles between them, and the floats beside both."""
    random, fmt = np.random.default_rng(3), get_format(spec)
    patterns = random.integers(0, 2**63, 50_000, dtype=np.int64).view(np.float64)
    near = random.normal(size=50_000) * 2.0 ** random.integers(-30, 30, 50_000)
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 2.0**1023, -(2.0**990), 5e-324])
    parts = [patterns, -patterns, near, special]
    if fmt.bits <= 16:
        values = np.unique(fmt.values()[np.isfinite(fmt.values())])
        middles = (values[1:] + values[:-1]) / 2
        past = values[-1] + (values[-1] - values[-2]) / 2  # where overflow to infinity begins
        for each in (values, middles, np.array([past, 2 * values[-1]])):
            parts += [each, np.nextafter(each, np.inf), np.nextafter(each, -np.inf), -each]
    return np.concatenate(parts)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("spec", SPECS)
def test_values_are_those_of_codes(spec: str, dtype: type[np.floating]) -> None:
    fmt = get_format(spec)
    with np.errstate(all="ignore"):
        reals = numbers(spec).astype(dtype)
        codes = fmt._encode(reals.astype(np.float64)).astype(fmt.code_dtype)  # plain NumPy, no compiled loop
        expected = fmt._decode(codes.astype(np.int64)).astype(np.float32)
        found = fmt.nearest_values(reals)
    is_nan = np.isnan(expected)
    assert (np.isnan(found) == is_nan).all()
    assert (found.view(np.uint32) == expected.view(np.uint32))[~is_nan].all()


def test_few_values_take_the_way_over_codes() -> None:
    assert get_format("fp16").nearest_values(np.array([2049.0, -0.0])).tolist() == [2048.0, -0.0]
    assert get_format("e4m3fn").nearest_values(np.array([1e9])).tolist() == [448.0]
