"""Do conversion policies do what their papers say? Each step on data made for it, and all of them joined."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from simulator.foundation import UserError
from simulator.inference import (
    Images,
    Model,
    calibration,
    get_policy,
    infer,
    load_images,
    load_model,
    plan_network,
    run_plan,
)
from simulator.inference.arithmetic import float32_product, mac_product
from simulator.inference.calibration import calibrate, second_moments
from simulator.inference.execute import execute
from simulator.inference.layer_products import Product, Window
from simulator.inference.policies import POLICIES, Policy, default_policy, needs_calibration, unsuited
from simulator.inference.policies.bias_correction import Correction, corrected
from simulator.inference.policies.ffp8 import choose_format
from simulator.inference.policies.migration import migration_factors
from simulator.inference.policies.rounding import learned, second_order
from simulator.inference.policies.scales import channel_scales, tensor_scale
from simulator.inference.quantization import LayerPlan, encode
from simulator.numerics import get_format, get_mac
from tests.small_network import linear_network, small_network

Reals = NDArray[np.float64]


def two_layers(folder: Path, *, seed: int = 1) -> tuple[Model, Images]:
    """A network of two linear layers, its images and (other) calibration images."""
    random = np.random.default_rng(seed)
    model = linear_network(
        folder / "two.onnx",
        [random.normal(size=(12, 8)), random.normal(size=(8, 5))],
        [random.normal(size=8), random.normal(size=5)],
    )
    images = random.normal(size=(90, 12)).astype(np.float32)
    return model, Images("random", images[:20], random.integers(5, size=20), images[20:])


def codes_of(layer: LayerPlan) -> NDArray[np.unsignedinteger[Any]]:
    assert layer.weight_codes is not None
    return layer.weight_codes


# -- spelling ---------------------------------------------------------------------------------------------


def test_policies_by_name() -> None:
    assert {name: (p.scaling, p.formats, p.through_output, p.search) for name, p in POLICIES.items()} == {
        "drop_in": ("none", "mac", True, False),
        "blocks": ("none", "mac", False, False),
        "max": ("max", "mac", False, False),
        "percentile": ("percentile", "mac", False, False),
        "mse": ("mse", "mac", False, False),
        "ffp8": ("none", "ffp8", False, False),
        "mixed": ("mse", "mac", False, True),
    }
    assert (POLICIES["mixed"].weight_scales, POLICIES["mixed"].power_of_two) == ("tensor", True)
    assert POLICIES["percentile"].percentile == 99.99
    assert POLICIES["mixed"].loss == 1.0
    plain = Policy("max", scaling="max")
    assert POLICIES["max"] == plain
    assert (plain.weight_scales, plain.power_of_two, plain.rounding) == ("channel", False, "nearest")
    assert (plain.bias_correction, plain.migration, plain.last_exponent) == (False, None, 0)


@pytest.mark.parametrize(
    ("option", "field", "value"),
    [
        ("per_tensor", "weight_scales", "tensor"),
        ("power_of_two", "power_of_two", True),
        ("bias_correction", "bias_correction", True),
        ("learned", "rounding", "learned"),
        ("gptq", "rounding", "second_order"),
        ("smooth", "migration", 0.5),
        ("smooth=0.7", "migration", 0.7),
        ("smooth=0", "migration", 0.0),
        ("smooth=1", "migration", 1.0),
        ("percentile=50", "percentile", 50.0),
        ("percentile=100", "percentile", 100.0),
        ("last_exponent=-16", "last_exponent", -16),
        ("last_exponent=16", "last_exponent", 16),
        ("loss=0", "loss", 0.0),
        ("loss=100", "loss", 100.0),
    ],
)
def test_an_option_sets_its_field_alone(option: str, field: str, value: object) -> None:
    base = {"percentile": "percentile", "last_exponent": "drop_in", "loss": "mixed"}.get(field, "max")
    policy = get_policy(f"{base} + {option}")
    assert policy.name == f"{base} + {option}"
    for name in Policy.__dataclass_fields__:
        expected = value if name == field else getattr(POLICIES[base], name)
        assert name == "name" or getattr(policy, name) == expected


def test_options_are_joined() -> None:
    policy = get_policy("mse+gptq+bias_correction+smooth=0.7")
    assert (policy.scaling, policy.rounding, policy.migration) == ("mse", "second_order", 0.7)
    assert policy.bias_correction
    assert get_policy(policy) is policy


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("maxx", "unknown policy .*maxx.*max"),
        ("max+gpt", "unknown option .*gpt.*gptq"),
        ("max+gptq=1", "unknown option"),
        ("max+loss", "unknown option"),
        ("max+percentile=49.9", "percentile: is out of range .*50 to 100"),
        ("max+percentile=100.1", "out of range"),
        ("max+smooth=-0.1", "smooth: is out of range .*0 to 1"),
        ("max+smooth=1.1", "out of range"),
        ("max+last_exponent=17", "last_exponent: is out of range .*-16 to 16"),
        ("max+last_exponent=-17", "out of range"),
        ("max+last_exponent=0.5", "last_exponent: is no number"),
        ("max+loss=101", "loss: is out of range .*0 to 100"),
        ("max+loss=many", "loss: is no number .*many"),
        ("max+percentile=50", "changes nothing in the policy max .*percentile=50.*allowed: with percentile$"),
        ("mse+percentile=99", "changes nothing in the policy mse .*allowed: with percentile$"),
        ("mse+loss=0", "changes nothing in the policy mse .*loss=0.*allowed: with mixed$"),
        ("max+last_exponent=-3", "changes nothing in the policy max .*allowed: with drop_in$"),
        ("drop_in+per_tensor", "changes nothing in the policy drop_in .*allowed: with max, percentile, mse$"),
        ("ffp8+power_of_two", "changes nothing in the policy ffp8 .*allowed: with max, percentile, mse$"),
        ("mixed+per_tensor", "changes nothing in the policy mixed .*allowed: with max, percentile, mse$"),
        ("mixed+power_of_two", "changes nothing in the policy mixed .*allowed: with max, percentile, mse$"),
        ("mse+gptq+gptq", r"the same thing twice .*gptq\+gptq.*allowed: one of gptq, learned$"),
        ("mse+gptq+learned", r"the same thing twice .*gptq\+learned.*allowed: one of gptq, learned$"),
        ("max+smooth+smooth=0.7", r"twice .*smooth\+smooth=0.7.*one of smooth, smooth=<number>$"),
        ("mixed+loss=1+loss=2", r"twice .*loss=1\+loss=2.*one of loss=<number>$"),
    ],
)
def test_what_is_no_policy_is_refused(spec: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        get_policy(spec)


def test_the_default_policy_follows_the_formats() -> None:
    for mac in ("elma8", "elma16", "fp16", "posit8", "bf16", "fp32", "fp8_fp16"):
        assert default_policy(get_mac(mac)) == "drop_in"
    for mac in ("int8", "mixed8", "fp8", "e2m1 x e2m1", "fix8.5 x fp16", "fp16 x int8"):
        assert default_policy(get_mac(mac)) == "max"


def test_which_policies_look_at_images() -> None:
    looking = {name for name in POLICIES if needs_calibration(get_policy(name))}
    assert looking == {"max", "percentile", "mse", "ffp8", "mixed"}
    for option in ("gptq", "learned", "bias_correction", "smooth"):
        assert needs_calibration(get_policy(f"drop_in+{option}"))
    assert not needs_calibration(get_policy("drop_in+last_exponent=-3"))


@pytest.mark.parametrize(
    ("mac", "policy", "problem"),
    [
        (
            "int8",
            "drop_in",
            "policy drop_in leaves int8 uncalibrated, as integer codes need scales; .* is max",
        ),
        ("mixed8", "drop_in", "fixed point codes need scales"),
        ("fp8", "drop_in+bias_correction", "minifloat codes need scales"),
        (
            "elma8",
            "max",
            "policy max does not calibrate elma8: .*cannot hold; the default for elma8 is drop_in",
        ),
        ("posit8", "percentile", "does not calibrate posit8"),
        ("fp16", "max", "does not calibrate fp16"),
        ("fp16", "mse", "does not calibrate fp16"),
        ("fp8_fp16", "max", "does not calibrate fp8_fp16"),
    ],
)
def test_a_policy_that_leaves_formats_uncalibrated_is_told(mac: str, policy: str, problem: str) -> None:
    found = unsuited(get_policy(policy), get_mac(mac))
    assert found is not None
    with pytest.raises(AssertionError, match=problem):
        raise AssertionError(found)


@pytest.mark.parametrize(
    ("mac", "policy"),
    [
        *[(mac, "mse") for mac in ("int8", "elma8", "posit8", "fp8", "mixed8")],
        *[(mac, "max") for mac in ("int8", "fp8", "mixed8", "e2m1 x e2m1")],
        *[(mac, "drop_in") for mac in ("elma8", "elma16", "fp16", "posit8", "bf16", "fp32")],
        ("int8", "ffp8"),
        ("elma8", "mixed"),
    ],
)
def test_policies_that_suit_are_not_warned_of(mac: str, policy: str) -> None:
    assert unsuited(get_policy(policy), get_mac(mac)) is None


@pytest.mark.parametrize(
    ("activation", "weight", "largest_sum", "told"),
    [
        # -128 x -128 is 16,384: just held, and past 16,320; 127 x 128 would fit there.
        ("int8", "int8", "e5m0b17", False),
        ("int8", "int8", "e5m7b18", True),
        # 255 x -128 is 32,640, which is (2 - 2**-7) x 2**14; and past 32,512.
        ("uint8", "int8", "e5m7b17", False),
        ("int8", "uint8", "e5m7b17", False),
        ("uint8", "int8", "e5m6b17", True),
        ("int8", "uint8", "e5m6b17", True),
    ],
)
def test_accumulators_must_hold_the_product_of_the_largest_codes(
    activation: str, weight: str, largest_sum: str, told: bool
) -> None:
    accumulator = {"kind": "float", "format": largest_sum}
    mac = get_mac({"activation": activation, "weight": weight, "accumulator": accumulator})
    assert (unsuited(get_policy("max"), mac) is not None) == told


# -- steps ------------------------------------------------------------------------------------------------


def test_migration_factors_by_hand() -> None:
    # sqrt(4) / sqrt(1) = 2; sqrt(1) / sqrt(4) = 1/2; sqrt(9) = 3 is rounded to 4; unused channels keep 1.
    inputs = np.array([[[4, 0.5, 9, 0, 3]], [[-1, 1, 0, 0, 3]]], np.float32)
    weights = np.array([[[1, 0.5], [-4, 1], [1, 1], [7, 7], [0, 0]]])
    assert migration_factors(inputs, weights, 0.5).tolist() == [2, 0.5, 4, 1, 1]
    assert migration_factors(inputs, weights, 1.0).tolist() == [4, 1, 8, 1, 1]
    assert migration_factors(inputs, weights, 0.0).tolist() == [1, 0.25, 1, 1, 1]
    assert migration_factors(inputs, weights, 0.5).dtype == np.float32


def test_what_is_out_of_range_is_counted() -> None:
    encoded = encode(np.array([500.0, -500.0, 1e-9, 0.0, 1.0]), get_format("e4m3"))
    assert (encoded.saturated, encoded.underflowed) == (2, 1)
    unsigned = encode(np.array([-1.0, 2.0]), get_format("ue4m4"))
    assert (unsigned.saturated, unsigned.underflowed) == (1, 1)


def test_a_tiny_value_never_becomes_infinite() -> None:
    tiny = np.array([2.0**-15.5, -(2.0**-15.5), 1.0])
    assert np.isfinite(get_format("log16").decode(encode(tiny, get_format("log16")).codes)).all()


@pytest.mark.parametrize("groups", [1, 2])
def test_second_moments_are_over_every_row_of_every_image(
    groups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "_VALUES_AT_ONCE", 20000)  # four images at once, the last two alone
    random = np.random.default_rng(3)
    window = Window(4, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), groups)
    product = Product(
        "conv", "conv", "x", weights=np.zeros((groups, 18 // groups, 4 // groups), np.float32), window=window
    )
    images = np.maximum(random.normal(size=(30, 2, 16, 16)), 0).astype(np.float32)
    fmt, scale = get_format("int4"), 0.4
    rounded = fmt.decode(fmt.encode(images * np.float32(1 / 0.4))) * scale
    padded = np.pad(rounded, ((0, 0), (0, 0), (1, 1), (1, 1)))
    shifts = np.stack(
        [padded[:, :, row : row + 16, column : column + 16] for row in range(3) for column in range(3)],
        axis=2,
    )
    rows = (
        shifts.reshape(30, groups, 18 // groups, 256).transpose(1, 2, 0, 3).reshape(groups, 18 // groups, -1)
    )
    expected = np.einsum("gkr,glr->gkl", rows, rows)
    assert second_moments(product, images, fmt, scale) == pytest.approx(expected, rel=1e-9)


def test_operands_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    model = linear_network(tmp_path / "huge.onnx", [np.full((1, 1), 1e30), np.eye(1)], [np.zeros(1)] * 2)
    message = "fc1: operands are NaN or infinite on the calibration images"
    with np.errstate(over="ignore"), pytest.raises(UserError, match=message):
        calibrate(model, np.array([[1e20]], np.float32))


# -- plans ------------------------------------------------------------------------------------------------


def test_dropping_in_encodes_weights_as_they_are(tmp_path: Path) -> None:
    model, data = two_layers(tmp_path)
    plan = plan_network(model, data, "elma8", "drop_in+last_exponent=-3")
    assert (plan.policy, plan.choices) == ("drop_in+last_exponent=-3", {"fc1": {"output_exponent": -3}})
    for product in model.products:
        layer = plan.layers[product.name]
        assert (layer.activation_scale, layer.weight_scale, layer.through_output) == (1, 1, True)
        assert product.weights is not None
        assert np.array_equal(codes_of(layer), get_format("log8.1").encode(product.weights))
        assert layer.bias is product.bias
        assert layer.migration is None
    assert [layer.output_exponent for layer in plan.layers.values()] == [0, -3]


@pytest.mark.parametrize("method", ["max", "mse", "percentile"])
@pytest.mark.parametrize("options", ["", "+per_tensor", "+power_of_two", "+per_tensor+power_of_two"])
def test_scales_come_from_calibration_images_and_weights(method: str, options: str, tmp_path: Path) -> None:
    model, data = two_layers(tmp_path)
    policy = get_policy(f"{method}{options}" + ("+percentile=90" if method == "percentile" else ""))
    plan = plan_network(model, data, "int8 x int4", policy)
    seen = calibrate(model, data.for_calibration)
    for product in model.products:
        layer = plan.layers[product.name]
        activations = seen[product.name].activations
        assert policy.scaling != "none"
        expected = tensor_scale(
            activations,
            get_format("int8"),
            policy.scaling,
            percentile=90,
            power_of_two=policy.power_of_two,
        )
        assert layer.activation_scale == plan.choices[product.name]["activation_scale"] == expected
        assert product.weights is not None
        of_weights = tensor_scale if "per_tensor" in options else channel_scales
        # Weights have no outliers to give up: a percentile is for activations.
        scales = of_weights(
            product.weights,
            get_format("int4"),
            "max" if method == "percentile" else policy.scaling,
            percentile=100,
            power_of_two=policy.power_of_two,
        )
        assert np.array_equal(layer.weight_scale, scales)
        assert layer.weight_codes is not None
        assert (layer.weight_codes == get_format("int4").encode(product.weights / scales)).all()
        assert not layer.through_output


def test_calibration_looks_at_its_own_images_alone(tmp_path: Path) -> None:
    model, data = two_layers(tmp_path)
    brighter = Images(data.source, 100 * data.images, data.labels, data.calibration)
    plans = [plan_network(model, each, "int8", "max") for each in (data, brighter)]
    assert plans[0].layers["fc0"].activation_scale == plans[1].layers["fc0"].activation_scale
    without = Images(data.source, data.images, data.labels)
    assert plan_network(model, without, "int8", "max").layers["fc0"].activation_scale == pytest.approx(
        np.abs(data.images).max() / 127
    )


@pytest.mark.parametrize(("option", "rounding"), [("gptq", second_order), ("learned", learned)])
def test_rounding_is_by_the_moments_of_rounded_inputs(option: str, rounding: object, tmp_path: Path) -> None:
    assert callable(rounding)
    model, data = two_layers(tmp_path)
    plan = plan_network(model, data, "int4 x int4", f"max+{option}")
    seen = calibrate(model, data.for_calibration)
    fmt = get_format("int4")
    for product in model.products:
        layer = plan.layers[product.name]
        inputs = seen[product.name].activations
        rounded = fmt.decode(encode(inputs, fmt, layer.activation_scale).codes) * layer.activation_scale
        assert product.weights is not None
        assert layer.weight_codes is not None
        expected = rounding(product.weights[0] / layer.weight_scale[0], fmt, rounded.T @ rounded)  # type: ignore[index]
        assert (fmt.decode(layer.weight_codes[0]) == fmt.decode(expected)).all()


def test_migration_moves_magnitudes_and_keeps_the_product(tmp_path: Path) -> None:
    model, data = two_layers(tmp_path)
    assert data.calibration is not None
    data.calibration[:, 4] *= 64
    plan = plan_network(model, data, "int8 x int8", "max+smooth=0.6")
    seen = calibrate(model, data.for_calibration)
    for product in model.products:
        layer, inputs, weights = plan.layers[product.name], seen[product.name].activations, product.weights
        assert layer.migration is not None
        assert weights is not None
        factors = migration_factors(inputs, weights, 0.6)
        assert (layer.migration == factors).all()
        assert layer.activation_scale == pytest.approx(np.abs(inputs / factors).max() / 127)
        moved = weights[0] * factors[:, None]
        assert layer.weight_scale[0] == pytest.approx(np.abs(moved).max(axis=0, keepdims=True) / 127)  # type: ignore[index]
        got = mac_product(product, layer, inputs, None).values
        assert product.bias is not None
        exact = inputs @ weights[0] + product.bias
        assert np.abs(got - exact).max() < 0.1 * np.abs(exact).max()
    assert plan.layers["fc0"].migration is not None
    assert plan.layers["fc0"].migration[4] >= 8


def test_convolutions_are_not_migrated(tmp_path: Path) -> None:
    network = small_network(tmp_path)
    plan = plan_network(network.model, network.data.first(2), "int8", "max+smooth")
    assert [layer.migration is None for layer in plan.layers.values()] == [True, True, False]


def test_ffp8_chooses_for_each_tensor_of_each_layer(tmp_path: Path) -> None:
    model, data = two_layers(tmp_path)
    plan = plan_network(model, data, "fp8", "ffp8")
    seen = calibrate(model, data.for_calibration)
    for product in model.products:
        layer, choice = plan.layers[product.name], plan.choices[product.name]
        assert product.weights is not None
        activation = choose_format(seen[product.name].activations, 8)
        weight = choose_format(product.weights, 8)
        assert (layer.mac.activation, layer.mac.weight) == (activation.format, weight.format)
        assert choice["activation"] == activation.format.spec
        assert choice["weight"] == weight.format.spec
        assert choice["activation_sqnr_db"] == round(activation.sqnr_db, 2)
        assert choice["weight_sqnr_db"] == round(weight.sqnr_db, 2)
        assert "exponent_bits_limited" not in choice
        assert (layer.activation_scale, layer.weight_scale) == (1, 1)
        assert np.array_equal(codes_of(layer), weight.format.encode(product.weights))
    assert not plan.layers["fc1"].mac.activation.signed  # behind a ReLU


def test_ffp8_keeps_to_accumulators_that_there_are(tmp_path: Path) -> None:
    """Powers of two over 60 binades want 6 or 7 exponent bits: exact sums of both need over 128 bits."""
    powers = np.exp2(-np.arange(60.0))
    model = linear_network(tmp_path / "wide.onnx", [powers[:, None]], [np.zeros(1)])
    images = np.tile(powers.astype(np.float32), (3, 1))
    assert choose_format(powers, 8).format.exponent_bits > 5
    data = Images("powers", images, None, images)
    plan = plan_network(model, data, "fp8", "ffp8")
    choice, mac = plan.choices["fc0"], plan.layers["fc0"].mac
    assert "accumulator" in choice["exponent_bits_limited"]
    assert (choice["activation"], choice["weight"]) == (mac.activation.spec, mac.weight.spec)
    assert mac.activation == choose_format(powers, 8, most_exponent_bits=5).format
    assert mac.weight.exponent_bits <= 5


def test_a_tensor_that_ffp8_holds_exactly_has_no_noise(tmp_path: Path) -> None:
    model = linear_network(tmp_path / "exact.onnx", [np.array([[1.0, 0.5]])], [np.zeros(2)])
    images = np.array([[1.0], [0.3]], np.float32)
    choice = plan_network(model, Images("two", images, None, images), "fp8", "ffp8").choices["fc0"]
    assert choice["weight_sqnr_db"] is None
    assert choice["activation_sqnr_db"] > 30


def test_computed_right_operands_have_one_scale() -> None:
    model, data = load_model("vit_fashion"), load_images("fashion_mnist_1000").first(2)
    data = Images(data.source, data.images, data.labels, data.for_calibration[:4])
    plan = plan_network(model, data, "int8", "mse")
    seen = calibrate(model, data.for_calibration)
    attention = [product for product in model.products if product.weights is None]
    assert attention
    for product in attention[:2]:
        layer, second = plan.layers[product.name], seen[product.name].second
        assert second is not None
        assert layer.weight_scale == tensor_scale(second, get_format("int8"), "mse", percentile=100)
        assert layer.weight_codes is None


# -- bias correction --------------------------------------------------------------------------------------


def means_by_layer(model: Model, data: Images, layers: object) -> dict[str, tuple[Reals, Reals]]:
    """Mean output of every channel over the calibration images, in float32 and in the plan's formats."""
    exact: dict[str, Reals] = {}
    rounded: dict[str, Reals] = {}
    seen = calibrate(model, data.for_calibration)

    def look(
        product: Product, x: NDArray[np.float32], second: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        values = mac_product(product, layers[product.name], x, second).values  # type: ignore[index]
        axis = 1 if product.window is not None else -1
        own = seen[product.name]
        outputs = float32_product(product, own.activations, own.second)
        for found, output in ((exact, outputs), (rounded, values)):
            moved = np.moveaxis(output, axis, -1)
            found[product.name] = moved.reshape(-1, moved.shape[-1]).mean(axis=0, dtype=np.float64)
        return values

    execute(model, data.for_calibration, look)
    return {name: (exact[name], rounded[name]) for name in exact}


@pytest.mark.parametrize("policy", ["max", "mse+gptq", "percentile+smooth"])
def test_corrected_layers_have_the_means_of_float32(policy: str, tmp_path: Path) -> None:
    """Also behind layers whose own rounding, and noise before a ReLU, moved the mean of their inputs."""
    network = small_network(tmp_path)
    data = Images("few", network.data.images, network.data.labels, network.data.for_calibration[:60])
    plain, corrected = (
        plan_network(network.model, data, "int4 x int4", policy + option)
        for option in ("", "+bias_correction")
    )
    before = means_by_layer(network.model, data, plain.layers)
    after = means_by_layer(network.model, data, corrected.layers)
    for name, (exact, rounded) in after.items():
        size = np.abs(exact).max()
        assert np.abs(rounded - exact).max() < 1e-4 * size
        assert np.abs(before[name][1] - exact).max() > 0.01 * size
        assert np.array_equal(codes_of(plain.layers[name]), codes_of(corrected.layers[name]))


def test_channels_of_weights_on_the_left_are_corrected(tmp_path: Path) -> None:
    """Weights [channels, K] times a computed [K, places]: the channel is the last axis but one."""
    random = np.random.default_rng(11)
    left, right = random.normal(size=(3, 4)), random.normal(size=(3 * 5, 2))
    constants = {"left": left, "right": right, "bias": np.zeros(2)}
    nodes = [
        helper.make_node("MatMul", ["left", "image"], ["product"], name="product"),
        helper.make_node("Flatten", ["product"], ["flat"], name="flat"),
        helper.make_node("Gemm", ["flat", "right", "bias"], ["logits"], name="fc"),
    ]
    graph = helper.make_graph(
        nodes,
        "left",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 4, 5])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    file.ir_version = 8
    onnx.save(file, tmp_path / "left.onnx")
    model = load_model(tmp_path / "left.onnx")
    images = (1 + random.normal(size=(40, 4, 5))).astype(np.float32)
    data = Images("left", images, None, images)
    plan = plan_network(model, data, "int4 x int4", "max+bias_correction")
    assert "leaves out" not in str(plan.warnings)
    product = model.products[0]
    assert product.weights is not None
    assert (product.weights[0] == left.T.astype(np.float32)).all()
    exact = np.einsum("ck,nkt->c", left, images) / (40 * 5)
    outputs = [
        mac_product(product, layers["product"], images.transpose(0, 2, 1), None).values
        for layers in (plan_network(model, data, "int4 x int4", "max").layers, plan.layers)
    ]
    before, after = (values.mean(axis=(0, 1), dtype=np.float64) for values in outputs)
    assert np.abs(before - exact).max() > 0.1
    assert after == pytest.approx(exact, abs=1e-5)


