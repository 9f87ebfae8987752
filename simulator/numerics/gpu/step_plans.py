"""How a MAC's steps run on a device: which kernel, operands and results by code, and why that is exact."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache, singledispatch
from math import inf
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from simulator.foundation.defects import DefectError
from simulator.numerics.accumulators import Accumulator, FixedAccumulator, FloatAccumulator
from simulator.numerics.engines.blas import DOUBLE_BITS
from simulator.numerics.engines.float_steps import is_native, is_rounded_once, operand_values
from simulator.numerics.engines.problem import Refusal
from simulator.numerics.engines.table import log_sum_tables
from simulator.numerics.formats import Format
from simulator.numerics.mac import Mac
from simulator.numerics.product_rules import ExactProducts, LogProducts, Products

Role = Literal["activation", "weight"]
Kernel = Literal["exact", "halves", "log", "rounded", "single", "watched"]

_TABLE_BITS: Final = 20
"""Operands up to this width are looked up; wider ones are float32 patterns."""

_WATCHED_BITS: Final = 62
_NOTHING: Final = 1 << 20
"""Index of a zero's logarithm: past every table."""

_RULES: Final = {"wrap": 0, "saturate": 1, "sticky": 2}


@dataclass(frozen=True, eq=False)
class StepPlan:
    """A kernel and its constants.

    `tables` are operands by code for each role; None where codes are float32 patterns. `reals`, `integers`
    and `entries` are what the kernel's steps take. `lane_words` are the high words of a log table whose sums
    are exact in float64 for up to `longest` products, [entries][sign]; None where there is no such table.
    `shift` is log2 of the accumulator units of an exact integer 1. `end` is the magnitude of accumulators
    that no sum may pass on its way; infinite where only the bits at the end matter.
    """

    mac: Mac
    kernel: Kernel
    reason: str
    operand_dtype: type[np.generic]
    sum_dtype: type[np.generic]
    tables: dict[Role, npt.NDArray[Any] | None]
    reals: tuple[float, ...] = (0.0,)
    integers: tuple[int, ...] = (0,)
    entries: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    lane_words: npt.NDArray[np.uint32] | None = None
    longest: int = 0
    shift: int = 0
    largest: tuple[int, int] = (0, 0)
    end: float = inf


@lru_cache(maxsize=256)
def step_plan(mac: Mac) -> StepPlan | Refusal:
    """The steps of a MAC, or why a device has none. Exact sums need a bound on the operands besides."""
    return _plan(mac.accumulator, mac)


@singledispatch
def _plan(accumulator: Accumulator, _mac: Mac) -> StepPlan | Refusal:
    return Refusal(f"no kernel has the steps of a {accumulator.kind} accumulator")


@_plan.register
def _(accumulator: FloatAccumulator, mac: Mac) -> StepPlan | Refusal:
    own_steps = _OWN_STEPS.get(accumulator.format)
    found = None if own_steps is None else own_steps(accumulator, mac)
    if found is not None:
        return found
    if not _has_tables(mac):
        return Refusal(f"operands of more than {_TABLE_BITS} bits have kernels only where float32 adds them")
    return _rounded(accumulator, mac)


def _has_tables(mac: Mac) -> bool:
    return max(mac.activation.bits, mac.weight.bits) <= _TABLE_BITS


def _singles(accumulator: FloatAccumulator, mac: Mac) -> StepPlan | None:
    """Single-precision steps where the device has them with these operands."""
    if not is_native(accumulator, mac.activation, mac.weight):
        return None
    return StepPlan(
        mac,
        "single",
        "float32 fused multiply-adds in the order of k, one rounding each",
        np.float32,
        np.float32,
        {"activation": _by_code(mac.activation), "weight": _by_code(mac.weight)},
    )


