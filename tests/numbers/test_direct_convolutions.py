"""Do convolutions without lowering give the bits of lowered products, in every arithmetic?"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from simulator.numerics import get_mac
from simulator.numerics.engines import depthwise, pointwise
from simulator.numerics.engines.depthwise import Window
from simulator.numerics.engines.exact import ExactSums
from simulator.numerics.engines.lane_sums import LaneSums
from simulator.numerics.engines.planner import multiply
from simulator.workload import Convolution
from simulator.workload.lowering import im2col, unfold

MACS = (
    "int8",
    "int4 x int8",
    "fp8",
    "e4m3 x e5m2",
    "posit8",
    "mixed8",
    "elma8",
    "elma16",
    "fp16",
    "bf16",
    "fp8_fp16",
    "fp32",
)
WINDOWS = (
    Window((3, 3), (1, 1), (1, 1)),
    Window((5, 5), (2, 2), (1, 1)),
    Window((3, 2), (2, 3), (1, 1)),
    Window((2, 3), (1, 2), (3, 2)),
    Window((1, 1), (3, 1), (1, 1)),
    Window((3, 3), (2, 2), (2, 3)),
)


def lowered_one_by_one(x: np.ndarray, window: Window) -> np.ndarray:
    """Every output's inputs by indexing alone: [batch, channels, rows, columns, K]."""
    rows, columns = window.outputs(*x.shape[2:])
    found = np.empty((*x.shape[:2], rows, columns, window.kernel[0] * window.kernel[1]), x.dtype)
    for i in range(rows):
        for j in range(columns):
            for h in range(window.kernel[0]):
                for k in range(window.kernel[1]):
                    y = i * window.stride[0] + h * window.dilation[0]
                    z = j * window.stride[1] + k * window.dilation[1]
                    found[:, :, i, j, h * window.kernel[1] + k] = x[:, :, y, z]
    return found


def codes(mac_name: str, seed: int, shape: tuple[int, ...], weights: int) -> tuple[np.ndarray, np.ndarray]:
    random, mac = np.random.default_rng(seed), get_mac(mac_name)
    x, w = random.normal(0, 1, shape), random.normal(0, 0.5, (shape[1], weights))
    x[random.random(shape) < 0.3] = 0
    least = 2.0**-12  # below it the published converter of log16 makes infinities
    x, w = (np.where(np.abs(each) < least, 0, each) for each in (x, w))
    return mac.activation.encode(x), mac.weight.encode(w)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("name", MACS)
def test_depthwise_sums_are_those_of_lowered_channels(name: str, window: Window) -> None:
    mac = get_mac(name)
    x, w = codes(name, 5, (2, 3, 13, 11), window.kernel[0] * window.kernel[1])
    found = depthwise.attempt(mac, x, w, window)
    assert found is not None
    rows = lowered_one_by_one(x, window)
    pixels = rows.shape[2] * rows.shape[3]
    for b in range(2):
        for c in range(3):
            expected = multiply(mac, rows[b, c].reshape(pixels, -1), w[c][:, None], engine="stepwise")
            assert (found.accumulators[b, c] == expected.accumulators[:, 0]).all()


@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (3, 1), (1, 4)], ids=str)
@pytest.mark.parametrize("padding", [(1, 1, 1, 1), (0, 2, 1, 0), (3, 0, 0, 2)], ids=str)
@pytest.mark.parametrize("name", ["int8", "fp32", "fp16", "posit8", "elma8", "elma16"])
def test_padding_is_the_code_that_it_is_given(
    name: str, padding: tuple[int, int, int, int], stride: tuple[int, int]
) -> None:
    mac, window = get_mac(name), Window((3, 2), stride, (1, 2), padding)
    x, w = codes(name, 9, (2, 3, 9, 8), 6)
    zero = int(mac.activation.encode(np.zeros(1))[0])
    top, left, bottom, right = padding
    around = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=zero)
    found = depthwise.attempt(mac, x, w, window, zero)
    assert found is not None
    rows = lowered_one_by_one(around, replace(window, padding=(0, 0, 0, 0)))
    assert rows.shape[2:4] == window.outputs(9, 8)
    for b in range(2):
        for c in range(3):
            pixels = rows[b, c].reshape(-1, 6)
            expected = multiply(mac, pixels, w[c][:, None], engine="stepwise").accumulators[:, 0]
            assert (found.accumulators[b, c] == expected).all()