def test_only_layers_whose_policy_says_so_are_corrected(tmp_path: Path) -> None:
    model, data = two_layers(tmp_path)
    policies = {"int4 x int4": "max+bias_correction", "int8": "max"}
    plan = plan_network(model, data, "int4 x int4", policies, layer_macs={"fc1": "int8"})
    assert "leaves out" not in str(plan.warnings)
    assert plan.layers["fc1"].bias is model.products[1].bias
    after = means_by_layer(model, data, plan.layers)
    assert after["fc0"][1] == pytest.approx(after["fc0"][0], abs=1e-5)
    assert np.abs(after["fc1"][1] - after["fc1"][0]).max() > 0.01


def test_layers_around_attention_are_corrected() -> None:
    """Computed right operands have no bias; their layers run as they are, image by image."""
    model, data = load_model("vit_fashion"), load_images("fashion_mnist_1000").first(2)
    data = Images(data.source, data.images, data.labels, data.for_calibration[:6])
    seen = calibrate(model, data.for_calibration)
    layers = plan_network(model, data, "int4 x int4", "max").layers
    correction = corrected(model, layers, seen, data.for_calibration, set(layers))
    after = means_by_layer(model, data, correction.layers)
    for product in model.products:
        exact, rounded = after[product.name]
        if product.weights is None:
            assert correction.layers[product.name] is layers[product.name]
        else:
            assert np.abs(rounded - exact).max() < 1e-4 * np.abs(exact).max()


