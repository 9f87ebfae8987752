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

from simulator.arch.config import Overlap
from simulator.array import grid_registers as reg
from simulator.array import signals as sig
from simulator.array.grid_registers import Outputs, Pins, Plane, Registers
from simulator.array.operations import from_registers, has_compiled_step, pack, slices_of, to_registers
from simulator.array.timing import ArrayTiming
from simulator.dataflow import AXIS_TITLES, CHANNELS_IN_COLUMNS, DataflowName, OperandClass
from simulator.foundation import UserError
from simulator.numerics import Mac, as_codes, get_mac

MacLike = str | Mapping[str, Any] | Mac


GridEngine = Callable[[Registers, Pins, int, Plane, Plane, Plane, Plane], None]
"""Steps registers by pins; then the accumulation interval, watched PEs, where sums, flags and marks go."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Accumulators as numbers, with the flags beside them.

    values: int64 in units of 2**accumulator_lsb (object above 64 bits), codes for float accumulators.
    is_infinite: an infinite or NaN operand took part.
    overflow: +1 or -1 where a sticky accumulator overflowed, by the first direction.
    """

    values: Plane
    is_infinite: npt.NDArray[np.bool_]
    overflow: npt.NDArray[np.int8]


class Grid:
    """R x C PEs and their registers.

    Where sums move right (`wst`) the registers are those of the same circuit turned over its diagonal, the
    upright array (`simulator.dataflow`): its top is the left edge, its bottom row the last column. Pins and
    registers are the upright array's; `accumulators`, `activations` and `weights` are given as they lie here.

    Args:
        mac: the MAC of every PE (a preset's name, a spec string, a mapping or a `Mac`), or blocks of columns
            as `[(mac, columns), ...]` from left to right, which share one activation format.
        rows: R.
        columns: C.
        dataflow: its name in `simulator.dataflow.DATAFLOWS`.
        overlap: `none`; output stationary `drain` and `full` add a drain register to each PE, weight and
            input stationary `full` adds a shadow register for the stationary operand.
        pipeline_depth: cycles from operands to their sum; by default the largest of the MACs'.
        accumulation_interval: cycles that a sum is in the adder; by default the largest of the MACs'.
        buffered_sums: capacity, per lane, of the partial-sum buffer between the ends of the lanes.

    Raises:
        UserError: an unknown MAC or dataflow, sizes below one, blocks that do not cover the columns or do
            not share an activation format, or blocks of different MACs where columns are not channels.
    """

    def __init__(
        self,
        mac: MacLike | Sequence[tuple[MacLike, int]],
        rows: int,
        columns: int,
        *,
        dataflow: DataflowName = "os",
        overlap: Overlap = "none",
        pipeline_depth: int | None = None,
        accumulation_interval: int | None = None,
        buffered_sums: int = 0,
    ) -> None:
        blocks = column_blocks(mac, columns)
        macs = [block_mac for block_mac, _ in blocks]
        self.timing = ArrayTiming(
            rows=rows,
            columns=columns,
            dataflow=dataflow,
            overlap=overlap,
            pipeline_depth=pipeline_depth or max(mac.spec.pipeline_depth for mac in macs),
            accumulation_interval=accumulation_interval
            or max(mac.spec.accumulation_interval for mac in macs),
        )
        self.blocks = blocks
        """MACs of the lanes, and how many lanes have each."""
        if not self.timing.flow.channels_in_columns:
            self.blocks = (_only_block(macs, self.timing),)
        self.is_compiled = all(has_compiled_step(mac) for mac in macs)
        wide = any(mac.accumulator_dtype == np.dtype(object) for mac in macs)
        self.sum_dtype = np.dtype(object if wide else np.int64)
        self.registers = Registers.of(self.timing, sum_dtype=self.sum_dtype, buffered_sums=buffered_sums)
        self._run = self._engine()
        self._swaps = 0

    def _engine(self) -> GridEngine:
        flow = self.timing.flow
        if self.is_compiled:
            from simulator.array import grid_kernels as kernels

            packed = pack(self.blocks, flow.entering)
            compiled = (kernels.run_stationary, kernels.run_os)[flow.circuit.sums_stay]
            return lambda registers, *pins_and_outputs: compiled(registers, packed, *pins_and_outputs)
        from simulator.array import planes

        operations = planes.PlaneOperations(self.blocks, flow.entering)
        stepped = (planes.run_stationary, planes.run_os)[flow.circuit.sums_stay]
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
    def lanes(self) -> int:
        """Lanes of PEs that sums leave by: columns, or rows where sums move right."""
        return self.timing.upright.columns

    def placed(self, plane: Plane) -> Plane:
        """Values of the upright array's PEs as [rows, columns] of this one; a view."""
        return plane.transpose(self.timing.flow.turn(0, 1))

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
    ) -> Plane:
        """One clock edge; the accumulators at the end of the lanes after it.

        Output stationary: `activations` [rows] enter at the left, `weights` [columns] at the top; `reset`
        comes before `multiply`, `multiply` before `shift_out`; without any of them everything holds. Weight
        stationary: with `multiply` activations move right and sums down, with `load` weights [columns] move
        down in column 0 at this edge and in column j at the j-th edge from it; `partial_sums` [columns]
        enter at the top (zeros by default) and, with shadow registers, `swap` marks the operands that come
        with new stationary ones. Input stationary: `weights` has one entry a row, `activations` one a column.
        Weight stationary, transposed: activations [columns] enter at the top and move down; weights [rows]
        and `partial_sums` [rows] enter at the left and move right.

        Codes are unsigned bit patterns; two's complement formats also take negative numbers.

        Returns:
            [lanes], as `multiply` gives them: int64 (object above 64 bits), codes for float
            accumulators. With drain registers it is the drain register of the bottom row that leaves.

        Raises:
            UserError: vectors of the wrong length, codes outside their formats, a control this dataflow
                lacks, or operands that come faster than the adders take them.
        """
        bits = reset * sig.RESET | multiply * sig.MULTIPLY | shift_out * sig.SHIFT_OUT | load * sig.LOAD
        sums = None if partial_sums is None else np.asarray(partial_sums)[None]
        bottom: Plane = self.run(
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
    ) -> Plane:
        """Many clock edges at once: `step` for every entry of `control`.

        Args:
            activations: codes [cycles, PEs at their edge].
            weights: codes [cycles, PEs at their edge].
            control: bits of `simulator.array.signals` (RESET, MULTIPLY, SHIFT_OUT, LOAD) [cycles].
            swap: whether this edge's streamed operands come with new stationary ones [cycles].
            partial_sums: accumulators entering at the beginning of the lanes [cycles, lanes].

        Returns:
            End of the lanes after every edge, [cycles, lanes]; see `step`.

        Raises:
            UserError: see `step`.
        """
        bits = np.asarray(control, np.uint8)
        shifting, name = ((sig.SHIFT_OUT, "shift_out"), (sig.LOAD, "load"))[self.timing.flow.circuit.preloads]
        if np.any(bits & ~np.uint8(sig.RESET | sig.MULTIPLY | shifting)):
            raise UserError(
                "has a control that this dataflow lacks",
                location="control",
                value=int(np.bitwise_or.reduce(bits)),
                allowed=f"reset, multiply, {name}",
            )
        pins = Pins.idle(len(bits), self.timing, sum_dtype=self.sum_dtype)
        pins.control[:] = bits
        codes = {"activation": activations, "weight": weights}
        at_left, at_top = self.timing.flow.entering
        pins.across[:] = self._entering(at_left, codes[at_left], (len(bits), pins.across.shape[1]))
        pins.down[:] = self._entering(at_top, codes[at_top], pins.down.shape)
        pins.marks[:] = sig.VALID
        pins.down_marks[:] = sig.VALID
        if self.registers.held.size:
            swaps = np.zeros(len(bits), np.bool_) if swap is None else np.asarray(swap, np.bool_)
            pins.marks[swaps] |= sig.FIRST
            # What is preloaded from a swap on belongs to another fold.
            parities = (self._swaps + np.cumsum(swaps)) % 2
            pins.down_marks[:] = 1 + parities[:, None]
            self._swaps += int(swaps.sum())
        if partial_sums is not None and len(pins.top_sums):
            pins.top_sums[:] = self._registered(np.asarray(partial_sums))
        outputs = self.clock(pins)
        return self.sums(outputs.sums, outputs.flags).values

    def _entering(self, operand: OperandClass, codes: npt.ArrayLike, shape: tuple[int, ...]) -> Plane:
        """Unsigned codes of an operand [cycles, PEs at its edge]."""
        array = _of_shape(f"{operand}s", codes, shape)
        if len(self.blocks) > 1 and operand == "weight":
            return self.weight_codes(array)
        mac = self.blocks[0][0]
        unsigned: Plane = as_codes({"activation": mac.activation, "weight": mac.weight}[operand], array)
        return unsigned

    def weight_codes(self, codes: Plane) -> Plane:
        """Unsigned weight codes [..., lanes], each lane in its own MAC's format.

        Raises:
            UserError: codes outside their formats.
        """
        unsigned = np.zeros(codes.shape, np.int64)
        for mac, lanes in slices_of(self.blocks):
            unsigned[..., lanes] = as_codes(mac.weight, codes[..., lanes])
        return unsigned

    def clock(self, pins: Pins, watch: npt.ArrayLike = ()) -> Outputs:
        """Step every entry of `pins`: the full interface, marks and flags included, for controllers.

        Raises:
            UserError: the pins ask for what the circuit cannot do (`simulator.array.signals.HAZARDS`).
        """
        cycles = len(pins.control)
        watched = np.asarray(watch, np.int64).reshape(-1, 2)
        outputs = Outputs(
            np.zeros((cycles, self.lanes), self.sum_dtype),
            np.zeros((cycles, self.lanes), np.uint8),
            np.zeros((cycles, len(watched)), np.uint8),
        )
        self._run(self.registers, pins, self.timing.accumulation_interval, watched, *outputs)
        hazard = int(self.registers.state[reg.HAZARD])
        if hazard:
            cycle = int(self.registers.state[reg.HAZARD_CYCLE])
            self.registers.state[reg.HAZARD] = sig.NO_HAZARD
            raise UserError(sig.HAZARDS[hazard], location=f"cycle {cycle}")
        return outputs

    def sums(self, registers: Plane, flags: Plane) -> Sums:
        """Accumulators [..., lanes] as numbers, from sums and flags as registers hold them."""
        whole = len(self.blocks) == 1
        dtype = self.blocks[0][0].accumulator_dtype if whole else self.sum_dtype
        values = np.zeros(registers.shape, dtype)
        for mac, lanes in slices_of(self.blocks):
            held = registers[..., lanes]
            values[..., lanes] = from_registers(mac.accumulator, held) if self.is_compiled else held
        signs = ((flags & sig.OVERFLOW_UP) != 0).astype(np.int8) - ((flags & sig.OVERFLOW_DOWN) != 0)
        return Sums(values, (flags & sig.INFINITE) != 0, signs.astype(np.int8))

    def _registered(self, values: Plane) -> Plane:
        """Accumulators [..., lanes] as the registers hold them."""
        held = np.zeros(values.shape, self.sum_dtype)
        for mac, lanes in slices_of(self.blocks):
            sums = values[..., lanes]
            held[..., lanes] = to_registers(mac.accumulator, sums) if self.is_compiled else sums
        return held

    @property
    def accumulators(self) -> Sums:
        """All accumulators (partial sums, weight and input stationary) [rows, columns]."""
        upright = self.sums(self.registers.sums, self.registers.flags)
        return Sums(
            self.placed(upright.values), self.placed(upright.is_infinite), self.placed(upright.overflow)
        )

    @property
    def activations(self) -> Plane:
        """Activation codes in the PEs' registers, int64 [rows, columns]."""
        return self._operands("activation")

    @property
    def weights(self) -> Plane:
        """Weight codes in the PEs' registers, int64 [rows, columns]."""
        return self._operands("weight")

    def _operands(self, operand: OperandClass) -> Plane:
        r = self.registers
        planes = dict(
            zip(self.timing.flow.entering, (r.across, r.held if r.held.size else r.down), strict=True)
        )
        # Codes of 32 bits are held as negative numbers where their top bit is set.
        unsigned: Plane = self.placed(planes[operand]).astype(np.int64) & 0xFFFF_FFFF
        return unsigned

    def codes(self) -> Plane:
        """What the converters at the end of the lanes make of it: codes of the activation format [lanes]."""
        drains = self.registers.drain_state.size > 0
        sums = self.registers.drain_sums if drains else self.registers.sums
        flags = self.registers.drain_flags if drains else self.registers.flags
        bottom = self.sums(sums[-1], flags[-1])
        converted = []
        for mac, lanes in slices_of(self.blocks):
            converted.append(
                mac.to_output(
                    bottom.values[lanes].astype(mac.accumulator_dtype),
                    is_infinite=bottom.is_infinite[lanes],
                    overflow=bottom.overflow[lanes],
                )
            )
        return np.concatenate(converted)


