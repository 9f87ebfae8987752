"""What the PEs compute, packed for the compiled grid: a few numbers and tables for every block of columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from simulator.dataflow import OperandClass
from simulator.numerics import Accumulator, FixedAccumulator, FloatAccumulator, Mac
from simulator.numerics.formats import Format
from simulator.numerics.twos_complement import wrap

# Kinds of PE.
INTEGER: Final = 0  # two's complement operands, product by multiplication
TABLE: Final = 1  # product looked up
FLOAT: Final = 2  # one rounding a step, in float64 whose bit patterns the int64 sums hold

# What fixed accumulators do past either end.
WRAP: Final = 0
SATURATE: Final = 1
STICKY: Final = 2
_OVERFLOW: Final = {"wrap": WRAP, "saturate": SATURATE, "sticky": STICKY}

_MAX_COMPILED_BITS: Final = 62
_MAX_DECODED_BITS: Final = 16
_INTEGER_SPARE: Final = 32


class Operations(NamedTuple):
    """PEs of all column blocks; one row of `integers` and `reals` a block, named by the constants below."""

    integers: npt.NDArray[np.int64]
    reals: npt.NDArray[np.float64]
    products: npt.NDArray[np.int64]
    special: npt.NDArray[np.uint8]
    values: npt.NDArray[np.float64]


# Columns of `Operations.integers`.
FIRST_COLUMN: Final = 0
END_COLUMN: Final = 1
KIND: Final = 2
OVERFLOW: Final = 3
BITS: Final = 4
SHIFT: Final = 5
ACROSS_SPARE: Final = 6  # bits above a two's complement code in 32 bits; 0: unsigned
DOWN_SPARE: Final = 7
PRODUCTS: Final = 8  # where the block's table begins in `products`
STRIDE: Final = 9
ACROSS_TABLE: Final = 10  # where the operand's table begins in `special` (fixed) or `values` (float)
DOWN_TABLE: Final = 11
HAS_SPECIAL: Final = 12
ANCHOR: Final = 13
LEAST: Final = 14
INTEGERS: Final = 15

# Columns of `Operations.reals`.
SMALLEST: Final = 0
LARGEST: Final = 1
PAST_LARGEST: Final = 2
REALS: Final = 3


def has_compiled_step(mac: Mac) -> bool:
    """Whether the compiled grid knows this MAC; others take the numpy one."""
    return _has_compiled_step(mac.accumulator, mac)


@singledispatch
def _has_compiled_step(_accumulator: Accumulator, _mac: Mac) -> bool:
    return False


@_has_compiled_step.register
def _(fixed: FixedAccumulator, mac: Mac) -> bool:
    return fixed.bits <= _MAX_COMPILED_BITS and (mac.has_product_table or _multiplies(mac))


@_has_compiled_step.register
def _(accumulator: FloatAccumulator, mac: Mac) -> bool:
    if max(mac.activation.bits, mac.weight.bits) > _MAX_DECODED_BITS:
        return False
    # The compiled sums are float64: a NaN that the format lacks would stay in them.
    no_nan = all(np.isfinite(fmt.values()).all() for fmt in (mac.activation, mac.weight))
    return no_nan or accumulator.number_format.has_nan


@singledispatch
def from_registers(_accumulator: Accumulator, registers: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Accumulators, from sums as the compiled grid holds them."""
    return registers


@from_registers.register
def _(fixed: FixedAccumulator, registers: np.ndarray) -> npt.NDArray[Any]:
    return wrap(registers, fixed.bits)


@from_registers.register
def _(accumulator: FloatAccumulator, registers: np.ndarray) -> npt.NDArray[Any]:
    return accumulator.number_format.encode(np.ascontiguousarray(registers).view(np.float64))


