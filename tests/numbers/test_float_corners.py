"""Do float accumulators give the same bits in every engine, on the grid, and for any number of rows?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from simulator.array import ArrayTiming
from simulator.array.drive import run_product
from simulator.foundation import UserError
from simulator.numerics import FloatAccumulator, Format, Mac, get_mac, multiply
from simulator.numerics.engines.planner import SMALL_PRODUCT
from tests.reference import mac as reference

STANDARD = ["e4m3fn", "e5m2ieee", "e5m2sat", "e4m3fnuz", "e5m2fnuz", "fp16", "bf16", "tf32", "fp32"]
NO_NAN = ["e6m9", "e4m3", "e5m2", "e3m2", "e5m10"]
SATURATING = [*NO_NAN, "e4m3fn", "e5m2sat", "e4m3fnuz", "e5m2fnuz"]


def float_mac(activation: str, weight: str, accumulator: str, *, flush: bool = False) -> Mac:
    """A MAC with a float accumulator."""
    kept = {"kind": "float", "format": accumulator, "flush_subnormals": flush}
    return get_mac({"activation": activation, "weight": weight, "accumulator": kept})


def random_minifloat(rng: np.random.Generator, *, signed: bool) -> str:
    """Any widths that 16 bits take, any bias around the usual one."""
    exponent_bits = int(rng.integers(1, 9))
    fraction_bits = int(rng.integers(max(0, 3 - exponent_bits), 16 - exponent_bits))
    sign = "" if signed or rng.random() < 0.7 else "u"
    bias = f"b{rng.integers(-8, 2 ** (exponent_bits - 1) + 10)}" if rng.random() < 0.6 else ""
    return f"{sign}e{exponent_bits}m{fraction_bits}{bias}"


def random_macs(seed: int, count: int) -> Iterator[Mac]:
    """MACs of random operands and accumulators, half of them standard formats."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        formats = [
            str(rng.choice(STANDARD)) if rng.random() < 0.5 else random_minifloat(rng, signed=index == 2)
            for index in range(3)
        ]
        yield float_mac(*formats, flush=bool(rng.random() < 0.3))


def codes(fmt: Format, shape: tuple[int, int], kind: str, rng: np.random.Generator) -> np.ndarray:
    """Any codes, finite ones, ordinary values, or extremes."""
    anything = rng.integers(0, 1 << fmt.bits, shape)
    if kind == "finite":
        return np.where(np.isfinite(fmt.decode(anything)), anything, int(fmt.encode(1.0)))
    if kind == "values":
        reals = rng.normal(size=shape) * np.exp2(rng.integers(-6, 6, shape))
        return fmt.encode(reals).astype(np.int64)
    if kind == "extremes":
        points = [0.0, -0.0, fmt.largest, fmt.lowest, fmt.smallest_positive, fmt.smallest_normal, 1.0, -1.0]
        return rng.choice(fmt.encode(points).astype(np.int64), shape)
    return anything


def expected(mac: Mac, a: np.ndarray, w: np.ndarray, start: np.ndarray) -> list[list[int]]:
    """One MAC after the other, in Fractions."""
    accumulator = mac.spec.accumulator
    assert isinstance(accumulator, FloatAccumulator)
    slow = reference.Float(
        mac.spec.activation, mac.spec.weight, accumulator.format, flush=accumulator.flush_subnormals
    )
    return [
        [slow.dot(row, column, int(start[m, n])) for n, column in enumerate(w.T.tolist())]
        for m, row in enumerate(a.tolist())
    ]


def assert_all_engines_give(
    mac: Mac, a: np.ndarray, w: np.ndarray, start: np.ndarray | None, wanted: list[list[int]]
) -> None:
    """Every engine that takes the product, and the planner's choice."""
    results = {
        "chosen": multiply(mac, a, w, start),
        "stepwise": multiply(mac, a, w, start, engine="stepwise"),
    }
    try:
        results["sequential"] = multiply(mac, a, w, start, engine="sequential")
    except UserError as refusal:
        specials = [
            not np.isfinite(fmt.decode(operand)).all()
            for fmt, operand in ((mac.activation, a), (mac.weight, w))
        ]
        if mac.accumulator_format.has_nan or not any(specials):
            raise AssertionError(str(refusal)) from refusal
    for engine, result in results.items():
        assert result.accumulators.tolist() == wanted, (mac, engine, a, w, start)


@pytest.mark.parametrize("kind", ["anything", "finite", "values", "extremes"])
def test_random_float_macs_equal_the_reference_in_every_engine(kind: str) -> None:
    rng = np.random.default_rng(21)
    for mac in random_macs(seed=sum(map(ord, kind)), count=120):
        m, k, n = (int(size) for size in rng.integers(1, [4, 9, 4]))
        a, w = codes(mac.activation, (m, k), kind, rng), codes(mac.weight, (k, n), kind, rng)
        start = codes(mac.accumulator_format, (m, n), kind, rng) if rng.random() < 0.5 else None
        zero = np.zeros((m, n), np.int64)
        assert_all_engines_give(mac, a, w, start, expected(mac, a, w, zero if start is None else start))


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
def test_the_grid_gives_the_same_bits(dataflow: Any) -> None:
    rng = np.random.default_rng(22)
    for mac in random_macs(seed=5, count=60):
        a, w = codes(mac.activation, (3, 5), "anything", rng), codes(mac.weight, (5, 3), "anything", rng)
        run = run_product(ArrayTiming(rows=2, columns=2, dataflow=dataflow), mac, a, w)
        assert run.accumulators.tolist() == multiply(mac, a, w).accumulators.tolist(), mac


