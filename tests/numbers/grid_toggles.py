"""Bits that the register-level grid toggles, read from its own registers after every clock edge."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.array import ArrayTiming, schedule_product
from simulator.array import signals as sig
from simulator.array.drive import watch_fold
from simulator.array.grid import Grid
from simulator.array.grid_registers import Pins
from simulator.numerics import Format, Mac
from simulator.numerics.formats.log import TaperedLog
from simulator.numerics.formats.posit import Posit

Integers = npt.NDArray[np.object_]


def operand_pattern(fmt: Format, code: int) -> int:
    """What an operand register holds: the code; if tapered its sign, infinity, zero, exponent, fraction."""
    if not isinstance(fmt, TaperedLog | Posit):
        return code
    sign, body = code >> (fmt.bits - 1), code & ((1 << (fmt.bits - 1)) - 1)
    es, greatest = fmt.exponent_field_bits, (fmt.bits - 2) << fmt.exponent_field_bits
    exponent_bits, fraction_bits = greatest.bit_length() + 1, fmt.bits - 3 - es
    if body == 0:
        flags, exponent, fraction = (0b010 if sign else 0b001), -greatest, 0
    else:
        text = format(body, f"0{fmt.bits - 1}b")
        run = len(text) - len(text.lstrip(text[0]))
        regime = run - 1 if text[0] == "1" else -run
        tail = (text[run + 1 :] + "0" * fmt.bits)[: es + fraction_bits]
        flags, exponent = sign << 2, (regime << es) + int(tail[:es] or "0", 2)
        fraction = int(tail[es:] or "0", 2)
    return ((flags << exponent_bits) | (exponent % (1 << exponent_bits))) << fraction_bits | fraction


def changed_bits(before: Integers, after: Integers, bits: int) -> int:
    """Bits that differ, register by register."""
    mask = (1 << bits) - 1
    return sum(((int(x) ^ int(y)) & mask).bit_count() for x, y in zip(before.flat, after.flat, strict=True))


@dataclass
class RegisterWatch:
    """Adds up the bits that change from one clock edge to the next, from cleared registers on."""

    mac: Mac
    product_bits: int
    grid: Grid | None = None
    toggles: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("activation", "weight", "product", "accumulator"), 0)
    )
    edges: int = 0
    _before: dict[str, Integers] | None = None

    def __call__(self, grid: Grid, _cycle: int) -> None:
        """Read the registers after an edge."""
        self.grid = grid
        after = self._read(grid)
        bits = {
            "activation": operand_bits(self.mac.activation),
            "weight": operand_bits(self.mac.weight),
            "product": self.product_bits,
            "accumulator": self.mac.accumulator_bits,
        }
        before = self._before or self._cleared(grid)
        for name, width in bits.items():
            self.toggles[name] += changed_bits(before[name], after[name], width)
        self._before = after
        self.edges += 1

    def _cleared(self, grid: Grid) -> dict[str, Integers]:
        fresh = Grid(self.mac, grid.rows, grid.columns, dataflow=grid.timing.dataflow)
        return self._read(fresh)

    def _read(self, grid: Grid) -> dict[str, Integers]:
        activations, weights, registers = grid.activations, grid.weights, grid.registers
        used = (registers.marks & sig.VALID) != 0
        if grid.timing.dataflow in ("os", "ost"):
            used &= (registers.down_marks & sig.VALID) != 0
        if grid.timing.dataflow in (
            "wst",
            "ist",
        ):  # marks are those of the upright array
            used = used.T
        products = np.zeros(activations.shape, object)
        if self.product_bits:
            products[used] = self.mac.product(activations[used], weights[used]).astype(object)
        return {
            "activation": _each(lambda code: operand_pattern(self.mac.activation, code), activations),
            "weight": _each(lambda code: operand_pattern(self.mac.weight, code), weights),
            "product": products,
            "accumulator": grid.accumulators.values.astype(object),
        }


def _each(function: Any, codes: npt.NDArray[Any]) -> Integers:
    patterns = [function(int(code)) for code in codes.flat]
    return np.array(patterns, object).reshape(codes.shape)


def operand_bits(fmt: Format) -> int:
    """Width of an operand register."""
    if isinstance(fmt, TaperedLog | Posit):
        greatest = (fmt.bits - 2) << fmt.exponent_field_bits
        return 3 + greatest.bit_length() + 1 + fmt.bits - 3 - fmt.exponent_field_bits
    return fmt.bits


def grid_toggles(
    mac: Mac,
    a: npt.NDArray[Any],
    w: npt.NDArray[Any],
    dataflow: Any,
    rows: int,
    columns: int,
    product_bits: int,
) -> dict[str, int]:
    """Toggles of every register class over all folds, and until zeros have passed behind the last one."""
    timing = ArrayTiming(rows=rows, columns=columns, dataflow=dataflow)
    (m, k), n = a.shape, w.shape[1]
    watch = RegisterWatch(mac, product_bits)
    end = 0
    for fold in range(schedule_product(timing, m=m, n=n, k=k).folds):
        first, last = watch_fold(timing, mac, a, w, fold, watch)
        assert first == end  # one fold after the other: no edge is left out or seen twice
        end = last + 1
    assert watch.edges == end
    assert watch.grid is not None
    idle = Pins.idle(1, timing, sum_dtype=watch.grid.sum_dtype)
    idle.control[:] = sig.MULTIPLY
    for edge in range(rows + columns):
        watch.grid.clock(idle)
        watch(watch.grid, end + edge)
    return watch.toggles