def test_a_layer_without_bias_gets_one(tmp_path: Path) -> None:
    # 1.4 in steps of 1 becomes 1: at a mean input of 4 the outputs lose 4 x 0.4.
    model = linear_network(tmp_path / "one.onnx", [np.array([[1.4, 7.0]])], [np.zeros(2)])
    images = np.array([[7.0], [1.0]], np.float32)
    data = Images("two", images, None, images)
    plan = plan_network(model, data, "int4 x int4", "max+per_tensor+bias_correction")
    layer = plan.layers["fc0"]
    assert (layer.activation_scale, layer.weight_scale) == (1, 1)
    assert layer.bias == pytest.approx([4 * 0.4, 0])


def one_weight_that_becomes_zero(
    folder: Path, inputs: Sequence[float], last: float = -100
) -> tuple[Model, Images]:
    """Outputs 0.4 x, 0.8, 7 x + last: in steps of 1 the first weight is 0, and only the mean comes back."""
    model = linear_network(folder / "one.onnx", [np.array([[0.4, 0, 7]])], [np.array([0, 0.8, last])])
    images = np.array(inputs, np.float32)[:, None]
    return model, Images("few", images, None, images)


def test_a_correction_that_costs_classes_is_left_out_and_told(tmp_path: Path) -> None:
    # Float32 gives 1 the class 1 and 7 the class 0. Without correction all get 1. The mean of 0.4 x is 1,
    # which is above 0.8: with it all get 0.
    model, data = one_weight_that_becomes_zero(tmp_path, [1, 1, 1, 7])
    plan = plan_network(model, data, "int4 x int4", "max+per_tensor+bias_correction")
    assert plan.layers["fc0"].bias is model.products[0].bias
    told = "1 of 4 calibration images get the class of float32 with it, 3 without it"
    assert plan.choices["bias_correction"] == told
    assert plan.warnings == (f"policy max+per_tensor+bias_correction leaves out bias_correction: {told}",)
    assert run_plan(model, data, plan).warnings == plan.warnings


