"""Modules as people have them: tied, shared, wrapped, on other devices, with other results and data."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'systolic-simulator[torch]'")

from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from simulator.foundation import UserError
from simulator.pytorch import (
    calibrate_activations,
    float32_products,
    infer,
    layer_scales,
    not_quantized,
    quantized,
    refresh_weight_scales,
    simulate,
)

ROWS = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))


class Twice(nn.Module):
    """One layer in two calls; the second sees values that are three times as large."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 6)

    def forward(self, rows: Any) -> Any:
        return self.inner(self.inner(rows).relu() * 3)


class Tied(nn.Module):
    """Two layers with one weight and two biases, or one layer with two names."""

    def __init__(self, *, one_layer: bool = False) -> None:
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.second = self.first if one_layer else nn.Linear(6, 6)
        self.second.weight = self.first.weight

    def forward(self, rows: Any) -> Any:
        return self.second(self.first(rows).relu())


class TiedEmbedding(nn.Module):
    """The table of an embedding is the weight of the last layer too."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(11, 6)
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.table.weight

    def forward(self, ids: Any) -> Any:
        return self.head(self.table(ids))


class Functional(nn.Module):
    """Products that belong to no layer: of a parameter, of a buffer, and one with a layer's own weight."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(6, 6))
        self.register_buffer("fixed", torch.randn(6, 6))
        self.inner = nn.Linear(6, 6)

    def forward(self, rows: Any) -> Any:
        rows = functional.linear(rows, self.table) @ self.fixed
        return functional.linear(self.inner(rows), self.inner.weight)


class Arguments(nn.Module):
    """Takes a mapping and a keyword; gives a mapping of tensors, a tuple and no tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 3)

    def forward(self, parts: dict[str, Any], *, factor: Any = None) -> Any:
        out = self.inner(parts["rows"])
        return {"out": out if factor is None else out * factor, "more": (out.sum(-1), None, 3, "text")}


def seed(made: Any) -> Any:
    torch.manual_seed(0)
    return made().eval()


def agree(made: Any, *rows: Any) -> Any:
    """`infer` with the module's own scales, and that its outputs are those of PyTorch."""
    result = infer(made, rows if len(rows) > 1 else rows[0])
    expected = made(*rows).detach().float().numpy()
    assert result.accuracy.policy == "trained scales"
    assert np.abs(result.logits - expected).max() <= 1e-5 * np.abs(expected).max()
    return result


@pytest.mark.parametrize(
    ("layer", "name", "shape"),
    [
        (lambda: nn.Linear(6, 3), "linear", (4, 6)),
        (lambda: nn.Conv1d(2, 3, 3), "conv1d", (4, 2, 6)),
        (lambda: nn.Conv2d(2, 3, 3), "conv2d", (4, 2, 5, 5)),
        (lambda: nn.Conv3d(2, 3, 2), "conv3d", (4, 2, 3, 3, 3)),
    ],
)
def test_a_root_module_that_is_a_layer(layer: Any, name: str, shape: tuple[int, ...]) -> None:
    """It is called as PyTorch calls what it does, because its qualified name is empty."""
    rows = torch.randn(shape)
    module = seed(layer)
    made = quantized(module, "int8", calibration=rows)
    assert list(layer_scales(made)) == [name]
    assert [each.name for each in simulate(module, rows).layers] == [name]
    assert list(agree(made, rows).layers) == [name]
    assert list(layer_scales(quantized(module, layers=[name]))) == [name]


def test_a_layer_that_is_called_twice_has_its_scale_in_both_calls() -> None:
    """Its scale covers the larger values of the second call, and `infer` takes it for both."""
    module = seed(Twice)
    made = quantized(module, "int8", "max", calibration=ROWS)
    second = module.inner(ROWS).relu() * 3
    largest = float(torch.cat([ROWS, second]).detach().abs().max())
    assert layer_scales(made)["inner"].activation == pytest.approx(largest / 127, rel=1e-6)
    result = agree(made, ROWS)
    assert list(result.layers) == ["inner", "inner_2"]
    assert not result.warnings
    assert [layer.activation_scale for layer in result.plan.layers.values()] == [
        layer_scales(made)["inner"].activation
    ] * 2


