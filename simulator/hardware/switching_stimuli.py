"""What a MAC switches on: streams of operands and sums as PEs see them, one stream a PE."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from simulator.cost.published_bench import bench_operands
from simulator.foundation import UserError
from simulator.foundation.reading.arrays import read_npz
from simulator.hardware.gate_simulation import Words
from simulator.hardware.step_checks import sum_words
from simulator.numerics import Mac
from simulator.numerics.array_types import Codes

BENCH_STREAMS: Final = 16
MOST_STEPS: Final = 1 << 16
_LONGEST: Final = 4096


@dataclass(frozen=True, eq=False)
class SwitchingStimuli:
    """Steps of several PEs, one behind the other.

    ports: unsigned numbers at the MAC's inputs, an entry a step; expected: its sums after each step.
    follows: whether the next step is of the same PE [steps].
    what: where the operands are from, in words; seed: of what was drawn.
    """

    ports: dict[str, npt.NDArray[Any]]
    expected: npt.NDArray[Any]
    follows: npt.NDArray[np.bool_]
    what: str
    seed: int

    def __len__(self) -> int:
        return len(self.expected)

    @property
    def changes(self) -> int:
        """Clock edges between two steps of one PE."""
        return int(self.follows.sum())

    def mask(self) -> Words:
        """`follows` as a row of words."""
        padded = np.zeros(-(-len(self) // 64) * 64, np.uint8)
        padded[: len(self)] = self.follows
        return np.packbits(padded, bitorder="little").view(np.uint64)

    def first(self, steps: int) -> SwitchingStimuli:
        """The first steps only."""
        ports = {port: values[:steps] for port, values in self.ports.items()}
        follows = self.follows[:steps].copy()
        follows[-1:] = False
        return SwitchingStimuli(ports, self.expected[:steps], follows, self.what, self.seed)


def bench_stimuli(mac: Mac, seed: int) -> SwitchingStimuli:
    """16 PEs of the published array bench: products of 128 operands drawn from N(0, 1)."""
    generator = np.random.default_rng(seed)
    activations, weights = bench_operands(mac, generator)
    rows = generator.choice(len(activations), BENCH_STREAMS, replace=False)
    columns = generator.choice(weights.shape[1], BENCH_STREAMS, replace=False)
    what = f"the published bench: {BENCH_STREAMS} PEs, products of {weights.shape[0]} operands from N(0, 1)"
    return _streams(mac, activations[rows], weights[:, columns].T, what, seed)


def layer_stimuli(mac: Mac, path: Path, seed: int) -> SwitchingStimuli:
    """PEs of a layer: rows of `activations` [M, K] times columns of `weights` [K, N] of a `.npz` file.

    Values are reals in the units of the MAC's formats: whole numbers for integer formats.

    Raises:
        UserError: the file or its arrays cannot be used.
    """
    arrays = read_npz(path, ("activations", "weights"))
    for name in ("activations", "weights"):
        if name not in arrays:
            raise UserError(
                f"has no array {name!r}", source=path, allowed="activations [M, K] and weights [K, N]"
            )
        if arrays[name].dtype.kind not in "biuf":
            raise UserError("holds no numbers", source=path, location=name)
    activations, weights = (arrays[name].astype(np.float64) for name in ("activations", "weights"))
    if activations.ndim != 2 or weights.ndim != 2 or activations.shape[1] != weights.shape[0]:
        raise UserError(
            "activations and weights do not multiply",
            source=path,
            value=f"{activations.shape} and {weights.shape}",
            allowed="[M, K] and [K, N]",
        )
    length = min(activations.shape[1], _LONGEST)
    if length < 2 or not len(activations) or not weights.shape[1]:
        raise UserError("holds no product of two or more operands", source=path)
    generator = np.random.default_rng(seed)
    count = max(min(BENCH_STREAMS, MOST_STEPS // length), 1)
    rows = generator.integers(0, len(activations), count)
    columns = generator.integers(0, weights.shape[1], count)
    a = mac.activation.encode(activations[rows, :length])
    w = mac.weight.encode(weights[:length, columns].T)
    return _streams(mac, a, w, f"{count} PEs of {path.name}, products of {length} operands", seed)


def _streams(mac: Mac, activations: Codes, weights: Codes, what: str, seed: int) -> SwitchingStimuli:
    """Steps of products [PEs, K], each from a sum of zero."""
    count, length = activations.shape
    sums = np.zeros(count, mac.accumulator.dtype)  # what a reset leaves
    none = np.zeros(count, np.int64)
    infinite, overflow = none.astype(bool), none
    before = [sum_words(mac, sums, infinite, overflow)]
    for step in range(length):
        a, w = activations[:, step], weights[:, step]
        raised = mac.step_flags(sums, a, w)
        sums = mac.accumulate(sums, a, w)
        infinite = infinite | raised.is_infinite
        overflow = np.where(overflow, overflow, raised.overflow)
        before.append(sum_words(mac, sums, infinite, overflow))
    words = np.stack(before, axis=1)
    ports = {
        "activation": mac.activation.register_patterns(activations.reshape(-1)),
        "weight": mac.weight.register_patterns(weights.reshape(-1)),
        "sum_in": words[:, :-1].reshape(-1),
    }
    follows = np.ones((count, length), np.bool_)
    follows[:, -1] = False
    return SwitchingStimuli(ports, words[:, 1:].reshape(-1), follows.reshape(-1), what, seed)
