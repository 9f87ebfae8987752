"""What every entry here does with a module first: unwrap it, find its device, run it in evaluation mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch

from simulator.foundation import UserError

_WRAPPERS: Final = {
    "OptimizedModule": "_orig_mod",
    "DataParallel": "module",
    "DistributedDataParallel": "module",
}
"""PyTorch's classes around one module, and the attribute that has it."""


def bare_module(module: Any) -> torch.nn.Module:
    """The module inside `torch.compile` and data-parallel wrappers, whose names have no prefix.

    Raises:
        UserError: what is no PyTorch module.
    """
    if not isinstance(module, torch.nn.Module):
        raise UserError(
            "is no PyTorch module", location="module", value=type(module).__name__, allowed="torch.nn.Module"
        )
    kind = type(module)
    if kind.__module__.startswith("torch.") and kind.__name__ in _WRAPPERS:
        return bare_module(getattr(module, _WRAPPERS[kind.__name__]))
    return module


def device_of(module: torch.nn.Module) -> torch.device | None:
    """Where all parameters and buffers are; None: there are none, or they are on several devices."""
    devices = {tensor.device for tensor in (*module.parameters(), *module.buffers())}
    return next(iter(devices)) if len(devices) == 1 else None


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
