"""What hardware there is: validated configuration models, bundled architectures."""

from simulator.arch.config import ArchConfig, Overlap, Timing
from simulator.arch.load import load_arch
from simulator.arch.memories import SramConfig

__all__ = ["ArchConfig", "Overlap", "SramConfig", "Timing", "load_arch"]
