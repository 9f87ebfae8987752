"""A device that runs the kernels of `kernels.cu` on arrays of its own memory."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from simulator.foundation import UserError
from simulator.foundation.resources import own_text

DeviceArray = Any
"""An array in the device's memory, with NumPy's interface."""

SOURCE: Final = Path(__file__).with_name("kernels.cu")
"""The kernels, in CUDA C++."""

DEVICE_NAMES: Final = ("cpu", "gpu")
"""What a user can choose."""

Dimensions = tuple[int, int, int]


class Device(Protocol):
    """Where arrays lie and kernels run."""

    xp: Any
    """The module whose functions make and take the device's arrays, with NumPy's interface."""

    @property
    def name(self) -> str:
        """What results call it."""

    @property
    def shared_bytes(self) -> int:
        """Shared memory that a block can have."""

    @property
    def multiprocessors(self) -> int:
        """How many blocks run at the same time where each takes a whole one."""

    def to_device(self, array: Any) -> DeviceArray:
        """An array on the device. Arrays that lie there already, of any library, are not copied."""

    def to_host(self, array: DeviceArray) -> npt.NDArray[Any]:
        """A copy in the host's memory."""

    def constant(self, key: Hashable, make: Callable[[], npt.NDArray[Any]]) -> DeviceArray:
        """A host array on the device, made and copied once for each key."""

    def launch(
        self, kernel: str, grid: Dimensions, threads: int, arguments: tuple[Any, ...], shared_bytes: int = 0
    ) -> None:
        """Run a kernel; scalars are NumPy's, of the widths that the kernel takes."""


class CupyDevice:
    """The current CUDA device, by CuPy: NVRTC compiles the kernels on first use and CuPy caches them."""

    def __init__(self) -> None:
        import cupy

        self.xp: Any = cupy
        self._constants: dict[Hashable, DeviceArray] = {}
        self._functions: dict[str, Any] = {}
        self._modules: dict[str, Any] = {}
        properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
        self._name: str = properties["name"].decode()
        self._shared_bytes = int(properties["sharedMemPerBlockOptin"])
        self._multiprocessors = int(properties["multiProcessorCount"])

    @property
    def name(self) -> str:
        """The card's."""
        return self._name

    @property
    def shared_bytes(self) -> int:
        """With the opt-in that large tables need."""
        return self._shared_bytes

    @property
    def multiprocessors(self) -> int:
        """The card's."""
        return self._multiprocessors

    def to_device(self, array: Any) -> DeviceArray:
        """By __cuda_array_interface__ without a copy; NumPy's arrays and lists are copied."""
        return self.xp.asarray(array)

    def to_host(self, array: DeviceArray) -> npt.NDArray[Any]:
        """A NumPy array."""
        found: npt.NDArray[Any] = self.xp.asnumpy(array)
        return found

    def constant(self, key: Hashable, make: Callable[[], npt.NDArray[Any]]) -> DeviceArray:
        """Kept as long as the device object."""
        if key not in self._constants:
            self._constants[key] = self.xp.asarray(make())
        return self._constants[key]

    def launch(
        self, kernel: str, grid: Dimensions, threads: int, arguments: tuple[Any, ...], shared_bytes: int = 0
    ) -> None:
        """On the current stream."""
        if kernel not in self._functions:
            self._functions[kernel] = self._module_of(kernel).get_function(kernel)
        function = self._functions[kernel]
        if shared_bytes > function.max_dynamic_shared_size_bytes:
            function.max_dynamic_shared_size_bytes = shared_bytes
        function(grid, (threads, 1, 1), arguments, shared_mem=shared_bytes)

    def _module_of(self, kernel: str) -> Any:
        """The part of the kernels that has this one: each is compiled when it is needed."""
        part = part_of(kernel)
        if part not in self._modules:
            # --fmad=false: what the kernels do not write as a fused multiply-add must not become one.
            options = ("--std=c++17", "--fmad=false", f"-DKERNELS_{part.upper()}")
            self._modules[part] = self.xp.RawModule(code=own_text(SOURCE), options=options)
        return self._modules[part]


def part_of(kernel: str) -> str:
    """The part of the kernels' source that has a kernel."""
    family, _, step = kernel.partition("_")
    if family in ("tiled", "direct"):
        return step
    return family if family in ("lanes", "halves") else "other"


@cache
def open_device() -> Device:
    """The current CUDA device.

    Raises:
        UserError: CuPy is not installed, cannot be loaded, or finds no device.
    """
    try:
        import cupy
    except ModuleNotFoundError as error:
        if error.name != "cupy":
            raise _unloadable(error) from error
        raise UserError(
            "a GPU needs CuPy, which is not installed",
            allowed="pip install 'systolic-simulator[gpu]', or --device cpu",
        ) from error
    except ImportError as error:
        raise _unloadable(error) from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise UserError("CuPy finds no CUDA device", value=str(error), allowed="--device cpu") from error
    if not count:
        raise UserError("CuPy finds no CUDA device", allowed="--device cpu")
    return CupyDevice()


def _unloadable(error: ImportError) -> UserError:
    """What is said of a CuPy that is there; its own message, of many lines, names the cause behind it."""
    cause = " ".join(str(error.__cause__ or error).split())
    return UserError(
        "a GPU needs CuPy, which is installed but cannot be loaded", value=cause, allowed="--device cpu"
    )


def chosen_device(name: str) -> Device | None:
    """The device that a user names: `gpu`, or None for `cpu`.

    Raises:
        UserError: another name, or no GPU to be had.
    """
    if name not in DEVICE_NAMES:
        raise UserError("unknown device", location="device", value=name, candidates=DEVICE_NAMES)
    return open_device() if name == "gpu" else None


def scalars(*numbers: int) -> tuple[Any, ...]:
    """Arguments of type int."""
    return tuple(np.int32(number) for number in numbers)
