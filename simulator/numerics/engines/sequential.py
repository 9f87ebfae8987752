"""Float accumulators: every output adds its products in the order of k, rounding once a step."""

from __future__ import annotations

from functools import singledispatch
from typing import Final

import numpy as np

from simulator.numerics.accumulators import Accumulator, FloatAccumulator
from simulator.numerics.engines.float_steps import (
    is_native,
    is_rounded_once,
    native_codes,
    native_values,
    operand_values,
)
from simulator.numerics.engines.orientation import Orientation
from simulator.numerics.engines.problem import Answer, Engine, Problem, Refusal, refusal_without_nan
from simulator.numerics.engines.scaled import ScaledSteps
from simulator.numerics.engines.threads import for_row_ranges


def attempt(problem: Problem) -> Answer | Refusal:
    """The product by compiled float steps, or why not."""
    return _attempt(problem.mac.accumulator, problem)


@singledispatch
def _attempt(accumulator: Accumulator, _problem: Problem) -> Answer | Refusal:
    return Refusal(f"no compiled float step is that of a {accumulator.kind} accumulator")


@_attempt.register
def _(accumulator: FloatAccumulator, problem: Problem) -> Answer | Refusal:
    mac = problem.mac
    if not problem.shape[1]:
        return Answer(problem.starting_sums(), "no product is added")
    if (refused := refusal_without_nan(problem)) is not None:
        return refused
    if is_native(accumulator, mac.activation, mac.weight):
        return _native(problem, accumulator)
    steps = ScaledSteps.of(accumulator, mac.pair)
    return _rounded(problem, accumulator) if steps is None else _scaled(problem, accumulator, steps)


def _native(problem: Problem, accumulator: FloatAccumulator) -> Answer:
    from simulator.numerics.engines.tile_kernels import multiply

    a = np.ascontiguousarray(native_values(problem.mac.activation, problem.a))
    w = np.ascontiguousarray(native_values(problem.mac.weight, problem.w))
    sums = problem.starting_sums().astype(np.uint32, copy=False).view(np.float32)
    for_row_ranges(sums.shape[0], lambda i, j: multiply(a, w, sums, (), i, j), threads=problem.threads)
    reason = "float32 fused multiply-adds in the order of k, one rounding each"
    return Answer(native_codes(accumulator, sums), reason)


def _scaled(problem: Problem, accumulator: FloatAccumulator, steps: ScaledSteps) -> Answer:
    way = Orientation.of(problem.shape[0], problem.shape[2])
    a, w = steps.activations(way.facing(problem.a)), steps.weights(way.facing(problem.w))
    sums = steps.sums(way.facing(problem.starting_sums()))
    way.run(steps.multiply, a, w, sums, problem.threads)
    lanes, spec = np.dtype(steps.dtype).name, accumulator.number_format.spec
    return Answer(
        way.facing(steps.codes(sums)),
        f"{lanes} steps that no second rounding can see, then to {spec}, in the order of k",
    )


def _rounded(problem: Problem, accumulator: FloatAccumulator) -> Answer:
    from simulator.numerics.engines import sequential_kernels as kernels

    mac, rounding, fmt = problem.mac, accumulator.rounding, accumulator.number_format
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


ENGINE: Final = Engine("sequential", attempt, is_compiled=True)