def test_tied_layers_have_their_own_names_and_scales() -> None:
    made = quantized(seed(Tied), "int8", "max", calibration=ROWS)
    assert made.first.weight is made.second.weight
    result = agree(made, ROWS)
    scales = layer_scales(made)
    assert list(result.layers) == list(scales) == ["first", "second"]
    assert [layer.activation_scale for layer in result.plan.layers.values()] == [
        scales["first"].activation,
        scales["second"].activation,
    ]
    assert scales["first"].activation != scales["second"].activation
    assert [layer.name for layer in simulate(seed(Tied), ROWS).layers] == ["first", "second"]
    assert simulate(seed(Tied), ROWS).totals.macs == 2 * 4 * 6 * 6


def test_one_layer_with_two_names_has_one_scale() -> None:
    made = quantized(seed(lambda: Tied(one_layer=True)), "int8", "max", calibration=ROWS)
    assert list(layer_scales(made)) == ["first"]
    result = agree(made, ROWS)
    assert list(result.layers) == ["first", "second"]
    assert len({layer.activation_scale for layer in result.plan.layers.values()}) == 1


def test_the_weight_of_an_embedding_and_a_layer() -> None:
    ids = torch.randint(0, 11, (4, 5))
    made = quantized(seed(TiedEmbedding), "int8", "max", calibration=ids)
    assert not_quantized(made) == []
    assert list(agree(made, ids).layers) == ["head"]


def test_what_functions_multiply_is_named() -> None:
    module = seed(Functional)
    with pytest.warns(UserWarning, match="Functional is in part not rounded .* float32: table, mm$"):
        made = quantized(module, "int8", calibration=ROWS)
    assert not_quantized(made) == ["table"]
    assert float32_products(made, ROWS) == ["mm"]
    assert float32_products(module, ROWS) == ["mm", "inner: addmm"]
    result = infer(made, ROWS)
    (said,) = [each for each in result.warnings if "without trained scales" in each]
    assert said == "layers without trained scales, by policy max: linear, matmul, inner_2"


@pytest.mark.parametrize(
    ("made", "shape", "found"),
    [
        (lambda: nn.GRU(6, 4, batch_first=True), (4, 5, 6), "0: "),
        (lambda: nn.LSTM(6, 4, batch_first=True), (4, 5, 6), "0: "),
        (lambda: nn.ConvTranspose2d(2, 3, 2), (4, 2, 5, 5), "0: convolution"),
        (lambda: nn.Bilinear(6, 6, 4), None, "0: _trilinear"),
        (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(6, 3)), (4, 6), "0: addmm"),
        (lambda: nn.TransformerEncoderLayer(6, 2, 8, batch_first=True), (4, 5, 6), "0"),
    ],
)
def test_layers_that_are_not_swapped_are_found(made: Any, shape: Any, found: str) -> None:
    module = nn.Sequential(made()).eval() if shape else made().eval()
    rows = torch.randn(shape) if shape else (ROWS, ROWS)
    products = float32_products(module, rows)
    assert products
    assert all(each.startswith(found if shape else "_trilinear") for each in products)
    assert not [each for each in module.modules() if each._forward_hooks or each._forward_pre_hooks]


def test_a_layer_with_a_computed_weight_stays_as_it_is() -> None:
    module = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(6, 6)), nn.Linear(6, 3)).eval()
    with pytest.warns(UserWarning, match=r"0\.parametrizations\.weight\.original1, 0: addmm$"):
        made = quantized(module, "int8", calibration=ROWS)
    assert list(layer_scales(made)) == ["1"]
    with pytest.warns(FutureWarning):
        old = nn.Sequential(nn.utils.weight_norm(nn.Linear(6, 6)), nn.Linear(6, 3))
    with pytest.raises(UserError, match="Sequential: module: cannot be copied: "):
        quantized(old)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # of PyTorch's own code
