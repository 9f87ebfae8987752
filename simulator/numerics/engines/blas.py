"""Fixed accumulators by floating-point BLAS, wherever a bound proves that nothing is ever rounded.

Operands become integers. While the sum of |a b| over k stays within 2**53, every partial sum in any
order, blocking or fused step is an integer that float64 holds, so the product is exact (within 2**24
float32 will do, at twice the speed). Past that bound operands are split into limbs of fewer bits, one
BLAS call per pair of limbs, and the partial products are put together modulo 2**64 or 2**128, which is
all that an accumulator that wraps can see.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, singledispatch
from itertools import product
from math import inf
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from simulator.numerics.accumulators import Accumulator, FixedAccumulator
from simulator.numerics.array_types import Codes
from simulator.numerics.engines.problem import Answer, Engine, Problem, Refusal
from simulator.numerics.engines.shared_operand import SharedOperand
from simulator.numerics.engines.threads import for_row_ranges, in_pool
from simulator.numerics.engines.wide import Wide
from simulator.numerics.formats.code_tables import look_up, present_codes
from simulator.numerics.product_rules import ExactProducts, Products
from simulator.numerics.twos_complement import wrap

SINGLE_BITS = 24
DOUBLE_BITS = 53
_MAX_LIMBS = 8
_FEW_MACS = 1 << 24
"""Below this many MACs threads cost more than they save."""

_ALONE = 1 << 18
"""Below this many MACs BLAS starts no threads."""

Reals = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Operand:
    """A matrix of codes and the table that makes them integers in units of 2**unit."""

    codes: Codes
    table: npt.NDArray[np.float64]
    unit: int = 0

    @cached_property
    def largest(self) -> int:
        """Largest magnitude in the table."""
        return int(np.abs(self.table).max(initial=0.0))

    @cached_property
    def narrowed(self) -> Operand:
        """The same integers, the table reduced to codes that are present and to their common power of two."""
        present = present_codes(self.codes, self.table.size)
        table = np.where(present, self.table, 0.0)
        fractions, exponents = np.frexp(table[table != 0])
        if not fractions.size:
            return Operand(self.codes, table, self.unit)
        significands = np.abs(np.ldexp(fractions, DOUBLE_BITS)).astype(np.int64)
        zeros = np.frexp((significands & -significands).astype(np.float64))[1] - 1
        spare = int((exponents - DOUBLE_BITS + zeros).min())
        return Operand(self.codes, np.ldexp(table, -spare), self.unit + spare)

    def reals(self, dtype: type) -> Reals:
        """The matrix of integers in float32 or float64, which must hold them."""
        return self.single if dtype is np.float32 else self.double

    @cached_property
    def single(self) -> npt.NDArray[np.float32]:
        """The matrix of integers in float32."""
        return look_up(self.table.astype(np.float32), self.codes)

    @cached_property
    def double(self) -> npt.NDArray[np.float64]:
        """The matrix of integers in float64."""
        return look_up(self.table, self.codes)


@dataclass(frozen=True, slots=True)
class Factors:
    """Operands as integers whose products are added in units of 2**shift accumulator bits.

    bound: on the sum of the products' magnitudes.
    """

    a: Operand
    w: Operand
    shift: int
    bound: int

    @classmethod
    def of(
        cls, rule: ExactProducts, a: Codes, w: Codes | SharedOperand, length: int, *, any_order: bool
    ) -> Factors | None:
        """The factors of sums of `length` products; None where bits are cut off product by product.

        any_order: whether sums may leave the accumulator on the way, so that no tight bound is needed.
        """
        shared = SharedOperand.of(w)
        left = Operand(a, rule.activation_integers)
        right = shared.made(("integers", rule), lambda: Operand(shared.codes, rule.weight_integers))
        bound, shift = length * left.largest * right.largest, rule.shift
        if shift < 0 or not any_order or bound > 1 << DOUBLE_BITS:
            left, right = left.narrowed, right.narrowed
            bound, shift = length * left.largest * right.largest, rule.shift + left.unit + right.unit
            if shift < 0 and bound:
                return None
            shift = max(shift, 0)
        return cls(left, right, shift, bound)

    @property
    def fit_single(self) -> bool:
        """Whether float32 holds the operands and all sums; the bound is 0 beside zeros alone."""
        return max(self.bound, self.a.largest, self.w.largest) <= 1 << SINGLE_BITS


def attempt(problem: Problem) -> Answer | Refusal:
    """The product by BLAS, or why not."""
    return _attempt(problem.mac.accumulator, problem)


_NOT_INTEGER: Final = Refusal("only exact products into fixed accumulators are integer arithmetic")


@singledispatch
def _attempt(_accumulator: Accumulator, _problem: Problem) -> Answer | Refusal:
    return _NOT_INTEGER


@_attempt.register
def _(fixed: FixedAccumulator, problem: Problem) -> Answer | Refusal:
    return _sum(fixed.products(problem.mac.pair), fixed, problem)


@singledispatch
def _sum(_products: Products, _fixed: FixedAccumulator, _problem: Problem) -> Answer | Refusal:
    return _NOT_INTEGER


@_sum.register
def _(rule: ExactProducts, fixed: FixedAccumulator, problem: Problem) -> Answer | Refusal:
    any_order = not fixed.depends_on_order
    K = problem.shape[1]
    factors = Factors.of(rule, problem.a, problem.w, K, any_order=any_order)
    if factors is None:
        return Refusal("bits below the accumulator's lowest are cut off product by product")
    a, w, shift, bound = factors.a, factors.w, factors.shift, factors.bound
    if factors.fit_single and any_order:
        total = _product(a.single, w.single, problem.threads).astype(np.int64)
        return _answer(
            problem, Wide64([(total, shift)]), f"sum of |a b| <= {bound} <= 2^24: exact in float32"
        )
    A, W = a.double, w.double
    may_overflow = not any_order and (bound << shift) + _largest(problem.initial) > fixed.highest
    if bound > 1 << DOUBLE_BITS or may_overflow:
        bound = min(bound, _norm_bound(A, W, a.largest, w.largest))
    if not any_order and (bound << shift) + _largest(problem.initial) > fixed.highest:
        return Refusal(f"the bound on sums does not exclude that {fixed.bits} bits overflow on the way")
    if bound <= 1 << DOUBLE_BITS:
        total = _product(A, W, problem.threads).astype(np.int64)
        return _answer(
            problem, Wide64([(total, shift)]), f"sum of |a b| <= {bound} <= 2^53: exact in float64"
        )
    split = limb_widths(a.largest.bit_length(), w.largest.bit_length(), K)
    if split is None:
        return Refusal("no split into limbs keeps every sum within 2^53")
    terms = [
        (_product(x, y, problem.threads).astype(np.int64), shift + i + j)
        for (x, i), (y, j) in product(_limbs(A, *split[0]), list(_limbs(W, *split[1])))
    ]
    calls = len(terms)
    return _answer(problem, Wide64(terms), f"{calls} limb products within 2^53 each: exact in float64")


def _product(A: Reals, W: Reals, threads: int | None) -> Reals:
    """A @ W of integers, exact in any order; rows are shared out among the process's own threads."""
    if A.size * W.shape[1] < _FEW_MACS:
        if not in_pool() or A.size * W.shape[1] < _ALONE:
            return A @ W
        threads = 1
    sums = np.zeros((len(A), W.shape[1]), A.dtype)
    for_row_ranges(len(A), lambda i, j: add_exact_rows(A, W, sums, i, j), threads=threads)
    return sums


