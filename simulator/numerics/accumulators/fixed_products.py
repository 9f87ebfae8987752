"""Products for two's complement accumulators: rules by name, what they need, registers derived for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, log2
from typing import Final

from simulator.foundation import UserError
from simulator.numerics.accumulators.coded import can_be_fused
from simulator.numerics.formats import Format
from simulator.numerics.formats.log import LogBase
from simulator.numerics.formats.minifloat import Minifloat
from simulator.numerics.product_rules import (
    ExactProducts,
    LogProducts,
    OperandPair,
    ProductRule,
    Products,
)
from simulator.numerics.twos_complement import width

MAX_ACCUMULATOR_BITS: Final = 128
_LEAST_LSB: Final = -1022
_GREATEST_LSB: Final = 1024
_INTEGER_RANGE: Final = 1023
_MAX_OPERAND_BITS: Final = 16


@dataclass(frozen=True, slots=True)
class Register:
    """Width and log2 of the weight of the lowest bit."""

    bits: int
    lsb: int


@dataclass(frozen=True, slots=True)
class AskedRegister:
    """What a document asks of a register, None where it leaves something out; `source` names the document."""

    bits: int | None
    lsb: int | None
    reduction_length: int
    source: str


@dataclass(frozen=True, slots=True)
class _Rule:
    """A product rule of integers: how it is made, and what it asks of operands and register."""

    make: Callable[[OperandPair, int, int], Products]
    register: Callable[[OperandPair, AskedRegister], Register]
    check_width: Callable[[OperandPair, int, str], None]
    check_operands: Callable[[OperandPair, str], None]
    overflows: bool
    """Whether one product alone can leave a register that is too narrow."""


@lru_cache(maxsize=512)
def products_of(pair: OperandPair, bits: int, lsb: int) -> Products:
    """The pair's product rule, in units of 2**lsb of a register of `bits` bits. Raises UserError if fused."""
    return _rule_of(pair, "").make(pair, bits, lsb)


def check_register(bits: int, lsb: int, pair: OperandPair, source: str) -> None:
    """Refuse a rule, a width or a lowest bit that does not go with integers. Raises UserError."""
    rule = _rule_of(pair, source)
    rule.check_width(pair, bits, source)
    if lsb < _LEAST_LSB or lsb + bits > _GREATEST_LSB:
        raise UserError(
            "float64 could not hold the values of the accumulator",
            source=source,
            location="accumulator.lsb",
            value=lsb,
            allowed=f"{_LEAST_LSB} to {_GREATEST_LSB - bits} with {bits} bits",
        )
    rule.check_operands(pair, source)


def check_one_product(bits: int, lsb: int, pair: OperandPair, source: str) -> None:
    """Refuse a register that a single product can overflow. Raises UserError."""
    if not _rule_of(pair, source).overflows:
        return
    low, high = products_of(pair, bits, lsb).limits
    needed = width(low, high)
    if needed > bits:
        raise UserError(
            f"the accumulator is too narrow for one product of {pair.specs} with lowest bit 2^{lsb}",
            source=source,
            location="accumulator.bits",
            value=bits,
            allowed=f"{needed} or more",
        )


def usual_integer_product(activation: Format, weight: Format) -> ProductRule:
    """`log` for two log formats, else `exact`."""
    return "log" if isinstance(activation, LogBase) and isinstance(weight, LogBase) else "exact"


def chosen_register(pair: OperandPair, asked: AskedRegister) -> Register:
    """The register with what is left out filled in by the pair's rule.

    Exact products: the finest bit of any product, and a width that no sum of `reduction_length` overflows.
    Log products: the published register of their format. A rule that integers do not have: as exact products.

    Raises:
        UserError: exact sums need more than `MAX_ACCUMULATOR_BITS`.
    """
    return _RULES.get(pair.product, _RULES["exact"]).register(pair, asked)


def _rule_of(pair: OperandPair, source: str) -> _Rule:
    if pair.product not in _RULES:
        raise UserError(
            "does not go with a fixed accumulator",
            source=source,
            location="product",
            value=pair.product,
            allowed=", ".join(_RULES),
        )
    return _RULES[pair.product]


def _exact(pair: OperandPair, _bits: int, lsb: int) -> Products:
    return ExactProducts(pair.activation, pair.weight, lsb)


