"""MACs as hardware: circuits in Amaranth, gates by Yosys, and proofs that they compute what numerics says.

The extra `rtl` brings both packages; nothing here is imported without it but what says so (docs/hardware.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.hardware.yosys_runs import require_wheels

if TYPE_CHECKING:
    from simulator.hardware.array_circuit import ArrayShape
    from simulator.hardware.emission import emit
    from simulator.hardware.mac_verification import Verification, VerificationSettings, verify_mac

_PLACES = {
    "ArrayShape": "array_circuit",
    "emit": "emission",
    "Verification": "mac_verification",
    "VerificationSettings": "mac_verification",
    "verify_mac": "mac_verification",
}


def __getattr__(name: str) -> object:
    """Names of modules that need the extra, imported when they are asked for.

    Raises:
        UserError: the extra is not installed.
        AttributeError: there is no such name.
    """
    from importlib import import_module

    if name not in _PLACES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    require_wheels()
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


__all__ = ["ArrayShape", "Verification", "VerificationSettings", "emit", "require_wheels", "verify_mac"]
