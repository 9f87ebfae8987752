"""Do scales come from all values of a tensor, and is the least squared error really the least?

The references round with the formats' own encoders, one scale after the other, over every value.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from simulator.inference.distributions.distribution import Columns, Distribution
from simulator.inference.distributions.staircase import staircase
from simulator.inference.policies.scales import (
    SMALLEST_SCALE,
    Method,
    _density,
    channel_scales,
    covering_scales,
    headroom,
    tensor_scale,
)
from simulator.inference.quantization import encode
from simulator.numerics import get_format

Reals = NDArray[np.float64]

NARROW = ("int2", "int4", "int8", "uint4", "e2m1", "e3m0", "e4m3", "e5m2", "ue4m4", "e3m4b9", "fix8.5")
TAPERED = ("log8.1", "posit8.0", "posit8.1", "posit7.1")
WIDE = ("int12", "fp16", "bf16", "log16", "fp32")


def noise(values: Reals, spec: str, scale: float) -> float:
    """The squared error of rounding values with a scale, from the encoder."""
    fmt = get_format(spec)
    with np.errstate(over="ignore", invalid="ignore"):
        error = fmt.decode(fmt.encode(values.reshape(-1) / scale)) * scale - values.reshape(-1)
        return float(np.square(error).sum())


def decibels(noise: float, reference: float) -> float:
    """How much worse a squared error is than another one."""
    if noise == reference:
        return 0.0
    return np.inf if reference == 0 else -np.inf if noise == 0 else float(10 * np.log10(noise / reference))


def finest(values: Reals, spec: str, steps: int = 1500) -> float:
    """The least squared error over a fine grid of scales, from a sixteenth to twice that of `max`."""
    largest = np.abs(values).max() / get_format(spec).largest
    return min(noise(values, spec, largest * step) for step in np.exp2(np.linspace(-4, 1, steps)))


def maps(images: int = 8, channels: int = 16, side: int = 16) -> Reals:
    """Activations behind a ReLU: maps with dark left columns, every size a power of two."""
    random = np.random.default_rng(1)
    bright = np.linspace(0.02, 1, side) * random.normal(size=(images, channels, side, side))
    return np.maximum(bright, 0).astype(np.float32).astype(np.float64)


def tensors() -> dict[str, Reals]:
    """Tensors on which a search, or a sample of values, goes wrong easily."""
    random = np.random.default_rng(2)
    outliers = maps()
    outliers[:, 5] *= 50
    single = np.zeros((8, 64, 8, 8))
    single[:, 17] = np.abs(random.normal(size=(8, 8, 8)))
    return {
        "maps": maps(),
        "outlier channel": outliers,
        "single channel": single,
        "weights": random.normal(size=(64, 9)),
        "heavy tails": random.standard_t(2, size=4096),
        "constant": np.full((16, 16), 0.37),
        "few": random.normal(size=9),
        "pixels": random.integers(0, 256, size=(64, 64)) / 255,
    }


@pytest.mark.parametrize("spec", ["int2", "int4", "int8", "e2m1", "e4m3", "e3m0", "ue4m4"])
@pytest.mark.parametrize("name", list(tensors()))
def test_the_least_squared_error_is_within_a_tenth_of_a_decibel_of_a_fine_search(
    name: str, spec: str
) -> None:
    values = np.abs(tensors()[name]) if spec.startswith("u") else tensors()[name]
    searched = tensor_scale(values, get_format(spec), "mse", percentile=100)
    largest = tensor_scale(values, get_format(spec), "max", percentile=100)
    found = noise(values, spec, searched)
    assert found <= noise(values, spec, largest)
    steps = 150 if values.size > 2000 else 1500
    assert decibels(found, finest(values, spec, steps)) < 0.1


@pytest.mark.parametrize("spec", TAPERED)
def test_tapered_formats_are_scaled_to_where_they_are_fine(spec: str) -> None:
    # They are finest around 1, far below their largest value: the grid of `finest` would not reach it.
    values = np.random.default_rng(3).normal(size=3000)
    fmt = get_format(spec)
    grid = np.abs(values).max() / fmt.largest * np.exp2(np.linspace(-4, 16, 600))
    best = min(noise(values, spec, scale) for scale in grid)
    assert decibels(noise(values, spec, tensor_scale(values, fmt, "mse", percentile=100)), best) < 0.1


@pytest.mark.parametrize("spec", ["int12", "fp16", "fp32"])
def test_wide_formats_lose_nothing_against_the_largest_magnitude(spec: str) -> None:
    values, fmt = np.random.default_rng(4).normal(size=20000), get_format(spec)
    searched = tensor_scale(values, fmt, "mse", percentile=100)
    largest = tensor_scale(values, fmt, "max", percentile=100)
    assert noise(values, spec, searched) <= noise(values, spec, largest)
    assert decibels(noise(values, spec, searched), finest(values, spec, 40)) < 0.1


def test_scales_end_at_the_smallest_normal_float32() -> None:
    for value in (2.0**-149, 2.0**-130):
        values = np.array([value, 0, -value], np.float32)
        assert tensor_scale(values, get_format("int8"), "mse", percentile=100) == 2.0**-126


@given(
    arrays.arrays(np.float32, st.integers(1, 12), elements=st.floats(-100, 100, width=32)),
    st.sampled_from(["int2", "int4", "e2m1", "e3m0", "int8"]),
)
def test_the_least_squared_error_of_few_values_is_never_above_any_other(
    values: NDArray[np.float32], spec: str
) -> None:
    """Few values are searched exhaustively: no scale whatsoever does better."""
    real = values.astype(np.float64)
    if not real.any():
        assert tensor_scale(values, get_format(spec), "mse", percentile=100) == 1
        return
    # Scales end at the smallest normal float32, so values far below one of their own are not for this law.
    assume(np.abs(real).max() > 2.0**-100)
    found = noise(real, spec, tensor_scale(values, get_format(spec), "mse", percentile=100))
    power = float(np.square(real).sum())
    assert found <= finest(real, spec, 200) + 1e-9 * power


@pytest.mark.parametrize("method", ["max", "mse", "percentile"])
@pytest.mark.parametrize("spec", ["int4", "int8", "e4m3", "log8.1", "fp32"])
def test_the_order_of_values_does_not_matter(method: Method, spec: str) -> None:
    values = maps()
    shuffled = np.random.default_rng(5).permutation(values.reshape(-1))
    fmt = get_format(spec)
    assert tensor_scale(values, fmt, method, percentile=99.9) == tensor_scale(
        shuffled, fmt, method, percentile=99.9
    )


@pytest.mark.parametrize("place", [0, 1, 31, 32, 4095, 65534, 65535])
@pytest.mark.parametrize("spec", ["int8", "e4m3"])
def test_one_value_counts_wherever_it_stands(place: int, spec: str) -> None:
    values = np.full(1 << 16, 0.5)
    values[place] = 40
    fmt = get_format(spec)
    assert tensor_scale(values, fmt, "max", percentile=100) == pytest.approx(40 / fmt.largest)
    assert noise(values, spec, tensor_scale(values, fmt, "mse", percentile=100)) <= noise(
        values, spec, 40 / fmt.largest
    )


@pytest.mark.parametrize("spec", [*NARROW, *TAPERED, *WIDE])
@given(
    arrays.arrays(
        st.sampled_from([np.float32, np.float64]), st.integers(1, 20), elements=st.floats(-1, 1, width=32)
    ),
    st.sampled_from([1.0, 3e38, 2.0**127, 1e-30, 2.0**-149, 1e-42, 1e20, 7.3]),
    st.booleans(),
)
def test_max_saturates_nothing_on_its_own_tensor(
    spec: str, values: NDArray[np.floating], magnitude: float, power_of_two: bool
) -> None:
    fmt = get_format(spec)
    tensor = (values.astype(np.float64) * magnitude).astype(values.dtype)
    if not fmt.signed:
        tensor = np.abs(tensor)
    scale = tensor_scale(tensor, fmt, "max", percentile=100, power_of_two=power_of_two)
    assert encode(tensor, fmt, scale).saturated == 0
    assert not (np.abs(tensor.astype(np.float64)) / scale > fmt.largest).any()
    # It is the least such scale: the largest value is nearly reached, within a factor of two for powers.
    reached = float(np.abs(tensor).max()) / scale / fmt.largest
    if scale > SMALLEST_SCALE and tensor.any() and scale < 2.0**126:
        assert reached > (0.499999 if power_of_two else 1 - 2.0**-22)


@pytest.mark.parametrize("spec", ["int8", "e2m1", "posit8.1"])
def test_max_is_the_largest_magnitude_over_the_largest_value(spec: str) -> None:
    # Pinned to what rounding the reciprocal to float32 may cost.
    fmt = get_format(spec)
    for extent in (6.35, 3.0, 2048.0):
        scale = tensor_scale(np.array([extent / 2, -extent]), fmt, "max", percentile=100)
        assert scale == pytest.approx(extent / fmt.largest, rel=2.0**-22)
        assert scale >= extent / fmt.largest * (1 - 2.0**-52)


@pytest.mark.parametrize(
    ("extent", "expected"),
    [(127.0, 1.0), (127.5, 2.0), (254.0, 2.0), (63.5, 0.5), (63.6, 1.0), (127 * 2.0**-20, 2.0**-20)],
)
def test_powers_of_two_are_the_least_that_cover(extent: float, expected: float) -> None:
    fmt = get_format("int8")
    assert tensor_scale(np.array([-extent, 1e-9]), fmt, "max", percentile=100, power_of_two=True) == expected


def test_the_searched_power_of_two_is_the_best_one() -> None:
    random = np.random.default_rng(6)
    for values in (random.normal(size=4000), random.standard_t(2, size=4000), maps()):
        for spec in ("int2", "int4", "int8", "e2m1"):
            scale = tensor_scale(values, get_format(spec), "mse", percentile=100, power_of_two=True)
            assert np.log2(scale) == round(np.log2(scale))
            powers = np.exp2(np.arange(-14.0, 12))
            assert noise(values, spec, scale) == min(noise(values, spec, power) for power in powers)


@pytest.mark.parametrize("percentile", [50.0, 99.0, 99.9, 99.99, 100.0])
@pytest.mark.parametrize("name", ["maps", "outlier channel", "heavy tails", "few"])
def test_percentiles_are_those_of_all_values(name: str, percentile: float) -> None:
    values, fmt = tensors()[name], get_format("int8")
    reached = np.percentile(np.abs(values), percentile)
    assert Distribution.of(values).magnitude(percentile) == pytest.approx(reached, rel=1e-12)
    expected = (reached or np.abs(values).max()) / 127
    assert tensor_scale(values, fmt, "percentile", percentile=percentile) == pytest.approx(expected, rel=1e-6)


def test_a_percentile_of_zero_gives_way_to_the_largest_magnitude() -> None:
    # 3 of 4096 values are not zero: the 99th percentile of magnitudes is 0 and no scale.
    values = np.zeros(4096)
    values[[7, 8, 9]] = 1.0, 2.0, -6.35
    assert tensor_scale(values, get_format("int8"), "percentile", percentile=99) == pytest.approx(0.05)
    columns = values.reshape(1, 4096, 1)
    assert channel_scales(columns, get_format("int8"), "percentile", percentile=99)[0, 0, 0] == pytest.approx(
        0.05
    )


@pytest.mark.parametrize("method", ["max", "mse", "percentile"])
@pytest.mark.parametrize("spec", ["int4", "e4m3", "log8.1", "fp32"])
def test_zeros_have_the_scale_one(method: Method, spec: str) -> None:
    fmt = get_format(spec)
    assert tensor_scale(np.zeros((4, 8), np.float32), fmt, method, percentile=99.9) == 1
    weights = np.zeros((1, 4, 3))
    weights[0, :, 1] = [0.5, -2, 1, 0]
    scales = channel_scales(weights, fmt, method, percentile=100)
    assert scales[0, 0, 0] == scales[0, 0, 2] == 1
    assert scales[0, 0, 1] != 1


@pytest.mark.parametrize("spec", ["int4", "int8", "e2m1", "e4m3", "posit8.1"])
@pytest.mark.parametrize("value", [-2.5, 3.4028234663852886e38, 2.0**-126, 1e-45])
def test_one_element_is_kept_as_it_is(spec: str, value: float) -> None:
    fmt = get_format(spec)
    tensor = np.array([[value]], np.float32)
    for method in ("max", "mse"):
        scale = tensor_scale(tensor, fmt, method, percentile=100)
        assert SMALLEST_SCALE <= scale < np.inf
        assert noise(tensor.astype(np.float64), spec, scale) <= float(tensor[0, 0]) ** 2
        if abs(value) / fmt.largest >= SMALLEST_SCALE:
            kept = fmt.decode(encode(tensor, fmt, scale).codes)[0, 0] * scale
            assert kept == pytest.approx(tensor[0, 0], rel=1e-5)


@pytest.mark.parametrize(
    ("spec", "octaves"),
    [
        ("int4", 1.0),  # the largest value has the least step for its size, 1/7
        ("uint8", 1.0),
        ("e4m3", 1 + np.log2(480 / 256)),  # 1/16 below every power of two, 256 the last
        ("e2m1", 1 + np.log2(6 / 4)),
        ("posit8.1", 1 + np.log2(4096 / 4)),  # 1/32 below 1/2, 1, 2 and 4: four fraction bits end there
        ("posit8.0", 1 + np.log2(64 / 2)),
        ("fp32", 1.0),
    ],
)
def test_where_formats_are_finest(spec: str, octaves: float) -> None:
    assert headroom(get_format(spec)) == pytest.approx(octaves, rel=1e-12)


@pytest.mark.parametrize(
    ("length", "levels", "scales"),
    [
        (16, 16, 1024),  # 2**18 roundings / (16 values x 16 octaves), the most
        (32, 16, 512),
        (100, 16, 163),
        (128, 15, 128),
        (5000, 15, 128),  # the fewest
        (1024, 1024, 128),
        (256, 1024, 256),  # 4 times as many for 4 x 256 levels
        (2048, 65536, 1024),
        (2049, 1024, 128),
        (2049, 1025, 8),
        (16, None, 8),
    ],
)
def test_scales_tried_in_an_octave(length: int, levels: int | None, scales: int) -> None:
    assert _density(length, levels) == scales


def test_scales_are_never_too_small_for_a_reciprocal_in_float32() -> None:
    assert np.finfo(np.float32).tiny == SMALLEST_SCALE  # smaller ones are subnormal
    tiny = np.array([1e-44, -3e-45, 0], np.float32)
    for method in ("max", "mse"):
        scale = tensor_scale(tiny, get_format("int8"), method, percentile=100)
        assert scale == SMALLEST_SCALE
        assert encode(tiny, get_format("int8"), scale).codes.tolist() == [0, 0, 0]
    assert covering_scales(np.array([0.0, 1e-300]), get_format("int8")).tolist() == [1, SMALLEST_SCALE]


@pytest.mark.parametrize("method", ["max", "mse", "percentile"])
@pytest.mark.parametrize("power_of_two", [False, True])
@pytest.mark.parametrize("spec", ["int4", "e2m1", "int8"])
def test_channels_are_scaled_as_if_each_were_a_tensor(method: Method, power_of_two: bool, spec: str) -> None:
    random, fmt = np.random.default_rng(7), get_format(spec)
    weights = random.normal(size=(3, 27, 8)) * random.uniform(0.01, 10, size=(3, 1, 8))
    scales = channel_scales(weights, fmt, method, percentile=95, power_of_two=power_of_two)
    assert scales.shape == (3, 1, 8)
    for group in range(3):
        for channel in range(8):
            column = weights[group, :, channel]
            alone = tensor_scale(column, fmt, method, percentile=95, power_of_two=power_of_two)
            got = scales[group, 0, channel]
            if method == "mse":
                assert noise(column, spec, got) == pytest.approx(noise(column, spec, alone), rel=0.01)
            else:
                assert got == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize("spec", ["int4", "int8", "e2m1"])
@pytest.mark.parametrize("length", [9, 144, 1152])
def test_channels_have_the_least_squared_error_too(spec: str, length: int) -> None:
    weights = np.random.default_rng(8).normal(size=(1, length, 3))
    scales = channel_scales(weights, get_format(spec), "mse", percentile=100)
    for channel in range(3):
        column = weights[0, :, channel]
        best = finest(column, spec, 800)
        assert decibels(noise(column, spec, float(scales[0, 0, channel])), best) < 0.1


@pytest.mark.parametrize(
    "spec", [*NARROW, "posit8.0", "posit8.1", "fp16", "log16", "bf16", "e4m3fn", "e5m2ieee"]
)
def test_a_staircase_rounds_as_the_encoder_does(spec: str) -> None:
    fmt, random = get_format(spec), np.random.default_rng(9)
    steps = staircase(fmt)
    assert steps is not None
    spread = random.normal(size=3000) * np.exp2(random.integers(-20, 20, size=3000))
    inner = steps.levels[np.isfinite(steps.levels)]
    values = np.concatenate(
        [spread, inner, steps.thresholds, np.nextafter(steps.thresholds, -np.inf), [4 * fmt.largest]]
    )
    if spec == "log16":  # its converter turns some tiny values into infinity, which inference makes zero
        values = values[(np.abs(values) >= fmt.smallest_positive) | (values == 0)]
    expected = fmt.decode(fmt.encode(values))
    assert (steps.levels[np.searchsorted(steps.thresholds, values, side="right")] == expected).all()


def test_formats_without_a_table_have_no_staircase() -> None:
    assert staircase(get_format("fp32")) is None
    assert staircase(get_format("int16")) is not None


@pytest.mark.parametrize("spec", ["int4", "e4m3", "posit8.1", "fp16", "fp32"])
def test_running_totals_give_the_errors_and_fits_of_all_values(spec: str) -> None:
    values, fmt = maps(2, 4, 16), get_format(spec)
    scales = np.abs(values).max() / 8 * np.array([[0.3], [1.0], [2.5]])
    fits = Distribution.of(values).fits(fmt, scales)
    for index, scale in enumerate(scales[:, 0].tolist()):
        levels = fmt.decode(fmt.encode(values / scale))
        power = float(np.square(values).sum())
        assert fits.errors[index, 0] == pytest.approx(noise(values, spec, scale), abs=1e-11 * power)
        fitted = float((levels * values).sum() / np.square(levels).sum())
        assert fits.fitted[index, 0] == pytest.approx(fitted)
        kept = float(np.square(levels * fitted - values).sum())
        assert fits.fitted_errors[index, 0] == pytest.approx(kept, abs=1e-11 * power)
    columns = Columns(values.reshape(-1, 1)).fits(fmt, scales)
    assert columns.errors == pytest.approx(fits.errors, abs=1e-11 * power)
    assert columns.fitted == pytest.approx(fits.fitted)


def test_scales_at_which_a_value_becomes_infinite_are_no_fit() -> None:
    values, fmt = np.array([1.0, 70000.0]), get_format("fp16")
    for columns in (Distribution.of(np.tile(values, 300000)), Columns(values[:, None])):
        fits = columns.fits(fmt, np.array([[1.0], [2.0]]))
        assert np.isinf(fits.errors[0, 0])
        assert np.isinf(fits.fitted_errors[0, 0])
        assert np.isfinite(fits.errors[1, 0])
    assert tensor_scale(values, fmt, "mse", percentile=100) >= 70000 / 65520