def test_a_correction_that_wins_classes_or_costs_none_is_kept(tmp_path: Path) -> None:
    # The mean of 0.4 x is 2.2: with it all get 0, without it all get 1.
    model, data = one_weight_that_becomes_zero(tmp_path, [7, 7, 7, 1])
    plan = plan_network(model, data, "int4 x int4", "max+per_tensor+bias_correction")
    assert plan.layers["fc0"].bias == pytest.approx([2.2, 0.8, -100])
    told = "3 of 4 calibration images get the class of float32 with it, 1 without it"
    assert (plan.choices["bias_correction"], plan.warnings) == (told, ())
    # The mean is 1.6: two against two.
    model, data = one_weight_that_becomes_zero(tmp_path, [7, 7, 1, 1])
    plan = plan_network(model, data, "int4 x int4", "max+per_tensor+bias_correction")
    assert plan.layers["fc0"].bias == pytest.approx([1.6, 0.8, -100])
    assert "2 of 4 calibration images get the class of float32 with it, 2 without" in str(plan.choices)
    # The mean is 0.64, which changes no class: nine are right and one is wrong in both ways.
    model, data = one_weight_that_becomes_zero(tmp_path, [1] * 9 + [7])
    plan = plan_network(model, data, "int4 x int4", "max+per_tensor+bias_correction")
    assert plan.layers["fc0"].bias == pytest.approx([0.64, 0.8, -100])
    assert "9 of 10 calibration images get the class of float32 with it, 9 without" in str(plan.choices)
    # The last output is 0.5 for 1 and 42.5 for 7: what comes second changes, and does not count.
    model, data = one_weight_that_becomes_zero(tmp_path, [1] * 9 + [7], last=-6.5)
    plan = plan_network(model, data, "int4 x int4", "max+per_tensor+bias_correction")
    assert "10 of 10 calibration images get the class of float32 with it, 10 without" in str(plan.choices)


