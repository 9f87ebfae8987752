"""Arrays in .npy and .npz files; large ones stay on disk and are read part by part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from simulator.foundation.reading.arrays import map_arrays
from simulator.foundation.reading.arrays import read_arrays as read_checked
from simulator.foundation.reading.content import size_of
from simulator.numerics.array_types import Tensor

LARGE_BYTES = 1 << 26
"""Arrays in files of at least this size are mapped, not loaded."""


class Batches(Protocol):
    """An array that may be read part by part, along its first axis."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, as of an array."""
        ...

    def __len__(self) -> int:
        """Length of the first axis."""
        ...

    def __getitem__(self, part: slice, /) -> Tensor:
        """A part in memory."""
        ...


@dataclass(frozen=True, slots=True)
class Converted:
    """An array whose parts are converted when they are read; `convert` takes a part and its first place.

    A single number (rank 0) counts as one entry, and every part is all of it.
    """

    array: Tensor
    convert: Callable[[Tensor, int], Tensor]
    item: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the converted array."""
        return (len(self.array), *self.item) if self.array.ndim else ()

    def __len__(self) -> int:
        """Length of the first axis."""
        return len(self.array) if self.array.ndim else 1

    def __getitem__(self, part: slice, /) -> Tensor:
        """A converted part in memory."""
        if not self.array.ndim:
            return self.convert(np.array(self.array), 0)
        first = part.indices(len(self.array))[0]
        return self.convert(np.array(self.array[part]), first)


def read_arrays(path: Path) -> dict[str, Tensor]:
    """The arrays of an .npz file by name, or that of an .npy file as `images`.

    Raises:
        UserError: unreadable, truncated, or not arrays of numbers.
    """
    large = size_of(path) >= LARGE_BYTES
    content = map_arrays(path) if large else read_checked(path)
    return {"images": content} if isinstance(content, np.ndarray) else content
