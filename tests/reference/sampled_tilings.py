"""Random tilings of layers too large to list, legal or not: from anywhere, and from around a given one."""

from __future__ import annotations

from random import Random

import numpy as np
import numpy.typing as npt

from tests.reference.tiling import LOOPS, Problem

Array = npt.NDArray[np.int64]
_WHOLES = 3


def sample_tilings(p: Problem, rnd: Random, count: int, around: list[int]) -> Array:
    """Rows as in `legal_tilings.Legal`, half of them with one to three entries of `around` changed.

    Sizes are anything, equal pieces, or multiples of the array; few are kept that cannot be by the machine's
    rules, and none is checked for room.
    """
    return np.array([_anywhere(p, rnd) if i % 2 else _around(p, rnd, around) for i in range(count)])


def _lengths(p: Problem) -> list[int]:
    return [p.images, p.rows.outputs, p.columns.outputs, p.n, p.k, p.groups]


def _units(p: Problem) -> list[int]:
    channels = 1 if p.dataflow == "is" else p.array_columns
    pixels = {"os": p.array_rows, "ws": 1, "is": p.array_columns}[p.dataflow]
    return [1, 1, pixels, channels, p.taps if p.dataflow == "os" else p.array_rows, 1]


def _size(rnd: Random, length: int, unit: int) -> int:
    form = rnd.random()
    if form < 0.25:
        return length
    if form < 0.5:
        return min(length, unit * rnd.randint(1, -(-length // unit)))
    if form < 0.75:
        return -(-length // rnd.randint(1, min(length, 40)))
    return rnd.randint(1, length)


def _anywhere(p: Problem, rnd: Random) -> list[int]:
    row = [_size(rnd, *both) for both in zip(_lengths(p), _units(p), strict=True)]
    if rnd.random() < (0.7 if p.dataflow == "os" else 0.3):
        row[4] = p.k
    return _obey(p, rnd, [*row, rnd.randrange(len(LOOPS)), rnd.randrange(_WHOLES)])


def _around(p: Problem, rnd: Random, around: list[int]) -> list[int]:
    row, lengths, units = list(around), _lengths(p), _units(p)
    for place in rnd.sample(range(8), rnd.choice([1, 1, 2, 2, 3])):
        if place == 6:
            row[6] = rnd.randrange(len(LOOPS))
        elif place == 7:
            row[7] = rnd.randrange(_WHOLES)
        else:
            near = row[place] + rnd.choice([-4, -1, 1, 4]) * rnd.choice([1, units[place]])
            row[place] = rnd.choice([_size(rnd, lengths[place], units[place]), near])
            row[place] = max(1, min(lengths[place], row[place]))
    return _obey(p, rnd, row)


def _obey(p: Problem, rnd: Random, row: list[int]) -> list[int]:
    """Mend what the rules of `tiling.is_possible` refuse."""
    if row[0] > 1:
        if rnd.random() < 0.5:
            row[0] = 1
        else:
            row[1], row[2] = p.rows.outputs, p.columns.outputs
    if row[4] == p.k:
        row[7] = 0
    elif p.dataflow == "os":
        row[0], row[5] = 1, 1
        row[2] = min(row[2], p.array_rows)
        row[1] = min(row[1], max(1, p.array_rows // row[2]))
        row[3] = min(row[3], p.array_columns)
    return row
