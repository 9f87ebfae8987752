"""Are accumulators turned into the right codes and real values?"""

from __future__ import annotations

import numpy as np
import pytest

from simulator.foundation import UserError
from simulator.numerics import get_format, get_mac
from simulator.numerics.accumulators.coded import can_be_fused
from tests.reference import mac as reference
from tests.reference.recorded import recomputed


def hard_accumulators(bits: int, seed: int) -> np.ndarray:
    """Every size of accumulator, values beside powers of two and beside ties, and both ends."""
    rng = np.random.default_rng(seed)
    sizes = 1 << rng.integers(0, bits - 1, 2000)
    spread = (rng.random(2000) * sizes).astype(np.int64)
    ties = sizes + (sizes >> 6) * rng.integers(0, 64, 2000) + rng.integers(-1, 2, 2000)
    magnitudes = np.concatenate([spread, sizes - 1, sizes, sizes + 1, ties, np.arange(70)])
    magnitudes = np.clip(magnitudes, 0, (1 << (bits - 1)) - 1)
    return np.unique(np.concatenate([magnitudes, -magnitudes, [-(1 << (bits - 1))]]))


def test_log8_accumulators_become_the_reference_codes() -> None:
    mac = get_mac("elma8")
    sums = hard_accumulators(38, seed=1)
    expected = [reference.accumulator_to_log8(int(acc), infinite=False) for acc in sums]
    assert mac.to_output(sums).tolist() == expected
    assert (mac.to_output(sums, is_infinite=np.ones(sums.shape, bool)) == 0x80).all()


def test_log16_accumulators_become_the_reference_codes() -> None:
    mac = get_mac("elma16")
    sums = hard_accumulators(49, seed=3)
    expected = [reference.accumulator_to_log16(int(acc), infinite=False) for acc in sums]
    assert mac.to_output(sums).tolist() == expected
    infinite = mac.to_output(sums, is_infinite=np.ones(sums.shape, bool))
    assert np.isinf(mac.activation.decode(infinite)).all()


def test_log8_accumulators_equal_the_published_circuit() -> None:
    recorded = recomputed("accumulator_to_log8")
    plain = recorded["is_overflow"] == 0  # the paper's PEs do not detect overflow
    codes = get_mac("elma8").to_output(recorded["acc"][plain], is_infinite=recorded["is_inf"][plain])
    assert (codes == recorded["code_beta5"][plain]).all()


def test_posit8_quires_become_the_reference_codes() -> None:
    mac = get_mac("posit8")
    sums = hard_accumulators(38, seed=2)
    for overflow in (0, 1, -1):
        expected = [reference.quire_to_posit8(int(q), infinite=False, overflow=overflow) for q in sums]
        assert mac.to_output(sums, overflow=np.full(sums.shape, overflow, np.int8)).tolist() == expected


@pytest.mark.parametrize("name", ["elma8", "posit8", "fp8_fp16"])
def test_every_code_times_one_comes_back(name: str) -> None:
    mac = get_mac(name)
    codes = np.arange(1 << mac.activation.bits)
    finite = codes[np.isfinite(mac.activation.decode(codes))]
    one = mac.weight.encode(np.array(1.0))
    sums = mac.accumulate(np.zeros((), mac.accumulator_dtype), finite, one)
    back = mac.to_output(sums)
    assert (mac.activation.decode(back) == mac.activation.decode(finite)).all()


def test_int8_sums_saturate_into_int8() -> None:
    codes = get_mac("int8").to_output([-(10**6), -129, -128, -1, 0, 127, 128, 10**6])
    assert codes.view(np.int8).tolist() == [-128, -128, -128, -1, 0, 127, 127, 127]


def test_real_values_of_accumulators_carry_the_weight_of_the_lowest_bit() -> None:
    assert get_mac("elma8").to_real(np.array([1, -(1 << 24)])).tolist() == [2.0**-24, -1.0]
    assert get_mac("fp16 x fp16").to_real(np.array([3 << 80], object)).tolist() == [3 * 2.0**32]
    assert get_mac("fp16").to_real(np.array([0x3C00], np.uint16)).tolist() == [1.0]


def test_another_output_format_takes_the_real_value_and_rounds_once() -> None:
    mac, fmt = get_mac("fp8"), get_format("e5m2")
    sums = np.random.default_rng(8).integers(-(2**30), 2**30, 1000)
    reals = np.ldexp(sums.astype(float), mac.accumulator_lsb)
    assert (mac.to_output(sums, "e5m2") == fmt.encode(reals)).all()


def test_infinite_sums_become_infinity_or_the_largest_value() -> None:
    flags = np.array([True, False])
    into_fp16 = get_mac("fp8").to_output([0, 0], "fp16", is_infinite=flags)
    assert get_format("fp16").decode(into_fp16).tolist() == [float("inf"), 0.0]
    into_e4m3 = get_mac("fp8").to_output([0, 0], is_infinite=flags)
    assert get_format("e4m3").decode(into_e4m3).tolist() == [480.0, 0.0]


@pytest.mark.parametrize(
    ("formats", "output", "accumulator"),
    [
        ("int8", "log", {"kind": "fixed"}),
        ("log8.1", "posit", {"kind": "fixed"}),
        ("log8.1", "log", {"kind": "float", "format": "fp16"}),
        ("posit8.1", "posit", {"kind": "float", "format": "fp16"}),
    ],
)
def test_converters_are_for_their_own_format_behind_fixed_sums(
    formats: str, output: str, accumulator: dict[str, str]
) -> None:
    spec = {"activation": formats, "weight": formats, "output": output, "accumulator": accumulator}
    with pytest.raises(UserError, match=f"from a fixed accumulator to {output} formats only"):
        get_mac(spec)


@pytest.mark.parametrize("spec", ["int16", "posit8.1", "log8.1", "ue5m10"])
def test_float_sums_need_a_signed_float_format(spec: str) -> None:
    with pytest.raises(UserError, match=r"accumulator.format: is not a signed float format"):
        get_mac({"activation": "e4m3", "weight": "e4m3", "accumulator": {"kind": "float", "format": spec}})


@pytest.mark.parametrize(
    ("activation", "weight", "fused"),
    [
        ("fp16", "fp16", True),
        ("fp32", "fp32", True),
        ("fp64", "int8", False),  # 53 significand bits
        ("int8", "fp64", False),
        # Steps of 2**-960 and of 2**-961: 1 - 958 - 3 and one less, times whole numbers.
        ("e10m3b958", "int8", True),
        ("int8", "e10m3b959", False),
        # Magnitudes below 2**(952 + 8) are too large, below 2**(951 + 8) are not: 1023 - 72 is 951.
        ("e10m3b73", "int8", True),
        ("e10m3b72", "int8", False),
    ],
)
def test_which_products_float_steps_hold_exactly(activation: str, weight: str, fused: bool) -> None:
    assert can_be_fused(get_format(activation), get_format(weight)) == fused
