"""Products with weights from the left, [N, K] times [batch, K, P]: pointwise convolutions as they lie.

Inputs and outputs have their channels first, so that nothing is lowered or transposed. The sums are those of
`multiply`, bit for bit: a fused multiply-add does not care which operand comes first.
"""

from __future__ import annotations

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
from simulator.numerics.formats.code_tables import has_special
from simulator.numerics.mac import Mac


def attempt_exact(mac: Mac, x: Codes, w: Codes | SharedOperand) -> ExactSums | None:
    """Exact sums [batch, N, P] of x [batch, K, P] and weights [N, K]; None where no bound proves them."""
    weights = SharedOperand.of(w)
    if has_special_weights(mac, weights) or has_special(mac.activation, x):
        return None
    length = weights.codes.shape[1]
    return exact_sums(mac, x, weights, length, _by_blas) or _of_logs(mac, x, weights, length)


def _of_logs(mac: Mac, x: Codes, w: SharedOperand, length: int) -> ExactSums | None:
    operands = log_operands(mac, x, w, length)
    if operands is None:
        return None
    total = np.zeros((len(x), len(w.codes), x.shape[2]))
    for image, sums in zip(operands.steps.looked_up(x), total, strict=True):
        _rows(w.codes.size * x.shape[2], len(sums), operands.steps.add, operands.w, image, sums)
    return log_sums(mac, operands, total)


def attempt_steps(mac: Mac, x: Codes, w: Codes | SharedOperand) -> tuple[LaneSums, str] | None:
    """Sums [batch, N, P] by float steps in the order of K, and how; None for other accumulators."""
    weights = SharedOperand.of(w)
    if has_special_weights(mac, weights) or has_special(mac.activation, x):
        return None
    return _steps(mac.accumulator, mac, x, weights)


@singledispatch
def _steps(_accumulator: Accumulator, _mac: Mac, _x: Codes, _w: SharedOperand) -> tuple[LaneSums, str] | None:
    return None


@_steps.register
def _(accumulator: FloatAccumulator, mac: Mac, x: Codes, w: SharedOperand) -> tuple[LaneSums, str] | None:
    if is_native(accumulator, mac.activation, mac.weight):
        sums = real_products(native_values(mac.activation, x), native_weights(mac, w))
        reason = "float32 fused multiply-adds in the order of k, one rounding each"
        return LaneSums(sums, 1.0, partial(native_codes, accumulator)), reason
    steps = ScaledSteps.of(accumulator, mac.pair)
    if steps is None:
        return None
    scaled = np.zeros((len(x), len(w.codes), x.shape[2]), steps.dtype)
    a, b = steps.activations(x), step_weights(mac, steps, w)
    for image, part in zip(a, scaled, strict=True):
        _rows(b.size * x.shape[2], len(b), steps.multiply, b, np.ascontiguousarray(image), part)
    lanes = np.dtype(steps.dtype).name
    spec = accumulator.number_format.spec
    reason = f"{lanes} steps that no second rounding can see, then to {spec}, in the order of k"
    return LaneSums(scaled, steps.unit, steps.codes), reason


def has_special_weights(mac: Mac, w: SharedOperand) -> bool:
    """Whether any weight is infinite or NaN."""
    return w.made(("special", mac.weight), lambda: has_special(mac.weight, w.codes))


def native_weights(mac: Mac, w: SharedOperand) -> npt.NDArray[np.float32]:
    """Weights as the processor's own steps see them."""
    return w.made(("native", mac.weight), lambda: native_values(mac.weight, w.codes))


def step_weights(mac: Mac, steps: ScaledSteps, w: SharedOperand) -> npt.NDArray[Any]:
    """Weights as the steps of this MAC take them."""
    return w.made(("steps", mac), lambda: np.ascontiguousarray(steps.weights(w.codes)))


def real_products(x: npt.NDArray[np.float32], w: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Fused multiply-adds in the order of K from zero: [batch, N, P] of x [batch, K, P] and w [N, K]."""
    from simulator.numerics.engines.tile_kernels import multiply

    def rows(a: Reals, image: Reals, sums: Reals, first: int, last: int) -> None:
        multiply(a, image, sums, (), first, last)

    found = np.zeros((len(x), len(w), x.shape[2]), np.float32)
    weights = np.ascontiguousarray(w)
    for image, sums in zip(x, found, strict=True):
        _rows(w.size * x.shape[2], len(w), rows, weights, np.ascontiguousarray(image), sums)
    return found


def _by_blas(a: Operand, b: Operand, dtype: type) -> Reals:
    x, w = a.reals(dtype), b.reals(dtype)
    found = np.zeros((len(x), len(w), x.shape[2]), x.dtype)
    for image, sums in zip(x, found, strict=True):
        _rows(w.size * x.shape[2], len(w), add_exact_rows, w, image, sums)
    return found


def _rows(macs: int, rows: int, work: Any, *operands: npt.NDArray[Any]) -> None:
    for_row_ranges(
        rows,
        lambda first, last: work(*operands, first, last),
        threads=1 if macs < FEW_MACS else None,
    )
