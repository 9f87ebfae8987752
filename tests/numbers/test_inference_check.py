"""Are the array's results right? Slow exact arithmetic against the engines, and a check that can fail."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.inference import FunctionalCheck, MismatchError, infer, load_images, load_model, plan_network
from simulator.inference.arithmetic import MacOutput
from simulator.inference.exact_arithmetic import exact_accumulator, round_fraction
from simulator.inference.layer_products import Product
from simulator.numerics import FixedAccumulator, get_format, get_mac, multiply
from tests.preset_macs import WITHOUT_BLOCKS

MACS = (*WITHOUT_BLOCKS, "ue4m4b9 x e3m4b5", "int4 x int4", "posit8.0 x posit8.0")


@pytest.mark.parametrize("name", MACS)
def test_exact_arithmetic_equals_the_engines(name: str) -> None:
    mac = get_mac(name)
    random = np.random.default_rng(11)
    a = mac.activation.encode(random.normal(scale=3, size=(4, 40)))
    w = mac.weight.encode(random.normal(scale=3, size=(40, 3)))
    sums = multiply(mac, a, w).accumulators
    for m in range(4):
        for n in range(3):
            expected = exact_accumulator(mac, a[m].tolist(), w[:, n].tolist())
            got = (
                int(sums[m, n])
                if isinstance(mac.accumulator, FixedAccumulator)
                else mac.to_real(sums[m : m + 1, n])[0]
            )
            assert got == expected


@given(
    st.integers(-(2**70), 2**70), st.integers(1, 2**70), st.sampled_from(["fp16", "bf16", "fp32", "e4m3fn"])
)
@settings(max_examples=200, deadline=None)
def test_fractions_round_to_a_nearest_value(numerator: int, denominator: int, spec: str) -> None:
    fmt, value = get_format(spec), Fraction(numerator, denominator)
    rounded = round_fraction(value, fmt)
    if np.isfinite(rounded):
        code = fmt.encode(np.array([rounded]))
        assert fmt.decode(code)[0] == rounded
        if fmt.bits <= 16:
            values = fmt.values()[np.isfinite(fmt.values())]
            near = values[np.argsort(np.abs(values - float(value)))[:4]]
            assert abs(Fraction(rounded) - value) == min(abs(Fraction(float(v)) - value) for v in near)


@pytest.mark.parametrize("mac", ["int8", "elma8", "fp16"])
def test_every_layer_is_checked(mac: str) -> None:
    model, data = load_model("lenet5_fashion"), load_images("fashion_mnist_1000").first(2)
    check = FunctionalCheck(plan_network(model, data, mac), outputs=4)
    infer(model, data, mac, observer=check)
    assert list(check.checked) == [product.name for product in model.products]
    assert all(
        counts["exact"] == 4 and counts["grid"] > 0 and counts["closeness"] > 0
        for counts in check.checked.values()
    )


def with_one_more(output: MacOutput, at: tuple[int, int, int], amount: int) -> MacOutput:
    sums = output.accumulators.copy()
    sums[at] += amount
    return replace(output, sums=replace(output.sums, held=sums, layout="products"))


def test_a_wrong_output_stops_the_run_with_its_coordinates() -> None:
    model, data = load_model("lenet5_fashion"), load_images("fashion_mnist_1000").first(1)
    check = FunctionalCheck(plan_network(model, data, "int8"), outputs=10**6)

    def tampered(product: Product, output: MacOutput) -> None:
        if product.name == "fc3":
            check(product, with_one_more(output, (0, 0, 7), 1))

    with pytest.raises(
        MismatchError, match=r"fc3: group 0, m 0, n 7: output differs from .*exact arithmetic"
    ):
        infer(model, data, "int8", observer=tampered)


def test_a_grossly_wrong_output_is_not_close() -> None:
    model, data = load_model("lenet5_fashion"), load_images("fashion_mnist_1000").first(1)
    check = FunctionalCheck(plan_network(model, data, "elma8"))

    def tampered(product: Product, output: MacOutput) -> None:
        check(product, with_one_more(output, (0, 5, 1), 1 << 24))

    with pytest.raises(
        MismatchError, match=r"conv1: group 0, m 5, n 1: output differs from float64 products"
    ):
        infer(model, data, "elma8", observer=tampered)
