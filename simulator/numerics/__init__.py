"""Number formats, multiply-accumulates, exact and fast matrix products.

The engines of products are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.numerics.accumulators import Accumulator, FixedAccumulator, FloatAccumulator
from simulator.numerics.formats import Format, as_codes, get_format
from simulator.numerics.mac import Mac, get_mac
from simulator.numerics.mac_config import MacConfig, preset_names
from simulator.numerics.mac_spec import MacSpec

if TYPE_CHECKING:
    from simulator.numerics.engines.planner import MatmulResult, multiply

__all__ = [
    "Accumulator",
    "FixedAccumulator",
    "FloatAccumulator",
    "Format",
    "Mac",
    "MacConfig",
    "MacSpec",
    "MatmulResult",
    "as_codes",
    "get_format",
    "get_mac",
    "multiply",
    "preset_names",
]

_LATE = {"MatmulResult": "engines.planner", "multiply": "engines.planner"}


def __getattr__(name: str) -> object:
    if name in _LATE:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
