"""Float accumulators: every output adds its products in the order of k, rounding once a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from simulator.numerics.accumulators import FloatRounding
from simulator.numerics.engines.problem import Answer, Problem, Refusal
from simulator.numerics.engines.threads import for_row_ranges
from simulator.numerics.formats import TABLE_BITS, Format
from simulator.numerics.formats.tables import has_special, look_up
from simulator.numerics.mac_spec import FloatAccumulator

if TYPE_CHECKING:
    from simulator.numerics.engines.scaled import ScaledSteps

_FLOAT64_BITS = 53


def attempt(problem: Problem) -> Answer | Refusal:
    """The product by compiled float steps, or why not."""
    mac = problem.mac
    if not isinstance(mac.accumulator, FloatAccumulator):
        return Refusal("a fixed accumulator does not round")
    if not problem.shape[1]:
        return Answer(problem.starting_sums(), "no product is added")
    if not mac.accumulator_format.has_nan and (
        has_special(mac.activation, problem.a) or has_special(mac.weight, problem.w)
    ):
        return Refusal("an accumulator without NaN makes a number of it at every step")
    if is_native(mac.accumulator_format, mac.accumulator, mac.activation, mac.weight):
        return _native(problem)
    from simulator.numerics.engines.scaled import ScaledSteps

    steps = ScaledSteps.of(mac)
    return _rounded(problem) if steps is None else _scaled(problem, steps)


def is_native(fmt: Format, accumulator: FloatAccumulator, activation: Format, weight: Format) -> bool:
    """Whether one step is the processor's own float32 fused multiply-add."""
    operands = all(
        operand.significand_bits <= 24 and operand.lsb >= -149 and operand.largest < 2.0**128
        for operand in (activation, weight)
    )
    return fmt.spec == "fp32" and not accumulator.flush_subnormals and operands


def is_rounded_once(fmt: Format, activation: Format, weight: Format) -> bool:
    """Whether a float64 sum of an accumulator and a product, rounded again to `fmt`, equals one rounding.

    The sum is inexact only if its ends lie more than 53 bits apart. If the accumulator is the larger one,
    the product is then far below half a unit of the result and both roundings return the accumulator. If
    the product is, the accumulator, at least 2**lsb, can only be lost entirely when the sum is beyond the
    largest result anyway.
    """
    product_bits = activation.significand_bits + weight.significand_bits
    _, greatest = fmt.exponent_range
    return (
        greatest - fmt.lsb <= _FLOAT64_BITS - 3 and product_bits + fmt.significand_bits <= _FLOAT64_BITS - 3
    )


def _native(problem: Problem) -> Answer:
    from simulator.numerics.engines import sequential_kernels as kernels

    mac = problem.mac
    a = mac.activation.decode(problem.a).astype(np.float32)
    w = mac.weight.decode(problem.w).astype(np.float32)
    sums = problem.starting_sums().astype(np.uint32, copy=False).view(np.float32)
    for_row_ranges(
        sums.shape[0], lambda i, j: kernels.multiply_native(a, w, sums, i, j), threads=problem.threads
    )
    codes = sums.view(np.uint32)
    codes[np.isnan(sums)] = mac.accumulator_format.encode(np.nan)
    return Answer(codes, "float32 fused multiply-adds in the order of k, one rounding each")


def _scaled(problem: Problem, steps: ScaledSteps) -> Answer:
    a, w, sums = steps.activations(problem.a), steps.weights(problem.w), steps.sums(problem.starting_sums())
    for_row_ranges(sums.shape[0], lambda i, j: steps.multiply(a, w, sums, i, j), threads=problem.threads)
    lanes, spec = np.dtype(steps.dtype).name, problem.mac.accumulator_format.spec
    return Answer(
        steps.codes(sums),
        f"{lanes} steps that no second rounding can see, then to {spec}, in the order of k",
    )


def _rounded(problem: Problem) -> Answer:
    from simulator.numerics.engines import sequential_kernels as kernels

    mac, rounding, fmt = problem.mac, problem.mac.rounding, problem.mac.accumulator_format
    a = operand_values(mac.activation, problem.a, rounding)
    w = operand_values(mac.weight, problem.w, rounding)
    sums = rounding.flush(fmt.decode(problem.starting_sums()), fmt.smallest_normal)
    once = is_rounded_once(fmt, mac.activation, mac.weight)
    kernel = kernels.multiply_rounding if once else kernels.multiply_rounding_odd
    least, smallest = rounding.kernel_limits
    for_row_ranges(
        sums.shape[0],
        lambda i, j: kernel(
            a, w, sums, rounding.precision, least, smallest, rounding.largest, rounding.overflow_value, i, j
        ),
        threads=problem.threads,
    )
    how = "float64 steps that no second rounding can see" if once else "float64 steps rounded to odd"
    return Answer(fmt.encode(sums), f"{how}, then to {fmt.spec}, in the order of k")


def operand_values(
    fmt: Format, codes: npt.NDArray[np.unsignedinteger], rounding: FloatRounding
) -> npt.NDArray[np.float64]:
    """Operands as the steps see them: float64, subnormal ones zero where the accumulator flushes."""
    if fmt.bits <= TABLE_BITS and codes.size > 1 << fmt.bits:
        every = np.arange(1 << fmt.bits, dtype=fmt.code_dtype)
        return look_up(operand_values(fmt, every, rounding), codes)
    return np.ascontiguousarray(rounding.flush(fmt.decode(codes), fmt.smallest_normal))
