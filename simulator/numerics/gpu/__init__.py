"""Exact products and conversions on a GPU, bit for bit those of the CPU (extra `[gpu]`)."""

from simulator.numerics.gpu.device import Device, DeviceArray, chosen_device, open_device
from simulator.numerics.gpu.gpu_engine import multiply_device_arrays, multiply_on

__all__ = [
    "Device",
    "DeviceArray",
    "chosen_device",
    "multiply_device_arrays",
    "multiply_on",
    "open_device",
]
