"""One published figure beside its prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Nature = Literal["prediction", "other_hardware", "fitted", "consistency"]
"""A prediction was not given what it predicts; so it is for other hardware, whose library the prices are not
of, or of which the model has no more than parts. Fitted figures are what prices were solved from; a
consistency check redoes the source's own arithmetic."""


@dataclass(frozen=True, slots=True)
class Check:
    """One published figure and its prediction.

    how: how the prediction was formed.
    used: the tables and rows it was formed from.
    cause: the likely reason where it is off; empty where there is nothing to explain.
    uncertainty: what the prices say of themselves, relative (0.2 for 20 %); None where they say nothing.
    synthesised: what gates synthesised from the MAC's own hardware predict; None where they do not.
    """

    name: str
    unit: str
    published: float
    predicted: float
    nature: Nature
    how: str
    used: tuple[str, ...]
    cause: str = ""
    uncertainty: float | None = None
    synthesised: float | None = None

    @property
    def synthesised_difference(self) -> float | None:
        """Synthesised over published, less one; None where nothing was synthesised."""
        return None if self.synthesised is None else self.synthesised / self.published - 1

    @property
    def nearer(self) -> Literal["composed", "synthesised"] | None:
        """The estimate that is nearer; None where there is one only, or the composed one was fitted."""
        if self.synthesised_difference is None or self.nature != "prediction":
            return None
        return "synthesised" if abs(self.synthesised_difference) < abs(self.difference) else "composed"

    @property
    def difference(self) -> float:
        """Predicted over published, less one."""
        return self.predicted / self.published - 1

    @property
    def interval(self) -> tuple[float, float] | None:
        """The prediction less and plus its uncertainty; None where none is stated."""
        if self.uncertainty is None:
            return None
        return self.predicted * (1 - self.uncertainty), self.predicted * (1 + self.uncertainty)

    @property
    def is_inside(self) -> bool | None:
        """Whether the published figure lies in the interval; None where there is none."""
        if self.interval is None:
            return None
        low, high = self.interval
        return low <= self.published <= high