@pytest.mark.parametrize(
    ("won", "lost", "harm"),
    [
        (0, 0, False),
        (3, 0, False),
        (0, 1, True),
        (10, 11, False),
        (23, 29, True),
        (7, 9, False),
        (7, 10, True),
    ],
)
def test_harm_is_more_than_half_a_standard_error(won: int, lost: int, harm: bool) -> None:
    # 9 - 7 is half of the root of 16.
    correction = Correction({}, 100, 60, won, lost)
    assert correction.does_harm == harm
    assert correction.describe() == (
        f"60 of 100 calibration images get the class of float32 with it, {60 - won + lost} without it"
    )


def test_all_calibration_images_are_counted_and_both_warnings_are_told(tmp_path: Path) -> None:
    model, data = one_weight_that_becomes_zero(tmp_path, [1] * 150 + [7] * 50)
    plan = plan_network(model, data, "int4 x int4", "drop_in+bias_correction")
    # 0.4 * (150 + 7 * 50) / 200 = 1: as above, fifty times.
    uncalibrated, left_out = plan.warnings
    assert "leaves int4 x int4 uncalibrated" in uncalibrated
    assert "50 of 200 calibration images get the class of float32 with it, 150 without it" in left_out


def test_bias_correction_reaches_outputs_that_are_codes(tmp_path: Path) -> None:
    network = small_network(tmp_path)
    data = Images("few", network.data.images, network.data.labels, network.data.for_calibration[:20])
    plan = plan_network(network.model, data, "elma8", "drop_in+bias_correction")
    before = means_by_layer(network.model, data, plan_network(network.model, data, "elma8").layers)
    after = means_by_layer(network.model, data, plan.layers)
    for name, (exact, rounded) in after.items():
        # The output itself is rounded to log8.1 behind the bias, so the mean is given back but for that.
        assert np.abs(rounded - exact).sum() < 0.7 * np.abs(before[name][1] - exact).sum()