def add_exact_rows(A: Reals, W: Reals, sums: Reals, first: int, last: int) -> None:
    """Rows first .. last - 1 of A @ W into zeros, exact in any order: by BLAS, or by a kernel of our own.

    BLAS has threads of its own. Called from several of ours at a time they spin while they wait for others,
    which takes more time than the products.
    """
    if not in_pool():
        np.matmul(A[first:last], W, out=sums[first:last])
        return
    from simulator.numerics.engines.tile_kernels import multiply

    multiply(np.ascontiguousarray(A), np.ascontiguousarray(W), sums, (), first, last)


@dataclass(frozen=True, slots=True)
class Wide64:
    """Partial products and the left shift of each."""

    terms: list[tuple[npt.NDArray[np.int64], int]]

    def modulo(self, bits: int) -> npt.NDArray[Any]:
        """Their sum, wrapped into two's complement of `bits`: int64, or Python integers above 64."""
        return wrap(self._modulo_64(), bits) if bits <= 64 else self._modulo_128().to_integers(bits)

    def _modulo_64(self) -> npt.NDArray[np.int64]:
        """Their sum modulo 2**64."""
        total = np.zeros(self.terms[0][0].shape, np.uint64)
        for values, shift in self.terms:
            if shift < 64:
                total += values.view(np.uint64) << np.uint64(shift)
        return total.view(np.int64)

    def _modulo_128(self) -> Wide:
        """Their sum modulo 2**128."""
        first, *others = (Wide.shifted(values, shift) for values, shift in self.terms)
        return sum(others, first)


def _answer(problem: Problem, partial: Wide64, reason: str) -> Answer:
    bits = problem.mac.accumulator_bits
    sums = partial.modulo(bits)
    if problem.initial is not None:
        with np.errstate(over="ignore"):
            sums = wrap(sums + problem.initial, bits)
    return Answer(sums, reason)


def _norm_bound(A: Reals, W: Reals, largest_a: int, largest_w: int) -> int:
    """A bound on the sum of |a b| from 1-norms, rounded up by more than float64 sums could lose."""
    with np.errstate(over="ignore"):
        rows = float(np.abs(A).sum(axis=1).max(initial=0.0)) * largest_w
        columns = float(np.abs(W).sum(axis=0).max(initial=0.0)) * largest_a
    bound = min(rows, columns) * (1 + 2.0**-20)
    if bound == inf:
        return int(A.shape[1]) * largest_a * largest_w
    return int(bound) + 1 if bound else 0


def _largest(initial: npt.NDArray[Any] | None) -> int:
    return 0 if initial is None or not initial.size else max(abs(int(initial.min())), abs(int(initial.max())))


def limb_widths(a_bits: int, w_bits: int, K: int) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """(Limbs, bits per limb) of a and of w: the fewest limb pairs whose sums over K stay within 2**53."""
    growth = (K - 1).bit_length()
    for limbs_a, limbs_w in sorted(
        product(range(1, _MAX_LIMBS + 1), repeat=2), key=lambda pair: pair[0] * pair[1]
    ):
        bits_a, bits_w = -(-a_bits // limbs_a), -(-w_bits // limbs_w)
        if bits_a + bits_w + growth <= DOUBLE_BITS:
            return (limbs_a, bits_a), (limbs_w, bits_w)
    return None


def _limbs(matrix: Reals, limbs: int, bits: int) -> Iterator[tuple[Reals, int]]:
    """Signed limbs of integers, the lowest last, each with its left shift; they sum to the matrix."""
    rest = matrix
    for index in range(limbs - 1, 0, -1):
        high = np.trunc(np.ldexp(rest, -bits * index))
        yield high, bits * index
        rest = rest - np.ldexp(high, bits * index)
    yield rest, 0


ENGINE: Final = Engine("blas", attempt)
