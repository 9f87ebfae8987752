"""The Pareto front: the points that no other point beats in one objective without losing in another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

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
    front = np.empty((16, len(directions)))
    chosen: set[tuple[float, ...]] = set()
    # In lexicographic order a point can only be beaten by one that came before it.
    for cost in known:
        found = len(chosen)
        if (front[:found] <= cost).all(axis=1).any():
            continue
        if found == len(front):
            front = np.concatenate([front, np.empty_like(front)])
        front[found] = cost
        chosen.add(cost)
    return [cost in chosen for cost in costs]


def _costs(point: Sequence[float | None], signs: Sequence[float]) -> tuple[float, ...] | None:
    costs = []
    for value, sign in zip(point, signs, strict=True):
        if value is None or math.isnan(value):
            return None
        costs.append(sign * value)
    return tuple(costs)