def _by_code(fmt: Format) -> npt.NDArray[np.float32] | None:
    """float32 values by code; None where codes are float32 patterns."""
    if fmt.spec == "fp32":
        return None
    return fmt.decode(np.arange(1 << fmt.bits, dtype=fmt.code_dtype)).astype(np.float32)


def _stepped(fmt: Format, accumulator: FloatAccumulator) -> npt.NDArray[np.float64]:
    """Operands by code as the steps see them."""
    return operand_values(fmt, np.arange(1 << fmt.bits, dtype=fmt.code_dtype), accumulator.rounding)


def _halves(accumulator: FloatAccumulator, mac: Mac) -> StepPlan | None:
    """Half-precision steps where operands are half-precision numbers."""
    if not _has_tables(mac):
        return None
    tables: dict[Role, npt.NDArray[Any] | None] = {}
    operands: tuple[tuple[Role, Format], ...] = (("activation", mac.activation), ("weight", mac.weight))
    for role, fmt in operands:
        values = _stepped(fmt, accumulator)
        with np.errstate(over="ignore"):
            halves = values.astype(np.float16)
        if not np.array_equal(halves.astype(np.float64), values, equal_nan=True):
            return None
        tables[role] = halves.view(np.uint16)
    flushed = ", checked for subnormal results" if accumulator.flush_subnormals else ""
    return StepPlan(
        mac,
        "halves",
        f"half-precision fused multiply-adds in the order of k, one rounding each{flushed}",
        np.uint16,
        np.uint16,
        tables,
        integers=(int(accumulator.flush_subnormals),),
    )


_OWN_STEPS: Final = {"fp16": _halves, "fp32": _singles}
"""By the accumulator's format: steps that the device has in hardware; None for operands that they refuse."""


@lru_cache(maxsize=256)
def rounded_plan(mac: Mac) -> StepPlan:
    """Steps of a float accumulator in float64, for any that is no native float32.

    Raises:
        DefectError: another accumulator.
    """
    return _rounded(mac.accumulator, mac)


@singledispatch
def _rounded(accumulator: Accumulator, _mac: Mac) -> StepPlan:
    raise DefectError(f"a {accumulator.kind} accumulator has no steps that round float64")


@_rounded.register
def _(accumulator: FloatAccumulator, mac: Mac) -> StepPlan:
    rounding, fmt = accumulator.rounding, accumulator.number_format
    once = is_rounded_once(fmt, mac.activation, mac.weight)
    least, smallest = rounding.kernel_limits
    anchor = (DOUBLE_BITS - rounding.precision) << 52 | 1 << 51
    how = "float64 steps that no second rounding can see" if once else "float64 steps rounded to odd"
    return StepPlan(
        mac,
        "rounded",
        f"{how}, then to {fmt.spec}, in the order of k",
        np.float64,
        np.float64,
        {"activation": _stepped(mac.activation, accumulator), "weight": _stepped(mac.weight, accumulator)},
        reals=(smallest, rounding.largest, rounding.overflow_value),
        integers=(anchor, least, int(not once)),
    )


@_plan.register
def _(fixed: FixedAccumulator, mac: Mac) -> StepPlan | Refusal:
    if fixed.bits > 64:
        return Refusal(f"no kernel has a register of {fixed.bits} bits; 64 at most")
    return _fixed(fixed.products(mac.pair), fixed, mac)


@singledispatch
def _fixed(_products: Products, _fixed: FixedAccumulator, _mac: Mac) -> StepPlan | Refusal:
    return Refusal("no kernel has this product rule")


@_fixed.register
def _(rule: ExactProducts, fixed: FixedAccumulator, mac: Mac) -> StepPlan | Refusal:
    left, right = rule.activation_integers, rule.weight_integers
    largest = float(np.abs(left).max()), float(np.abs(right).max())
    if max(largest) > 1 << DOUBLE_BITS:
        return Refusal(f"operands of {mac.pair.specs} are integers past 2^{DOUBLE_BITS}")
    return StepPlan(
        mac,
        "exact",
        "",
        np.float64,
        np.float64,
        {"activation": left, "weight": right},
        shift=rule.shift,
        largest=(int(largest[0]), int(largest[1])),
        end=fixed.highest if fixed.depends_on_order else inf,
    )


