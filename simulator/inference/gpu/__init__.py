"""Whole networks on a GPU: activations stay there, and every bit is the CPU's (docs/gpu.md)."""

from simulator.inference.gpu.device_chunks import DeviceChunks

__all__ = ["DeviceChunks"]
