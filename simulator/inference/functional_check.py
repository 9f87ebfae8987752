"""Functional check: the array's results against references that compute them another way.

For every layer: all outputs against float64 products of what the codes stand for (closeness), sampled
outputs against exact arithmetic one product at a time (equality), sampled tiles against the register-level
grid, stepped clock by clock (equality). The first wrong output stops the run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.array import ArrayTiming, run_product
from simulator.foundation.defects import DefectError
from simulator.inference.arithmetic import MacOutput
from simulator.inference.exact_arithmetic import exact_accumulator
from simulator.inference.layer_products import Product
from simulator.inference.quantization import NetworkPlan
from simulator.numerics import Mac

_SEED = 20240601


class MismatchError(DefectError):
    """An output that is not what the reference says; the message has layer, coordinates and both values."""


@dataclass(slots=True)
class FunctionalCheck:
    """An observer for `infer` that checks every layer of the first chunk of images.

    Attributes:
        plan: the plan that `infer` runs.
        outputs: sampled for each layer, against exact arithmetic.
        tile: rows and columns of the one tile for each layer that goes through the register-level grid.
        checked: layer name to the number of outputs that were compared, by reference.
    """

    plan: NetworkPlan
    outputs: int = 16
    tile: int = 4
    checked: dict[str, dict[str, int]] = field(default_factory=dict)

    def __call__(self, product: Product, output: MacOutput) -> None:
        """Check one layer. Raises MismatchError."""
        if product.name in self.checked:
            return
        mac = self.plan.layers[product.name].mac
        mac.require_no_blocks("the functional check")
        random = np.random.default_rng([_SEED, len(self.checked)])
        operands, sums = output.operands, output.accumulators
        self.checked[product.name] = {
            "closeness": check_closeness(product.name, mac, operands.activations, operands.weights, sums),
            "exact": self._check_exact(product.name, mac, output, random),
            "grid": self._check_grid(product.name, mac, output, random),
        }

    def _check_exact(self, name: str, mac: Mac, output: MacOutput, random: np.random.Generator) -> int:
        sums = output.accumulators
        chosen = random.choice(sums.size, size=min(self.outputs, sums.size), replace=False)
        for flat in sorted(chosen.tolist()):
            group, m, n = (int(index) for index in np.unravel_index(flat, sums.shape))
            row = output.operands.activations[group, m].tolist()
            column = output.operands.weights[group, :, n].tolist()
            expected = exact_accumulator(mac, row, column)
            got = _comparable(mac, sums[group, m, n])
            if not _same(got, expected):
                raise _mismatch(name, (group, m, n), got, expected, "exact arithmetic")
        return len(chosen)

    def _check_grid(self, name: str, mac: Mac, output: MacOutput, random: np.random.Generator) -> int:
        groups, rows, columns = output.accumulators.shape
        group = int(random.integers(groups))
        m, n = (int(random.integers(max(1, size - self.tile + 1))) for size in (rows, columns))
        a = output.operands.activations[group, m : m + self.tile]
        w = output.operands.weights[group, :, n : n + self.tile]
        timing = ArrayTiming(rows=self.tile, columns=self.tile)
        stepped = run_product(timing, mac, a, w).accumulators
        expected = output.accumulators[group, m : m + self.tile, n : n + self.tile]
        wrong = np.argwhere(stepped != expected)
        if len(wrong):
            i, j = (int(index) for index in wrong[0])
            got, reference = _comparable(mac, expected[i, j]), _comparable(mac, stepped[i, j])
            raise _mismatch(name, (group, m + i, n + j), got, reference, "the register-level grid")
        return int(expected.size)


def check_closeness(
    name: str, mac: Mac, activations: NDArray[Any], weights: NDArray[Any], sums: NDArray[Any]
) -> int:
    """Compare accumulators [groups, M, N] with float64 products of decoded operands.

    The bound follows from the MAC: each product and each step may be off by what its rule rounds away.
    Outputs that may leave the accumulator on the way are not compared.

    Returns:
        How many outputs were compared.

    Raises:
        MismatchError: an output is further away than the MAC's rounding can explain.
    """
    compared = 0
    for group in range(len(sums)):
        a, w = mac.activation.decode(activations[group]), mac.weight.decode(weights[group])
        with np.errstate(invalid="ignore", over="ignore"):
            reference, extent = a @ w, np.abs(a) @ np.abs(w)
            got = mac.to_real(sums[group])
            inside = np.isfinite(reference) & (extent < mac.accumulator.undisturbed)
            bound = mac.accumulator.rounding_error(mac.pair, extent, a.shape[1])
            wrong = inside & ~(np.abs(got - reference) <= bound)
        compared += int(np.count_nonzero(inside))
        for m, n in np.argwhere(wrong)[:1].tolist():
            raise _mismatch(name, (group, m, n), float(got[m, n]), float(reference[m, n]), "float64 products")
    return compared


def _comparable(mac: Mac, accumulator: np.number[Any] | int) -> int | float:
    """Plain integers as they are, codes by value."""
    if mac.accumulator.number_format is None:
        return int(accumulator)
    return float(mac.to_real(np.asarray([accumulator]))[0])


def _same(got: float, expected: float) -> bool:
    return got == expected or (got != got and expected != expected)


def _mismatch(
    name: str, at: tuple[int, int, int], got: float, expected: float, reference: str
) -> MismatchError:
    group, m, n = at
    place = f"{name}: group {group}, m {m}, n {n}"
    return MismatchError(f"{place}: output differs from {reference}, which gives {expected!r} (got {got!r})")