@lru_cache(maxsize=256)
def watched_plan(mac: Mac) -> StepPlan | Refusal:
    """Exact products into a fixed accumulator, step by step: where no bound excludes its end."""
    plan = step_plan(mac)
    return plan if isinstance(plan, Refusal) else _watched(mac.accumulator, mac, plan)


@singledispatch
def _watched(_accumulator: Accumulator, _mac: Mac, _plan: StepPlan) -> StepPlan | Refusal:
    return Refusal("only fixed accumulators have an end to watch")


@_watched.register
def _(fixed: FixedAccumulator, mac: Mac, plan: StepPlan) -> StepPlan | Refusal:
    low, high = fixed.products(mac.pair).limits
    modular = not fixed.depends_on_order
    if plan.shift < 0 or not modular:
        products = plan.largest[0] * plan.largest[1]
        if products >= 1 << 63 or (
            not modular and (fixed.bits > _WATCHED_BITS or max(-low, high) >= 1 << 62)
        ):
            return Refusal(f"no kernel watches products or sums of {mac.name} that leave 62 bits")
    if abs(plan.shift) >= 63:
        return Refusal(f"no kernel shifts products of {mac.name} by {plan.shift} bits")
    integers = (plan.shift, 64 - fixed.bits, _RULES[fixed.overflow], fixed.lowest, fixed.highest)
    how = {"wrap": "modulo 2^64", "saturate": "clipped at every step", "sticky": "overflow watched"}
    return StepPlan(
        mac,
        "watched",
        f"integer products in the order of k, {how[fixed.overflow]}",
        np.int64,
        np.int64,
        {role: None if table is None else table.astype(np.int64) for role, table in plan.tables.items()},
        integers=integers,
    )


@_fixed.register
def _(rule: LogProducts, fixed: FixedAccumulator, mac: Mac) -> StepPlan | Refusal:
    if fixed.depends_on_order:
        return Refusal("no kernel watches sums of log products")
    tables, span = log_sum_tables(rule)
    positive = np.append(tables[0, :span], 0)
    negative = np.append(tables[1, :span], 0)
    largest = int(max(np.abs(positive).max(), np.abs(negative).max()))
    words = np.stack([positive, negative], axis=1).astype(np.float64).view(np.uint64)
    has_words = not (words & np.uint64(0xFFFF_FFFF)).any()
    return StepPlan(
        mac,
        "log",
        "table entries by sums of logarithms",
        np.uint32,
        np.int64,
        {"activation": _log_operands(rule, "activation"), "weight": _log_operands(rule, "weight")},
        integers=(span + 1,),
        entries=np.concatenate([positive, negative]).astype(np.int64),
        lane_words=(words >> np.uint64(32)).astype(np.uint32) if has_words else None,
        longest=(1 << DOUBLE_BITS) // largest,
    )


def _log_operands(rule: LogProducts, role: Role) -> npt.NDArray[np.uint32]:
    """The index of each code's logarithm, its sign in bit 31; zero and infinity add nothing."""
    logs = rule.activation_logs if role == "activation" else rule.weight_logs
    index = logs.logarithms - logs.logarithms.min()
    signed = index.astype(np.uint32) | logs.is_negative.astype(np.uint32) << np.uint32(31)
    return np.where(logs.is_special, np.uint32(_NOTHING), signed)


def bound_of(rows: float, columns: float, largest_a: float, largest_w: float) -> float:
    """A bound on sums of |a w| from the largest 1-norms of rows and columns, more than float64 could lose."""
    bound = min(rows * largest_w, columns * largest_a) * (1 + 2.0**-20)
    return inf if bound != bound else bound
