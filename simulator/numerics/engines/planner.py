"""Choosing the engine of a matrix product, and keeping the reason in the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from simulator.foundation import UserError
from simulator.foundation.defects import DefectError
from simulator.numerics.array_types import Accumulators, Booleans, Codes
from simulator.numerics.engines.problem import Answer, Engine, Problem, Refusal
from simulator.numerics.engines.registered import ENGINES
from simulator.numerics.formats import Format, as_codes
from simulator.numerics.formats.code_tables import TABLE_BITS, is_special
from simulator.numerics.mac import Mac

SMALL_PRODUCT: Final = 1 << 16
"""Products of fewer MACs than this spare the import of the compiled engines."""


@dataclass(frozen=True, slots=True)
class MatmulResult:
    """A matrix product and how it was computed.

    `accumulators` [M, N]: int64 (object above 64 bits) or codes of a float accumulator. `is_infinite` [M,
    N]: an infinite or NaN operand took part (fixed accumulators, and float ones that saturate), or the sum
    is infinite or NaN (any float one). `overflow` [M, N]: +1 or -1 where a sticky accumulator overflowed, by
    the first direction; None for others. `engine` computed it, and `reason` says why it is exact.
    """

    accumulators: Accumulators
    is_infinite: Booleans
    overflow: npt.NDArray[np.int8] | None
    engine: str
    reason: str


def multiply(
    mac: Mac,
    a_codes: npt.ArrayLike,
    w_codes: npt.ArrayLike,
    initial: npt.ArrayLike | None = None,
    *,
    engine: str | None = None,
    threads: int | None = None,
    one_of_many: bool = False,
    engines: Sequence[Engine] = ENGINES,
) -> MatmulResult:
    """Accumulators [M, N] of activations [M, K] times weights [K, N], and how they were computed.

    Products are added in the order k = 0 .. K-1. Results depend neither on threads nor on the engine.

    Args:
        mac: the arithmetic.
        a_codes: activations [M, K].
        w_codes: weights [K, N].
        initial: accumulators to start from, that broadcast to [M, N]; zero by default.
        engine: run this one instead of the planner's choice; every engine gives the same bits.
        threads: at most this many in the compiled engines; all cores by default.
        one_of_many: compiled engines take small products too, since their import pays off over many.
        engines: those to choose from, the fastest first; the last takes every product.

    Raises:
        UserError: shapes that do not match, codes or accumulators outside their ranges, an unknown
            engine, or an engine that cannot compute this product exactly.
    """
    a, w = checked_operands(mac, a_codes, w_codes)
    start = None if initial is None else _initial(mac, initial, (a.shape[0], w.shape[1]))
    problem = Problem(mac, a, w, start, threads)
    if engine is None:
        spared = problem.macs < SMALL_PRODUCT and not one_of_many
        name, answer = _first_answer(problem, [each for each in engines if not (spared and each.is_compiled)])
    else:
        name, answer = engine, _forced_answer(problem, engine, engines)
    return MatmulResult(
        answer.accumulators, _infinite(problem, answer), _overflow(problem, answer), name, answer.reason
    )


def checked_operands(mac: Mac, a_codes: npt.ArrayLike, w_codes: npt.ArrayLike) -> tuple[Codes, Codes]:
    """Codes [M, K] and [K, N] in their formats' dtypes.

    Raises:
        UserError: shapes that do not match, codes outside their formats, or a MAC with block scales.
    """
    mac.require_no_blocks("a product of codes alone, without their scales,")
    a, w = as_codes(mac.activation, a_codes), as_codes(mac.weight, w_codes)
    if a.ndim != 2 or w.ndim != 2 or a.shape[1] != w.shape[0]:
        raise UserError(
            "shapes do not match for a matrix product",
            value=f"activations {list(a.shape)}, weights {list(w.shape)}",
            allowed="[M, K] and [K, N]",
        )
    return a, w


def _forced_answer(problem: Problem, name: str, engines: Sequence[Engine]) -> Answer:
    by_name = {each.name: each for each in engines}
    if name not in by_name:
        raise UserError("unknown engine", value=name, candidates=list(by_name))
    answer = by_name[name].attempt(problem)
    if isinstance(answer, Refusal):
        raise UserError(f"engine {name!r} cannot compute MAC {problem.mac.name!r} here: {answer.reason}")
    return answer


def _first_answer(problem: Problem, engines: Sequence[Engine]) -> tuple[str, Answer]:
    for each in engines:
        answer = each.attempt(problem)
        if isinstance(answer, Answer):
            return each.name, answer
    raise DefectError("the last engine takes every product")


def _initial(mac: Mac, initial: npt.ArrayLike, shape: tuple[int, int]) -> Accumulators:
    array = np.asarray(initial)
    if array.dtype.kind not in "iuO":
        raise UserError("initial accumulators must be integers", value=str(array.dtype))
    try:
        array = np.broadcast_to(array, shape)
    except ValueError as error:
        raise UserError(
            "initial accumulators do not fit the product",
            value=list(array.shape),
            allowed=list(shape).__repr__(),
        ) from error
    return mac.accumulator.checked(array)


def _infinite(problem: Problem, answer: Answer) -> Booleans:
    def operands() -> Booleans:
        rows = _has_special(problem.mac.activation, problem.a, axis=1)
        columns = _has_special(problem.mac.weight, problem.w, axis=0)
        return rows[:, None] | columns[None, :]

    return problem.mac.accumulator.infinite(answer.accumulators, operands)


def _has_special(fmt: Format, codes: Codes, axis: int) -> Booleans:
    """Which rows (axis 1) or columns (axis 0) hold an infinity or NaN."""
    if fmt.bits > TABLE_BITS:
        return np.asarray((~np.isfinite(fmt.decode(codes))).any(axis=axis))
    special = is_special(fmt, codes)
    if not special.any():
        return np.zeros(codes.shape[1 - axis], np.bool_)
    return np.asarray(special.any(axis=axis))


def _overflow(problem: Problem, answer: Answer) -> npt.NDArray[np.int8] | None:
    if not problem.mac.accumulator.remembers_overflow:
        return None
    return np.zeros(answer.accumulators.shape, np.int8) if answer.overflow is None else answer.overflow
