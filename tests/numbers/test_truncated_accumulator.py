"""Does a truncating float accumulator cut every sum off towards zero, in every part of the simulator?"""

from __future__ import annotations

from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulator.array.drive import run_product
from simulator.array.timing import ArrayTiming
from simulator.cost.mac_parts import structure_of
from simulator.foundation import UserError
from simulator.inference import infer
from simulator.inference.exact_arithmetic import exact_accumulator
from simulator.inference.functional_check import FunctionalCheck
from simulator.inference.overflow_counts import overflowed_sums
from simulator.inference.run_inference import plan_network, run_plan
from simulator.numerics import Mac, get_mac, multiply
from simulator.numerics.accumulators import TruncatedAccumulator, is_accumulator_identity
from simulator.numerics.activity import switching_activity
from simulator.numerics.overflow_bounds import overflow_bound
from tests.reference import mac as reference
from tests.small_network import small_network

KINDS = [("e4m3fn", "e5m2ieee", "fp16"), ("fp16", "bf16", "fp32"), ("e4m3", "e4m3", "e4m3"),
         ("e3m2", "int8", "e5m2sat"), ("bf16", "bf16", "bf16"), ("posit8.1", "e4m3", "fp16")]  # fmt: skip


def truncating(activation: str, weight: str, fmt: str, **more: Any) -> Mac:
    accumulator = {"kind": "truncated", "format": fmt}
    return get_mac({"activation": activation, "weight": weight, "accumulator": accumulator, **more})


def towards_zero(exact: Fraction, spec: str) -> Fraction:
    """The largest number of the format that is not larger in magnitude: sought among all of its codes."""
    below = [x for x in numbers(spec) if x <= abs(exact)]
    return max(below) if exact >= 0 else -max(below)


def numbers(spec: str) -> list[Fraction]:
    """The finite magnitudes of a format of up to 16 bits, from the reference."""
    _, E, M, _ = reference.float_layout(spec)
    values = (reference.value_of(spec, code) for code in range(1 << (E + M)))
    return [value for value in values if isinstance(value, Fraction)]


@pytest.mark.parametrize("spec", ["e4m3", "e5m2sat", "e3m2", "e4m3fn", "e2m1"])
def test_every_sum_of_a_small_format_is_the_number_next_to_it_towards_zero(spec: str) -> None:
    mac = truncating("int8", "e3m2", spec)
    rng = np.random.default_rng(5)
    _, E, M, _ = reference.float_layout(spec)
    starts = [
        code for code in range(1 << (1 + E + M)) if isinstance(reference.value_of(spec, code), Fraction)
    ]
    chosen = rng.choice(starts, 300)
    a, w = rng.integers(0, 256, 300), rng.integers(0, 64, 300)
    got = mac.to_real(mac.accumulate(chosen, a, w))
    for code, x, y, value in zip(chosen.tolist(), a.tolist(), w.tolist(), got.tolist(), strict=True):
        start, left, right = (
            reference.value_of(each, code) for each, code in ((spec, code), ("int8", x), ("e3m2", y))
        )
        assert isinstance(start, Fraction)
        assert isinstance(left, Fraction)
        assert isinstance(right, Fraction)
        assert Fraction(value) == towards_zero(start + left * right, spec)


@pytest.mark.parametrize(("activation", "weight", "fmt"), KINDS)
def test_sums_equal_exact_fractions_cut_off_at_every_step(activation: str, weight: str, fmt: str) -> None:
    mac = truncating(activation, weight, fmt)
    rng = np.random.default_rng(7)
    a = mac.activation.encode(rng.normal(size=(4, 60)) * np.exp2(rng.integers(-6, 6, (4, 60))))
    w = mac.weight.encode(rng.normal(size=(60, 3)) * np.exp2(rng.integers(-6, 6, (60, 3))))
    sums = mac.to_real(multiply(mac, a, w).accumulators)
    nearest = get_mac(
        {"activation": activation, "weight": weight, "accumulator": {"kind": "float", "format": fmt}}
    )
    assert (sums != nearest.to_real(multiply(nearest, a, w).accumulators)).any()
    for m in range(4):
        for n in range(3):
            assert sums[m, n] == exact_accumulator(mac, a[m].tolist(), w[:, n].tolist())
            total = Fraction(0)
            for x, y in zip(
                mac.activation.decode(a[m]).tolist(), mac.weight.decode(w[:, n]).tolist(), strict=True
            ):
                total = cut(total + Fraction(x) * Fraction(y), fmt)
            assert total == Fraction(sums[m, n])


