"""Do formats and accumulators at the ends of float64 work, or are they refused in one sentence?"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from simulator.foundation import UserError
from simulator.numerics import FixedAccumulator, Mac, MacSpec, get_format, get_mac
from simulator.numerics.activity import switching_activity
from simulator.numerics.engines.planner import multiply
from simulator.numerics.overflow_bounds import overflow_bound
from tests.reference import mac as reference

ENGINES: tuple[Any, ...] = (None, "blas", "table", "sequential", "stepwise")


def fixed_mac(activation: str, weight: str, **accumulator: Any) -> Mac:
    """A MAC with a fixed accumulator."""
    return get_mac(
        {"activation": activation, "weight": weight, "accumulator": {"kind": "fixed", **accumulator}}
    )


def one_sentence(choice: Any) -> str:
    """The refusal of a MAC."""
    with pytest.raises(UserError) as caught:
        get_mac(choice)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    "spec", ["e10m0", "e10m5", "ue10m6", "e10m3b600", "e9m6b-300", "e5m2b900", "e1m2b-940"]
)
def test_every_fact_of_a_format_with_a_wide_range_is_exact(spec: str) -> None:
    fmt = get_format(spec)
    layout = reference.float_layout(spec)
    values = [reference.value_of(spec, code) for code in range(0, 1 << fmt.bits, 7)]
    finite = [value for value in values if isinstance(value, Fraction)]
    assert [Fraction(value) for value in fmt.values()[::7].tolist()] == finite
    _, exponent_bits, fraction_bits, bias = layout
    assert Fraction(fmt.largest) == (2 - Fraction(2) ** -fraction_bits) * Fraction(2) ** (
        (1 << exponent_bits) - 1 - bias
    )
    assert fmt.lsb == 1 - bias - fraction_bits
    codes = np.arange(0, 1 << (fmt.bits - fmt.signed), 7)
    assert np.array_equal(fmt.encode(fmt.decode(codes)), codes)
    assert fmt.describe()["largest"] == fmt.largest


@pytest.mark.parametrize(
    ("choice", "parts"),
    [
        ("e10m5 x e10m5", ["need an accumulator of 2070 bits; allowed: up to 128 bits"]),
        ("ue10m6 x int8", ["need an accumulator of", "up to 128 bits"]),
        ("e5m2b600 x e5m2b600", ["float64 could not hold", "accumulator.lsb", "-1202", "-1022"]),
        ("fp64 x fp64", ["need an accumulator of", "up to 128 bits"]),
        ("tf32 x int8", ["need an accumulator of", "or `kind: float`"]),
    ],
)
def test_exact_products_past_the_widest_accumulator_are_refused(choice: str, parts: list[str]) -> None:
    message = one_sentence(choice)
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("activation", "accumulator", "parts"),
    [
        ("e10m5", {"kind": "fixed", "bits": 128, "lsb": 800}, ["too wide a range", "'e10m5'", "2^1023"]),
        ("int8", {"kind": "fixed", "lsb": -2000}, ["lsb", "-2000", "-1022"]),
        ("int8", {"kind": "fixed", "lsb": 2000}, ["lsb", "2000", "1022"]),
        ("int8", {"kind": "fixed", "bits": 40, "lsb": 1000}, ["accumulator.lsb", "1000", "-1022 to 984"]),
        ("int8", {"kind": "fixed", "bits": 128, "lsb": -1000}, ["too narrow for one product"]),
        ("e10m5", {"kind": "float", "format": "fp32"}, ["leave the range", "2^-960 to 2^960"]),
        ("e5m2b990", {"kind": "float", "format": "fp16"}, ["leave the range", "2^-1982"]),
        ("fp16", {"kind": "float", "format": "e5m2b990"}, ["leave the range", "2^-991"]),
        ("tf32", {"kind": "fixed", "bits": 64, "lsb": 0}, ["activation", "too wide for exact products"]),
        ("fp64", {"kind": "float", "format": "fp32"}, ["activation", "'fp64'", "24 significand bits"]),
        (
            "fp16",
            {"kind": "float", "format": "fp64"},
            ["accumulator.format", "'fp64'", "24 significand bits"],
        ),
    ],
)
def test_what_float64_cannot_step_exactly_is_refused(
    activation: str, accumulator: dict[str, Any], parts: list[str]
) -> None:
    message = one_sentence({"activation": activation, "weight": activation, "accumulator": accumulator})
    for part in parts:
        assert part in message


def test_accumulators_made_in_python_are_checked_too() -> None:
    for accumulator in (FixedAccumulator(129, 0), FixedAccumulator(1, 0), FixedAccumulator(40, -2000)):
        spec = MacSpec(name="", activation="uint2", weight="uint2", product="exact", accumulator=accumulator)
        assert "accumulator." in one_sentence(spec)


@pytest.mark.parametrize(
    "mac",
    [
        fixed_mac("e10m0", "e2m1", bits=128, lsb=430),
        fixed_mac("e9m3", "e9m3", bits=100, lsb=420),
        fixed_mac("e5m2b500", "e4m3b480", bits=128, lsb=-1000),
        fixed_mac("int8", "e4m3b-800", bits=100, lsb=780),
        fixed_mac("int8", "int8", bits=24, lsb=1000),
        fixed_mac("e8m3", "posit8.2", bits=128, lsb=60),
        fixed_mac("int8", "int8", bits=10, lsb=-1022, overflow="sticky"),
        fixed_mac("uint3", "posit6.3", bits=4, lsb=-500, overflow="sticky"),
    ],
    ids=repr,
)
def test_wide_products_are_exact_in_every_engine(mac: Mac) -> None:
    rng = np.random.default_rng(31)
    fixed = mac.accumulator
    assert isinstance(fixed, FixedAccumulator)
    slow = reference.Fixed(mac.spec.activation, mac.spec.weight, fixed.bits, fixed.lsb, fixed.overflow)
    for kind in ("anything", "zeros beside anything", "anything beside zeros", "zeros"):
        a = rng.integers(0, 1 << mac.activation.bits, (3, 6))
        w = rng.integers(0, 1 << mac.weight.bits, (6, 2))
        a[:] = 0 if kind.startswith("zeros") else a
        w[:] = 0 if kind.endswith("zeros") else w
        wanted = [[slow.dot(row, column)[0] for column in w.T.tolist()] for row in a.tolist()]
        for engine in ENGINES:
            try:
                result = multiply(mac, a, w, engine=engine)
            except UserError as refusal:
                assert engine in ("blas", "table", "sequential"), refusal  # noqa: PT017
                continue
            assert result.accumulators.tolist() == wanted, (engine, kind)
            unit = Fraction(2) ** fixed.lsb
            assert mac.to_real(result.accumulators).tolist() == [
                [float(number * unit) for number in row] for row in wanted
            ]
        for dataflow in ("os", "ws", "is"):
            activity = switching_activity(mac, a, w, dataflow, rows=2, columns=2)
            assert activity.accumulator.toggles >= 0


def test_the_overflow_bound_of_a_wide_range_is_a_number() -> None:
    bound = overflow_bound(fixed_mac("int8", "int8", bits=128, lsb=0), 1 << 40)
    assert "reach up to 2^54.0, it holds 2^127.0" in str(bound)
    widest = overflow_bound(fixed_mac("e5m2b-450", "e5m2b-450", bits=100, lsb=900), 1 << 40)
    assert widest.worst_sum > Fraction(2) ** 1000
    assert "it holds 2^999.0" in str(widest)


# -------------------------------------------------------------------------------------- bias on wide sums


@pytest.mark.parametrize("choice", ["posit8.2 x posit8.2", "fp16 x fp16", "e5m2ieee x e5m2ieee", "fp8"])
def test_a_bias_joins_an_accumulator_of_any_width(choice: str) -> None:
    """As a layer adds its bias: real values in units of the lowest bit, as whole float64."""
    mac = get_mac(choice)
    fixed = mac.accumulator
    assert isinstance(fixed, FixedAccumulator)
    bias = np.array([-1.0, 0.0, 0.375, 3.0, -1000.5])
    units = np.rint(np.ldexp(bias, -fixed.lsb))
    sums = np.array([[5, -7, 0, 1 << 40, -(1 << 40)]] * 2, mac.accumulator_dtype)
    total = fixed.add(sums, units.astype(sums.dtype))
    assert total.dtype == sums.dtype
    exact = [[int(number) + int(unit) for number, unit in zip(row, units, strict=True)] for row in sums]
    assert total.tolist() == exact
    assert all(type(number) is int for number in total.reshape(-1).tolist())


@pytest.mark.parametrize("overflow", ["wrap", "saturate", "sticky"])
def test_a_bias_past_the_end_of_a_wide_accumulator_does_what_overflow_says(overflow: Any) -> None:
    fixed = FixedAccumulator(80, 0, overflow)
    high = np.array([fixed.highest, fixed.lowest], object)
    total = fixed.add(high, np.array([2.0, -(2.0**60)]).astype(object))
    wrapped = [fixed.lowest + 1, fixed.highest - 2**60 + 1]
    assert total.tolist() == ([fixed.highest, fixed.lowest] if overflow == "saturate" else wrapped)


@pytest.mark.parametrize("choice", ["posit8.2 x posit8.2", "fp16 x fp16", "e5m2ieee x e5m2ieee"])
def test_wide_sums_start_from_a_bias_and_become_codes(choice: str) -> None:
    mac = get_mac(choice)
    assert mac.accumulator_bits > 64
    one, two = (int(mac.activation.encode(value)) for value in (1.0, 2.0))
    bias = int(Fraction(3) / Fraction(2) ** mac.accumulator_lsb)
    for engine in ("blas", "stepwise"):
        result = multiply(mac, [[one, two]], [[two], [two]], [[bias]], engine=engine)
        assert mac.to_real(result.accumulators).tolist() == [[9.0]]
        codes = mac.to_output(result.accumulators)
        assert (
            mac.activation.decode(codes).tolist()
            == mac.activation.decode(mac.activation.encode([[9.0]])).tolist()
        )


@pytest.mark.parametrize(
    ("choice", "fusible"),
    [("bf16 x bf16", True), ("fp32 x fp32", True), ("e10m5 x e5m2", True), ("e10m5 x e10m5", False),
     ("fp64 x fp64", False), ("fp64 x int8", False), ("e5m2b990 x e9m6", False)],
)  # fmt: skip
def test_a_float_accumulator_is_offered_only_where_there_is_one(choice: str, fusible: bool) -> None:
    assert ("or `kind: float`" in one_sentence(choice)) == fusible
    activation, weight = choice.split(" x ")
    fused = {"activation": activation, "weight": weight, "accumulator": {"kind": "float", "format": "fp32"}}
    if fusible:
        assert get_mac(fused).spec.product == "fused"
    else:
        one_sentence(fused)


@pytest.mark.parametrize(
    ("activation", "weight", "fits"),
    [
        # Largest exponents 479 and 478: products stay below 2^960 and below 2^959.
        ("e9m1b32", "e9m1b32", False),
        ("e9m1b32", "e9m1b33", True),
        # Finest steps 2^-480 and 2^-481: products are multiples of 2^-960 and of 2^-961.
        ("e5m2b479", "e5m2b479", True),
        ("e5m2b479", "e5m2b480", False),
    ],
)
def test_where_the_range_of_float_steps_ends(activation: str, weight: str, fits: bool) -> None:
    choice = {"activation": activation, "weight": weight, "accumulator": {"kind": "float", "format": "fp32"}}
    if fits:
        assert get_mac(choice).spec.product == "fused"
    else:
        assert "leave the range" in one_sentence(choice)
    if activation.startswith("e9"):  # the others' sums fit a fixed accumulator
        assert ("or `kind: float`" in one_sentence(f"{activation} x {weight}")) == fits


def test_products_at_the_edge_of_64_bits_are_exact() -> None:
    """By hand: (-2**15)**2 shifted left by 33 is 2**63; by 32, 2**62, what int64 still holds."""
    for shift, dtype in ((33, object), (32, np.int64)):
        mac = fixed_mac("int16", "int16", bits=70, lsb=-shift)
        product = mac.product([-(2**15)], [-(2**15)])
        assert product.dtype == dtype
        assert product.tolist() == [2 ** (30 + shift)]
        assert multiply(mac, [[-(2**15)] * 3], [[-(2**15)]] * 3).accumulators.tolist() == [
            [3 * 2 ** (30 + shift)]
        ]
    narrow = fixed_mac("e5m2", "e5m0", bits=64)  # 1.75 * 2**32 times 2**30 is less than 2**63
    largest = narrow.activation.encode(114_688.0), narrow.weight.encode(2.0**16)
    product = narrow.product(*largest)
    assert product.dtype == np.int64
    assert product.item() == 7 * 2**60


def test_the_limits_of_products_are_those_of_all_pairs_of_codes() -> None:
    for mac in (
        get_mac("elma8"),
        fixed_mac("log8.1", "log8.1", bits=38, lsb=100),  # everything vanishes, negative products leave -1
        fixed_mac("log7.1", "log7.1", bits=64, lsb=0),
        get_mac("uint3 x e2m1"),
        fixed_mac("e4m3", "int4", bits=30, lsb=-3),
        get_mac("e4m3fn x posit6.0"),
    ):
        a, w = np.arange(1 << mac.activation.bits)[:, None], np.arange(1 << mac.weight.bits)
        increments = [int(product) for product in mac.product(a, w).flat]
        assert mac.products.limits == (min(0, *increments), max(0, *increments)), mac
