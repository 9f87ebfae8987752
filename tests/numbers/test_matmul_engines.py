"""Do all engines give the bits of the slow reference, on random and on hostile data?"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.foundation import UserError
from simulator.numerics import FixedAccumulator, FloatAccumulator, Mac, get_mac
from simulator.numerics.engines.planner import multiply
from tests.reference import mac as reference

SATURATING: dict[str, Any] = {
    "activation": "int8",
    "weight": "int8",
    "accumulator": {"kind": "fixed", "bits": 17, "lsb": 0, "overflow": "saturate"},
}
COARSE: dict[str, Any] = {
    "activation": "e4m3",
    "weight": "e4m3",
    "accumulator": {"kind": "fixed", "bits": 26, "lsb": -6},
}
WIDE_SATURATING: dict[str, Any] = {
    "activation": "fp16",
    "weight": "fp16",
    "accumulator": {"kind": "fixed", "bits": 82, "lsb": -48, "overflow": "saturate"},
}
BF16_SUM: dict[str, Any] = {
    "activation": "e4m3",
    "weight": "bf16",
    "accumulator": {"kind": "float", "format": "bf16"},
}
FLUSHED_FP32: dict[str, Any] = {
    "activation": "fp32",
    "weight": "fp16",
    "accumulator": {"kind": "float", "format": "fp32", "flush_subnormals": True},
}
FULL_FP16: dict[str, Any] = {
    "activation": "fp16",
    "weight": "fp16",
    "accumulator": {"kind": "float", "format": "fp16"},
}
SATURATING_FLOAT: dict[str, Any] = {
    "activation": "e4m3",
    "weight": "e4m3",
    "accumulator": {"kind": "float", "format": "e6m9"},
}

FIXED: list[str | dict[str, Any]] = [
    "int8",
    "elma8",
    "elma16",
    "posit8",
    "mixed8",
    "fp8",
    "e5m2 x e5m2",
    "ue4m4b9 x e3m4b5",
    "int4 x int4",
    "e2m1 x e2m1",
    "uint8 x int8",
    "fp16 x fp16",
    "posit9.1 x posit7.1",
    "e4m3fn x int16",
    SATURATING,
    COARSE,
    WIDE_SATURATING,
]
FLOAT: list[str | dict[str, Any]] = ["fp16", "fp8_fp16", "bf16", "fp32", BF16_SUM, FLUSHED_FP32, FULL_FP16]
MUST_RUN = {
    "int8": ("blas", "table"),
    "elma8": ("table",),
    "elma16": ("table",),
    "posit8": ("table",),
    "mixed8": ("blas", "table"),
    "fp8": ("blas", "table"),
    "e5m2 x e5m2": ("blas",),
    "fp16 x fp16": ("blas",),
}
"""Engines that have to take every product of a MAC, whatever the data."""

ENGINES: tuple[str, ...] = ("blas", "log", "table", "sequential", "stepwise")


def identity(choice: str | dict[str, Any]) -> str:
    """A readable test name."""
    return choice if isinstance(choice, str) else get_mac(choice).name + "-" + str(choice["accumulator"])


def applicable(mac: Mac, a: np.ndarray, w: np.ndarray, start: Any = None) -> dict[str, Any]:
    """The results of every engine that takes this product."""
    results: dict[str, Any] = {}
    for engine in ENGINES:
        with suppress(UserError):  # an engine that refuses; which ones must not is asserted by the callers
            results[engine] = multiply(mac, a, w, start, engine=engine)
    return results


def adversarial(mac: Mac, kind: str, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Operand codes [M, K] and [K, N] that stress one thing."""
    rng = np.random.default_rng(sum(map(ord, kind)))
    M, K, N = shape
    a = rng.integers(0, 1 << mac.activation.bits, (M, K))
    w = rng.integers(0, 1 << mac.weight.bits, (K, N))
    if kind == "values":
        a = mac.activation.encode(rng.normal(size=a.shape)).astype(np.int64)
        w = mac.weight.encode(rng.normal(size=w.shape)).astype(np.int64)
    elif kind == "overflow":
        a[:] = mac.activation.encode(np.array(mac.activation.largest))
        w[:] = mac.weight.encode(np.array(mac.weight.largest))
    elif kind == "cancellation":  # the second half takes the first half's products away again
        half = K // 2
        values = mac.weight.decode(w[:half])
        a[:, half : 2 * half] = a[:, :half]
        w[half : 2 * half] = mac.weight.encode(-np.where(np.isfinite(values), values, 0))
    elif kind == "ties":  # a large value, then values that sit halfway between its neighbours
        a[:] = mac.activation.encode(np.array(1.0))
        powers = np.ldexp(1.0, rng.integers(-12, 3, w.shape))
        w[:] = mac.weight.encode(powers * rng.choice([-1.0, 1.0, 3.0], w.shape))
    return a, w


