"""Running a module on some rows in evaluation mode, with one sentence where it fails."""

from __future__ import annotations

from typing import Any

import torch

from simulator.foundation import UserError
from simulator.foundation.messages import one_line
from simulator.pytorch.module_inputs import ModuleInputs
from simulator.pytorch.module_modes import device_of, in_evaluation_mode


def call_module(module: torch.nn.Module, inputs: ModuleInputs, what: str) -> Any:
    """What a module gives in evaluation mode, in its own precision (autocast off), on its own device.

    Args:
        module: keeps its mode.
        inputs: moved to the device of the module's parameters.
        what: what errors call the inputs.

    Raises:
        UserError: the module raises, with its reason.
    """
    given = inputs.on_device(device_of(module))
    kinds = {tensor.device.type for tensor in given.tensors}
    kind = next(iter(kinds)) if len(kinds) == 1 else "cpu"
    try:
        with in_evaluation_mode(module), torch.no_grad(), torch.autocast(kind, enabled=False):
            return module(*given.positional, **given.keywords)
    except UserError:
        raise
    except Exception as error:  # a module raises anything
        raise UserError(
            f"cannot be run on {what}: {first_reason(error)}", source=type(module).__name__, location="module"
        ) from error


def first_reason(error: BaseException) -> str:
    """The first cause of an error in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return one_line(f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__)
