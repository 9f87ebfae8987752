"""The fast ways of the search for scales against plain NumPy: the same bits, so the same scales."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from simulator.inference.channel_sums import ChannelSums
from simulator.inference.distributions.distribution import Columns, Distribution, Fits, Spread
from simulator.inference.distributions.rounding_grid import rounding_grid
from simulator.inference.distributions.staircase import staircase
from simulator.numerics import get_format

Reals = NDArray[np.float64]

GRIDS = ("int2", "int4", "int8", "uint4", "fix8.5", "e2m1", "e4m3", "e5m2", "ue4m4", "e3m4b9", "e2m5", "e1m2")
NO_GRIDS = ("log8.1", "posit8.0", "posit8.1", "fp16", "e5m2ieee", "fp32")


@pytest.mark.parametrize("spec", GRIDS)
def test_a_grid_rounds_as_the_encoder_does(spec: str) -> None:
    fmt, random = get_format(spec), np.random.default_rng(2)
    grid, steps = rounding_grid(fmt), staircase(fmt)
    assert grid is not None
    assert steps is not None
    values = np.concatenate(
        [
            random.normal(size=2000) * np.exp2(random.integers(-30, 30, size=2000)),
            steps.thresholds,
            np.nextafter(steps.thresholds, np.inf),
            np.nextafter(steps.thresholds, -np.inf),
            [0.0, -0.0, 4 * fmt.largest, 4 * fmt.lowest],
        ]
    )
    assert (grid.round(values) == fmt.decode(fmt.encode(values))).all()


@pytest.mark.parametrize("spec", NO_GRIDS)
def test_formats_that_are_no_grid_have_none(spec: str) -> None:
    """They step unevenly, overflow to infinity, or have no table to prove anything with."""
    assert rounding_grid(get_format(spec)) is None


@pytest.mark.parametrize("spec", GRIDS)
@pytest.mark.parametrize("shape", [(27, 60), (300, 7), (9, 256), (2, 3000)])
def test_columns_have_the_sums_of_rows_in_order(spec: str, shape: tuple[int, int]) -> None:
    fmt, random = get_format(spec), np.random.default_rng(3)
    values = random.normal(size=shape) * np.exp2(random.integers(-6, 2, size=shape))
    scales = np.abs(values).max(axis=0) / fmt.largest * np.exp2(np.linspace(-5, 1, 40))[:, None]
    fits = Columns(values).fits(fmt, scales)
    for tried in range(0, 40, 7):
        levels = fmt.decode(fmt.encode(values / scales[tried]))
        cross, power = np.zeros(shape[1]), np.zeros(shape[1])
        for row, level in zip(values, levels, strict=True):
            cross += row * level
            power += level * level
        assert (
            fits.fitted[tried] == np.where(cross > 0, cross / np.where(power > 0, power, 1), scales[tried])
        ).all()
        squares = (values * values).sum(axis=0)
        errors = np.maximum(squares - 2 * scales[tried] * cross + np.square(scales[tried]) * power, 0)
        assert (fits.errors[tried] == errors).all()


def tensor(kind: str, size: int) -> NDArray[np.float32]:
    """Values of different repetition: none, zeros and a clip, few different ones, negative ones alone."""
    normal = np.random.default_rng(4).normal(size=size)
    return {
        "normal": normal,
        "clipped": np.clip(2 * normal, 0, 1.5),
        "few": np.round(normal * 3) / 3,
        "negative": -np.abs(normal) - 1,
        "constant": np.full(size, 2.5),
        "zero": normal * 0,
    }[kind].astype(np.float32)


@pytest.mark.parametrize("kind", ["normal", "clipped", "few", "negative", "constant", "zero"])
@pytest.mark.parametrize("size", [1, 2, 31, 32, 33, 5000])
def test_a_distribution_of_parts_is_that_of_all_values(kind: str, size: int) -> None:
    values = tensor(kind, size)
    spread = Spread()
    rest = [np.asarray(spread.rest_of(part), np.float32) for part in np.array_split(values, 3)]
    for found in (Distribution.of(values), spread.distribution(np.concatenate(rest))):
        distinct, counts = np.unique(values, return_counts=True)
        assert (found.values == distinct).all()
        assert (found.counts == counts).all()
        assert found.size == size
        running = np.concatenate([[0.0], np.cumsum(counts * distinct.astype(np.float64))])
        assert (found.sums == np.append(running[:-1][::32], running[-1])).all()
        # One term after the other: no library that splits a sum by its threads has a part in it.
        assert found.squares == np.cumsum(counts * np.square(distinct.astype(np.float64)))[-1]


@pytest.mark.parametrize("spec", ["int4", "int8", "e4m3", "log8.1", "posit8.1"])
@pytest.mark.parametrize("kind", ["normal", "clipped", "negative"])
def test_steps_have_the_running_totals_of_all_values_before(spec: str, kind: str) -> None:
    fmt, values = get_format(spec), tensor(kind, 30000)
    steps = staircase(fmt)
    assert steps is not None
    distinct, counts = np.unique(values, return_counts=True)
    reals = distinct.astype(np.float64)
    before = np.concatenate([[0.0], np.cumsum(counts * reals)])
    number = np.concatenate([[0], np.cumsum(counts)])
    scales = np.abs(reals).max() / fmt.largest * np.exp2(np.linspace(-3, 1, 9))
    fits = Distribution.of(values).fits(fmt, scales[:, None])
    for tried, scale in enumerate(scales.tolist()):
        edges = np.concatenate([[0], np.searchsorted(reals, steps.thresholds * scale), [reals.size]])
        used = np.flatnonzero(np.diff(edges))
        levels = steps.levels[used]
        totals = before[edges[used + 1]] - before[edges[used]]
        occurs = (number[edges[used + 1]] - number[edges[used]]).astype(float)
        power = np.cumsum(np.square(levels) * occurs)[-1]
        assert fits.fitted[tried, 0] == np.cumsum(levels * totals)[-1] / power


@pytest.mark.parametrize("spec", ["int4", "int8", "e4m3", "log8.1", "posit8.1", "fp16"])
def test_a_scale_improves_where_the_squared_errors_say_so(spec: str) -> None:
    fmt, values = get_format(spec), tensor("clipped", 20000)
    distribution, base = Distribution.of(values), np.array([1.5 / fmt.largest])
    outcomes = []
    for factor in (0.25, 0.5, 0.9, 1 - 2**-50, 1.0, 1 + 2**-50, 1.1, 2.0):
        scale = base * factor
        whole = distribution.squared_errors(fmt, scale) < distribution.squared_errors(fmt, base)
        outcomes.append(bool(distribution.improves(fmt, scale, base)[0]))
        assert outcomes[-1] == whole[0]
    assert not outcomes[4]


@pytest.mark.parametrize("percentile", [50.0, 90.0, 99.9, 100.0])
@pytest.mark.parametrize("kind", ["normal", "clipped", "few", "negative"])
def test_percentiles_are_numpys_of_magnitudes(percentile: float, kind: str) -> None:
    values = tensor(kind, 4321)
    reached = np.percentile(np.abs(values).astype(np.float64), percentile)
    assert Distribution.of(values).magnitude(percentile) == pytest.approx(reached, rel=1e-14)


@pytest.mark.parametrize(
    ("shape", "axis"), [((9, 5, 30, 31), 1), ((4, 1, 70, 80), 1), ((50, 40), -1), ((3, 7, 20), -1)]
)
def test_channel_means_are_numpys_whatever_the_parts(shape: tuple[int, ...], axis: int) -> None:
    values = np.random.default_rng(5).normal(3, 50, size=shape).astype(np.float32)
    moved = np.moveaxis(values, axis, -1)
    expected = moved.reshape(-1, moved.shape[-1]).mean(axis=0, dtype=np.float64)
    for parts in (1, 3):
        sums = ChannelSums()
        for part in np.array_split(values, parts):
            sums.add(part, axis)
        assert (sums.means == expected).all()


@pytest.mark.parametrize("shape", [(300, 250), (70_000, 1)])
def test_fits_of_many_scales_have_the_bits_of_few(shape: tuple[int, int]) -> None:
    """One compiled pass over many, NumPy's passes over each row alone."""
    random = np.random.default_rng(6)
    scales, cross = np.exp2(random.normal(size=shape)), random.normal(1, 1, size=shape)
    power = np.where(random.random(shape) < 0.1, np.inf, np.maximum(random.normal(1, 1, size=shape), 0))
    squares = random.random(shape[1]) * 4
    whole = Fits.of(scales, squares, cross, power)
    for start in range(0, len(scales), 97):
        part = slice(start, start + 97)
        alone = Fits.of(scales[part], squares, cross[part], power[part])
        for field in ("errors", "fitted", "fitted_errors"):
            found, expected = getattr(whole, field)[part], getattr(alone, field)
            assert found.tobytes() == expected.tobytes(), field


