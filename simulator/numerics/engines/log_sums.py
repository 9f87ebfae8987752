"""Sums of log products without a table: the processor multiplies, and one rounding gives the table's entry.

A log product adds two logarithms and takes the sum's fraction f through a table of 2**f, rounded to `alpha`
bits. Operands as floats are 2**logarithm to a unit in the last place, so that their product is off by less
than 6 u relative (u = 2**-24 in float32, 2**-53 in float64). Rounded to `alpha` fraction bits it is the
table's entry if no 2**f, f not 0, comes that close to the middle between two entries; this is checked for
every fraction of the format, and the narrowest type that passes is taken. f = 0 gives a power of two, which
is itself an entry. Values count units of the accumulator's lowest bit, so that floor cuts off what the
circuit's arithmetic shift does. Two things are left to check for operands: no product is past the
accumulator's top (it would vanish), and no sum of magnitudes leaves float64's 2**53.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, singledispatch
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from simulator.numerics.accumulators import Accumulator, FixedAccumulator
from simulator.numerics.array_types import Codes
from simulator.numerics.engines.blas import DOUBLE_BITS, SINGLE_BITS
from simulator.numerics.engines.orientation import Orientation
from simulator.numerics.engines.problem import Answer, Engine, Problem, Refusal
from simulator.numerics.engines.shared_operand import SharedOperand
from simulator.numerics.formats.code_tables import look_up, present_codes
from simulator.numerics.logarithm import pow2_table
from simulator.numerics.mac import Mac
from simulator.numerics.product_rules import LogOperand, LogProducts, Products
from simulator.numerics.twos_complement import wrap

Floats = npt.NDArray[np.floating[Any]]

_EXPONENTS: Final = {np.float32: 120, np.float64: 1000}
"""Exponents of products beyond which they might leave a type's normal numbers."""

_ERRORS: Final = 6
"""Errors of a product, in u: two of each operand and one of its own rounding, and what they give together."""


@dataclass(frozen=True, eq=False)
class LogSteps:
    """Float values of codes for one product rule, and the numbers that the kernel takes.

    `activations` count units of the accumulator's lowest bit; codes that add nothing are zero in both tables.
    """

    rule: LogProducts
    dtype: type[np.float32 | np.float64]
    activations: Floats
    weights: Floats

    @classmethod
    def of(cls, rule: LogProducts) -> LogSteps | None:
        """The steps in the narrowest type that is exact; None where none is."""
        return _steps(rule)

    def bound(self, a: Codes, w: Codes, length: int) -> int | None:
        """A bound on sums of `length` magnitudes; None where a product might be past the top."""
        largest = _largest(self.activations, a) * _largest(self.weights, w) * (1 + 2.0**-self.rule.alpha)
        if largest >= 2.0 ** (self.rule.accumulator_bits - 1):
            return None
        return length * (int(largest) + 2)  # a negative product is cut off to the next integer below

    def looked_up(self, a: Codes) -> Floats:
        """Activations as the kernel takes them."""
        return look_up(self.activations, np.ascontiguousarray(a))

    def looked_up_weights(self, w: SharedOperand) -> Floats:
        """Weights as the kernel takes them, made once."""
        return w.made(("log", self.rule), lambda: look_up(self.weights, np.ascontiguousarray(w.codes)))

    def add(self, a: Floats, w: Floats, sums: npt.NDArray[np.float64], first: int, last: int) -> None:
        """Add products of values a [M, K] and w [K, N], from either table, to rows first .. last - 1."""
        from simulator.numerics.engines.tile_kernels import add_logs

        add_logs(a, w, sums, self.numbers, first, last)

    @property
    def numbers(self) -> tuple[np.signedinteger[Any], np.signedinteger[Any]]:
        """For `tile_steps.log_product`: half a unit of the last bit that is kept, and the bits that are."""
        if self.dtype is np.float32:
            drop = SINGLE_BITS - 1 - self.rule.alpha
            return np.int32(1 << (drop - 1)), np.int32(-1 << drop)
        drop = DOUBLE_BITS - 1 - self.rule.alpha
        return np.int64(1 << (drop - 1)), np.int64(-1 << drop)


@lru_cache(maxsize=64)
def _steps(rule: LogProducts) -> LogSteps | None:
    margin = _margin(rule.fraction_bits, rule.alpha)
    for dtype, bits in ((np.float32, SINGLE_BITS), (np.float64, DOUBLE_BITS)):
        logs = (rule.activation_logs, rule.weight_logs)
        reach = sum(int(np.abs(each.logarithms).max()) for each in logs) >> rule.fraction_bits
        in_range = reach + 1 + abs(rule.accumulator_lsb) <= _EXPONENTS[dtype]
        if margin > _ERRORS * Fraction(1, 1 << bits) and in_range:
            values = [_values(each, rule.fraction_bits) for each in logs]
            a = np.ldexp(values[0], -rule.accumulator_lsb)
            return LogSteps(rule, dtype, a.astype(dtype), values[1].astype(dtype))
    return None