@singledispatch
def to_registers(_accumulator: Accumulator, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Sums as the compiled grid holds them, from accumulators."""
    return values


@to_registers.register
def _(accumulator: FloatAccumulator, values: np.ndarray) -> npt.NDArray[Any]:
    return accumulator.decode(values.astype(accumulator.dtype)).view(np.int64)


def _multiplies(mac: Mac) -> bool:
    """Two's complement operands, whose products are exact, shifted left into a wrapping accumulator."""
    shift = mac.activation.lsb + mac.weight.lsb - mac.accumulator_lsb
    return (
        not mac.accumulator.depends_on_order
        and mac.activation.twos_complement
        and mac.weight.twos_complement
        and max(mac.activation.bits, mac.weight.bits) <= _MAX_DECODED_BITS
        and 0 <= shift <= _MAX_COMPILED_BITS
    )


@dataclass(frozen=True, slots=True)
class _Tables:
    """Tables of the blocks so far, which `Operations` has one behind the other."""

    products: list[npt.NDArray[np.int64]]
    special: list[npt.NDArray[np.uint8]]
    values: list[npt.NDArray[np.float64]]


Blocks = Sequence[tuple[Mac, int]]
"""MACs of neighbouring lanes, and how many lanes have each."""


def slices_of(blocks: Blocks) -> Iterator[tuple[Mac, slice]]:
    """Every block's MAC and the lanes that have it."""
    end = 0
    for mac, lanes in blocks:
        yield mac, slice(end, end + lanes)
        end += lanes


def pack(blocks: Blocks, entering: tuple[OperandClass, OperandClass]) -> Operations:
    """The PEs of blocks of columns, left to right; `entering`: the operands that move right and down."""
    integers = np.zeros((len(blocks), INTEGERS), np.int64)
    reals = np.zeros((len(blocks), REALS), np.float64)
    tables = _Tables([], [], [])
    for row, real, (mac, lanes) in zip(integers, reals, slices_of(blocks), strict=True):
        row[FIRST_COLUMN], row[END_COLUMN] = lanes.start, lanes.stop
        own = {"activation": mac.activation, "weight": mac.weight}
        formats = own[entering[0]], own[entering[1]]
        _pack(mac.accumulator, mac, formats, row, real, tables, entering)
    return Operations(
        integers,
        reals,
        _joined(tables.products, np.int64),
        _joined(tables.special, np.uint8),
        _joined(tables.values, np.float64),
    )


def _joined(tables: list[npt.NDArray[Any]], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    return np.concatenate(tables) if tables else np.zeros(0, dtype)


def _offset(tables: Sequence[npt.NDArray[Any]]) -> int:
    return sum(table.size for table in tables)


@singledispatch
def _pack(
    accumulator: Accumulator,
    mac: Mac,
    _formats: tuple[Format, Format],
    _row: npt.NDArray[np.int64],
    _real: npt.NDArray[np.float64],
    _tables: _Tables,
    _entering: tuple[OperandClass, OperandClass],
) -> None:
    raise TypeError(f"MAC {mac.name!r} has no compiled step for a {accumulator.kind} accumulator")


@_pack.register
def _(
    fixed: FixedAccumulator,
    mac: Mac,
    formats: tuple[Format, Format],
    row: np.ndarray,
    _real: np.ndarray,
    tables: _Tables,
    entering: tuple[OperandClass, OperandClass],
) -> None:
    products, special = tables.products, tables.special
    row[BITS], row[OVERFLOW] = fixed.bits, _OVERFLOW[fixed.overflow]
    if _multiplies(mac):
        row[KIND] = INTEGER
        row[SHIFT] = mac.activation.lsb + mac.weight.lsb - fixed.lsb
        row[ACROSS_SPARE], row[DOWN_SPARE] = (
            _INTEGER_SPARE - fmt.bits if fmt.signed else 0 for fmt in formats
        )
        return
    row[KIND] = TABLE
    table = mac.product_table().transpose([("activation", "weight").index(operand) for operand in entering])
    row[PRODUCTS], row[STRIDE] = _offset(products), 1 << formats[1].bits
    products.append(np.ascontiguousarray(table).ravel())
    row[ACROSS_TABLE] = _offset(special)
    special.append(_special(formats[0]))
    row[DOWN_TABLE] = _offset(special)
    special.append(_special(formats[1]))
    row[HAS_SPECIAL] = any(_special(fmt).any() for fmt in formats)


def _special(fmt: Format) -> npt.NDArray[np.uint8]:
    return (~np.isfinite(fmt.values())).astype(np.uint8)


@_pack.register
def _(
    accumulator: FloatAccumulator,
    _mac: Mac,
    formats: tuple[Format, Format],
    row: np.ndarray,
    real: np.ndarray,
    tables: _Tables,
    _entering: tuple[OperandClass, OperandClass],
) -> None:
    rounding, values = accumulator.rounding, tables.values
    row[KIND] = FLOAT
    row[ANCHOR] = ((53 - rounding.precision) << 52) | (1 << 51)
    row[LEAST], real[SMALLEST] = rounding.kernel_limits
    real[LARGEST], real[PAST_LARGEST] = rounding.largest, rounding.overflow_value
    for field, fmt in zip((ACROSS_TABLE, DOWN_TABLE), formats, strict=True):
        row[field] = _offset(values)
        values.append(rounding.flush(fmt.values(), fmt.smallest_normal))
