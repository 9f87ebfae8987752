"""Are outputs that never become registers and codes those that would have?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simulator.inference.layer_sums import LayerSums, real_values
from simulator.inference.quantization import LayerPlan
from simulator.inference.rounded_outputs import rounded_outputs
from simulator.numerics import Mac, get_mac
from simulator.numerics.engines.exact import ExactSums
from simulator.numerics.engines.lane_sums import LaneSums
from simulator.numerics.engines.pointwise import attempt_exact, attempt_steps

CHANNELS, PIXELS = 6, 40
MACS = ("posit8", "elma8", "elma16", "fp16", "bf16", "fp32", "fp8_fp16", "int8", "fp8", "mixed8")


def layer_sums(mac: Mac, spread: float) -> ExactSums | LaneSums:
    random = np.random.default_rng(11)
    x, w = random.normal(0, 1, (2, 30, PIXELS)), random.normal(0, spread, (CHANNELS, 30))
    least = 2.0**-12  # below it the published converter of log16 makes infinities
    x, w = (np.where(np.abs(each) < least, 0, each) for each in (x, w))
    a, b = mac.activation.encode(x), mac.weight.encode(w)
    found = attempt_exact(mac, a, b)
    if found is not None:
        return found
    steps = attempt_steps(mac, a, b)
    assert steps is not None
    return steps[0]


def by_registers(plan: LayerPlan, held: ExactSums | LaneSums) -> np.ndarray:
    """The detour: accumulators, their bias, the converter's codes, their values."""
    lost = held.lost if isinstance(held, LaneSums) else None
    sums = LayerSums(held.accumulators, "ofmap", 1, lost, None, "", "")
    return real_values(plan, sums).astype(np.float32)


@pytest.mark.parametrize("spread", [1e-6, 1e-3, 0.5, 3.0])
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("name", MACS)
def test_values_are_those_of_registers_and_codes(name: str, with_bias: bool, spread: float) -> None:
    mac = get_mac(name)
    bias = np.random.default_rng(2).normal(0, spread, CHANNELS).astype(np.float32) if with_bias else None
    plan, held = LayerPlan(mac, bias=bias, through_output=True), layer_sums(mac, spread)
    found = rounded_outputs(plan, held)
    assert found is not None
    assert found.view(np.uint32).tolist() == by_registers(plan, held).view(np.uint32).tolist()


def exact(mac: Mac, units: list[float]) -> ExactSums:
    return ExactSums(mac, np.array(units).reshape(1, 1, -1), 0, fits=True, reason="by hand")


def test_posits_just_below_the_smallest_are_lifted() -> None:
    # Units are 2**-24, the smallest posit8.1 is 2**-12 = 4096 units. More than half of it rounds up, half and
    # less does not.
    mac = get_mac("posit8")
    held = exact(mac, [2048, 2049, 4095, -2048, -2049, 0])
    found = rounded_outputs(LayerPlan(mac, through_output=True), held)
    assert found is not None
    assert found.reshape(-1).tolist() == [0, 2.0**-12, 2.0**-12, 0, -(2.0**-12), 0]


def test_a_bias_that_leaves_the_register_takes_the_detour() -> None:
    mac = get_mac("posit8")  # 38 bits in units of 2**-24: from 2**13 on they wrap
    plan = LayerPlan(mac, bias=np.array([1.0], np.float32), through_output=True)
    below = rounded_outputs(plan, exact(mac, [2.0**37 - 2.0**24 - 1]))
    assert below is not None
    assert rounded_outputs(plan, exact(mac, [2.0**37 - 2.0**24])) is None
    assert rounded_outputs(replace(plan, bias=np.array([8192.0], np.float32)), exact(mac, [0.0])) is None


def test_results_that_are_scaled_as_codes_take_the_detour() -> None:
    mac = get_mac("posit8")
    plan = LayerPlan(mac, through_output=True, output_exponent=1)
    assert rounded_outputs(plan, exact(mac, [2.0**24])) is None


def test_infinite_sums_take_the_detour() -> None:
    mac = get_mac("fp32")
    lanes = np.array([[[1.0, np.inf]]], np.float32)
    held = LaneSums(lanes, 1.0, lambda found: found.view(np.uint32))
    assert rounded_outputs(LayerPlan(mac, through_output=True), held) is None
    assert held.lost.tolist() == [[[False, True]]]


def test_ends_of_a_register_are_still_inside() -> None:
    mac = get_mac(
        {
            "activation": "int8",
            "weight": "int8",
            "accumulator": {"kind": "fixed", "bits": 16, "overflow": "wrap"},
        }
    )
    units = [32767.0, 32768.0, -32768.0, -32769.0, 0.0]
    for dtype in (np.float32, np.float64):
        held = ExactSums(mac, np.array([[units]], dtype), 0, fits=False, reason="by hand")
        assert held.outside == 2
        assert held.accumulators.tolist() == [[[32767, -32768, -32768, 32767, 0]]]
    shifted = ExactSums(
        mac, np.array([[[8191.0, 8192.0, -8192.0, -8193.0]]]), 2, fits=False, reason="by hand"
    )
    assert shifted.outside == 2  # 4 x 8192 = 32768 and 4 x -8193 = -32772
