"""Do sums held in vector registers take the steps of the plain loop, whatever the size of the product?"""

from __future__ import annotations

import numpy as np
import pytest

from simulator.numerics import get_mac, multiply
from simulator.numerics.engines import tile_kernels
from simulator.numerics.engines.register_tiles import VECTOR_BYTES

LANES = VECTOR_BYTES // 4
SHAPES = (
    (1, 1, 1),
    (7, 3, 1),  # fewer rows than a tile
    (8, 5, LANES),
    (9, 4, LANES + 1),  # one row past a tile, one column past a vector
    (17, 2, 2 * LANES - 1),
    (5, 6, 3 * LANES + 1),
    (16, 9, 6 * LANES),
    (3, 2050, 5),  # more steps than go together
)


def operands(name: str, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    M, K, N = shape
    random, mac = np.random.default_rng(M * K + N), get_mac(name)
    a, w = random.normal(0, 2, (M, K)), random.normal(0, 0.7, (K, N))
    a[random.random((M, K)) < 0.3] = 0
    return mac.activation.encode(a), mac.weight.encode(w)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["fp32", "bf16", "fp16", "fp8_fp16"])
def test_float_steps_of_every_size_are_those_without_kernels(name: str, shape: tuple[int, int, int]) -> None:
    mac, (a, w) = get_mac(name), operands(name, shape)
    expected = multiply(mac, a, w, engine="stepwise").accumulators
    assert (multiply(mac, a, w, engine="sequential").accumulators == expected).all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["elma8", "elma16"])
def test_log_sums_of_every_size_are_those_without_kernels(name: str, shape: tuple[int, int, int]) -> None:
    mac, (a, w) = get_mac(name), operands(name, shape)
    expected = multiply(mac, a, w, engine="stepwise").accumulators
    assert (multiply(mac, a, w, engine="log").accumulators == expected).all()


def test_only_the_rows_asked_for_are_added_to() -> None:
    a, w = np.ones((20, 3), np.float32), np.ones((3, 50), np.float32)
    sums = np.full((20, 50), 10, np.float32)
    tile_kernels.multiply(a, w, sums, (), 5, 16)
    assert (sums[5:16] == 13).all()
    assert (sums[:5] == 10).all()
    assert (sums[16:] == 10).all()


def test_sums_are_rounded_once_a_step_in_the_order_of_k() -> None:
    # float32 has 24 bits: 2**24 + 1 is a tie and goes to 2**24, three times; 3 + 2**24 is one to 2**24 + 4.
    a = np.array([[2.0**24, 1, 1, 1]], np.float32)
    sums = np.zeros((1, 2), np.float32)
    tile_kernels.multiply(a, np.ones((4, 2), np.float32), sums, (), 0, 1)
    assert sums.tolist() == [[2.0**24, 2.0**24]]
    sums[:] = 0
    tile_kernels.multiply(a[:, ::-1].copy(), np.ones((4, 2), np.float32), sums, (), 0, 1)
    assert sums.tolist() == [[2.0**24 + 4, 2.0**24 + 4]]


def test_a_step_is_fused() -> None:
    # (1 + 2**-12) squared is 1 + 2**-11 + 2**-24, whose last bit is lost where it is rounded before the sum.
    value = np.float32(1 + 2.0**-12)
    sums = np.full((1, 1), -1 - 2.0**-11, np.float32)
    tile_kernels.multiply(np.full((1, 1), value), np.full((1, 1), value), sums, (), 0, 1)
    assert sums.tolist() == [[2.0**-24]]


def test_columns_behind_the_last_are_neither_read_nor_written() -> None:
    room = np.full(64, np.nan, np.float32)
    w, sums = room[:3].reshape(1, 3), np.full(64, 7, np.float32)
    w[:] = 2
    tile_kernels.multiply(np.ones((1, 1), np.float32), w, sums[:3].reshape(1, 3), (), 0, 1)
    assert sums[:3].tolist() == [9, 9, 9]
    assert (sums[3:] == 7).all()


def test_arrays_with_gaps_are_refused() -> None:
    square = np.ones((8, 8), np.float32)
    with pytest.raises(Exception, match="contiguous"):
        tile_kernels.multiply(square, np.asfortranarray(np.ones((8, 9), np.float32)), square, (), 0, 8)
