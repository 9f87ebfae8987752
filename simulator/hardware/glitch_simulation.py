"""Toggles of nets between clock edges, with the delays of cells: what zero-delay evaluation does not see.

Time goes in steps of equal length. A cell's output follows its inputs after its delay, and a pulse shorter
than the delay does not leave the cell (inertial delay). All inputs change at step 0, 64 clock edges to a
word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from simulator.foundation.defects import DefectError
from simulator.hardware.cell_netlists import CellNetlist, PlacedCell
from simulator.hardware.gate_simulation import Words

STEPS: Final = 96
"""Steps that the longest path takes."""


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
    toggles = np.zeros(netlist.nets, np.int64)
    steps = _longest(netlist, delays) + 1
    readers = Counter(net for placed in netlist.cells for net in set(placed.inputs))
    waves: dict[int, Words] = {}
    sources = {net for nets in netlist.inputs.values() for net in nets}
    for net in (0, 1, *sources):
        waves[net] = np.broadcast_to(after[net], (steps, len(mask)))
        toggles[net] = _count((before[net] ^ after[net]) & mask)
    for placed, delay in zip(netlist.cells, delays, strict=True):
        for pin, net in placed.outputs:
            wave = _output(placed, pin, waves, before, delay, steps)
            waves[net] = wave
            toggles[net] = _count((before[net] ^ wave[0]) & mask) + _count((wave[1:] ^ wave[:-1]) & mask)
            if np.any((wave[-1] ^ after[net]) & mask):
                message = f"net {net} of {netlist.name!r} does not settle as it does without delays"
                raise DefectError(message)
        for net in set(placed.inputs):
            readers[net] -= 1
            if not readers[net]:
                del waves[net]
    return toggles


def _output(
    placed: PlacedCell, pin: str, waves: dict[int, Words], before: Words, delay: int, steps: int
) -> Words:
    """The waveform of an output: the function of its inputs `delay` steps earlier, without short pulses."""
    pins = {name: waves[net] for name, net in zip(placed.cell.inputs, placed.inputs, strict=True)}
    function = placed.cell.outputs[pin].function
    value = np.broadcast_to(function.evaluate(pins), (steps, before.shape[1]))
    old_pins = {name: before[net] for name, net in zip(placed.cell.inputs, placed.inputs, strict=True)}
    old = np.broadcast_to(function.evaluate(old_pins), (before.shape[1],))
    raw = np.concatenate(
        [np.broadcast_to(old, (min(delay, steps), len(old))), value[: max(steps - delay, 0)]]
    )
    stable_one, stable_zero = raw.copy(), ~raw
    for ahead in range(1, min(delay, steps)):
        stable_one[:-ahead] &= raw[ahead:]
        stable_zero[:-ahead] &= ~raw[ahead:]
    wave = np.empty_like(raw)
    held = old
    for step in range(steps):
        held = (held | stable_one[step]) & ~stable_zero[step]
        wave[step] = held
    return wave


def delay_steps(delays_ns: npt.NDArray[np.float64], longest_ns: float) -> list[int]:
    """Delays in steps of which the longest path has `STEPS`; at least one each."""
    step_ns = max(longest_ns, 1e-9) / STEPS
    return [max(round(float(delay) / step_ns), 1) for delay in delays_ns]


def _longest(netlist: CellNetlist, delays: Sequence[int]) -> int:
    arrival = [0] * netlist.nets
    for placed, delay in zip(netlist.cells, delays, strict=True):
        latest = max(arrival[net] for net in placed.inputs)
        for _, net in placed.outputs:
            arrival[net] = latest + delay
    return max(arrival)


def _count(words: Words) -> int:
    return int(np.bitwise_count(words).sum(dtype=np.int64))
