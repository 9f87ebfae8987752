"""What every entry here does with a module first: require that it is one, and run it in evaluation mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from simulator.foundation import UserError


def require_module(module: Any) -> None:
    """Refuse what is no PyTorch module. Raises UserError."""
    if not isinstance(module, torch.nn.Module):
        raise UserError(
            "is no PyTorch module", location="module", value=type(module).__name__, allowed="torch.nn.Module"
        )


@contextmanager
def in_evaluation_mode(module: torch.nn.Module) -> Iterator[bool]:
    """Every submodule in evaluation mode, and back to its own; gives whether one was in training mode."""
    training = [each for each in module.modules() if each.training]
    for each in training:
        each.training = False
    try:
        yield bool(training)
    finally:
        for each in training:
            each.training = True
