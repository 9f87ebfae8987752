"""Every register of a grid, as arrays that the stepping functions change in place."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from simulator.array.timing import ArrayTiming

Plane = npt.NDArray[Any]
"""Values of PEs, of pins or of one edge, in whatever type holds them."""

# Positions in `Registers.state`.
PIPE: Final = 0
ENTRY: Final = 1
SINCE_MULTIPLY: Final = 2
HAZARD: Final = 3
HAZARD_CYCLE: Final = 4
CYCLE: Final = 5
STATE_SIZE: Final = 6

_LONG_AGO: Final = 1 << 30


class Registers(NamedTuple):
    """The registers of R x C PEs; what an array does not have is an array of size 0.

    across, marks: streamed operand and its marks, moving right; int32 codes, uint8 [R, C].
    down, down_marks: operand that moves down. Weight and input stationary: the preload chain, marks 0
        (in use or never loaded) or the fold's parity.
    held: the operand in use, where `down` is its shadow.
    load: preload enable of each column, moving right: 0, or the parity of the fold being preloaded [C].
    sums, flags: accumulator (or partial sum leaving downwards) and its flags.
    finished: marks of a sum that is complete and moves to the drain register at the next edge.
    drain_sums, drain_flags, drain_state: the second register and what it is doing.
    go: a wire per column, used within an edge.
    pipe_across, pipe_down, pipe_marks: operands on their way through the multiplier [d - 1, R, C].
    entry_sums, entry_flags: partial sums on their way through the adder [i - 1, R, C].
    buffer_sums, buffer_flags, buffer_ends: the partial-sum buffer behind the array, a queue per column
        [capacity, C], and how many sums each queue has taken and given [2, C].
    state: positions in the rings, and the first hazard.
    """

    across: Plane
    marks: Plane
    down: Plane
    down_marks: Plane
    held: Plane
    load: Plane
    sums: Plane
    flags: Plane
    finished: Plane
    drain_sums: Plane
    drain_flags: Plane
    drain_state: Plane
    go: Plane
    pipe_across: Plane
    pipe_down: Plane
    pipe_marks: Plane
    entry_sums: Plane
    entry_flags: Plane
    buffer_sums: Plane
    buffer_flags: Plane
    buffer_ends: Plane
    state: Plane

    @classmethod
    def of(
        cls, timing: ArrayTiming, *, sum_dtype: npt.DTypeLike = np.int64, buffered_sums: int = 0
    ) -> Registers:
        """Cleared registers of an array, as the upright one has them.

        buffered_sums: capacity of the partial-sum buffer per column.
        """
        R, C = timing.upright.rows, timing.upright.columns
        stays = timing.flow.circuit.preloads
        shadowed = stays * timing.has_second_register
        drains = timing.has_second_register - shadowed
        depth = timing.pipeline_depth - 1
        entry = (timing.accumulation_interval - 1) * stays

        def plane(*shape: int, dtype: npt.DTypeLike) -> Plane:
            return np.full(shape, 0, dtype)

        registers = cls(
            across=plane(R, C, dtype=np.int32),
            marks=plane(R, C, dtype=np.uint8),
            down=plane(R, C, dtype=np.int32),
            down_marks=plane(R, C, dtype=np.uint8),
            held=plane(R * shadowed, C, dtype=np.int32),
            load=plane(C * stays, dtype=np.uint8),
            sums=plane(R, C, dtype=sum_dtype),
            flags=plane(R, C, dtype=np.uint8),
            finished=plane(R * drains, C, dtype=np.uint8),
            drain_sums=plane(R * drains, C, dtype=sum_dtype),
            drain_flags=plane(R * drains, C, dtype=np.uint8),
            drain_state=plane(R * drains, C, dtype=np.uint8),
            go=plane(C * drains, dtype=np.uint8),
            pipe_across=plane(depth, R, C, dtype=np.int32),
            pipe_down=plane(depth, R, C, dtype=np.int32),
            pipe_marks=plane(depth, R, C, dtype=np.uint8),
            entry_sums=plane(entry, R, C, dtype=sum_dtype),
            entry_flags=plane(entry, R, C, dtype=np.uint8),
            buffer_sums=plane(buffered_sums, C, dtype=sum_dtype),
            buffer_flags=plane(buffered_sums, C, dtype=np.uint8),
            buffer_ends=plane(2, C, dtype=np.int64),
            state=plane(STATE_SIZE, dtype=np.int64),
        )
        registers.state[SINCE_MULTIPLY] = _LONG_AGO
        return registers


class Pins(NamedTuple):
    """What is driven onto a grid's edges over `cycles` clock edges.

    control: uint8[cycles], bits of `simulator.array.signals`.
    across, marks: int32 codes and uint8 marks at the left edge [cycles, R].
    down, down_marks: the same at the top edge [cycles, C].
    top_sums, top_flags: partial sums entering at the top (weight and input stationary) [cycles, C].
    """

    control: Plane
    across: Plane
    marks: Plane
    down: Plane
    down_marks: Plane
    top_sums: Plane
    top_flags: Plane

    @classmethod
    def idle(cls, cycles: int, timing: ArrayTiming, *, sum_dtype: npt.DTypeLike = np.int64) -> Pins:
        """Pins of the upright array, on which nothing is driven."""
        R, C = timing.upright.rows, timing.upright.columns
        top = cycles * timing.flow.circuit.preloads
        return cls(
            control=np.zeros(cycles, np.uint8),
            across=np.zeros((cycles, R), np.int32),
            marks=np.zeros((cycles, R), np.uint8),
            down=np.zeros((cycles, C), np.int32),
            down_marks=np.zeros((cycles, C), np.uint8),
            top_sums=np.full((top, C), 0, sum_dtype),
            top_flags=np.zeros((top, C), np.uint8),
        )

    def window(self, first: int, last: int) -> Pins:
        """The pins of cycles first .. last - 1, without copying."""
        return Pins(*(pins[first:last] for pins in self))


class Outputs(NamedTuple):
    """What is seen at the bottom row after each clock edge, and at watched PEs.

    sums: [cycles, C] as registers hold them; flags: uint8 [cycles, C].
    watched: uint8 [cycles, PEs]: VALID where a watched PE took operands of a product at this edge, LAST
        where a product was added to its sum.
    """

    sums: Plane
    flags: Plane
    watched: Plane
