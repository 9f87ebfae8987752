"""Bundled MACs by what tests may ask of them."""

from typing import Final

from simulator.numerics import get_mac, preset_names

WITHOUT_BLOCKS: Final = tuple(name for name in preset_names() if get_mac(name).block_formats is None)
"""Those that add single products; grid, toggles, GPU and RTL take no others."""

WITH_BLOCKS: Final = tuple(name for name in preset_names() if name not in WITHOUT_BLOCKS)
"""Those of block-scaled formats."""
