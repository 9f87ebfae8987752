"""Judging outputs while images stream: classes, agreement with float32, distance from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import NDArray

from simulator.inference.metrics import Deviation, difference, ranking
from simulator.numerics.array_types import Tensor
from simulator.result_accuracy import OutputAccuracy

Outcomes = NDArray[np.bool_]

TOP = 5


def as_logits(output: Tensor) -> Tensor | None:
    """An output as [images, classes], where it is one row of real values for each image; None where not.

    Trailing axes of size 1 do not count. One value for each image is no choice among classes.
    """
    if output.ndim < 2 or output.dtype.kind != "f" or prod(output.shape[2:]) != 1 or output.shape[1] < 2:
        return None
    return output.reshape(output.shape[:2])


def class_axis(output: Tensor) -> int | None:
    """The axis whose largest value is an output's answer: 1 for feature maps, else the last.

    None where there is nothing to choose from: less than two axes, one value, or no real values.
    """
    if output.ndim < 2 or output.dtype.kind != "f":
        return None
    axis = 1 if output.ndim >= 4 else output.ndim - 1
    return axis if output.shape[axis] > 1 else None


@dataclass(slots=True)
class Judge:
    """Counts of the judged output over chunks of images.

    `right` and `right_float32` say of each image whether its label is the first answer, or, without labels,
    whether the answer is that of float32; they are empty where the output is not one row for each image.
    """

    images: int = 0
    among_top: int = 0
    among_top_float32: int = 0
    classes: int | None = None
    agreeing: int = 0
    places: int = 0
    axis: int | None = None
    right: list[Outcomes] = field(default_factory=list)
    right_float32: list[Outcomes] = field(default_factory=list)

    def add(self, output: Tensor, reference: Tensor, labels: NDArray[np.int64] | None) -> None:
        """One chunk's judged output and that of float32, in the order of the images."""
        self.axis = class_axis(reference)
        if self.axis is not None:
            same = _answers(output, self.axis) == _answers(reference, self.axis)
            self.agreeing += int(np.count_nonzero(same))
            self.places += same.size
        logits, wanted = as_logits(output), as_logits(reference)
        if logits is None or wanted is None:
            return
        self.images += len(logits)
        self.classes = logits.shape[1]
        ranked, ranked_float32 = ranking(logits), ranking(wanted)
        if labels is None:
            self.right.append(ranked[:, 0] == ranked_float32[:, 0])
            return
        self.right.append(ranked[:, 0] == labels)
        self.right_float32.append(ranked_float32[:, 0] == labels)
        self.among_top += _among(ranked, labels)
        self.among_top_float32 += _among(ranked_float32, labels)

    def merge(self, later: Judge) -> None:
        """Counts of the images behind these."""
        self.images += later.images
        self.among_top += later.among_top
        self.among_top_float32 += later.among_top_float32
        self.classes = later.classes if later.classes is not None else self.classes
        self.agreeing += later.agreeing
        self.places += later.places
        self.axis = later.axis
        self.right += later.right
        self.right_float32 += later.right_float32

    @property
    def agreement(self) -> float | None:
        """Share of the places whose answer is float32's; None where the output has no answers."""
        return self.agreeing / self.places if self.places else None

    @property
    def outcomes(self) -> Outcomes:
        """`right` of all images."""
        return np.concatenate(self.right) if self.right else np.zeros(0, np.bool_)

    @property
    def outcomes_float32(self) -> Outcomes:
        """`right_float32` of all images."""
        return np.concatenate(self.right_float32) if self.right_float32 else np.zeros(0, np.bool_)

    def top5(self, count: int) -> float | None:
        """A count among the first five as a share of the images; None for fewer classes or no labels."""
        if not self.right_float32 or self.classes is None or self.classes < TOP:
            return None
        return count / self.images


@dataclass(slots=True)
class OutputTally:
    """How far every output is from float32, over chunks of images."""

    deviations: dict[str, Deviation] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def add(self, outputs: Mapping[str, Tensor], reference: Mapping[str, Tensor]) -> None:
        """One chunk's outputs and those of float32, by name."""
        for name, values in outputs.items():
            wanted = reference[name]
            self._grow(name, np.atleast_1d(values).shape)
            if values.dtype.kind in "fiub" and values.shape == wanted.shape:
                so_far = self.deviations.get(name, Deviation())
                self.deviations[name] = so_far + difference(wanted, values)

    def merge(self, later: OutputTally) -> None:
        """Outputs of the images behind these."""
        for name, shape in later.shapes.items():
            self._grow(name, shape)
        for name, part in later.deviations.items():
            self.deviations[name] = self.deviations.get(name, Deviation()) + part

    def _grow(self, name: str, shape: tuple[int, ...]) -> None:
        before = self.shapes.get(name)
        self.shapes[name] = shape if before is None else (before[0] + shape[0], *shape[1:])

    def summary(self) -> dict[str, OutputAccuracy]:
        """As results show it."""
        found = {}
        for name, shape in self.shapes.items():
            layer = self.deviations.get(name, Deviation()).summary()
            found[name] = OutputAccuracy(
                shape=shape, sqnr_db=layer.sqnr_db, cosine=layer.cosine, largest_error=layer.largest_error
            )
        return found


def _answers(output: Tensor, axis: int) -> NDArray[np.int64]:
    """The largest value's place along an axis; ties go to the lower one, NaN counts as the smallest."""
    return np.asarray(np.argmax(np.nan_to_num(output, nan=-np.inf), axis=axis), np.int64)


def _among(ranked: NDArray[np.int64], labels: NDArray[np.int64]) -> int:
    return int(np.count_nonzero((ranked[:, :TOP] == labels[:, None]).any(axis=1)))
