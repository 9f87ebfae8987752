"""Do conversion policies do what their papers say? Laws of each step, on data made for it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.inference import get_policy, infer, load_images, load_model
from simulator.inference.metrics import top_k
from simulator.inference.plan import encode
from simulator.inference.policies import default_policy
from simulator.inference.policies.bias_correction import corrected_bias
from simulator.inference.policies.ffp8 import choose_format
from simulator.inference.policies.migration import migration_factors
from simulator.inference.policies.mixed import smallest_widths
from simulator.inference.policies.rounding import learned, nearest, output_error, second_order
from simulator.inference.policies.scaling import channel_scales, tensor_scale
from simulator.numerics import get_format, get_mac


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=50).filter(any))
@settings(deadline=None)
def test_max_scaling_reaches_the_largest_magnitude_and_saturates_nothing(values: list[float]) -> None:
    fmt, tensor = get_format("e4m3"), np.array(values)
    scale = tensor_scale(tensor, fmt, "max", percentile=100)
    assert np.abs(tensor).max() / scale == pytest.approx(fmt.largest)


@pytest.mark.parametrize("spec", ["int4", "int8", "e2m1", "e4m3", "log8.1"])
def test_the_searched_scale_is_at_least_as_good_as_the_largest_magnitude(spec: str) -> None:
    fmt = get_format(spec)
    tensor = np.random.default_rng(2).normal(size=4000) ** 3

    def squared_error(scale: float) -> float:
        return float(np.square(fmt.decode(fmt.encode(tensor / scale)) * scale - tensor).sum())

    searched = tensor_scale(tensor, fmt, "mse", percentile=100)
    assert squared_error(searched) <= squared_error(tensor_scale(tensor, fmt, "max", percentile=100))


def test_channels_have_their_own_scales() -> None:
    weights = np.array([[[1.0, -8.0], [0.5, 2.0]]])
    assert channel_scales(weights, get_format("int8"), "max", percentile=100).tolist() == [
        [[1 / 127, 8 / 127]]
    ]


def test_powers_of_two_make_integers_fixed_point() -> None:
    tensor = np.random.default_rng(3).normal(size=500)
    for method in ("max", "mse"):
        scale = tensor_scale(tensor, get_format("int8"), method, percentile=100, power_of_two=True)
        assert np.log2(scale) == round(np.log2(scale))


@pytest.mark.parametrize("spec", ["int4", "e2m1", "e3m2"])
def test_second_order_and_learned_rounding_keep_the_output_better_than_nearest(spec: str) -> None:
    random, fmt = np.random.default_rng(4), get_format(spec)
    inputs = random.normal(size=(500, 24)) @ random.normal(size=(24, 24))
    moments = inputs.T @ inputs
    weights = random.normal(size=(24, 8)) * fmt.largest / 4
    errors = {
        rounding: output_error(weights, fmt.decode(rounding(weights, fmt, moments)), moments)
        for rounding in (nearest, second_order, learned)
    }
    assert errors[second_order] < errors[nearest]
    assert errors[learned] < errors[nearest]


def test_rounding_on_uncorrelated_inputs_has_nothing_to_gain() -> None:
    fmt, weights = get_format("int4"), np.random.default_rng(5).normal(size=(16, 4)) * 3
    assert (second_order(weights, fmt, np.eye(16)) == nearest(weights, fmt, np.eye(16))).all()
    assert (learned(weights, fmt, np.eye(16)) == nearest(weights, fmt, np.eye(16))).all()


def test_the_corrected_bias_gives_the_mean_back() -> None:
    random = np.random.default_rng(6)
    inputs, weights = random.normal(1, size=(1, 300, 5)), random.normal(size=(1, 5, 3))
    rounded_inputs, rounded_weights = np.round(inputs), np.round(weights)
    bias = corrected_bias(None, inputs, rounded_inputs, weights, rounded_weights)
    exact, rounded = inputs[0] @ weights[0], rounded_inputs[0] @ rounded_weights[0]
    assert (rounded + bias).mean(axis=0) == pytest.approx(exact.mean(axis=0), abs=1e-5)


def test_migration_evens_out_channels_and_keeps_the_product() -> None:
    random = np.random.default_rng(7)
    inputs, weights = random.normal(size=(50, 6)).astype(np.float32), random.normal(size=(1, 6, 4))
    inputs[:, 2] *= 100
    factors = migration_factors(inputs, weights, 0.5)
    assert (inputs / factors) @ (weights[0] * factors[:, None]) == pytest.approx(
        inputs @ weights[0], rel=1e-5
    )
    spread = np.abs(inputs).max(axis=0)
    assert np.ptp(np.log2(np.abs(inputs / factors).max(axis=0))) < np.ptp(np.log2(spread))


def test_ffp8_drops_the_sign_where_nothing_is_negative_and_fits_the_bias() -> None:
    random = np.random.default_rng(8)
    signed, unsigned = random.normal(size=3000), np.abs(random.normal(size=3000))
    assert choose_format(signed, 8).format.signed
    chosen = choose_format(unsigned, 8)
    assert not chosen.format.signed
    small = choose_format(unsigned * 2.0**-20, 8)
    assert small.format.spec != chosen.format.spec
    assert small.sqnr_db == pytest.approx(chosen.sqnr_db)
    assert all(sqnr <= chosen.sqnr_db + 0.01 for sqnr in chosen.others.values())


def test_ffp8_takes_more_exponent_bits_for_a_wider_spread() -> None:
    random = np.random.default_rng(9)
    even = choose_format(random.uniform(1, 2, size=3000), 8).format
    wide = choose_format(np.exp2(random.uniform(-12, 0, size=3000)), 8).format
    assert wide.exponent_bits > even.exponent_bits or wide.smallest_positive < even.smallest_positive


def test_what_is_out_of_range_is_counted() -> None:
    encoded = encode(np.array([500.0, -500.0, 1e-9, 0.0, 1.0]), get_format("e4m3"))
    assert (encoded.saturated, encoded.underflowed) == (2, 1)
    unsigned = encode(np.array([-1.0, 2.0]), get_format("ue4m4"))
    assert (unsigned.saturated, unsigned.underflowed) == (1, 1)


def test_a_tiny_value_never_becomes_infinite() -> None:
    tiny = np.array([2.0**-15.5, -(2.0**-15.5), 1.0])
    assert np.isfinite(get_format("log16").decode(encode(tiny, get_format("log16")).codes)).all()


def test_the_default_policy_follows_the_formats() -> None:
    assert [default_policy(get_mac(mac)) for mac in ("elma8", "fp16", "posit8")] == ["drop_in"] * 3
    assert [default_policy(get_mac(mac)) for mac in ("int8", "mixed8", "e2m1 x e2m1")] == ["max"] * 3


def test_policies_are_spelled_with_options() -> None:
    policy = get_policy("mse+gptq+bias_correction+smooth=0.7")
    assert (policy.scaling, policy.rounding, policy.migration) == ("mse", "second_order", 0.7)
    assert policy.bias_correction
    assert get_policy("drop_in+last_exponent=-3").last_exponent == -3


def test_top_k_of_known_logits() -> None:
    logits = np.array([[3.0, 2.0, 1.0], [1.0, 1.0, 0.0], [np.nan, 0.0, 1.0]])
    labels = np.array([0, 1, 0])
    assert top_k(logits, labels, 1) == pytest.approx(1 / 3)  # ties go to the lower class, NaN comes last
    assert top_k(logits, labels, 2) == pytest.approx(2 / 3)
    assert top_k(logits, labels, 3) == 1
    assert top_k(logits, labels, 4) is None


@pytest.mark.parametrize(
    ("mac", "policy"),
    [("int4 x int4", option) for option in ("max+gptq", "max+learned", "max+bias_correction")],
)
@pytest.mark.slow
def test_options_help_the_layer_that_they_look_at(mac: str, policy: str) -> None:
    # The first layer: its input is the same in both runs, and each option works on one layer at a time.
    model, data = load_model("lenet5_fashion"), load_images("fashion_mnist_1000").first(100)
    plain, improved = infer(model, data, mac, "max"), infer(model, data, mac, policy)
    before, after = plain.layers["conv1"].sqnr_db, improved.layers["conv1"].sqnr_db
    assert before is not None
    assert after is not None
    assert after > before


@pytest.mark.slow
def test_the_search_keeps_the_stated_accuracy_with_fewer_bits() -> None:
    model, data = load_model("lenet5_fashion"), load_images("fashion_mnist_1000")
    found = smallest_widths(model, data, get_policy("mixed+loss=1"))
    assert found.accuracy >= found.float32_accuracy - 1
    assert found.weight_bits < 8
    narrower = [
        score
        for name, score in found.tried.items()
        if name != "float32" and score < found.float32_accuracy - 1
    ]
    assert narrower or found.weight_bits == 3
