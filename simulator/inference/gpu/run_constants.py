"""Arrays on a device that one run through a network uses again and again."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from simulator.numerics.gpu import Device, DeviceArray


class RunConstants:
    """Arrays on a device for as long as one run through a network lasts, made once for each key.

    Keys may hold `id`s of what lives as long as the run does.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._arrays: dict[Hashable, DeviceArray] = {}

    def get(self, key: Hashable, make: Callable[[], Any]) -> DeviceArray:
        """The array that `make` made on the host."""
        if key not in self._arrays:
            self._arrays[key] = self._device.to_device(make())
        return self._arrays[key]
