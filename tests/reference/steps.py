"""How long the array works on each tile, fold after fold: when the next tile may begin, when results are out.

Takes the closed form of one fold and of the link between two (`simulator.array.fold`), which the
register-level grid confirms, and lists every fold of every tile. Ports and output path take no time here.
"""

from __future__ import annotations

from collections.abc import Iterator

from simulator.array import ArrayTiming, FoldShape
from simulator.array.fold import alone, before
from tests.reference.tiling import Problem, Step, Walk


def _lengths(length: int, size: int) -> list[int]:
    return [min(size, length - first) for first in range(0, length, size)]


def folds_of(timing: ArrayTiming, step: Step, k: int) -> Iterator[tuple[FoldShape, bool]]:
    """Folds of a tile in order, and whether each adds to the sums of the one before."""
    down, across, streamed = {
        "os": (step.pixels, step.n, k),
        "ws": (step.k, step.n, step.pixels),
        "is": (step.k, step.pixels, step.n),
    }[timing.dataflow]
    for _ in range(step.groups):
        for columns in _lengths(across, timing.columns):
            for number, rows in enumerate(_lengths(down, timing.rows)):
                yield FoldShape(rows, columns, streamed), timing.dataflow != "os" and number > 0


def durations_of(timing: ArrayTiming, p: Problem, walk: Walk) -> list[tuple[int, int]]:
    """Of every step, the cycles until the next one may begin, and how much later its last result leaves."""
    found = []
    for number, step in enumerate(walk.steps):
        following = walk.steps[number + 1] if number + 1 < len(walk.steps) else None
        in_pieces = timing.dataflow == "os" and step.k < p.k
        if in_pieces and not step.ends:  # the next piece streams on into the same sums
            found.append((timing.accumulation_interval * step.k, 0))
            continue
        folds = list(folds_of(timing, step, p.k))
        if following is not None:
            first, _ = next(folds_of(timing, following, p.k))
            folds.append((first, timing.dataflow != "os" and following.ofmap == step.ofmap))
        start, out = 0, 0
        for place, (fold, _) in enumerate(folds):
            if place == len(folds) - 1 and following is not None:
                break
            out = max(out, start + alone(timing, fold).total)
            if place + 1 < len(folds):
                after, adds = folds[place + 1]
                start += before(timing, fold, after, adds_to_sums=adds).total
        duration = start if following is not None else out
        before_piece = timing.accumulation_interval * (p.k - step.k) if in_pieces else 0
        found.append((duration - before_piece, max(0, out - duration)))
    return found