# -- policies by MAC --------------------------------------------------------------------------------------


def test_a_policy_for_each_mac(tmp_path: Path) -> None:
    model, data = two_layers(tmp_path)
    plan = plan_network(model, data, "int8", {"int8": "mse", "elma8": "drop_in"}, layer_macs={"fc1": "elma8"})
    assert plan.policy == "int8=mse, elma8=drop_in"
    assert plan.layers["fc1"].through_output
    assert not plan.layers["fc0"].through_output
    assert plan.warnings == ()
    alone = plan_network(model, data, "int8", "mse")
    assert plan.layers["fc0"].activation_scale == alone.layers["fc0"].activation_scale


def test_a_mac_without_a_policy_has_its_default(tmp_path: Path) -> None:
    model, data = two_layers(tmp_path)
    plan = plan_network(model, data, "int8", layer_macs={"fc1": "fp16"})
    assert plan.policy == "int8=max, fp16=drop_in"
    plan = plan_network(model, data, "int8", {"int8": "mse"}, layer_macs={"fc1": "fp16"})
    assert plan.policy == "int8=mse, fp16=drop_in"
    assert plan_network(model, data, "int8", {"int8": "max"}).policy == "max"


def test_one_policy_for_all_macs_warns_of_those_it_does_not_suit(tmp_path: Path) -> None:
    model, data = two_layers(tmp_path)
    plan = plan_network(model, data, "int8", "max", layer_macs={"fc1": "elma8"})
    assert plan.policy == "max"
    (warning,) = plan.warnings
    assert "does not calibrate elma8" in warning
    result = run_plan(model, data, plan)
    assert result.warnings[0] == warning
    assert any("sums left the accumulator of elma8 (wrap)" in each for each in result.warnings)
    assert result.sums["fc1"].outside > 0
    assert (result.sums["fc0"].outside, result.sums["fc0"].sums) == (0, 20 * 8)


def test_policies_for_macs_that_are_not_there_are_refused(tmp_path: Path) -> None:
    model, data = two_layers(tmp_path)
    with pytest.raises(UserError, match=r"policy is for a MAC that no layer has .*elma8"):
        plan_network(model, data, "int8", {"elma8": "mse"})
    with pytest.raises(UserError, match="leaves no room for others"):
        plan_network(model, data, "int8", "mixed", layer_macs={"fc1": "elma8"})


# -- whole networks ---------------------------------------------------------------------------------------


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
