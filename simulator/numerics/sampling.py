"""Counting on a part of the units of a product: which ones are drawn, and how far the total may be off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TypeVar

import numpy as np

from simulator.numerics.engines.threads import in_order

Unit = TypeVar("Unit")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Sample:
    """How many units to draw, and the seed of the draw."""

    units: int
    seed: int

    def draw(self, population: int) -> list[int]:
        """Indices of the units drawn without replacement, sorted."""
        size = min(self.units, population)
        return sorted(np.random.default_rng(self.seed).choice(population, size, replace=False).tolist())


@dataclass(frozen=True, slots=True)
class Estimate:
    """A total over all units and its standard error."""

    total: float
    standard_error: float

    @classmethod
    def of(
        cls, counts: Sequence[int], weights: Sequence[int], population_weight: int, population: int
    ) -> Estimate:
        """The ratio estimator: counts per weight (MACs), scaled to the population's; exact if all are in."""
        n = len(counts)
        if n == population:
            return cls(sum(counts), 0.0)
        ratio = sum(counts) / sum(weights)
        residuals = sum((count - ratio * weight) ** 2 for count, weight in zip(counts, weights, strict=True))
        variance = population**2 * (1 - n / population) * residuals / (n - 1) / n
        return cls(ratio * population_weight, sqrt(variance))

    def less(self, counted: int) -> Estimate:
        """Without what is known exactly not to be there."""
        return Estimate(self.total - counted, self.standard_error)


@dataclass(frozen=True, slots=True)
class PeArray:
    """R x C PEs, and how many units are counted there: all (None), or a sample."""

    rows: int
    columns: int
    sample: Sample | None

    def drawn(self, units: Sequence[Unit]) -> tuple[list[Unit], int]:
        """The units to count, and of how many."""
        chosen = range(len(units)) if self.sample is None else self.sample.draw(len(units))
        return [units[index] for index in chosen], len(units)


def blocks(size: int, step: int) -> list[slice]:
    """0 .. size - 1 in slices of `step`, the last one shorter."""
    return [slice(start, min(start + step, size)) for start in range(0, size, step)]


def length(part: slice) -> int:
    """Indices of a slice."""
    return int(part.stop - part.start)


def map_units(work: Callable[[Unit], Result], units: Sequence[Unit], threads: int) -> list[Result]:
    """`work` on every unit, in order, on up to `threads` threads."""
    if threads <= 1 or len(units) <= 1:
        return [work(unit) for unit in units]
    return list(in_order(units, work, threads=threads))
