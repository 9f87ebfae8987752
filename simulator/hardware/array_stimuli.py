"""What is driven onto an array's edges, a run at a time: whole products, then anything in any order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator.array import signals as sig
from simulator.dataflow import OperandClass
from simulator.hardware.array_circuit import ArrayShape
from simulator.hardware.processing_element import operand_format
from simulator.hardware.step_stimuli import drawn_codes, drawn_sums
from simulator.numerics import Mac
from simulator.numerics.array_types import Accumulators, Codes


@dataclass(frozen=True, slots=True)
class EdgeStimuli:
    """Pins of one run, an entry a clock edge.

    control: bits of `simulator.array.signals` [edges].
    codes: of each operand at its edge of the array [edges, PEs at it].
    sums: entering the lanes where sums move [edges, lanes], without flags; else empty.
    """

    control: npt.NDArray[np.uint8]
    codes: dict[OperandClass, Codes]
    sums: Accumulators

    def __len__(self) -> int:
        return len(self.control)


def array_stimuli(mac: Mac, shape: ArrayShape, seed: int, length: int, random_edges: int) -> EdgeStimuli:
    """A reset, a product of `length` operands through the whole array and out of it, then random control."""
    generator = np.random.default_rng(seed)
    moving = sig.SHIFT_OUT if shape.flow.circuit.sums_stay else sig.LOAD
    control = _product(shape, length, moving)
    drawn = generator.integers(0, 8, random_edges)
    choices = np.array(
        [
            sig.MULTIPLY,
            sig.MULTIPLY,
            sig.MULTIPLY,
            sig.MULTIPLY | moving,
            moving,
            0,
            sig.MULTIPLY,
            sig.RESET | moving,
        ]
    )
    drawn = np.where(drawn == 7, np.where(generator.integers(0, 3, random_edges) == 0, 7, 0), drawn)
    pins = np.concatenate([control, choices[drawn]]).astype(np.uint8)
    codes: dict[OperandClass, Codes] = {}
    for operand in shape.flow.entering:
        fmt, width = operand_format(mac, operand), shape.at_edge(operand)
        codes[operand] = drawn_codes(fmt, generator, len(pins) * width).reshape(len(pins), width)
    _skew(mac, shape, codes, length)
    lanes = shape.lanes * shape.flow.circuit.preloads
    count = len(pins) * lanes
    # Sums as another array leaves them: steps of the MAC's own, so that none is a code that no sum has.
    a, w = (drawn_codes(fmt, generator, count) for fmt in (mac.activation, mac.weight))
    entering = mac.accumulate(drawn_sums(mac, generator, a, w), a, w)
    sums = np.asarray(entering).reshape(len(pins), lanes)
    return EdgeStimuli(pins, codes, sums)


def _product(shape: ArrayShape, length: int, moving: int) -> npt.NDArray[np.int64]:
    """Control of one fold: see docs/timing.md."""
    R, C = shape.lane_length, shape.lanes
    if shape.flow.circuit.sums_stay:
        phases = [(sig.RESET, 1), (sig.MULTIPLY, length + R + C - 2), (moving, R)]
    else:
        phases = [(sig.RESET, 1), (moving, R), (0, C - 1), (sig.MULTIPLY, length + R + C - 2)]
    return np.concatenate([np.full(edges, control) for control, edges in phases])


def _skew(mac: Mac, shape: ArrayShape, codes: dict[OperandClass, Codes], length: int) -> None:
    """Zeros around the operands of the product, so that every PE multiplies its own only."""
    first = 1 if shape.flow.circuit.sums_stay else 1 + shape.lane_length + shape.lanes - 1
    edges = length + shape.lane_length + shape.lanes - 2
    for operand in shape.flow.entering[: 2 if shape.flow.circuit.sums_stay else 1]:
        zero = int(operand_format(mac, operand).encode(0.0))
        for place in range(codes[operand].shape[1]):
            window = codes[operand][first : first + edges, place]
            window[:place] = zero
            window[place + length :] = zero