def test_wrappers_are_looked_into() -> None:
    module = nn.Sequential(nn.Linear(6, 3)).eval()
    made = quantized(module, "int8", calibration=ROWS)
    for wrap in (torch.compile, nn.DataParallel, lambda inner: nn.DataParallel(torch.compile(inner))):
        assert [layer.name for layer in simulate(wrap(module), ROWS).layers] == ["0"]
        assert list(layer_scales(wrap(made))) == ["0"]
        assert list(layer_scales(quantized(wrap(module), "int8"))) == ["0"]
        wrapped = wrap(made)
        assert list(infer(wrapped.eval(), ROWS).layers) == ["0"]
        assert infer(wrapped, ROWS).accuracy.policy == "trained scales"
        assert not_quantized(wrapped) == []
        refresh_weight_scales(wrapped)
        calibrate_activations(wrapped, ROWS * 2)
    assert layer_scales(made)["0"].activation == pytest.approx(float(ROWS.abs().max()) * 2 / 127, rel=1e-6)


def test_a_fake_quantized_module_is_saved_and_copied() -> None:
    made = quantized(nn.Sequential(nn.Linear(6, 3)).eval(), "int4 x int4", calibration=ROWS)
    stream = io.BytesIO()
    torch.save(made.state_dict(), stream)
    stream.seek(0)
    loaded = quantized(nn.Sequential(nn.Linear(6, 3)).eval(), "int4 x int4")
    loaded.load_state_dict(torch.load(stream))  # with weights_only, PyTorch's default
    for other in (loaded, copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert torch.equal(other(ROWS), made(ROWS))
        assert not other.training
        assert layer_scales(other)["0"].activation == layer_scales(made)["0"].activation
    with pytest.raises(UserError, match="scales in this state_dict are of another format"):
        quantized(nn.Sequential(nn.Linear(6, 3)), "int8").load_state_dict(made.state_dict())


def test_gradients_of_single_rows() -> None:
    """Of `torch.func` over parameters: d sum(out) / d weight of a row is the row as it is rounded."""
    made = quantized(nn.Sequential(nn.Linear(6, 3)).eval(), "int8", "max", calibration=ROWS)
    parameters = dict(made.named_parameters())

    def total(given: Any, row: Any) -> Any:
        return torch.func.functional_call(made, given, (row[None],)).sum()

    found = torch.func.vmap(torch.func.grad(total), in_dims=(None, 0))(parameters, ROWS)
    rounded = made[0].activation_quantizer(ROWS)
    torch.testing.assert_close(found["0.weight"], rounded[:, None, :].expand(4, 3, 6))
    torch.testing.assert_close(found["0.bias"], torch.ones(4, 3))


def test_autocast_changes_sums_and_not_scales() -> None:
    module = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 3)).eval()
    expected = quantized(module, "int4 x int4", calibration=ROWS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        made = quantized(module, "int4 x int4", calibration=ROWS)
        found = made(ROWS)
    for name, scales in layer_scales(expected).items():
        assert layer_scales(made)[name].activation == scales.activation
    assert found.dtype == torch.bfloat16
    found.float().sum().backward()
    assert made[0].weight.grad.dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(dtype: Any) -> None:
    """Weights and activations of half precisions are rounded from their own values."""
    module = nn.Sequential(nn.Linear(6, 3)).to(dtype).eval()
    made = quantized(module, "int8", "max", calibration=ROWS.to(dtype))
    largest = float(module[0].weight.detach().double().abs().max())
    assert float(np.max(layer_scales(made)["0"].weight)) == pytest.approx(largest / 127, rel=1e-6)
    assert made(ROWS.to(dtype)).dtype == dtype
    assert simulate(made, ROWS.to(dtype)).totals.macs == 4 * 6 * 3
    step = {torch.float16: 2**-10, torch.bfloat16: 2**-7, torch.float64: 2**-22}[dtype]
    expected = made(ROWS.to(dtype)).detach().double().numpy()
    found = infer(made, ROWS.to(dtype)).logits
    assert np.abs(found - expected).max() <= 4 * step * np.abs(expected).max()


def test_arguments_and_results_of_other_kinds() -> None:
    module = seed(Arguments)
    expected = module({"rows": ROWS})["out"].detach().numpy()
    result = infer(module, ({"rows": ROWS},), mac="fp32")
    np.testing.assert_allclose(result.logits, expected, rtol=1e-4, atol=1e-6)
    assert any(
        "results of Arguments that are no tensors are left out: int, str" in each for each in result.warnings
    )
    factor = torch.full((4, 1), 2.0)
    by_name = infer(module, {"parts": {"rows": ROWS}, "factor": factor}, mac="fp32")
    np.testing.assert_allclose(by_name.logits, 2 * expected, rtol=1e-4, atol=1e-6)
    made = quantized(module, "int8", calibration=({"rows": ROWS},))
    assert list(layer_scales(made)) == ["inner"]
    assert simulate(made, ({"rows": ROWS},)).totals.macs == 4 * 6 * 3
    assert module._forward_hooks == {}


def test_examples_move_to_the_device_of_the_module() -> None:
    assert simulate(nn.Linear(6, 3, device="meta"), ROWS).totals.macs == 4 * 6 * 3
    assert simulate(nn.Linear(6, 3), ROWS.to("meta")).totals.macs == 4 * 6 * 3
    with pytest.raises(UserError, match=r"weight: weights have no values on the device meta"):
        infer(nn.Linear(6, 3, device="meta", bias=False), ROWS)


class Items:
    """Rows by number, without labels; no class of PyTorch's."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        return ROWS[index]


class Stream(IterableDataset):
    """Rows one after the other."""

    def __iter__(self) -> Any:
        return iter(ROWS)


def test_data_without_labels() -> None:
    module = nn.Sequential(nn.Linear(6, 3)).eval()
    whole = infer(module, ROWS, mac="fp32").logits
    of_mappings = DataLoader([{"input": row} for row in ROWS], batch_size=3)
    for form in (
        TensorDataset(ROWS),
        Items(),
        Stream(),
        DataLoader(TensorDataset(ROWS), batch_size=3),
        DataLoader(Items(), batch_size=3),
        of_mappings,
        [ROWS[:1], ROWS[1:]],
    ):
        result = infer(module, form, mac="fp32")
        np.testing.assert_array_equal(result.logits, whole)
        assert result.accuracy.top1 is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (ROWS.to_sparse(), "data: is no dense tensor (got 'torch.sparse_coo')"),
        (ROWS.to("meta"), "data: has no values on the device meta"),
        ([None], "data: holds no tensor (got 'NoneType')"),
        ([torch.tensor(1.0)], "data: has batches that are one number"),
        ([(ROWS, "cat")], "data: has labels that are no numbers (got 'cat')"),
        (TensorDataset(ROWS, ROWS), "labels: must be one integer for each row"),
    ],
)
def test_data_that_cannot_be_used_are_named(data: Any, message: str) -> None:
    with pytest.raises(UserError) as raised:
        infer(nn.Sequential(nn.Linear(6, 3)).eval(), data)
    assert message in str(raised.value)


def with_weight(change: Any) -> Any:
    layer = nn.Linear(6, 3)
    layer.weight = nn.Parameter(change(layer.weight.detach()))
    return nn.Sequential(layer)


@pytest.mark.parametrize(
    ("module", "choices", "message"),
    [
        (with_weight(lambda weight: weight * np.nan), {}, "0: has weights that are NaN or infinite"),
        (with_weight(lambda weight: weight.to("meta")), {}, "0: has weights without dense values"),
        (with_weight(lambda weight: weight.to_sparse()), {}, "Sequential: module: cannot be copied"),
        (nn.Sequential(nn.LazyLinear(3)), {}, "0: has no weights yet; allowed: a module that was run once"),
        (nn.Linear(6, 3), {"layers": "linear"}, "layers: is no collection of names (got 'linear')"),
        (nn.Linear(6, 3), {"layers": 3}, "layers: is no collection of names (got 3)"),
        (nn.Linear(6, 3), {"layers": []}, "Linear: has no layers that can be quantized"),
        (
            nn.Linear(6, 3),
            {"calibration": torch.zeros(4, 7)},
            "Linear: module: cannot be run on the calibration rows: RuntimeError: mat1 and mat2 shapes",
        ),
    ],
)
def test_modules_that_cannot_be_quantized_are_named(module: Any, choices: Any, message: str) -> None:
    original = type(module)
    with pytest.raises(UserError) as raised:
        quantized(module, **choices)
    assert message.removeprefix("Linear: ") in str(raised.value)
    assert "\n" not in str(raised.value)
    assert type(module) is original
    with pytest.raises(UserError, match="module: is fake-quantized already"):
        quantized(quantized(nn.Linear(6, 3)))
