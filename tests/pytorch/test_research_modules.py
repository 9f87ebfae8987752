"""Do modules as researchers write them have the MACs of a count by hand, and PyTorch's outputs in float32?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'systolic-simulator[torch]'")

from torch import nn

from simulator.foundation import UserError
from simulator.pytorch import infer, simulate
from tests.pytorch.research_modules import CASES, Forward

QUICK = {"residual", "rotary attention", "GRU", "batched product with a sum"}


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=() if each in QUICK else pytest.mark.slow) for each in CASES]
)
def test_a_module(name: str) -> None:
    """Outputs agree to 1e-5 of the largest: sums of at most 54 terms in another order."""
    case = CASES[name]
    torch.manual_seed(0)
    module = case.make().eval()
    for key, buffer in module.named_buffers():
        if key.endswith(("running_mean", "running_var")):
            buffer.copy_(torch.rand_like(buffer) + 0.25)
    inputs = case.inputs()
    with torch.no_grad():
        expected = module(*inputs).numpy()
    assert simulate(module, inputs).totals.macs == case.macs
    result = infer(module, inputs, mac="fp32")
    for found in (result.logits, result.float32_logits):
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize(("count", "at_once"), [(4, 2), (5, 1)])
def test_weights_that_are_repeated_for_each_inference(count: int, at_once: int) -> None:
    """Rows go two at a time where they are even, because the product has a group of weights for each."""
    torch.manual_seed(0)
    case = CASES["batched product with a sum"]
    module, rows = case.make().eval(), torch.randn(count, 4, 6)
    with torch.no_grad():
        expected = module(rows).numpy()
    result = infer(module, rows, mac="fp32")
    assert np.abs(result.logits - expected).max() <= 1e-5 * np.abs(expected).max()
    assert sum(f"rows go through {at_once} at a time" in note for note in result.warnings) == 1


@pytest.mark.parametrize(
    ("module", "inputs", "name"),
    [
        (nn.Linear(3, 2, dtype=torch.complex64), torch.zeros(2, 3, dtype=torch.complex64), "aten.linear"),
        (
            Forward(lambda m, x: torch.linalg.eigvalsh(m.inner(x)), inner=nn.Linear(3, 3)),
            torch.zeros(2, 3, 3),
            "aten._linalg_eigh",
        ),
        (
            Forward(lambda m, x: torch.special.bessel_j0(m.inner(x)), inner=nn.Linear(3, 3)),
            torch.zeros(2, 3),
            "bessel_j0",
        ),
    ],
)
def test_what_cannot_be_exported_is_named(module: Any, inputs: Any, name: str) -> None:
    with pytest.raises(UserError) as raised:
        infer(module.eval(), inputs)
    message = str(raised.value)
    assert name in message
    assert type(module).__name__ in message
    assert "\n" not in message
