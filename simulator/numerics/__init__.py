"""Number formats, multiply-accumulates, exact and fast matrix products."""

from simulator.numerics.formats import Format, as_codes, get_format
from simulator.numerics.mac import Mac, get_mac
from simulator.numerics.mac_config import MacConfig, preset_names
from simulator.numerics.mac_spec import FixedAccumulator, FloatAccumulator, MacSpec

__all__ = [
    "FixedAccumulator",
    "FloatAccumulator",
    "Format",
    "Mac",
    "MacConfig",
    "MacSpec",
    "as_codes",
    "get_format",
    "get_mac",
    "preset_names",
]