_HASHES = """
import hashlib
import numpy as np
from simulator.inference.distributions.distribution import Distribution
from simulator.inference.policies.rounding import second_order
from simulator.inference.policies.scales import channel_scales, tensor_scale
from simulator.numerics import get_format

random = np.random.default_rng(7)
values = random.normal(size=400_000).astype(np.float32)
found = [Distribution.of(values).squares]
for spec in ("int4", "int8", "e4m3", "posit8.1", "log8.1", "fp16"):
    found.append(tensor_scale(values[:20_000], get_format(spec), "mse", percentile=100))
weights = random.normal(size=(1, 144, 32))
found += channel_scales(weights, get_format("int4"), "mse", percentile=100).ravel().tolist()
rows = random.normal(size=(20_000, 144))
scaled = weights[0] / 0.3
found += second_order(scaled, get_format("int4"), moments(rows)).ravel().tolist()
print(hashlib.sha256(repr(found).encode()).hexdigest())
"""


def test_scales_and_codes_do_not_hang_on_the_threads_of_libraries() -> None:
    """BLAS splits sums by its threads; what calibration adds up is the same with 1, 2 and 4 of them."""
    prepared = "from simulator.inference.calibration import moments_of_rows as moments\n" + _HASHES
    printed = set()
    for threads in ("1", "2", "4"):
        settings = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
        environment = dict(os.environ) | dict.fromkeys(settings, threads)
        run = subprocess.run(
            [sys.executable, "-c", prepared], env=environment, capture_output=True, text=True, check=True
        )
        printed.add(run.stdout)
    assert len(printed) == 1
