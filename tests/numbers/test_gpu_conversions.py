"""Real values to codes on a device, against `Format.encode`."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.numerics.formats import get_format
from simulator.numerics.gpu import Device
from simulator.numerics.gpu.device_encoding import decode_on, encode_on, has_device_encoder
from tests.numbers.gpu_devices import DEVICES, device_named

FORMATS = (
    "int8", "uint4", "fix8.5", "ufix8.3", "sm8", "e4m3", "ue4m4b9", "e3m0", "e2m1", "e4m3fn", "e5m2ieee",
    "e5m2sat", "e4m3fnuz", "fp16", "bf16", "tf32", "fp32", "log8.1", "log16", "posit8.1", "posit8.0", "posit9.1",
)  # fmt: skip


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> Device:
    return device_named(request.param)


def difficult(dtype: type[np.float32 | np.float64]) -> np.ndarray:
    """Powers of two, their halves and neighbours, zeros, infinities, NaN, and random patterns."""
    rng = np.random.default_rng(4)
    exponents = np.arange(-150, 130) if dtype is np.float32 else np.arange(-1074, 1024)
    with np.errstate(over="ignore", under="ignore"):
        powers = np.ldexp(np.ones(exponents.size), exponents).astype(dtype)
        near = [powers, powers * dtype(1.5), powers * dtype(1.25), powers * dtype(1.9375)]
        around = [np.nextafter(each, dtype(side)) for each in near for side in (0.0, np.inf)]
    size, bits = np.dtype(dtype).itemsize, np.uint32 if dtype is np.float32 else np.uint64
    patterns = np.frombuffer(rng.bytes(size * 40_000), bits).view(dtype)
    specials = np.array([0.0, np.inf, np.nan], dtype)
    values = np.concatenate([*near, *around, patterns, specials, rng.standard_normal(40_000).astype(dtype)])
    return np.concatenate([values, -values])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("spec", FORMATS)
def test_codes(device: Device, spec: str, dtype: type[np.float32 | np.float64]) -> None:
    fmt, values = get_format(spec), difficult(dtype)
    found = encode_on(device, fmt, device.to_device(values))
    codes = device.to_host(found.codes)
    assert codes.dtype == fmt.code_dtype
    np.testing.assert_array_equal(codes, fmt.encode(values))
    decoded = fmt.decode(codes)
    np.testing.assert_array_equal(device.to_host(decode_on(device, fmt, found.codes)), decoded)
    beyond = int(np.count_nonzero((values > fmt.largest) | (values < fmt.lowest)))
    zeros = int(np.count_nonzero(decoded == 0)) - int(np.count_nonzero(values == 0))
    if spec not in ("fp32", "tf32"):  # which have no table of kinds: special by the value
        counts = device.to_host(found.counts).view(np.int64).tolist()
        assert counts == [beyond, zeros, int(np.count_nonzero(~np.isfinite(decoded)))]


def test_a_scale_is_a_product_in_float32(device: Device) -> None:
    fmt, values = get_format("int8"), np.linspace(-3, 3, 1001, dtype=np.float32)
    scale = np.float32(37.3)
    found = device.to_host(encode_on(device, fmt, device.to_device(values), float(scale)).codes)
    np.testing.assert_array_equal(found, fmt.encode(values * scale))
    # Rounded by hand: 1.5 x 37.3 = 55.95.
    assert found[750] == 56
    assert found[1000] == 112  # 111.9


def test_tiny_values_that_a_converter_makes_infinite_are_zero_where_asked(device: Device) -> None:
    """The published converter to log16 makes infinity of 2^-16 to 2^-15, which it cannot hold."""
    fmt = get_format("log16")
    values = np.array([2.0**-15.5, -(2.0**-15.5), 1.0, np.inf], np.float32)
    kept = device.to_host(encode_on(device, fmt, device.to_device(values)).codes)
    asked = encode_on(device, fmt, device.to_device(values), keep_infinities=False)
    codes = fmt.decode(device.to_host(asked.codes))
    np.testing.assert_array_equal(np.isfinite(fmt.decode(kept)), np.isfinite(fmt.decode(fmt.encode(values))))
    tiny = np.abs(values) < fmt.smallest_positive
    np.testing.assert_array_equal(codes[tiny & ~np.isfinite(fmt.decode(kept))], 0.0)
    assert codes[2] == 1.0
    assert np.isinf(codes[3])


def test_float64_has_no_converter() -> None:
    assert not has_device_encoder(get_format("fp64"))
    assert all(has_device_encoder(get_format(spec)) for spec in FORMATS)
