"""How a length is cut into tiles: whole ones, then what is left over."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """`count` tiles in a row, of `size` rows or columns each."""

    count: int
    size: int


def cut(length: int, tile: int) -> tuple[Run, ...]:
    """Whole tiles of `length`, then the partial one that is left over."""
    whole, left = divmod(length, tile)
    runs = (Run(whole, tile), Run(1, left))
    return tuple(run for run in runs if run.count and run.size)
