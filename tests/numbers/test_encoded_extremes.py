"""Is what encoding says of its codes true of them?"""

from __future__ import annotations

import numpy as np
import pytest

from simulator.inference.arithmetic import float32_product, mac_product
from simulator.inference.layer_products import Product
from simulator.inference.quantization import LayerPlan, encode
from simulator.numerics import get_mac, multiply
from simulator.numerics.formats import get_format

SPECS = (
    "int8",
    "uint8",
    "fix8.5",
    "e4m3",
    "ue4m4b9",
    "e4m3fn",
    "e4m3fnuz",
    "fp16",
    "bf16",
    "fp32",
    "posit8.1",
    "sm8",
)


@pytest.mark.parametrize("size", [100, 70_000])  # with NumPy alone, and in two blocks with a rest
@pytest.mark.parametrize("spec", SPECS)
def test_the_largest_code_is_a_bound_and_reached(spec: str, size: int) -> None:
    fmt, random = get_format(spec), np.random.default_rng(size)
    values = random.normal(0, 3, size).astype(np.float32)
    values[size // 2] = -1000.0
    found = encode(values, fmt)
    magnitudes = np.abs(fmt.decode(found.codes))
    assert found.largest is not None
    assert magnitudes.max() <= found.largest
    if fmt.signed:
        assert found.largest == max(magnitudes.max(), abs(fmt.decode(fmt.encode(np.array([1000.0])))[0]))
    assert not found.shared(fmt).has_special(fmt)


@pytest.mark.parametrize("size", [100, 70_000])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nothing_is_said_where_a_value_is_not_finite(value: float, size: int) -> None:
    values = np.zeros(size, np.float32)
    values[-1] = value
    fmt = get_format("fp16")
    found = encode(values, fmt)
    assert found.largest is None
    assert found.shared(fmt).has_special(fmt)


def test_nothing_is_said_of_values_that_become_infinite_or_of_log_numbers() -> None:
    assert encode(np.array([1e6], np.float32), get_format("fp16")).largest is None
    assert encode(np.ones(3, np.float32), get_format("log8.1")).largest is None


@pytest.mark.parametrize("size", [100, 70_000])
@pytest.mark.parametrize("spec", ["int8", "fp16", "fp32", "log16"])
def test_losses_are_those_that_are_counted_one_by_one(spec: str, size: int) -> None:
    fmt, random = get_format(spec), np.random.default_rng(1)
    values = (random.normal(0, 1, size) * 2.0 ** random.integers(-30, 20, size)).astype(np.float32)
    values[::7] = 0
    found = encode(values, fmt)
    beyond = sum(float(each) > fmt.largest or float(each) < fmt.lowest for each in values)
    became_zero = sum(bool(a != 0 and b == 0) for a, b in zip(values, fmt.decode(found.codes), strict=True))
    assert found.saturated == beyond
    assert found.underflowed == became_zero


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("name", ["int8", "posit8", "elma8", "fp16", "fp32"])
def test_a_fully_connected_layer_has_the_sums_of_its_product(name: str, rows: int) -> None:
    mac, random = get_mac(name), np.random.default_rng(4)
    x = random.normal(0, 1, (rows, 40)).astype(np.float32)
    weights = random.normal(0, 0.4, (1, 40, 21)).astype(np.float32)
    product = Product("fc", "fc", "x", weights=weights)
    plan = LayerPlan(mac, weight_codes=mac.weight.encode(weights), through_output=True)
    found = mac_product(product, plan, x, None)
    expected = multiply(mac, mac.activation.encode(x), mac.weight.encode(weights[0]), engine="stepwise")
    assert (found.accumulators[0] == expected.accumulators).all()
    assert found.values.tolist() == mac.activation.decode(mac.to_output(expected.accumulators)).tolist()
    fp32 = get_mac("fp32")
    in_order = multiply(fp32, fp32.activation.encode(x), fp32.weight.encode(weights[0]), engine="stepwise")
    assert float32_product(product, x, None).tolist() == in_order.accumulators.view(np.float32).tolist()
