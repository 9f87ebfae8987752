"""Which plans take a block of images together: they share its run in float32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from simulator.inference import Model

Job = TypeVar("Job")

_MOST_WEIGHTS: Final = 1 << 26
"""Weights of all plans that a process has at a time, each with what engines make of it: up to 16 bytes."""


def most_plans(model: Model) -> int:
    """How many plans of a network go together, so that memory holds their weights."""
    weights = sum(product.weights.size for product in model.products if product.weights is not None)
    return max(1, _MOST_WEIGHTS // max(weights, 1))


@dataclass(frozen=True, slots=True)
class Limits:
    """Of groups.

    Attributes:
        least_groups: so many groups at least, if there are as many jobs, so that no worker idles.
        most_plans: of a group, so that a worker's memory holds them.
    """

    least_groups: int
    most_plans: int


def groups_of_blocks(plans: Sequence[Sequence[Job]], limits: Limits) -> list[list[Job]]:
    """Jobs of the same block as groups, every job in one.

    Args:
        plans: the jobs of each plan, one for each block, in the order of the blocks.
        limits: of groups.

    Returns:
        Groups of the same plans come one after the other, so that a worker keeps the plans.
    """
    if not plans:
        return []
    blocks = len(plans[0])
    parts = max(-(-limits.least_groups // blocks), -(-len(plans) // limits.most_plans))
    size = -(-len(plans) // min(parts, len(plans)))
    return [
        list(jobs)
        for start in range(0, len(plans), size)
        for jobs in zip(*plans[start : start + size], strict=True)
    ]