def column_blocks(mac: MacLike | Sequence[tuple[MacLike, int]], columns: int) -> tuple[tuple[Mac, int], ...]:
    """Blocks of columns and their MACs, left to right.

    Raises:
        UserError: unknown MACs, blocks that do not cover the columns, or different activation formats.
    """
    if isinstance(mac, str | Mapping | Mac):
        only = get_mac(mac)
        only.require_no_blocks("the register-level grid")
        return ((only, columns),)
    blocks = tuple((get_mac(choice), width) for choice, width in mac)
    covered = sum(width for _, width in blocks)
    if covered != columns or any(width < 1 for _, width in blocks):
        raise UserError(
            "blocks of columns must cover the array", location="columns", value=covered, allowed=str(columns)
        )
    for block_mac, _ in blocks:
        block_mac.require_no_blocks("the register-level grid")
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


def _only_block(macs: Sequence[Mac], timing: ArrayTiming) -> tuple[Mac, int]:
    """All lanes with their one MAC."""
    flow = timing.flow
    if len(set(macs)) > 1:
        raise UserError(
            f"columns hold {AXIS_TITLES[flow.columns]}, not channels, with this dataflow; they need one MAC",
            location="dataflow",
            value=flow.name,
            allowed=", ".join(CHANNELS_IN_COLUMNS),
        )
    return macs[0], timing.upright.columns


def _of_shape(name: str, codes: npt.ArrayLike, shape: tuple[int, ...]) -> Plane:
    array = np.asarray(codes)
    if array.shape != shape:
        raise UserError(
            "has the wrong length",
            location=name,
            value=list(array.shape[1:]) if array.shape[:1] == shape[:1] else list(array.shape),
            allowed=f"{shape[1]} codes at each of {shape[0]} clock edges",
        )
    return array
