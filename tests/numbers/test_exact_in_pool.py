"""Exact products inside the process's pool take a kernel in place of BLAS, with the same bits."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.numerics import get_mac
from simulator.numerics.engines.blas import add_exact_rows
from simulator.numerics.engines.planner import multiply
from simulator.numerics.engines.threads import in_order, in_pool


def test_only_threads_of_the_pool_are_in_it() -> None:
    assert not in_pool()
    assert list(in_order(range(4), lambda _: in_pool(), threads=2)) == [True] * 4
    assert list(in_order(range(2), lambda _: in_pool(), threads=1)) == [False] * 2


@pytest.mark.parametrize(("dtype", "bits"), [(np.float32, 24), (np.float64, 53)])
@pytest.mark.parametrize("shape", [(3, 5, 2), (65, 64, 33), (7, 200, 1030)])
def test_sums_up_to_the_bound_are_those_of_python_integers(
    dtype: type[np.floating], bits: int, shape: tuple[int, int, int]
) -> None:
    M, K, N = shape
    largest = int(2 ** ((bits - K.bit_length()) / 2))
    rng = np.random.default_rng(M)
    a, w = rng.integers(-largest, largest + 1, (M, K)), rng.integers(-largest, largest + 1, (K, N))
    a[0], w[:, 0] = largest, largest  # the largest sum there is
    wanted = a.astype(object) @ w.astype(object)
    assert wanted.max() == K * largest**2 <= 1 << bits

    def product(_: int) -> np.ndarray:
        sums = np.zeros((M, N), dtype)
        add_exact_rows(a.astype(dtype), w.astype(dtype), sums, 0, M)
        return sums

    for found in (product(0), *in_order(range(2), product, threads=2)):
        assert (found.astype(object) == wanted).all()


def test_one_past_the_bound_float32_no_longer_holds_the_sum() -> None:
    # 2**24 + 1 = 4095 * 4097 + 2: why the engine takes float32 up to 2**24 only.
    a, w = np.array([[4095, 1, 1]], np.float32), np.array([[4097], [1], [1]], np.float32)

    def product(_: int) -> float:
        sums = np.zeros((1, 1), np.float32)
        add_exact_rows(a, w, sums, 0, 1)
        return float(sums[0, 0])

    found = list(in_order(range(2), product, threads=2))
    assert 4095 * 4097 + 2 == 2**24 + 1
    assert all(each != 2**24 + 1 for each in found)


@pytest.mark.parametrize(("length", "held"), [(1024, "float32"), (1025, "float64")])
@pytest.mark.parametrize("threads", [1, 2])
def test_int8_sums_leave_float32_one_product_past_2_to_24(length: int, held: str, threads: int) -> None:
    # 1024 products of -128 and -128 are 2**24; with one of 1 and 1 more the sum is odd and float32 has no
    # such number.
    mac = get_mac("int8")
    codes = np.full(length, 0x80, np.uint8)
    codes[1024:] = 1
    a, w = np.tile(codes, (32, 1)), np.tile(codes[:, None], (1, 33))
    for found in in_order(range(2), lambda _: multiply(mac, a, w), threads=threads):
        assert found.engine == "blas"
        assert found.reason.endswith(f"exact in {held}")
        assert (found.accumulators == 2**24 + (length - 1024)).all()