def expected_fixed(mac: Mac, a: np.ndarray, w: np.ndarray) -> tuple[list[Any], list[Any], list[Any]]:
    """Accumulators, infinity flags and overflow signs by the reference, row by row."""
    fixed = mac.accumulator
    assert isinstance(fixed, FixedAccumulator)
    spec = mac.spec
    slow = reference.Fixed(
        spec.activation, spec.weight, fixed.bits, fixed.lsb, fixed.overflow, log=spec.product == "log"
    )
    cells = [[slow.dot(row, column) for column in w.T.tolist()] for row in a.tolist()]
    accumulators, infinite, overflow = ([[cell[i] for cell in row] for row in cells] for i in range(3))
    return accumulators, infinite, overflow


@pytest.mark.parametrize("kind", ["random", "values", "overflow", "cancellation", "ties"])
@pytest.mark.parametrize("choice", FIXED, ids=identity)
def test_fixed_accumulators_equal_the_reference(choice: str | dict[str, Any], kind: str) -> None:
    mac = get_mac(choice)
    a, w = adversarial(mac, kind, (3, 22, 5))
    accumulators, infinite, overflow = expected_fixed(mac, a, w)
    results = applicable(mac, a, w)
    results["chosen"] = multiply(mac, a, w)
    assert set(results) >= {"stepwise", *MUST_RUN.get(identity(choice), ())}
    for engine, result in results.items():
        assert result.accumulators.tolist() == accumulators, engine
        assert result.is_infinite.tolist() == infinite, engine
        if result.overflow is not None:
            assert result.overflow.tolist() == overflow, engine


@pytest.mark.parametrize("kind", ["random", "values", "overflow", "cancellation", "ties"])
@pytest.mark.parametrize("choice", FLOAT, ids=identity)
def test_float_accumulators_equal_the_reference(choice: str | dict[str, Any], kind: str) -> None:
    mac = get_mac(choice)
    accumulator = mac.accumulator
    assert isinstance(accumulator, FloatAccumulator)
    a, w = adversarial(mac, kind, (3, 22, 5))
    slow = reference.Float(
        mac.spec.activation, mac.spec.weight, accumulator.format, flush=accumulator.flush_subnormals
    )
    expected = [[slow.dot(row, column) for column in w.T.tolist()] for row in a.tolist()]
    results = applicable(mac, a, w)
    assert {"sequential", "stepwise"} <= set(results)
    for engine, result in results.items():
        assert result.accumulators.tolist() == expected, engine
        specials = ~np.isfinite(mac.to_real(result.accumulators))
        assert (result.is_infinite == specials).all(), engine


@pytest.mark.parametrize("choice", [*FIXED, *FLOAT, SATURATING_FLOAT], ids=identity)
def test_all_engines_agree_on_a_larger_product_that_starts_from_accumulators(
    choice: str | dict[str, Any],
) -> None:
    mac = get_mac(choice)
    a, w = adversarial(mac, "values", (37, 129, 41))
    start = multiply(mac, *adversarial(mac, "values", (37, 9, 41))).accumulators
    results = applicable(mac, a, w, start)
    for engine, result in results.items():
        assert (result.accumulators == results["stepwise"].accumulators).all(), engine


@pytest.mark.parametrize(
    ("name", "engine"),
    [("int8", "blas"), ("fp8", "blas"), ("int4 x int4", "blas"), ("e5m2 x e5m2", "blas"), ("elma8", "log"),
     ("elma16", "log"), ("fp16", "sequential"), ("fp32", "sequential"), ("posit8", "blas")],
)  # fmt: skip
def test_the_planner_picks_the_fast_engine_and_says_why(name: str, engine: str) -> None:
    mac = get_mac(name)
    result = multiply(mac, *adversarial(mac, "values", (64, 64, 64)))
    assert result.engine == engine
    assert result.reason


def test_results_are_the_same_for_any_number_of_threads() -> None:
    for name in ("elma8", "elma16", "fp16", "bf16"):
        mac = get_mac(name)
        a, w = adversarial(mac, "values", (61, 50, 40))
        forced = "table" if isinstance(mac.accumulator, FixedAccumulator) else "sequential"
        single = multiply(mac, a, w, engine=forced, threads=1).accumulators
        for threads in (2, 3, 7):
            assert (multiply(mac, a, w, engine=forced, threads=threads).accumulators == single).all()


def test_limbs_are_exact_where_one_float64_product_would_not_be() -> None:
    mac = get_mac("e5m2 x e5m2")
    largest, tiny = mac.activation.encode(np.array([114688.0, 2.0**-16]))
    a = np.array([[largest, tiny]])
    w = np.array([[largest], [tiny]])
    result = multiply(mac, a, w, engine="blas")
    assert result.accumulators.tolist() == [[114688**2 * 2**32 + 1]]
    assert "limb" in result.reason


def test_posit_overflow_is_remembered_with_its_first_direction() -> None:
    mac = get_mac("posit8")
    big, small, one = mac.activation.encode(np.array([4096.0, -4096.0, 1.0]))
    a = np.array([[big, small, one]])
    w = np.array([[big], [big], [one]])
    result = multiply(mac, a, w)
    assert result.overflow is not None
    assert result.overflow.tolist() == [[1]]
    assert mac.to_output(result.accumulators, overflow=result.overflow).tolist() == [[0x7F]]


