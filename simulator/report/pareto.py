"""The Pareto front: the points that no other point beats in one objective without losing in another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Direction = Literal["lower", "higher"]


def pareto_front(points: Sequence[Sequence[float | None]], directions: Sequence[Direction]) -> list[bool]:
    """Which points are on the front.

    Args:
        points: one row a point, one value an objective; None or NaN: no data.
        directions: whether lower or higher is better, by objective.

    Returns:
        A flag a point. A point without data in some objective is never on the front and beats nobody. Points
        that are equal in every objective do not beat each other. Without objectives there is no front.

    Raises:
        ValueError: a point with another number of values than there are directions.
    """
    if not directions:
        return [False] * len(points)
    signs = [1.0 if direction == "lower" else -1.0 for direction in directions]
    costs = [_costs(point, signs) for point in points]
    known = sorted({cost for cost in costs if cost is not None})
    chosen: set[tuple[float, ...]] = set()
    # In lexicographic order a point can only be beaten by one before it, which is no worse in the first
    # objective; the others of the front so far stand in a row each.
    front = np.empty((len(directions) - 1, 16))
    for cost in known:
        found = len(chosen)
        if found and _no_worse(front[:, :found], cost[1:]).any():
            continue
        if found == front.shape[1]:
            front = np.concatenate([front, np.empty_like(front)], axis=1)
        front[:, found] = cost[1:]
        chosen.add(cost)
    return [cost in chosen for cost in costs]


def _costs(point: Sequence[float | None], signs: Sequence[float]) -> tuple[float, ...] | None:
    costs = []
    for value, sign in zip(point, signs, strict=True):
        if value is None or math.isnan(value):
            return None
        costs.append(sign * value)
    return tuple(costs)


def _no_worse(front: NDArray[np.float64], cost: Sequence[float]) -> NDArray[np.bool_]:
    """Which columns are no worse than a cost in every row."""
    found = np.ones(front.shape[1], dtype=np.bool_)
    for row, value in zip(front, cost, strict=True):
        found &= row <= value
    return found