@pytest.mark.parametrize("accumulator", SATURATING)
@pytest.mark.parametrize("operands", ["e4m3fn", "fp16", "e5m2ieee"])
def test_one_row_gives_what_many_rows_give(operands: str, accumulator: str) -> None:
    """Small products take another engine than large ones; infinities and NaN among the operands."""
    mac = float_mac(operands, operands, accumulator)
    rng = np.random.default_rng(23)
    a = rng.integers(0, 1 << mac.activation.bits, (3, 16))
    w = rng.integers(0, 1 << mac.weight.bits, (16, 4))
    few = multiply(mac, a, w).accumulators
    many = multiply(mac, np.tile(a, (SMALL_PRODUCT // (3 * 16 * 4) + 1, 1)), w).accumulators
    assert many[:3].tolist() == few.tolist()
    assert (many.reshape(-1, 3, 4) == few).all()
    finite = np.where(np.isfinite(mac.activation.decode(a)), a, 0)
    plain = np.where(np.isfinite(mac.weight.decode(w)), w, 0)
    tall = np.tile(finite, (SMALL_PRODUCT // (3 * 16 * 4) + 1, 1))
    few, many = (multiply(mac, codes, plain).accumulators for codes in (finite, tall))
    assert (many.reshape(-1, 3, 4) == few).all()


@pytest.mark.parametrize("accumulator", NO_NAN)
def test_a_nan_is_zero_at_once_where_the_accumulator_has_none(accumulator: str) -> None:
    """By hand: NaN x 1 makes the register 0, and 2 x 1 is added to that; infinity x 1 saturates it."""
    mac = float_mac("fp16", "fp16", accumulator)
    one, two, nan, infinity = 0x3C00, 0x4000, 0x7E00, 0x7C00
    fmt = mac.accumulator_format
    for rows in (1, SMALL_PRODUCT):
        a = np.tile([[one, nan, two], [one, infinity, two], [one, two, nan]], (rows, 1))
        result = multiply(mac, a, [[one], [one], [one]])
        assert fmt.decode(result.accumulators[:3, 0]).tolist() == [2.0, fmt.largest, 0.0]
        assert result.is_infinite.all()  # what the sums cannot show is said beside them


def test_infinite_operands_are_reported_where_sums_saturate() -> None:
    one, infinity, nan = 0x3C00, 0x7C00, 0x7E00
    a = [[one, one], [infinity, one], [nan, one]]
    for accumulator in SATURATING:
        flags = multiply(float_mac("fp16", "fp16", accumulator), a, [[one], [one]]).is_infinite
        assert flags.tolist() == [[False], [True], [True]], accumulator
    for accumulator in ("fp16", "fp32", "bf16", "e5m2ieee"):
        flags = multiply(float_mac("fp16", "fp16", accumulator), a, [[one], [one]]).is_infinite
        assert flags.tolist() == [[False], [True], [True]], accumulator


def test_overflow_is_infinite_only_where_the_format_overflows() -> None:
    one, largest = 0x3C00, 0x7BFF
    for accumulator, is_infinite in (
        ("fp16", True),
        ("e5m2ieee", True),
        ("e5m2sat", False),
        ("e5m10", False),
    ):
        mac = float_mac("fp16", "fp16", accumulator)
        result = multiply(mac, [[largest, largest]], [[largest], [one]])
        sum_of_both = float(mac.to_real(result.accumulators)[0, 0])
        assert result.is_infinite.tolist() == [[is_infinite]]
        assert sum_of_both == (np.inf if is_infinite else mac.accumulator_format.largest)


@pytest.mark.parametrize("accumulator", [*SATURATING, "fp16", "fp32", "e5m2ieee"])
def test_without_products_accumulators_stay_as_they_are(accumulator: str) -> None:
    """Also codes that encoding would not give: infinities that saturate, NaNs other than the usual one."""
    mac = float_mac("e4m3", "e4m3", accumulator)
    bits = mac.accumulator_format.bits
    start = np.arange(1 << bits) if bits <= 8 else np.arange(0, 1 << bits, (1 << bits) // 255)
    none = np.zeros((1, 0), np.uint8), np.zeros((0, start.size), np.uint8)
    for engine in (None, "sequential", "stepwise"):
        result = multiply(mac, *none, start[None], engine=engine)
        assert result.accumulators.tolist() == [start.tolist()]


def test_tf32_products_go_into_fp32_unrounded() -> None:
    """(1 + 2**-10)**2 = 1 + 2**-9 + 2**-20 needs 21 bits, which fp32 has and tf32 does not."""
    mac = float_mac("tf32", "tf32", "fp32")
    code = mac.activation.encode([[1 + 2.0**-10]])
    for engine in ("sequential", "stepwise"):
        sums = multiply(mac, code, code, engine=engine).accumulators
        assert mac.to_real(sums).tolist() == [[1 + 2.0**-9 + 2.0**-20]]
