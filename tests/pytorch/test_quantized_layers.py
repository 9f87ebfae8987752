"""Do swapped layers compute with the formats' values, and does retraining gain what `infer` then measures?"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'systolic-simulator[torch]'")

from simulator.foundation import UserError
from simulator.inference import load_images
from simulator.numerics.formats import get_format
from simulator.pytorch import (
    LayerScales,
    calibrate_activations,
    infer,
    layer_scales,
    not_quantized,
    quantized,
    refresh_weight_scales,
    simulate,
)
from tests.pytorch.modules import AttentionBlock, CalledByKeyword, LeNet5, SmallCnn, seeded, trained_lenet5


def test_a_layer_by_hand() -> None:
    """int3 holds -4 to 3: weights 0.9 and -0.6 on scale 0.3 are 3 and -2, inputs 3.0 and 1.1 on 1 are 3, 1.

    0.9 x 3 - 0.6 x 1 + 0.5 = 2.6. Float32 scales of `max` put 0.9 on 3 and 3.0 on 3.
    """
    layer = torch.nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.9, -0.6]]))
        layer.bias.fill_(0.5)
    made = quantized(
        torch.nn.Sequential(layer), "int3 x int3", "max", calibration=torch.tensor([[3.0, -2.0]])
    )
    scales = layer_scales(made)["0"]
    assert scales.activation == pytest.approx(1.0, rel=1e-6)
    np.testing.assert_allclose(scales.weight, [0.3], rtol=1e-6)
    assert (scales.mac, scales.activation_format, scales.weight_format) == ("int3 x int3", "int3", "int3")
    assert made(torch.tensor([[3.0, 1.1]])).item() == pytest.approx(2.6, rel=1e-6)
    assert layer(torch.tensor([[3.0, 1.1]])).item() == pytest.approx(0.9 * 3 - 0.66 + 0.5, rel=1e-6)


def test_gradients_reach_weights_and_inputs() -> None:
    """The second weight saturates and has no gradient; that of the first is the rounded input, 2."""
    made = quantized(torch.nn.Sequential(torch.nn.Linear(2, 1)), "int3 x int3", "drop_in")
    with torch.no_grad():
        made[0].weight.copy_(torch.tensor([[1.2, 9.0]]))
    inputs = torch.tensor([[2.3, 1.0]], requires_grad=True)
    made(inputs).sum().backward()
    assert made[0].weight.grad.tolist() == [[2.0, 0.0]]
    assert inputs.grad is not None
    assert inputs.grad.tolist() == [[1.0, 3.0]]


def test_the_module_stays_as_it_is_and_names_are_kept() -> None:
    module = seeded(SmallCnn)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    made = quantized(module, "int8", calibration=torch.randn(4, 3, 12, 12))
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert set(before) < set(made.state_dict())
    assert list(layer_scales(made)) == ["features.0", "features.4", "classifier"]
    assert layer_scales(module) == {}
    assert not_quantized(made) == []
    assert made.load_state_dict(module.state_dict(), strict=False).unexpected_keys == []


def test_only_layers_that_are_named_are_swapped() -> None:
    module = seeded(AttentionBlock)
    made = quantized(module, "e4m3 x e4m3", layers=["query", "out"])  # no warning of what was left out
    assert list(layer_scales(made)) == ["query", "out"]
    assert not_quantized(made) == ["key.weight", "value.weight"]
    with pytest.warns(UserWarning, match=r"Sequential is in part not rounded .* float32: 0\.weight$"):
        embedded = quantized(torch.nn.Sequential(torch.nn.Embedding(3, 2), torch.nn.Linear(2, 2)))
    assert not_quantized(embedded) == ["0.weight"]


@pytest.mark.parametrize("policy", ["max", "mse", "percentile", "max+per_tensor", "mse+power_of_two"])
def test_scales_are_those_that_inference_finds(policy: str) -> None:
    """The first layer sees the images themselves, so its scale has the same bits; others see float32 sums."""
    images = load_images("fashion_mnist_1000")
    assert images.calibration is not None
    rows = images.calibration[:64]
    module = trained_lenet5()
    found = layer_scales(quantized(module, "int4 x int4", policy, calibration=rows))
    plan = infer(module, images.images[:4], mac="int4 x int4", policy=policy, calibration=rows).plan
    assert list(found) == list(plan.layers)
    for name, layer in plan.layers.items():
        np.testing.assert_array_equal(np.ravel(layer.weight_scale), np.ravel(found[name].weight))
        assert found[name].activation == pytest.approx(layer.activation_scale, rel=1e-3)
    assert found["conv1"].activation == plan.layers["conv1"].activation_scale


def test_state_and_calibration_stand_for_each_other() -> None:
    rows = torch.randn(8, 3, 12, 12)
    first = quantized(seeded(SmallCnn), "int4 x int4", "mse", calibration=rows)
    second = quantized(seeded(SmallCnn, 1), "int4 x int4", "mse")
    with pytest.raises(UserError, match="activations are not calibrated"):
        second(rows)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(rows), second(rows))
    third = quantized(seeded(SmallCnn), "int4 x int4", "mse").train()
    calibrate_activations(third, rows)
    assert third.training
    assert torch.equal(first(rows), third.eval()(rows))


def test_scales_of_weights_are_found_anew() -> None:
    made = quantized(torch.nn.Sequential(torch.nn.Linear(4, 2)), "int8", "max")
    before = layer_scales(made)["0"].weight
    with torch.no_grad():
        made[0].weight.mul_(4.0)
    np.testing.assert_array_equal(layer_scales(made)["0"].weight, before)
    refresh_weight_scales(made)
    np.testing.assert_allclose(layer_scales(made)["0"].weight, np.multiply(before, 4), rtol=1e-6)


def test_compiled_layers_compute_the_same() -> None:
    rows = torch.randn(8, 3, 12, 12)
    made = quantized(seeded(SmallCnn), "e3m2 x e3m2", calibration=rows)
    compiled = torch.compile(made, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(rows), made(rows))


def test_a_network_in_int8_has_the_codes_and_outputs_of_inference() -> None:
    """int8 sums are exact in `infer`'s 32-bit accumulators: both differ by float32 rounding of sums alone.

    A value that such a difference moves over a tie becomes the next code, and moves outputs by a step of the
    last layer's scales or so; 1e-2 of the largest output is more than all of that, and far less than an error
    in a scale would make. Most rows have no such tie and agree to 1e-5.
    """
    images = load_images("fashion_mnist_1000")
    assert images.labels is not None
    made = quantized(trained_lenet5(), "int8", "max", calibration=images.calibration)
    rows = images.images[:100]
    result = infer(made, rows, labels=images.labels[:100])
    with torch.no_grad():
        expected = made(torch.from_numpy(rows)).numpy()
    errors = np.abs(result.logits - expected).max(axis=1) / np.abs(expected).max()
    assert errors.max() <= 1e-2
    assert np.median(errors) <= 1e-5
    assert result.accuracy.policy == "trained scales"
    found = result.plan.layers["fc3"].weight_codes
    assert found is not None
    codes = get_format("int8").encode(
        made.fc3.weight.detach().numpy() / np.reshape(layer_scales(made)["fc3"].weight, (-1, 1))
    )
    np.testing.assert_array_equal(found[0].T, codes)


def test_convolutions_of_one_dimension_and_of_groups() -> None:
    """A network whose first layer sees the data: 8-bit codes times codes, summed exactly in both."""
    module = torch.nn.Sequential(torch.nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2, bias=True))
    rows = torch.randn(5, 4, 9)
    made = quantized(module, "int8", "max", calibration=rows)
    result = infer(made, rows)
    assert result.accuracy.policy == "trained scales"
    with torch.no_grad():
        expected = made(rows).numpy()
    assert np.abs(result.logits - expected).max() <= 1e-5 * np.abs(expected).max()


def test_products_without_scales_are_planned_by_the_policy_and_named() -> None:
    rows = (torch.randn(4, 6, 16), torch.zeros(4, 6))
    with pytest.warns(UserWarning, match="AttentionBlock is in part not rounded and stays in float32: bmm$"):
        made = quantized(seeded(AttentionBlock), "int8", calibration=rows)
    result = infer(made, rows)
    (said,) = [each for each in result.warnings if "without trained scales" in each]
    assert said.startswith("layers without trained scales, by policy max: ")
    with torch.no_grad():
        expected = made(*rows).numpy()
    # Scores and context are rounded in `infer` alone: two more roundings of 8 bits.
    assert np.abs(result.logits - expected).max() <= 0.05 * np.abs(expected).max()


def test_scales_that_a_policy_replaces_are_said() -> None:
    made = quantized(seeded(LeNet5), "int8", calibration=torch.randn(4, 1, 28, 28))
    result = infer(made, torch.randn(4, 1, 28, 28), policy="max")
    assert result.accuracy.policy == "max"
    assert any("scales of 5 fake-quantized layers are not used" in each for each in result.warnings)
    assert simulate(made, torch.zeros(1, 1, 28, 28)).totals.macs == 416_520


def test_mistakes_are_named() -> None:
    cnn = seeded(SmallCnn)
    rows = torch.randn(4, 3, 12, 12)
    with pytest.raises(UserError, match="cannot be trained through: bias_correction"):
        quantized(cnn, "int8", "max+bias_correction")
    with pytest.raises(UserError, match="cannot be trained through: search"):
        quantized(cnn, "int8", "mixed")
    with pytest.raises(UserError, match="did you mean 'classifier'"):
        quantized(cnn, "int8", layers=["clasifier"])
    with pytest.raises(UserError, match="has no layers that can be quantized"):
        quantized(torch.nn.Sequential(torch.nn.ReLU()), "int8")
    with pytest.raises(UserError, match="did you mean 'int8'"):
        quantized(cnn, "imt8")
    made = quantized(cnn, "int8", calibration=rows)
    with pytest.raises(UserError, match=r"features\.0: its weights are not those .* batch normalization"):
        infer(made, rows)
    with pytest.raises(UserError, match="activations are NaN or infinite"):
        calibrate_activations(made, rows * np.inf)
    lenet, images = (
        quantized(seeded(LeNet5), "int8", calibration=torch.randn(4, 1, 28, 28)),
        torch.randn(4, 1, 28, 28),
    )
    with pytest.raises(UserError, match="scales are of other formats than those of e4m3 x e4m3"):
        infer(lenet, images, mac="e4m3 x e4m3")
    with pytest.raises(UserError, match=r"lacks .got 'conv9'.*did you mean 'conv"):
        infer(lenet, images, scales={"conv9": LayerScales("int8", "int8", "int8", 1.0, 1.0)})


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Small tensors gain nothing from threads, which wait for each other on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_retraining_gains_accuracy_in_three_bits() -> None:
    """LeNet-5 in int3 x int3: 76.3 % of 1,000 test images by `max`, against 91.2 % in float32.

    Thirty epochs on the 256 bundled training images. Six orders of the images gave 3.9 to 6.6 points more,
    with a mean of 5.0 and a standard deviation of 0.9: where floating point rounds otherwise, training goes
    another way as with another order, and 2.3 points are three standard deviations below the mean.
    """
    started = time.process_time()
    data = load_images("fashion_mnist_1000")
    assert data.calibration is not None
    images, labels = torch.from_numpy(data.calibration), torch.from_numpy(data.calibration_labels)
    network = quantized(trained_lenet5(), "int3 x int3", "max", calibration=images)
    before = infer(network, data.images, labels=data.labels).accuracy
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    order = torch.Generator().manual_seed(1)
    for epoch in range(30):
        for batch in torch.randperm(len(images), generator=order).split(32):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(images[batch]), labels[batch]).backward()
            optimizer.step()
        if epoch % 5 == 4:
            refresh_weight_scales(network)
    result = infer(network, data.images, labels=data.labels)
    after = result.accuracy
    assert before.top1 is not None
    assert after.top1 is not None
    assert before.top1 == pytest.approx(0.763, abs=0.003)
    assert after.top1 - before.top1 >= 0.023
    with torch.no_grad():
        agreed = network.eval()(torch.from_numpy(data.images)).argmax(1).numpy() == result.logits.argmax(1)
    assert np.mean(agreed) >= 0.995
    assert time.process_time() - started < 120


@pytest.mark.parametrize("padded", [False, True])
def test_transformer_layers_round_in_evaluation_without_gradients_too(padded: bool) -> None:
    """PyTorch's fused kernel for that case reads the weights and would not run the layers."""
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    rows = torch.randn(4, 5, 8)
    encoder = torch.nn.TransformerEncoder(layer, 2)
    with pytest.warns(UserWarning, match=r"layers\.1\.self_attn\.in_proj_weight, "):
        made = quantized(encoder, "int4 x int4", "max", calibration=rows).eval()
    mask = torch.zeros(4, 5, dtype=torch.bool)
    mask[:, 4] = padded
    choices = {"src_key_padding_mask": mask} if padded else {}
    expected = made(rows, **choices).detach()
    with torch.no_grad():
        found = made(rows, **choices)
    exact = encoder.eval()(rows, **choices).detach()
    torch.testing.assert_close(found, expected)
    assert (found[:, :4] - exact[:, :4]).abs().max() > 0.01


def test_a_layer_called_by_keyword_is_calibrated() -> None:
    made = quantized(CalledByKeyword(), "int3 x int3", "max", calibration=torch.tensor([[6.0, -2.0]]))
    assert layer_scales(made)["inner"].activation == 2.0


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(UserError, match=r"module: is no PyTorch module \(got 'function'\)"):
        quantized(lambda rows: rows)
