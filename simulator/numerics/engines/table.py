"""Fixed accumulators by looking products up: by the pair of codes, or by the sum of two logarithms."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, singledispatch
from typing import Final

import numpy as np
import numpy.typing as npt

from simulator.numerics.accumulators import Accumulator, FixedAccumulator, OverflowRule
from simulator.numerics.array_types import Accumulators, Codes
from simulator.numerics.engines.problem import Answer, Engine, Problem, Refusal
from simulator.numerics.engines.threads import for_row_ranges
from simulator.numerics.mac import Mac
from simulator.numerics.product_rules import LogOperand, LogProducts, Products
from simulator.numerics.twos_complement import wrap

_MAX_WATCHED_BITS: Final = 62
"""Width up to which the kernels see a sum leave its accumulator."""


def attempt(problem: Problem) -> Answer | Refusal:
    """The product by table, or why not."""
    return _attempt(problem.mac.accumulator, problem)


@singledispatch
def _attempt(accumulator: Accumulator, _problem: Problem) -> Answer | Refusal:
    return Refusal(f"a {accumulator.kind} accumulator's step is not a sum of table entries")


@_attempt.register
def _(fixed: FixedAccumulator, problem: Problem) -> Answer | Refusal:
    if problem.mac.has_product_table and (fixed.bits <= _MAX_WATCHED_BITS or not fixed.depends_on_order):
        return _BY_PAIR[fixed.overflow](problem, fixed)
    if not fixed.depends_on_order:
        return _by_rule(fixed.products(problem.mac.pair), problem)
    return _NO_TABLE


_NO_TABLE: Final = Refusal("there is no table of this MAC's products")


def _wrapping(problem: Problem, fixed: FixedAccumulator) -> Answer:
    from simulator.numerics.engines import table_kernels as kernels

    w, sums = np.ascontiguousarray(problem.w), problem.starting_sums()
    flat, offsets = pair_operands(problem.mac, np.ascontiguousarray(problem.a))
    _for_rows(problem, sums, lambda i, j: kernels.sum_products(flat, offsets, w, sums, i, j))
    return Answer(wrap(sums, fixed.bits), "sums of table entries, exact modulo 2^64")


def _saturating(problem: Problem, fixed: FixedAccumulator) -> Answer:
    from simulator.numerics.engines import table_kernels as kernels

    table, a, w = _operands(problem)
    sums, low, high = problem.starting_sums(), fixed.lowest, fixed.highest
    _for_rows(problem, sums, lambda i, j: kernels.sum_products_saturating(table, a, w, low, high, sums, i, j))
    return Answer(sums, "table entries in the order of k, clipped at every step")


def _sticky(problem: Problem, fixed: FixedAccumulator) -> Answer:
    from simulator.numerics.engines import table_kernels as kernels

    table, a, w = _operands(problem)
    sums, spare = problem.starting_sums(), 64 - fixed.bits
    overflow = np.zeros(sums.shape, np.int8)
    _for_rows(
        problem, sums, lambda i, j: kernels.sum_products_sticky(table, a, w, spare, sums, overflow, i, j)
    )
    return Answer(sums, "table entries in the order of k, overflow watched at every step", overflow)


_BY_PAIR: Final[dict[OverflowRule, Callable[[Problem, FixedAccumulator], Answer]]] = {
    "wrap": _wrapping,
    "saturate": _saturating,
    "sticky": _sticky,
}


def _operands(problem: Problem) -> tuple[npt.NDArray[np.int64], Codes, Codes]:
    return (
        problem.mac.product_table(),
        np.ascontiguousarray(problem.a),
        np.ascontiguousarray(problem.w),
    )


def _for_rows(problem: Problem, sums: Accumulators, work: Callable[[int, int], object]) -> None:
    for_row_ranges(sums.shape[0], work, threads=problem.threads)


@singledispatch
def _by_rule(_products: Products, _problem: Problem) -> Answer | Refusal:
    return _NO_TABLE


@_by_rule.register
def _(rule: LogProducts, problem: Problem) -> Answer | Refusal:
    from simulator.numerics.engines import table_kernels as kernels

    table, offsets, w_index = log_sum_operands(rule, problem.a, problem.w)
    sums = problem.starting_sums()
    _for_rows(problem, sums, lambda i, j: kernels.sum_products(table, offsets, w_index, sums, i, j))
    return Answer(wrap(sums, rule.accumulator_bits), "table entries by sums of logarithms, exact modulo 2^64")


def pair_operands(mac: Mac, a: Codes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The products of all pairs of codes as a flat table, and each activation's offset in it (`_offsets`)."""
    return mac.product_table().reshape(-1), _pair_offsets(mac)[a]