@pytest.mark.parametrize("name", MACS)
def test_convolutions_without_groups_are_products_of_unfolded_images(name: str) -> None:
    mac = get_mac(name)
    c = Convolution(2, 3, 5, (7, 9), (3, 2), (2, 1), (1, 0, 1, 1), (1, 2), 1)
    x, w = codes(name, 10, (2, 3, 7, 9), 1)[0], codes(name, 12, (5, 18, 1), 18)[1]
    columns = partial(unfold, convolution=replace(c, batch=1))
    found: ExactSums | LaneSums | None = pointwise.attempt_exact(mac, x, w[:5], columns)
    if found is None:
        steps = pointwise.attempt_steps(mac, x, w[:5], columns)
        found = None if steps is None else steps[0]
    assert found is not None
    zero = int(mac.activation.encode(np.zeros(1))[0])
    lowered = im2col(x, c, zero=zero)[0]
    expected = multiply(mac, lowered, np.ascontiguousarray(w[:5].T), engine="stepwise").accumulators
    pixels = c.ofmap[0] * c.ofmap[1]
    assert (found.accumulators.transpose(0, 2, 1).reshape(2 * pixels, 5) == expected).all()


def test_planes_that_take_several_runs() -> None:
    mac, window = get_mac("fp16"), Window((3, 3), (1, 1), (1, 1))
    x, w = codes("fp16", 6, (1, 2, 40, 130), 9)  # 15 rows of 130 places make a run
    found = depthwise.attempt(mac, x, w, window)
    assert found is not None
    rows = lowered_one_by_one(x, window)
    for c in range(2):
        expected = multiply(mac, rows[0, c].reshape(-1, 9), w[c][:, None]).accumulators[:, 0]
        assert (found.accumulators[0, c] == expected).all()


@pytest.mark.parametrize("name", [each for each in MACS if not each.startswith("elma")])
def test_pointwise_sums_are_those_of_lowered_products(name: str) -> None:
    mac = get_mac(name)
    x, _ = codes(name, 7, (2, 9, 150), 1)
    _, w = codes(name, 8, (5, 5, 1), 9)
    exact, steps = pointwise.attempt_exact(mac, x, w), pointwise.attempt_steps(mac, x, w)
    is_fixed = mac.accumulator.kind == "fixed"
    assert (exact is None) is not is_fixed
    assert (steps is None) is is_fixed
    found = exact.accumulators if exact is not None else steps[0].accumulators if steps is not None else None
    assert found is not None
    for b in range(2):
        expected = multiply(mac, x[b].T, w.T, engine="stepwise").accumulators
        assert (found[b] == expected.T).all()


def test_what_is_not_proven_is_left_to_others() -> None:
    window = Window((3, 3), (1, 1), (1, 1))
    x, _ = codes("elma8", 1, (1, 2, 5, 5), 9)
    vanishing = get_mac("elma8").activation.encode(np.full((1, 2), 2.0**9))
    x[0, 0, 0, 0] = vanishing[0, 0]
    assert pointwise.attempt_exact(get_mac("elma8"), x.reshape(1, 2, 25), vanishing) is None
    infinite = get_mac("fp16").activation.encode(np.full((1, 2, 5, 5), np.inf))
    finite = get_mac("fp16").weight.encode(np.ones((2, 9)))
    assert depthwise.attempt(get_mac("fp16"), infinite, finite, window) is None
    wide = get_mac("posit8.2 x posit8.2")
    large = wide.activation.encode(np.array([2.0**24, 2.0**-24] * 25).reshape(1, 2, 5, 5))
    weights = wide.weight.encode(np.array([2.0**24, 2.0**-24] * 9).reshape(2, 9))
    assert depthwise.attempt(wide, large, weights, window) is None


def test_sums_that_wrap_are_wrapped_and_said_not_to_fit() -> None:
    mac = get_mac(
        {
            "activation": "int8",
            "weight": "int8",
            "accumulator": {"kind": "fixed", "bits": 16, "overflow": "wrap"},
        }
    )
    x = np.full((1, 1, 3, 3), 127, np.uint8)
    found = depthwise.attempt(mac, x, np.full((1, 9), 127, np.uint8), Window((3, 3), (1, 1), (1, 1)))
    assert found is not None
    assert isinstance(found.held, ExactSums)
    assert not found.held.fits
    # 9 x 127 x 127 = 145,161 = 2 x 65,536 + 14,089
    assert found.accumulators.tolist() == [[[14089]]]


def test_saturating_sums_are_exact_only_where_they_cannot_saturate() -> None:
    mac = get_mac(
        {
            "activation": "int8",
            "weight": "int8",
            "accumulator": {"kind": "fixed", "bits": 16, "overflow": "saturate"},
        }
    )
    window = Window((3, 3), (1, 1), (1, 1))
    assert depthwise.attempt(mac, np.full((1, 1, 3, 3), 127, np.uint8), np.full((1, 9), 127), window) is None
    small = depthwise.attempt(mac, np.full((1, 1, 3, 3), 3, np.uint8), np.full((1, 9), 5, np.uint8), window)
    assert small is not None
    assert small.accumulators.tolist() == [[[135]]]
