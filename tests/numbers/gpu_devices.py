"""The devices that kernels are tested on: an interpreter of their text, and the card where there is one."""

from __future__ import annotations

import importlib.util
from functools import cache

import pytest

from simulator.foundation import UserError
from simulator.numerics.gpu import Device, open_device
from tests.numbers.cuda_interpreter import COMPILER, interpreter

DEVICES = ("interpreter", "card")


def device_named(name: str) -> Device:
    """A device, or a skipped test that says what is missing."""
    if name == "interpreter":
        if COMPILER is None:
            pytest.skip("no g++ to compile the kernels for the CPU")
        return interpreter()
    missing = _missing_card()
    if missing:
        pytest.skip(missing)
    return open_device()


@cache
def _missing_card() -> str:
    if importlib.util.find_spec("cupy") is None:
        return "no GPU: CuPy is not installed"
    try:
        open_device()
    except UserError as error:
        return f"no GPU: {error}"
    return ""