def _margin(fraction_bits: int, alpha: int) -> Fraction:
    """The least relative distance of a power 2**f, f not 0, from the middle between two table entries.

    0 where the table's entry is not the nearest `alpha` bits, which would be another table. float64's power,
    good to less than 2**-50, counts 2**-50 against the margin.
    """
    steps = 1 << fraction_bits
    powers, found = pow2_table(fraction_bits, alpha), Fraction(1)
    for f in range(1, steps):
        scaled = Fraction(2.0 ** (f / steps)) * (1 << alpha)
        floor = scaled.numerator // scaled.denominator
        middle = floor + Fraction(1, 2)
        if (1 << alpha) + int(powers[f]) != floor + (scaled > middle):
            return Fraction(0)
        found = min(found, abs(scaled - middle) / scaled - Fraction(1, 1 << 50))
    return found


def _values(operand: LogOperand, fraction_bits: int) -> npt.NDArray[np.float64]:
    """2**logarithm with its sign; zero for codes that add nothing."""
    whole, fraction = operand.logarithms >> fraction_bits, operand.logarithms & ((1 << fraction_bits) - 1)
    magnitudes = np.ldexp(np.exp2(fraction / (1 << fraction_bits)), whole)
    return np.where(operand.is_special, 0.0, np.where(operand.is_negative, -magnitudes, magnitudes))


def _largest(table: Floats, codes: Codes) -> float:
    return float(np.abs(table[present_codes(codes, table.size)]).max(initial=0.0))


@singledispatch
def _log_rule(_accumulator: Accumulator, _mac: Mac) -> LogProducts | None:
    """The rule of log products; None where products or register are others."""
    return None


@_log_rule.register
def _(fixed: FixedAccumulator, mac: Mac) -> LogProducts | None:
    return _own_rule(fixed.products(mac.pair))


@singledispatch
def _own_rule(_products: Products) -> LogProducts | None:
    return None


@_own_rule.register
def _(rule: LogProducts) -> LogProducts:
    return rule


def attempt(problem: Problem) -> Answer | Refusal:
    """The product by rounded float products, or why not."""
    accumulator = problem.mac.accumulator
    rule = _log_rule(accumulator, problem.mac)
    if rule is None:
        return Refusal("products are not those of log numbers into a fixed accumulator")
    if accumulator.depends_on_order:
        return Refusal("log products are summed as floats only where the order does not matter")
    steps = LogSteps.of(rule)
    if steps is None:
        return Refusal("a float product comes too close to the middle between two entries of the table")
    bound = steps.bound(problem.a, problem.w, problem.shape[1])
    if bound is None or bound > 1 << DOUBLE_BITS:
        return Refusal("the bound on products does not exclude that one vanishes, or that sums leave 2^53")
    way = Orientation.of(problem.shape[0], problem.shape[2])
    a = steps.looked_up(way.facing(problem.a))
    w = steps.looked_up_weights(SharedOperand(way.facing(problem.w)))
    sums = way.facing(np.zeros((problem.shape[0], problem.shape[2])))
    way.run(steps.add, a, w, sums, problem.threads)
    total = way.facing(sums.astype(np.int64))
    if problem.initial is not None:
        with np.errstate(over="ignore"):
            total = total + problem.initial
    return Answer(wrap(total, rule.accumulator_bits), log_reason(steps, bound))


def log_reason(steps: LogSteps, bound: int) -> str:
    """Why the sums are exact."""
    name = np.dtype(steps.dtype).name
    return f"{name} products rounded to the table's entries, sums within {bound} <= 2^53: exact in float64"


@dataclass(frozen=True, slots=True)
class LogOperands:
    """Weights of a layer as `LogSteps` multiplies them, and a bound within 2**53 on the sums' magnitudes."""

    steps: LogSteps
    w: Floats
    bound: int


def log_operands(mac: Mac, a: Codes, w: SharedOperand, length: int) -> LogOperands | None:
    """Finite operands in any layout for sums of `length` products; None where the sums would not be exact."""
    rule = _log_rule(mac.accumulator, mac)
    if rule is None or mac.accumulator.depends_on_order:
        return None
    steps = LogSteps.of(rule)
    bound = None if steps is None else steps.bound(a, w.codes, length)
    if steps is None or bound is None or bound > 1 << DOUBLE_BITS:
        return None
    return LogOperands(steps, steps.looked_up_weights(w), bound)


ENGINE: Final = Engine("log", attempt, is_compiled=True)
"""Log products as rounded float products."""