def _exact_register(pair: OperandPair, asked: AskedRegister) -> Register:
    lsb = pair.activation.lsb + pair.weight.lsb if asked.lsb is None else asked.lsb
    if asked.bits is not None:
        return Register(asked.bits, lsb)
    needed = derived_width(pair.activation, pair.weight, lsb, asked.reduction_length)
    if needed > MAX_ACCUMULATOR_BITS:
        raise UserError(
            f"exact sums of {pair.specs} need an accumulator of {needed} bits",
            source=asked.source,
            location="accumulator",
            allowed=f"up to {MAX_ACCUMULATOR_BITS} bits"
            + (", or `kind: float`" if can_be_fused(pair.activation, pair.weight) else ""),
        )
    return Register(needed, lsb)


def _log_register(pair: OperandPair, asked: AskedRegister) -> Register:
    fmt = pair.activation
    if not isinstance(fmt, LogBase):  # refused later, with the operands named
        return _exact_register(pair, asked)
    return Register(
        fmt.accumulator_bits if asked.bits is None else asked.bits,
        fmt.accumulator_lsb if asked.lsb is None else asked.lsb,
    )


def _log(pair: OperandPair, bits: int, lsb: int) -> Products:
    activation, weight = _log_operands(pair, "")
    return LogProducts(activation, weight, bits, lsb)


def _log_operands(pair: OperandPair, source: str) -> tuple[LogBase, LogBase]:
    a, w = pair.activation, pair.weight
    if (
        not (isinstance(a, LogBase) and isinstance(w, LogBase))
        or a.log_fraction_bits != w.log_fraction_bits
        or a.alpha != w.alpha
    ):
        raise UserError(
            "log products take two log formats of the same fraction and alpha",
            source=source,
            location="product",
            value=pair.specs,
        )
    return a, w


def _check_log_width(pair: OperandPair, bits: int, source: str) -> None:
    activation, _ = _log_operands(pair, source)
    if not activation.alpha + 2 <= bits <= 64:
        raise UserError(
            "a log product is shifted in from the top of its accumulator",
            source=source,
            location="accumulator.bits",
            value=bits,
            allowed=f"{activation.alpha + 2} to 64",
        )


def _check_log_operands(pair: OperandPair, source: str) -> None:
    _log_operands(pair, source)


def _check_exact_width(_pair: OperandPair, bits: int, source: str) -> None:
    if not 2 <= bits <= MAX_ACCUMULATOR_BITS:
        raise UserError(
            "is no width of an accumulator",
            source=source,
            location="accumulator.bits",
            value=bits,
            allowed=f"2 to {MAX_ACCUMULATOR_BITS}",
        )


def _check_exact_operands(pair: OperandPair, source: str) -> None:
    for fmt, field in ((pair.activation, "activation"), (pair.weight, "weight")):
        if fmt.bits > _MAX_OPERAND_BITS:
            raise UserError(
                "is too wide for exact products",
                source=source,
                location=field,
                value=fmt.spec,
                allowed=f"up to {_MAX_OPERAND_BITS} bits",
            )
        if fmt.exponent_range[1] - fmt.lsb >= _INTEGER_RANGE:
            raise UserError(
                "has too wide a range for exact products",
                source=source,
                location=field,
                value=fmt.spec,
                allowed=f"values that are less than 2^{_INTEGER_RANGE} of their finest steps",
            )


_RULES: Final[dict[ProductRule, _Rule]] = {
    "exact": _Rule(_exact, _exact_register, _check_exact_width, _check_exact_operands, overflows=True),
    "log": _Rule(_log, _log_register, _check_log_width, _check_log_operands, overflows=False),
}


def derived_width(activation: Format, weight: Format, lsb: int, reduction_length: int) -> int:
    """Accumulator bits, sign included, with which no sum of `reduction_length` products can overflow.

    For minifloats Aggarwal et al.'s formula (arXiv 2311.12359), 2**Ea + Ma + 2**Eb + Mb + ceil(log2 n) -
    1, unless the lowest bit is chosen elsewhere; otherwise the fewest bits that hold the worst sum.
    """
    low, high = ExactProducts(activation, weight, lsb).limits
    worst = max(-low * reduction_length, high * reduction_length + 1, 1)
    needed = (worst - 1).bit_length() + 1
    if not (_is_plain_minifloat(activation) and _is_plain_minifloat(weight)):
        return needed
    published = (
        _range_bits(activation) + _range_bits(weight) + ceil(log2(reduction_length)) - 1
        if lsb == activation.lsb + weight.lsb
        else 0
    )
    return max(needed, published)


def _is_plain_minifloat(fmt: Format) -> bool:
    return type(fmt) is Minifloat


def _range_bits(fmt: Format) -> int:
    """2**E + M of a minifloat."""
    return int(2**fmt.exponent_bits) + fmt.significand_bits - 1
