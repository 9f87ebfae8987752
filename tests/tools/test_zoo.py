"""The zoo's recorder of executed products, on modules whose products are worked out by hand."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import pytest

torch: Any = pytest.importorskip("torch", reason="PyTorch is an extra")

from tools.zoo import __main__ as command  # noqa: E402
from tools.zoo.execution import UnknownProductError, executed  # noqa: E402
from tools.zoo.products import Product, macs, without_order  # noqa: E402
from tools.zoo.values import randomize_uniform_values  # noqa: E402


def image(channels: int, side: int) -> Any:
    return torch.ones(2, channels, side, side)


@pytest.mark.parametrize(
    ("module", "inputs", "expected"),
    [
        # Two images of 6 x 6 results; 3 x 3 x 8 / 4 values make one of 12 / 4 results of a group.
        (lambda: torch.nn.Conv2d(8, 12, 3, groups=4), lambda: (image(8, 8),), {Product(4, 72, 3, 18): 1}),
        # Each of 2 x 25 input pixels, 6 / 2 channels of a group, gives 4 taps of 4 / 2 filters.
        (
            lambda: torch.nn.ConvTranspose2d(6, 4, 2, stride=2, groups=2),
            lambda: (image(6, 5),),
            {Product(2, 50, 8, 3): 1},
        ),
        (lambda: torch.nn.Linear(5, 7), lambda: (torch.ones(2, 3, 5),), {Product(1, 6, 7, 5): 1}),
    ],
)
def test_products_of_a_module(module: Any, inputs: Any, expected: dict[Product, int]) -> None:
    products, counted = executed(module(), inputs())
    assert products == Counter(expected)
    assert counted == macs(products)


def test_a_recurrent_layer_is_its_products() -> None:
    """Four gates of width 4: inputs of all three steps at once, then the state of each step."""
    products, _ = executed(torch.nn.LSTM(5, 4, batch_first=True), (torch.ones(1, 3, 5),))
    assert products == Counter({Product(1, 3, 16, 5): 1, Product(1, 1, 16, 4): 3})


def test_attention_is_its_products() -> None:
    """Six heads of 2 inputs: 3 queries times 5 keys of width 4, then weights times values of width 4."""

    class Attention(torch.nn.Module):
        def forward(self, queries: Any, keys: Any, values: Any) -> Any:
            return torch.nn.functional.scaled_dot_product_attention(queries, keys, values)

    shapes = ((2, 6, 3, 4), (2, 6, 5, 4), (2, 6, 5, 4))
    products, counted = executed(Attention(), tuple(torch.ones(shape) for shape in shapes))
    assert products == Counter({Product(12, 3, 5, 4): 1, Product(12, 3, 4, 5): 1})
    assert counted == 12 * 3 * 5 * 4 * 2


def test_no_bias_scale_or_statistic_stays_trivial() -> None:
    """Zeros become values of -0.5 to 0.5, ones of 0.5 to 1.5; random weights stay as they are."""
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3), torch.nn.BatchNorm2d(16), torch.nn.LayerNorm(16))
    torch.nn.init.zeros_(model[0].bias)
    weights = model[0].weight.clone()
    randomize_uniform_values(model, seed=3)
    assert torch.equal(model[0].weight, weights)
    zeros = [model[0].bias, model[1].bias, model[1].running_mean, model[2].bias]
    ones = [model[1].weight, model[1].running_var, model[2].weight]
    for values, low, high in [*((one, -0.5, 0.5) for one in zeros), *((one, 0.5, 1.5) for one in ones)]:
        assert len(set(values.tolist())) == 16
        assert all(low <= value <= high for value in values.tolist())
    assert model[1].num_batches_tracked.item() == 0
    again = torch.nn.LayerNorm(16)
    other = torch.nn.LayerNorm(16)
    randomize_uniform_values(again, seed=3)
    randomize_uniform_values(other, seed=3)
    assert torch.equal(again.weight, other.weight)
    assert torch.equal(again.bias, other.bias)


def test_an_operator_that_may_be_a_product_is_not_passed_over() -> None:
    class Integers(torch.nn.Module):
        def forward(self, values: Any) -> Any:
            whole = values.to(torch.int8)
            return torch._int_mm(whole, whole)

    with pytest.raises(UnknownProductError, match="_int_mm"):
        executed(Integers(), (torch.ones(32, 32),))


def test_a_product_and_its_transpose_are_one_without_order() -> None:
    assert without_order(Counter({Product(1, 3, 5, 7): 1, Product(1, 5, 3, 7): 2})) == Counter(
        {Product(1, 5, 3, 7): 3}
    )


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.delitem(sys.modules, "tools.zoo.architectures", raising=False)
    monkeypatch.delitem(sys.modules, "tools.zoo.vision", raising=False)
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert command.main([]) == 2
    assert "is not installed; `make zoo` makes an environment that has it" in capsys.readouterr().err
