"""Number formats, multiply-accumulates, exact and fast matrix products."""

from simulator.numerics.accumulators import Accumulator, FixedAccumulator, FloatAccumulator
from simulator.numerics.engines.planner import MatmulResult, multiply
from simulator.numerics.formats import Format, as_codes, get_format
from simulator.numerics.mac import Mac, get_mac
from simulator.numerics.mac_config import MacConfig, preset_names
from simulator.numerics.mac_spec import MacSpec

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
