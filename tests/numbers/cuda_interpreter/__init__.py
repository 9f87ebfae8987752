"""A device without a GPU: the kernels' own text, compiled for the CPU, with NumPy's arrays in host memory."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections.abc import Callable, Hashable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

from simulator.numerics.gpu.device import SOURCE, Device, Dimensions

COMPILER = shutil.which("g++")
SHIM = Path(__file__).with_name("shim.h")
SHARED_BYTES = 227 << 10


class Interpreter:
    """A `Device` whose kernels run on the CPU, one thread after another up to each barrier."""

    xp: Any = np
    name = "an interpreter"
    shared_bytes = SHARED_BYTES
    multiprocessors = 3

    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(str(library))
        self._constants: dict[Hashable, np.ndarray] = {}
        self.launched: list[str] = []

    def to_device(self, array: Any) -> np.ndarray:
        return np.asarray(array)

    def to_host(self, array: np.ndarray) -> np.ndarray:
        return np.array(array)

    def constant(self, key: Hashable, make: Callable[[], np.ndarray]) -> np.ndarray:
        if key not in self._constants:
            self._constants[key] = np.array(make())
        return self._constants[key]

    def launch(
        self, kernel: str, grid: Dimensions, threads: int, arguments: tuple[Any, ...], shared_bytes: int = 0
    ) -> None:
        assert shared_bytes <= self.shared_bytes
        assert max(grid[1:]) < 1 << 16
        self.launched.append(kernel)
        kept = [_argument(each) for each in arguments]
        pointers = (ctypes.c_void_p * len(kept))(*(ctypes.addressof(each) for each in kept))
        run = self._library[f"run_{kernel}"]
        run((ctypes.c_uint * 3)(*grid), ctypes.c_uint(threads), pointers, ctypes.c_size_t(shared_bytes))


def _argument(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        assert value.flags.c_contiguous
        return ctypes.c_void_p(value.ctypes.data)
    types = {
        "int32": ctypes.c_int32,
        "int64": ctypes.c_int64,
        "float32": ctypes.c_float,
        "float64": ctypes.c_double,
    }
    return types[np.dtype(type(value)).name](value.item())


@cache
def interpreter() -> Device:
    """The kernels compiled by g++ for this process."""
    assert COMPILER is not None
    folder = Path(mkdtemp(prefix="kernels"))
    text = SOURCE.read_text(encoding="utf-8")
    text = re.sub(r"extern __shared__ u32 shared\[\];", "u32 *shared = (u32 *)dynamic_shared.data();", text)
    source, library = folder / "kernels.cpp", folder / "kernels.so"
    expanded = _preprocessed(text)
    names = re.findall(r'extern "C"\s+void\s+(\w+)\(', expanded)
    assert len(names) > 10
    runners = "".join(
        f'extern "C" void run_{name}(const unsigned *grid, unsigned threads, void **arguments, size_t bytes)'
        f" {{ launch({name}, grid, threads, arguments, bytes); }}\n"
        for name in names
    )
    source.write_text(f'#include "{SHIM}"\n{text}\n{runners}', encoding="utf-8")
    options = ["-std=c++17", "-O2", "-march=native", "-ffp-contract=off", "-shared", "-fPIC", "-w"]
    subprocess.run([COMPILER, *options, "-o", str(library), str(source)], check=True)
    return Interpreter(library)


def _preprocessed(text: str) -> str:
    command = [str(COMPILER), "-E", "-P", "-xc++", "-include", str(SHIM), "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