def cut(exact: Fraction, spec: str) -> Fraction:
    """Bit by bit: an integer number of the last place's units at the exponent that the value has."""
    _, _, M, bias = reference.float_layout(spec)
    fmt_largest = Fraction(reference_largest(spec))
    exponent = 1 - bias
    while abs(exact) >= reference.two_to(exponent + 1):
        exponent += 1
    unit = reference.two_to(exponent - M)
    whole = int(abs(exact) / unit)  # towards zero
    kept = min(whole * unit, fmt_largest)
    return kept if exact >= 0 else -kept


def reference_largest(spec: str) -> float:
    """From the standards: IEEE 754 and OFP8; all codes are finite in e4m3."""
    return {"fp16": 65504.0, "fp32": float(np.finfo(np.float32).max), "e4m3": 480.0, "e5m2sat": 57344.0,
            "bf16": 2.0**127 * (2 - 2.0**-7)}[spec]  # fmt: skip


def test_what_rounding_would_gain_is_lost() -> None:
    # fp16 has 11 bits: 2048 + 1.5 is 2049.5, nearest 2050, cut off 2048; -2048 - 1.5 likewise.
    mac = truncating("fp16", "fp16", "fp16")
    one = mac.weight.encode(1.0)
    for sign in (1.0, -1.0):
        a = mac.activation.encode([[sign * 2048, sign * 1.5]])
        assert mac.to_real(multiply(mac, a, [[one], [one]]).accumulators).item() == sign * 2048
    # Many small products never move a large sum, however many: 2048 + 1000 times 1.
    a = mac.activation.encode([[2048.0] + [1.0] * 1000])
    assert mac.to_real(multiply(mac, a, np.full((1001, 1), one)).accumulators).item() == 2048
    # Below the smallest subnormal number, 2**-24, everything is cut off, keeping the sign of what was there.
    tiny = mac.activation.encode([[2.0**-24, -(2.0**-24)]])
    halves = mac.weight.encode(0.5)
    sums = mac.to_real(multiply(mac, tiny.T, [[halves]]).accumulators)
    assert sums.tolist() == [[0.0], [-0.0]]
    assert np.signbit(sums).tolist() == [[False], [True]]


def test_past_the_largest_value_sums_stay_finite_and_are_counted_as_lost() -> None:
    mac = truncating("fp16", "fp16", "fp16")
    a = mac.activation.encode([[60000.0, 60000.0], [60000.0, 1.0]])
    w = mac.weight.encode([[1.0], [1.0]])
    result = multiply(mac, a, w)
    # fp16 counts in steps of 32 from 32768 on: 60000 is a multiple of 32, 60001 is cut off to it.
    assert mac.to_real(result.accumulators).tolist() == [[65504.0], [60000.0]]
    assert not result.is_infinite.any()
    assert overflowed_sums(mac, a[None], w[None], result.accumulators[None]) == 1
    bound = overflow_bound(mac, 3)
    assert bound.on_overflow == "saturate"
    assert bound.limit == 65504
    assert bound.longest_safe_reduction == 0


@pytest.mark.parametrize(("accumulator", "expected"), [("fp16", np.inf), ("e4m3fn", 448.0)])
def test_infinite_operands_are_what_the_format_makes_of_them(accumulator: str, expected: float) -> None:
    mac = truncating("fp16", "fp16", accumulator)
    a = mac.activation.encode([[np.inf, 1.0], [np.nan, 1.0], [2.0, 1.0]])
    w = mac.weight.encode([[1.0], [1.0]])
    result = multiply(mac, a, w)
    values = mac.to_real(result.accumulators).reshape(-1)
    assert values[0] == expected
    assert np.isnan(values[1])
    assert values[2] == 3.0
    assert result.is_infinite.tolist() == [[True], [True], [False]]


