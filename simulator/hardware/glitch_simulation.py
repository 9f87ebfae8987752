"""Toggles of nets between clock edges, with the delays of cells: what zero-delay evaluation does not see.

Time goes in steps of equal length. A cell's output follows its inputs after its delay, and a pulse shorter
than the delay does not leave the cell (inertial delay). All inputs change at step 0. The waveform of a net is
one integer: a slot of bits for each clock edge, the earliest step lowest, so that a delay is a shift.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from simulator.foundation.defects import DefectError
from simulator.hardware.cell_netlists import CellNetlist, PlacedCell
from simulator.hardware.gate_simulation import Words

_STEPS_A_DELAY: Final = 10
"""Steps of the median delay of a netlist's cells."""

_MOST_STEPS: Final = 4000
"""Of the longest path, where its cells would need more."""


def glitch_toggles(
    netlist: CellNetlist, before: Words, after: Words, mask: Words, delays: Sequence[int]
) -> npt.NDArray[np.int64]:
    """Toggles of each net over all clock edges in `mask`.

    Args:
        netlist: the cells.
        before: settled values of all nets before an edge [nets, words].
        after: settled values after it.
        mask: the edges that count [words].
        delays: of each cell in the netlist's order, in steps, 1 or more.

    Raises:
        DefectError: a net does not end at its settled value.
    """
    slots = _Slots.of(mask, path_steps(netlist, delays) + max(delays, default=0) + 1)
    toggles = np.zeros(netlist.nets, np.int64)
    readers = Counter(net for placed in netlist.cells for net in set(placed.inputs))
    waves: dict[int, int] = {}
    for net in (0, 1, *(net for nets in netlist.inputs.values() for net in nets)):
        last = slots.spread(after[net])
        waves[net] = slots.held(last, slots.length)
        toggles[net] = (slots.spread(before[net]) ^ last).bit_count()
    for placed, delay in zip(netlist.cells, delays, strict=True):
        for pin, net in placed.outputs:
            wave = slots.inertial(_value(placed, pin, waves), slots.spread(before[net]), delay)
            waves[net] = wave
            toggles[net] = ((wave ^ (wave >> 1)) & ~slots.top(1)).bit_count()
            if (wave >> (slots.length - 1)) & slots.unit != slots.spread(after[net]):
                message = f"net {net} of {netlist.name!r} does not settle as it does without delays"
                raise DefectError(message)
        for net in set(placed.inputs):
            readers[net] -= 1
            if not readers[net]:
                del waves[net]
    return toggles


@dataclass(frozen=True, slots=True)
class _Slots:
    """Where waveforms have their bits: `length` steps for each edge; `unit` is the first step of each."""

    edges: npt.NDArray[np.bool_]
    length: int
    unit: int

    @classmethod
    def of(cls, mask: Words, steps: int) -> _Slots:
        """Slots of the edges in a mask, at least so long; a whole number of bytes."""
        length = -(-steps // 8) * 8
        edges = np.unpackbits(mask.view(np.uint8), bitorder="little").astype(np.bool_)
        return cls(edges, length, _joined(np.ones(int(edges.sum()), np.uint8), length))

    def spread(self, words: Words) -> int:
        """Bits of patterns at the first step of their slots."""
        bits = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), bitorder="little")
        return _joined(bits[self.edges], self.length)

    def held(self, first: int, steps: int) -> int:
        """First steps repeated for the steps behind them."""
        return (first << steps) - first

    def top(self, steps: int) -> int:
        """The last steps of all slots."""
        return self.held(self.unit, steps) << (self.length - steps)

    def inertial(self, value: int, old: int, delay: int) -> int:
        """A waveform `delay` later, `old` before, without pulses that are shorter than the delay."""
        everything = self.held(self.unit, self.length)
        late = ((value << delay) & everything & ~self.held(self.unit, delay)) | self.held(old, delay)
        ones, zeros = self._lasting(late, delay), self._lasting(late ^ everything, delay)
        known, reach = ones | zeros, 1
        while known != everything:  # what does not last keeps the value before it
            ones |= (ones << reach) & ~known & everything
            known |= (known << reach) & everything
            reach *= 2
        return ones

    def _lasting(self, wave: int, steps: int) -> int:
        """Where a waveform is 1 for so many steps from there on; past its slot it stays as it is."""
        reached = 1
        while reached < steps:
            more = min(reached, steps - reached)
            wave &= (wave >> more) | self.top(more)
            reached += more
        return wave


def _joined(bits: npt.NDArray[np.uint8], length: int) -> int:
    padded = np.zeros((len(bits), length // 8), np.uint8)
    padded[:, 0] = bits
    return int.from_bytes(padded.tobytes(), "little")


def _value(placed: PlacedCell, pin: str, waves: Mapping[int, int]) -> int:
    """An output's function of the waveforms at its inputs; negative where all higher bits are 1."""
    pins = {name: waves[net] for name, net in zip(placed.cell.inputs, placed.inputs, strict=True)}
    return placed.cell.outputs[pin].function.evaluate_integers(pins)


def delay_steps(delays_ns: npt.NDArray[np.float64], longest_ns: float) -> list[int]:
    """Delays in steps: 10 to the median one, 4000 at most to the longest path; at least one each."""
    if not len(delays_ns):
        return []
    step_ns = max(float(np.median(delays_ns)) / _STEPS_A_DELAY, longest_ns / _MOST_STEPS, 1e-9)
    return [max(round(float(delay) / step_ns), 1) for delay in delays_ns]


def path_steps(netlist: CellNetlist, delays: Sequence[int]) -> int:
    """Steps of the longest path."""
    arrival = [0] * netlist.nets
    for placed, delay in zip(netlist.cells, delays, strict=True):
        latest = max(arrival[net] for net in placed.inputs)
        for _, net in placed.outputs:
            arrival[net] = latest + delay
    return max(arrival, default=0)
