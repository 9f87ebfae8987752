"""Choosing the engine of a matrix product, and keeping the reason in the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from simulator.foundation import UserError
from simulator.numerics.engines import blas, sequential, stepwise, table
from simulator.numerics.engines.problem import Answer, Problem, Refusal
from simulator.numerics.formats import as_codes
from simulator.numerics.formats.tables import TABLE_BITS, is_special
from simulator.numerics.mac_spec import FixedAccumulator

if TYPE_CHECKING:
    from simulator.numerics.formats import Format
    from simulator.numerics.mac import Mac

EngineName = Literal["blas", "table", "sequential", "stepwise"]

SMALL_PRODUCT: Final = 1 << 16
"""Products of fewer MACs than this spare the import of the compiled engines."""

_ENGINES: Final[dict[EngineName, Callable[[Problem], Answer | Refusal]]] = {
    "blas": blas.attempt,
    "table": table.attempt,
    "sequential": sequential.attempt,
    "stepwise": stepwise.attempt,
}


@dataclass(frozen=True, slots=True)
class MatmulResult:
    """A matrix product and how it was computed.

    `accumulators` [M, N]: int64 (object above 64 bits) or codes of a float accumulator. `is_infinite` [M,
    N]: an infinite or NaN operand took part (fixed accumulators, and float ones that saturate), or the sum
    is infinite or NaN (any float one). `overflow` [M, N]: +1 or -1 where a sticky accumulator overflowed, by
    the first direction; None for others. `engine` computed it, and `reason` says why it is exact.
    """

    accumulators: npt.NDArray[Any]
    is_infinite: npt.NDArray[np.bool_]
    overflow: npt.NDArray[np.int8] | None
    engine: EngineName
    reason: str


def multiply(
    mac: Mac,
    a_codes: npt.ArrayLike,
    w_codes: npt.ArrayLike,
    initial: npt.ArrayLike | None = None,
    *,
    engine: EngineName | None = None,
    threads: int | None = None,
) -> MatmulResult:
    """Activations [M, K] times weights [K, N]; see `Mac.multiply`. `threads` bounds the compiled engines.

    Raises:
        UserError: shapes that do not match, codes or accumulators outside their ranges, an unknown
            engine, or an engine that cannot compute this product exactly.
    """
    a, w = checked_operands(mac, a_codes, w_codes)
    start = None if initial is None else _initial(mac, initial, (a.shape[0], w.shape[1]))
    problem = Problem(mac, a, w, start, threads)
    name, answer = _run(problem, engine)
    return MatmulResult(
        answer.accumulators, _infinite(problem, answer), _overflow(problem, answer), name, answer.reason
    )


def checked_operands(
    mac: Mac, a_codes: npt.ArrayLike, w_codes: npt.ArrayLike
) -> tuple[npt.NDArray[np.unsignedinteger[Any]], npt.NDArray[np.unsignedinteger[Any]]]:
    """Codes [M, K] and [K, N] in their formats' dtypes.

    Raises:
        UserError: shapes that do not match, or codes outside their formats.
    """
    a, w = as_codes(mac.activation, a_codes), as_codes(mac.weight, w_codes)
    if a.ndim != 2 or w.ndim != 2 or a.shape[1] != w.shape[0]:
        raise UserError(
            "shapes do not match for a matrix product",
            value=f"activations {list(a.shape)}, weights {list(w.shape)}",
            allowed="[M, K] and [K, N]",
        )
    return a, w


def _run(problem: Problem, engine: EngineName | None) -> tuple[EngineName, Answer]:
    if engine is not None:
        if engine not in _ENGINES:
            raise UserError("unknown engine", value=engine, candidates=get_args(EngineName))
        answer = _ENGINES[engine](problem)
        if isinstance(answer, Refusal):
            raise UserError(
                f"engine {engine!r} cannot compute MAC {problem.mac.name!r} here: {answer.reason}"
            )
        return engine, answer
    for name, attempt in _ENGINES.items():
        if problem.macs < SMALL_PRODUCT and name in ("table", "sequential"):
            continue
        answer = attempt(problem)
        if isinstance(answer, Answer):
            return name, answer
    raise AssertionError("the stepwise engine takes every product")


def _initial(mac: Mac, initial: npt.ArrayLike, shape: tuple[int, int]) -> npt.NDArray[Any]:
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
    fixed = mac.accumulator
    if not isinstance(fixed, FixedAccumulator):
        return as_codes(mac.accumulator_format, array)
    if array.size and (int(array.min()) < fixed.lowest or int(array.max()) > fixed.highest):
        worst = int(array.min()) if int(array.min()) < fixed.lowest else int(array.max())
        raise UserError(
            f"initial accumulators outside {fixed.bits} bits",
            value=worst,
            allowed=f"{fixed.lowest} to {fixed.highest}",
        )
    return array.astype(mac.accumulator_dtype)


def _infinite(problem: Problem, answer: Answer) -> npt.NDArray[np.bool_]:
    mac = problem.mac
    lost = np.zeros(answer.accumulators.shape, np.bool_)
    if not mac.is_fixed:
        lost = ~np.isfinite(mac.accumulator_format.decode(answer.accumulators))
        if mac.accumulator_format.overflows_to_infinity:
            return lost
    rows = _has_special(mac.activation, problem.a, axis=1)
    columns = _has_special(mac.weight, problem.w, axis=0)
    return lost | rows[:, None] | columns[None, :]


def _has_special(
    fmt: Format, codes: npt.NDArray[np.unsignedinteger[Any]], axis: int
) -> npt.NDArray[np.bool_]:
    """Which rows (axis 1) or columns (axis 0) hold an infinity or NaN."""
    if fmt.bits > TABLE_BITS:
        return np.asarray((~np.isfinite(fmt.decode(codes))).any(axis=axis))
    special = is_special(fmt, codes)
    if not special.any():
        return np.zeros(codes.shape[1 - axis], np.bool_)
    return np.asarray(special.any(axis=axis))


def _overflow(problem: Problem, answer: Answer) -> npt.NDArray[np.int8] | None:
    fixed = problem.mac.accumulator
    if not (isinstance(fixed, FixedAccumulator) and fixed.overflow == "sticky"):
        return None
    return np.zeros(answer.accumulators.shape, np.int8) if answer.overflow is None else answer.overflow
