"""What hardware there is: validated configuration models, bundled architectures."""

from simulator.arch.config import ArchConfig, Overlap, SramConfig, Timing
from simulator.arch.load import load_arch

__all__ = ["ArchConfig", "Overlap", "SramConfig", "Timing", "load_arch"]
