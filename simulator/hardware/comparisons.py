"""What a check compared, how much of it, and the first thing that differed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Comparison:
    """One check.

    what: what was compared with what.
    compared: how many values.
    differing: how many of them differ.
    first: the first one that differs in words, None where none does.
    """

    what: str
    compared: int
    differing: int
    first: str | None = None

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs."""
        return self.differing == 0


def compare(
    what: str,
    found: npt.NDArray[Any],
    expected: npt.NDArray[Any],
    about: Mapping[str, npt.NDArray[Any]],
) -> Comparison:
    """Compare unsigned numbers; `about` says by name what led to each."""
    wrong = np.flatnonzero(np.asarray(found.astype(object) != expected.astype(object), np.bool_))
    if not wrong.size:
        return Comparison(what, len(expected), 0)
    place = int(wrong[0])
    causes = ", ".join(f"{name} {int(values[place]):#x}" for name, values in about.items())
    first = f"{causes}: the gates give {int(found[place]):#x}, numerics {int(expected[place]):#x}"
    return Comparison(what, len(expected), int(wrong.size), first)
