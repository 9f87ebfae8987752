"""A grid of PEs that steps one clock edge at a time, holding every register of the circuit.

Output stationary it is the published circuit (Johnson 2018, the Paper{Integer,Log}SystolicGrid modules).
docs/timing.md draws the PE of each dataflow and names its pins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.arch.config import Dataflow, Overlap
from simulator.array import registers as reg
from simulator.array import signals as sig
from simulator.array.operations import from_registers, has_compiled_step, pack, to_registers
from simulator.array.registers import Outputs, Pins, Registers
from simulator.array.timing import ArrayTiming
from simulator.foundation import UserError
from simulator.numerics import Format, Mac, as_codes, get_mac

MacLike = str | Mapping[str, Any] | Mac
Array = npt.NDArray[Any]


GridEngine = Callable[[Registers, Pins, int, Array, Array, Array, Array], None]
"""Steps registers by pins; then the accumulation interval, watched PEs, where sums, flags and marks go."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Accumulators as numbers, with the flags beside them.

    values: int64 in units of 2**accumulator_lsb (object above 64 bits), codes for float accumulators.
    is_infinite: an infinite or NaN operand took part.
    overflow: +1 or -1 where a sticky accumulator overflowed, by the first direction.
    """

    values: Array
    is_infinite: npt.NDArray[np.bool_]
    overflow: npt.NDArray[np.int8]


class Grid:
    """R x C PEs and their registers.

    Args:
        mac: the MAC of every PE (a preset's name, a spec string, a mapping or a `Mac`), or blocks of columns
            as `[(mac, columns), ...]` from left to right, which share one activation format.
        rows: R.
        columns: C.
        dataflow: `os` (outputs stay), `ws` (weights stay) or `is` (inputs stay).
        overlap: `none`; output stationary `drain` and `full` add a drain register to each PE, weight and
            input stationary `full` adds a shadow register for the stationary operand.
        pipeline_depth: cycles from operands to their sum; by default the largest of the MACs'.
        accumulation_interval: cycles that a sum is in the adder; by default the largest of the MACs'.
        buffered_sums: capacity, per column, of the partial-sum buffer between bottom and top edge.

    Raises:
        UserError: an unknown MAC or dataflow, sizes below one, blocks that do not cover the columns or do
            not share an activation format, or blocks of different MACs in an input stationary grid.
    """

    def __init__(
        self,
        mac: MacLike | Sequence[tuple[MacLike, int]],
        rows: int,
        columns: int,
        *,
        dataflow: Dataflow = "os",
        overlap: Overlap = "none",
        pipeline_depth: int | None = None,
        accumulation_interval: int | None = None,
        buffered_sums: int = 0,
    ) -> None:
        self.blocks = column_blocks(mac, columns)
        macs = [block_mac for block_mac, _ in self.blocks]
        self.timing = ArrayTiming(
            rows=rows,
            columns=columns,
            dataflow=dataflow,
            overlap=overlap,
            pipeline_depth=pipeline_depth or max(mac.spec.pipeline_depth for mac in macs),
            accumulation_interval=accumulation_interval
            or max(mac.spec.accumulation_interval for mac in macs),
        )
        if dataflow == "is" and len(set(macs)) > 1:
            raise UserError(
                "columns of an input stationary array hold output pixels, not channels; they need one MAC",
                location="dataflow",
                value=dataflow,
                allowed="os, ws",
            )
        self.is_compiled = all(has_compiled_step(mac) for mac in macs)
        wide = any(mac.accumulator_dtype == np.dtype(object) for mac in macs)
        self.sum_dtype = np.dtype(object if wide else np.int64)
        self.registers = Registers.of(self.timing, sum_dtype=self.sum_dtype, buffered_sums=buffered_sums)
        self._run = self._engine()
        self._swaps = 0

    def _engine(self) -> GridEngine:
        swapped = self.timing.dataflow == "is"
        in_place = self.timing.dataflow == "os"
        if self.is_compiled:
            from simulator.array import kernels

            packed = pack(self.blocks, swapped=swapped)
            compiled = kernels.run_os if in_place else kernels.run_stationary
            return lambda registers, *pins_and_outputs: compiled(registers, packed, *pins_and_outputs)
        from simulator.array import planes

        operations = planes.PlaneOperations(self.blocks, swapped)
        stepped = planes.run_os if in_place else planes.run_stationary
        return lambda registers, *pins_and_outputs: stepped(registers, operations, *pins_and_outputs)

    @property
    def rows(self) -> int:
        """PE rows."""
        return self.timing.rows

    @property
    def columns(self) -> int:
        """PE columns."""
        return self.timing.columns

    @property
    def cycle(self) -> int:
        """Clock edges so far."""
        return int(self.registers.state[reg.CYCLE])

    def step(
        self,
        activations: npt.ArrayLike,
        weights: npt.ArrayLike,
        *,
        reset: bool = False,
        multiply: bool = False,
        shift_out: bool = False,
        load: bool = False,
        swap: bool = False,
        partial_sums: npt.ArrayLike | None = None,
    ) -> Array:
        """One clock edge; the accumulators in the bottom row after it.

        Output stationary: `activations` [rows] enter at the left, `weights` [columns] at the top; `reset`
        comes before `multiply`, `multiply` before `shift_out`; without any of them everything holds. Weight
        stationary: with `multiply` activations move right and sums down, with `load` weights [columns] move
        down in column 0 at this edge and in column j at the j-th edge from it; `partial_sums` [columns]
        enter at the top (zeros by default) and, with shadow registers, `swap` marks the operands that come
        with new stationary ones. Input stationary: `weights` has one entry a row, `activations` one a column.

        Codes are unsigned bit patterns; two's complement formats also take negative numbers.

        Returns:
            [columns], as `Mac.matmul` gives them: int64 (object above 64 bits), codes for float
            accumulators. With drain registers it is the drain register of the bottom row that leaves.

        Raises:
            UserError: vectors of the wrong length, codes outside their formats, a control this dataflow
                lacks, or operands that come faster than the adders take them.
        """
        bits = reset * sig.RESET | multiply * sig.MULTIPLY | shift_out * sig.SHIFT_OUT | load * sig.LOAD
        sums = None if partial_sums is None else np.asarray(partial_sums)[None]
        bottom: Array = self.run(
            np.asarray(activations)[None],
            np.asarray(weights)[None],
            np.array([bits], np.uint8),
            swap=np.array([swap]),
            partial_sums=sums,
        )[0]
        return bottom

    def run(
        self,
        activations: npt.ArrayLike,
        weights: npt.ArrayLike,
        control: npt.ArrayLike,
        *,
        swap: npt.ArrayLike | None = None,
        partial_sums: npt.ArrayLike | None = None,
    ) -> Array:
        """Many clock edges at once: `step` for every entry of `control`.

        Args:
            activations: codes [cycles, rows] ([cycles, columns] input stationary).
            weights: codes [cycles, columns] ([cycles, rows] input stationary).
            control: bits of `simulator.array.signals` (RESET, MULTIPLY, SHIFT_OUT, LOAD) [cycles].
            swap: whether this edge's streamed operands come with new stationary ones [cycles].
            partial_sums: accumulators entering at the top [cycles, columns].

        Returns:
            Bottom row after every edge, [cycles, columns]; see `step`.

        Raises:
            UserError: see `step`.
        """
        bits = np.asarray(control, np.uint8)
        stays = self.timing.dataflow != "os"
        allowed = sig.RESET | sig.MULTIPLY | (sig.LOAD if stays else sig.SHIFT_OUT)
        if np.any(bits & ~np.uint8(allowed)):
            raise UserError(
                "has a control that this dataflow lacks",
                location="control",
                value=int(np.bitwise_or.reduce(bits)),
                allowed="reset, multiply, load" if stays else "reset, multiply, shift_out",
            )
        pins = Pins.idle(len(bits), self.timing, sum_dtype=self.sum_dtype)
        pins.control[:] = bits
        across, down = (weights, activations) if self.timing.dataflow == "is" else (activations, weights)
        pins.across[:] = self._across_codes(across, len(bits))
        pins.down[:] = self._down_codes(down, len(bits))
        pins.marks[:] = sig.VALID
        pins.down_marks[:] = sig.VALID
        if self.registers.held.size:
            swaps = np.zeros(len(bits), np.bool_) if swap is None else np.asarray(swap, np.bool_)
            pins.marks[swaps] |= sig.FIRST
            # What is preloaded from a swap on belongs to another fold.
            parities = (self._swaps + np.cumsum(swaps)) % 2
            pins.down_marks[:] = 1 + parities[:, None]
            self._swaps += int(swaps.sum())
        if partial_sums is not None and stays:
            pins.top_sums[:] = self._registered(np.asarray(partial_sums))
        outputs = self.clock(pins)
        return self.sums(outputs.sums, outputs.flags).values

    def _across_codes(self, codes: npt.ArrayLike, cycles: int) -> Array:
        name, fmt = self._across_format
        array = _of_shape(name, codes, (cycles, self.rows))
        codes_in_format: Array = as_codes(fmt, array)
        return codes_in_format

    @property
    def _across_format(self) -> tuple[str, Format]:
        mac = self.blocks[0][0]
        return ("weights", mac.weight) if self.timing.dataflow == "is" else ("activations", mac.activation)

    def _down_codes(self, codes: npt.ArrayLike, cycles: int) -> Array:
        if self.timing.dataflow == "is":
            array = _of_shape("activations", codes, (cycles, self.columns))
            return as_codes(self.blocks[0][0].activation, array)
        array = _of_shape("weights", codes, (cycles, self.columns))
        return self.weight_codes(array)

    def weight_codes(self, codes: Array) -> Array:
        """Unsigned weight codes [..., columns], each column in its own MAC's format.

        Raises:
            UserError: codes outside their formats.
        """
        unsigned = np.zeros(codes.shape, np.int64)
        end = 0
        for mac, columns in self.blocks:
            first, end = end, end + columns
            unsigned[..., first:end] = as_codes(mac.weight, codes[..., first:end])
        return unsigned

    def clock(self, pins: Pins, watch: npt.ArrayLike = ()) -> Outputs:
        """Step every entry of `pins`: the full interface, marks and flags included, for controllers.

        Raises:
            UserError: the pins ask for what the circuit cannot do (`simulator.array.signals.HAZARDS`).
        """
        cycles = len(pins.control)
        watched = np.asarray(watch, np.int64).reshape(-1, 2)
        outputs = Outputs(
            np.zeros((cycles, self.columns), self.sum_dtype),
            np.zeros((cycles, self.columns), np.uint8),
            np.zeros((cycles, len(watched)), np.uint8),
        )
        self._run(self.registers, pins, self.timing.accumulation_interval, watched, *outputs)
        hazard = int(self.registers.state[reg.HAZARD])
        if hazard:
            cycle = int(self.registers.state[reg.HAZARD_CYCLE])
            self.registers.state[reg.HAZARD] = sig.NO_HAZARD
            raise UserError(sig.HAZARDS[hazard], location=f"cycle {cycle}")
        return outputs

    def sums(self, registers: Array, flags: Array) -> Sums:
        """Accumulators [..., columns] as numbers, from sums and flags as registers hold them."""
        whole = len(self.blocks) == 1
        dtype = self.blocks[0][0].accumulator_dtype if whole else self.sum_dtype
        values = np.zeros(registers.shape, dtype)
        end = 0
        for mac, columns in self.blocks:
            first, end = end, end + columns
            values[..., first:end] = self._from_registers(mac, registers[..., first:end])
        signs = ((flags & sig.OVERFLOW_UP) != 0).astype(np.int8) - ((flags & sig.OVERFLOW_DOWN) != 0)
        return Sums(values, (flags & sig.INFINITE) != 0, signs.astype(np.int8))

    def _from_registers(self, mac: Mac, registers: Array) -> Array:
        return from_registers(mac, registers) if self.is_compiled else registers

    def _to_registers(self, mac: Mac, values: Array) -> Array:
        return to_registers(mac, values) if self.is_compiled else values

    def _registered(self, values: Array) -> Array:
        """Accumulators [..., columns] as the registers hold them."""
        held = np.zeros(values.shape, self.sum_dtype)
        end = 0
        for mac, columns in self.blocks:
            first, end = end, end + columns
            held[..., first:end] = self._to_registers(mac, values[..., first:end])
        return held

    @property
    def accumulators(self) -> Sums:
        """All accumulators (partial sums, weight and input stationary) [rows, columns]."""
        return self.sums(self.registers.sums, self.registers.flags)

    @property
    def activations(self) -> Array:
        """Activation codes in the PEs' registers, int64 [rows, columns]."""
        swapped = self.timing.dataflow == "is"
        return self._operands(self._stationary if swapped else self.registers.across)

    @property
    def weights(self) -> Array:
        """Weight codes in the PEs' registers, int64 [rows, columns]."""
        swapped = self.timing.dataflow == "is"
        return self._operands(self.registers.across if swapped else self._stationary)

    @property
    def _stationary(self) -> Array:
        return self.registers.held if self.registers.held.size else self.registers.down

    @staticmethod
    def _operands(codes: Array) -> Array:
        # Codes of 32 bits are held as negative numbers where their top bit is set.
        unsigned: Array = codes.astype(np.int64) & 0xFFFF_FFFF
        return unsigned

    def codes(self) -> Array:
        """What the converters below the bottom row make of it: codes of the activation format [columns]."""
        drains = self.registers.drain_state.size > 0
        sums = self.registers.drain_sums if drains else self.registers.sums
        flags = self.registers.drain_flags if drains else self.registers.flags
        bottom = self.sums(sums[-1], flags[-1])
        converted = []
        end = 0
        for mac, columns in self.blocks:
            first, end = end, end + columns
            converted.append(
                mac.to_output(
                    bottom.values[first:end].astype(mac.accumulator_dtype),
                    is_infinite=bottom.is_infinite[first:end],
                    overflow=bottom.overflow[first:end],
                )
            )
        return np.concatenate(converted)


def column_blocks(mac: MacLike | Sequence[tuple[MacLike, int]], columns: int) -> tuple[tuple[Mac, int], ...]:
    """Blocks of columns and their MACs, left to right.

    Raises:
        UserError: unknown MACs, blocks that do not cover the columns, or different activation formats.
    """
    if isinstance(mac, str | Mapping | Mac):
        return ((get_mac(mac), columns),)
    blocks = tuple((get_mac(choice), width) for choice, width in mac)
    covered = sum(width for _, width in blocks)
    if covered != columns or any(width < 1 for _, width in blocks):
        raise UserError(
            "blocks of columns must cover the array", location="columns", value=covered, allowed=str(columns)
        )
    shared = blocks[0][0].activation
    for block_mac, _ in blocks:
        if block_mac.activation != shared:
            raise UserError(
                "blocks of columns must share one activation format",
                location="mac",
                value=block_mac.activation.spec,
                allowed=shared.spec,
            )
    return blocks


def _of_shape(name: str, codes: npt.ArrayLike, shape: tuple[int, int]) -> Array:
    array = np.asarray(codes)
    if array.shape != shape:
        raise UserError(
            "has the wrong length",
            location=name,
            value=list(array.shape[1:]) if array.shape[:1] == shape[:1] else list(array.shape),
            allowed=f"{shape[1]} codes at each of {shape[0]} clock edges",
        )
    return array
