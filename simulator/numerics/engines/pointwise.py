"""Products with weights from the left, [N, K] times [K, P] of each image: convolutions with rows of pixels.

Outputs have their channels first, and so have inputs, of which pointwise convolutions take the channels as
they lie. The sums are those of `multiply`, bit for bit: a fused multiply-add does not care which operand
comes first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, singledispatch
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.numerics.accumulators import Accumulator, FloatAccumulator
from simulator.numerics.array_types import Codes
from simulator.numerics.engines.blas import Operand, add_exact_rows
from simulator.numerics.engines.exact import ExactSums, Reals, exact_sums, log_sums
from simulator.numerics.engines.float_steps import is_native, native_codes, native_values
from simulator.numerics.engines.lane_sums import LaneSums
from simulator.numerics.engines.log_sums import log_operands
from simulator.numerics.engines.scaled import ScaledSteps
from simulator.numerics.engines.shared_operand import SharedOperand
from simulator.numerics.engines.threads import FEW_MACS, for_row_ranges
from simulator.numerics.mac import Mac

Columns = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
"""From the operands of one image to [K, P], contiguous; padding is zero, an operand that adds nothing."""


def as_they_lie(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Channels [K, ...] as rows."""
    return np.ascontiguousarray(image).reshape(len(image), -1)


def as_a_column(row: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """One row [..., K] as a column."""
    return np.ascontiguousarray(row).reshape(-1, 1)


def attempt_exact(
    mac: Mac, x: Codes | SharedOperand, w: Codes | SharedOperand, columns: Columns = as_they_lie
) -> ExactSums | None:
    """Exact sums [batch, N, P] of x [batch, ...] and weights [N, K]; None where no bound proves them."""
    activations, weights = SharedOperand.of(x), SharedOperand.of(w)
    if weights.has_special(mac.weight) or activations.has_special(mac.activation):
        return None
    length = weights.codes.shape[1]

    def combine(a: Operand, b: Operand, dtype: type) -> Reals:
        return _sums(add_exact_rows, b.reals(dtype), a.reals(dtype), columns, dtype)

    return exact_sums(mac, activations.codes, weights, length, combine) or _of_logs(
        mac, activations.codes, weights, columns
    )


def _of_logs(mac: Mac, x: Codes, w: SharedOperand, columns: Columns) -> ExactSums | None:
    operands = log_operands(mac, x, w, w.codes.shape[1])
    if operands is None:
        return None
    steps = operands.steps
    return log_sums(mac, operands, _sums(steps.add, operands.w, steps.looked_up(x), columns, np.float64))


def attempt_steps(
    mac: Mac, x: Codes | SharedOperand, w: Codes | SharedOperand, columns: Columns = as_they_lie
) -> tuple[LaneSums, str] | None:
    """Sums [batch, N, P] by float steps in the order of K, and how; None for other accumulators."""
    activations, weights = SharedOperand.of(x), SharedOperand.of(w)
    if weights.has_special(mac.weight) or activations.has_special(mac.activation):
        return None
    return _steps(mac.accumulator, mac, activations.codes, weights, columns)


@singledispatch
def _steps(
    _accumulator: Accumulator, _mac: Mac, _x: Codes, _w: SharedOperand, _columns: Columns
) -> tuple[LaneSums, str] | None:
    return None


@_steps.register
def _(
    accumulator: FloatAccumulator, mac: Mac, x: Codes, w: SharedOperand, columns: Columns
) -> tuple[LaneSums, str] | None:
    if is_native(accumulator, mac.activation, mac.weight):
        sums = real_products(native_values(mac.activation, x), native_weights(mac, w), columns)
        reason = "float32 fused multiply-adds in the order of k, one rounding each"
        return LaneSums(sums, 1.0, partial(native_codes, accumulator)), reason
    steps = ScaledSteps.of(accumulator, mac.pair)
    if steps is None:
        return None
    scaled = _sums(steps.multiply, step_weights(mac, steps, w), steps.activations(x), columns, steps.dtype)
    lanes = np.dtype(steps.dtype).name
    spec = accumulator.number_format.spec
    reason = f"{lanes} steps that no second rounding can see, then to {spec}, in the order of k"
    return LaneSums(scaled, steps.unit, steps.codes), reason


def native_weights(mac: Mac, w: SharedOperand) -> npt.NDArray[np.float32]:
    """Weights as the processor's own steps see them."""
    return w.made(("native", mac.weight), lambda: native_values(mac.weight, w.codes))


def step_weights(mac: Mac, steps: ScaledSteps, w: SharedOperand) -> npt.NDArray[Any]:
    """Weights as the steps of this MAC take them."""
    return w.made(("steps", mac), lambda: np.ascontiguousarray(steps.weights(w.codes)))


def real_products(
    x: npt.NDArray[np.float32], w: npt.NDArray[np.float32], columns: Columns = as_they_lie
) -> npt.NDArray[np.float32]:
    """Fused multiply-adds in the order of K from zero: [batch, N, P] of x [batch, ...] and w [N, K]."""
    from simulator.numerics.engines.tile_kernels import multiply

    def add_rows(a: Reals, image: Reals, sums: Reals, first: int, last: int) -> None:
        multiply(a, image, sums, (), first, last)

    return _sums(add_rows, w, x, columns, np.float32)


def _sums(
    add_rows: Callable[..., None], w: npt.NDArray[Any], x: npt.NDArray[Any], columns: Columns, total: type
) -> npt.NDArray[Any]:
    """Products of w [N, K] and the columns of each image, added to zeros of type `total`.

    add_rows(w, columns, sums, first, last) adds to rows first .. last - 1 of sums [N, P].
    """
    weights = np.ascontiguousarray(w)
    found: list[npt.NDArray[Any]] = []
    for image in x:
        operands = columns(image)
        sums: npt.NDArray[Any] = np.zeros((len(weights), operands.shape[1]), total)
        threads = 1 if weights.size * operands.shape[1] < FEW_MACS else None
        for_row_ranges(len(sums), partial(add_rows, weights, operands, sums), threads=threads)
        found.append(sums)
    return found[0][None] if len(found) == 1 else np.stack(found)