def test_the_register_level_grid_and_the_toggles_are_those_of_its_steps() -> None:
    mac = truncating("e4m3", "e4m3", "fp16")
    rng = np.random.default_rng(11)
    a, w = rng.integers(0, 256, (5, 7)), rng.integers(0, 256, (7, 4))
    expected = multiply(mac, a, w).accumulators
    for dataflow in ("os", "ws", "is"):
        timing = ArrayTiming(rows=3, columns=2, dataflow=dataflow)
        assert (run_product(timing, mac, a, w).accumulators == expected).all()
    counted = switching_activity(mac, a, w, "os", rows=3, columns=2)
    fold = np.zeros((3, 2), np.int64)
    toggles = 0
    for rows in (slice(0, 3), slice(3, 5)):
        for columns in (slice(0, 2), slice(2, 4)):
            held = np.zeros_like(fold)
            for k in range(7):
                before = held.copy()
                part = mac.accumulate(held[: rows.stop - rows.start], a[rows, k, None], w[None, k, columns])
                held[: rows.stop - rows.start] = part
                toggles += sum(int(x ^ y).bit_count() for x, y in zip(before.flat, held.flat, strict=True))
            for _ in range(3):  # results shift out, zeros follow
                before = held.copy()
                held = np.concatenate([np.zeros((1, 2), np.int64), held[:-1]])
                toggles += sum(int(x ^ y).bit_count() for x, y in zip(before.flat, held.flat, strict=True))
    assert counted.accumulator.toggles == toggles


def test_a_network_passes_its_own_check_and_counts_what_it_loses(tmp_path: Path) -> None:
    network = small_network(tmp_path)
    images = network.data.first(3)
    mac = truncating("e4m3fn", "e4m3fn", "fp16")
    plan = plan_network(network.model, images, mac)
    check = FunctionalCheck(plan, outputs=8)
    result = run_plan(network.model, images, plan, observer=check)
    assert [sorted(done) for done in check.checked.values()] == [["closeness", "exact", "grid"]] * 3
    assert set(result.engines.values()) == {"stepwise: the MAC's own step, in the order of k"}
    rounding = infer(network.model, images, "fp8_fp16")
    assert (result.logits != rounding.logits).any()


def test_its_pe_is_a_fused_one_without_the_rounding_increment() -> None:
    cut_off = structure_of(truncating("e4m3fn", "e4m3fn", "fp16"))
    rounding = structure_of(get_mac("fp8_fp16"))
    assert cut_off.combinational["pe_multiply"] == rounding.combinational["pe_multiply"]
    assert cut_off.combinational["pe_shift"] == rounding.combinational["pe_shift"]
    missing = set(rounding.combinational["pe_add"]) - set(cut_off.combinational["pe_add"])
    # 11 significand bits of fp16 are no longer incremented.
    assert [(part.part, part.count, part.what) for part in missing] == [
        ("small_adder_bit", 11, "rounding increment")
    ]
    assert set(cut_off.combinational["pe_add"]) < set(rounding.combinational["pe_add"])
    assert cut_off.registers == rounding.registers
    assert cut_off.accumulator == "float"


def test_rows_of_a_rounding_mac_do_not_price_it_and_rows_may_name_it() -> None:
    identity = structure_of(truncating("e4m3fn", "e4m3fn", "fp16")).identity
    assert identity is not None
    assert identity.accumulator == "truncated fp16"
    assert is_accumulator_identity("truncated fp16")
    assert not is_accumulator_identity("truncated fp17")
    assert not is_accumulator_identity("rounded fp16")


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UserError, match=r"accumulator\.format: .*unknown number format"):
        truncating("fp16", "fp16", "fp17")
    with pytest.raises(UserError, match="is not a signed float format"):
        truncating("fp16", "fp16", "int8")
    with pytest.raises(UserError, match=r"product.*'exact'.*fused"):
        truncating("fp16", "fp16", "fp16", product="exact")
    flushing = {"kind": "truncated", "format": "fp16", "flush_subnormals": True}
    with pytest.raises(UserError, match="unknown key"):
        get_mac({"activation": "fp16", "weight": "fp16", "accumulator": flushing})
    mac = truncating("fp16", "fp16", "fp16")
    assert mac.spec.accumulator == TruncatedAccumulator("fp16")
    for engine in ("blas", "table", "sequential"):
        with pytest.raises(UserError, match=f"engine '{engine}' cannot compute"):
            multiply(mac, [[1]], [[1]], engine=engine)
    assert isfinite(mac.to_real(multiply(mac, [[1]], [[1]], engine="stepwise").accumulators).item())