@lru_cache(maxsize=64)
def _pair_offsets(mac: Mac) -> npt.NDArray[np.int64]:
    table = mac.product_table()
    nothing = np.asarray(~table.any(axis=1))
    offsets = _offsets(np.arange(table.shape[0]) * table.shape[1], nothing)
    offsets.setflags(write=False)
    return offsets


def log_sum_operands(
    rule: LogProducts, a: Codes, w: Codes
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.uint32]]:
    """A flat table, each activation's offset in it (see `_offsets`), and what each weight adds to that."""
    table, offsets, w_index = _log_sum_tables_by_code(rule)
    return table, offsets[a], w_index[w]


@lru_cache(maxsize=16)
def log_sum_indices(
    rule: LogProducts,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """A flat table, and what each activation and each weight code add to a place in it; none is left out."""
    tables, span = log_sum_tables(rule)
    table = tables.reshape(-1)
    a_index = _index(rule.activation_logs, span, tables.shape[1])
    w_index = _index(rule.weight_logs, 3 * span, 2 * span)
    for array in (table, a_index, w_index):
        array.setflags(write=False)
    return table, a_index, w_index


@lru_cache(maxsize=16)
def _log_sum_tables_by_code(
    rule: LogProducts,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.uint32]]:
    """As `log_sum_operands` for every code; kept, since it takes longer than an attention head's product."""
    table, a_index, w_index = log_sum_indices(rule)
    offsets = _offsets(a_index.astype(np.int64), rule.activation_logs.is_special)
    offsets.setflags(write=False)
    return table, offsets, w_index


def _offsets(by_code: npt.NDArray[np.int64], nothing: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Offsets of activation codes, -1 for those whose products are all 0 (half a network's, after ReLUs)."""
    return np.where(nothing, -1, by_code).astype(np.int64)


def log_sum_tables(rule: LogProducts) -> tuple[npt.NDArray[np.int64], int]:
    """Increments by the sum of two operand indices: [2, 5 * span] and the span.

    Row 0 is for positive activations, row 1 for negative ones. An index counts logarithms up from the
    least, 2 `span` more for a negative weight; an activation that adds nothing (zero, infinity) counts
    `span`, such a weight 3 `span`. So sums fall into [product | nothing | product of the other sign |
    nothing | nothing].
    """
    span = rule.greatest_log_sum - rule.least_log_sum + 1
    sums = np.arange(rule.least_log_sum, rule.greatest_log_sum + 1)
    positive, negative = rule.of_log_sum(sums, np.False_), rule.of_log_sum(sums, np.True_)
    nothing = np.zeros(span, np.int64)
    rows = [
        np.concatenate([same, nothing, other, nothing, nothing])
        for same, other in ((positive, negative), (negative, positive))
    ]
    return np.stack(rows), span


def _index(operand: LogOperand, special: int, sign_stride: int) -> npt.NDArray[np.uint32]:
    index = operand.logarithms - operand.logarithms.min() + sign_stride * operand.is_negative
    return np.where(operand.is_special, special, index).astype(np.uint32)


ENGINE: Final = Engine("table", attempt, is_compiled=True)