def test_an_infinite_operand_is_sticky_while_the_sum_goes_on() -> None:
    mac = get_mac("elma8")
    infinity, one = 0x80, 0x40
    result = multiply(mac, [[infinity, one], [one, one]], [[one], [one]])
    assert result.is_infinite.tolist() == [[True], [False]]
    assert mac.to_real(result.accumulators).tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize("shape", [(0, 3, 2), (2, 0, 3), (3, 2, 0), (1, 1, 1)])
@pytest.mark.parametrize("name", ["int8", "elma8", "elma16", "fp16", "fp32", "e5m2 x e5m2", "posit8"])
def test_empty_products_are_empty_or_zero(name: str, shape: tuple[int, int, int]) -> None:
    mac = get_mac(name)
    M, K, N = shape
    a, w = np.zeros((M, K), np.uint8), np.zeros((K, N), np.uint8)
    for result in applicable(mac, a, w).values():
        assert result.accumulators.shape == (M, N)
        assert (result.accumulators == 0).all()


products = st.tuples(st.integers(1, 6), st.integers(1, 40), st.integers(1, 6), st.integers(0, 2**32 - 1))


@settings(max_examples=60, deadline=None)
@given(products, st.sampled_from(["int8", "elma8", "elma16", "mixed8", "e5m2 x e5m2"]))
def test_the_order_of_a_sum_does_not_matter_to_an_accumulator_that_wraps(
    drawn: tuple[int, int, int, int], name: str
) -> None:
    M, K, N, seed = drawn
    mac, rng = get_mac(name), np.random.default_rng(seed)
    assert not mac.accumulator.depends_on_order
    a = rng.integers(0, 1 << mac.activation.bits, (M, K))
    w = rng.integers(0, 1 << mac.weight.bits, (K, N))
    order = rng.permutation(K)
    assert (multiply(mac, a[:, order], w[order]).accumulators == multiply(mac, a, w).accumulators).all()


@settings(max_examples=60, deadline=None)
@given(products, st.sampled_from(["int8", "elma8", "fp16", "posit8", "fp32"]))
def test_a_sum_may_be_broken_anywhere_and_continued_from_its_accumulators(
    drawn: tuple[int, int, int, int], name: str
) -> None:
    M, K, N, seed = drawn
    mac, rng = get_mac(name), np.random.default_rng(seed)
    a = rng.integers(0, 1 << mac.activation.bits, (M, K))
    w = rng.integers(0, 1 << mac.weight.bits, (K, N))
    cut = int(rng.integers(0, K + 1))
    parts = multiply(
        mac, a[:, cut:], w[cut:], initial=multiply(mac, a[:, :cut], w[:cut]).accumulators
    ).accumulators
    assert (parts == multiply(mac, a, w).accumulators).all()


@settings(max_examples=40, deadline=None)
@given(products)
def test_int8_equals_integer_arithmetic_modulo_2_to_the_32(drawn: tuple[int, int, int, int]) -> None:
    M, K, N, seed = drawn
    rng = np.random.default_rng(seed)
    a = rng.integers(-128, 128, (M, K), dtype=np.int8)
    w = rng.integers(-128, 128, (K, N), dtype=np.int8)
    start = rng.integers(-(2**31), 2**31, (M, N))
    total = a.astype(np.int64) @ w.astype(np.int64) + start
    assert (multiply(get_mac("int8"), a, w, initial=start).accumulators == total.astype(np.int32)).all()


def test_float32_lanes_round_e4m3_products_into_fp16_as_numpy_rounds_the_exact_sum() -> None:
    """Every finite fp16 accumulator meets 96 random products; float64 holds each sum exactly."""
    mac, rng = get_mac("fp8_fp16"), np.random.default_rng(4)
    accumulators = np.arange(1 << 16, dtype=np.uint16)
    accumulators = accumulators[np.isfinite(accumulators.view(np.float16))]
    values = [fmt.decode(np.arange(256)) for fmt in (mac.activation, mac.weight)]
    finite = np.flatnonzero(np.isfinite(values[0]))
    a, w = rng.choice(finite, (accumulators.size, 1)), rng.choice(finite, (1, 96))
    start = np.broadcast_to(accumulators[:, None], (accumulators.size, 96))
    result = multiply(mac, a, w, start, engine="sequential")
    assert "float32" in result.reason
    exact = start.view(np.float16).astype(np.float64) + values[0][a] * values[1][w]
    with np.errstate(over="ignore"):
        assert (result.accumulators == exact.astype(np.float16).view(np.uint16)).all()


def test_native_float32_steps_are_fused_and_not_rounded_twice() -> None:
    """(1 + 2^-12)^2 is 1 + 2^-11 + 2^-24; an unfused float32 product would lose the last term."""
    mac = get_mac("fp32")
    x = np.float32(1 + 2.0**-12)
    minus = np.float32(-(1 + 2.0**-11))
    codes = np.array([[minus, x]], np.float32).view(np.uint32)
    weights = np.array([[1.0], [x]], np.float32).view(np.uint32)
    for result in applicable(mac, codes, weights).values():
        assert result.accumulators.view(np.float32).tolist() == [[2.0**-24]]
