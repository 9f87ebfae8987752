"""The project's own cell library: static CMOS cells characterised by logical effort, in NAND2 equivalents.

Nothing in it comes from a vendor's library; every figure follows from the transistors of a cell and these
assumptions (docs/hardware.md).

- A cell is as wide as its pairs of transistors plus one contacted pitch; a flip-flop has three breaks more.
  A NAND2 has 2 pairs, so it is 3 pitches wide and of area 1.
- A pin of an inverter of size 1 loads with 0.6 fF, other pins with their logical effort times that.
- Delay is tau x (parasitic + load / (0.6 fF x size)) for each stage, plus a tenth of the input's transition;
  tau is 4 ps, so that an inverter with four loads takes 20 ps, as in a slow corner of 28 nm.
- Energy is C V^2 / 2 of what a toggle charges: parasitic outputs, nets inside a cell and pins, at 1 V. A
  NAND2 that drives one NAND2 takes 1 fJ so, which is the unit of energy.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import numpy as np

from simulator.hardware.cell_functions import parse_function
from simulator.hardware.cell_library import (
    Cell,
    CellLibrary,
    CellOutput,
    FlipFlopCell,
    LookupTable,
    TimingArc,
)
from simulator.hardware.liberty_writer import liberty_text

PIN_FF: Final = 0.6
TAU_NS: Final = 0.004
NAND2_PITCHES: Final = 3
_TRANSITIONS: Final = np.array([0.001, 0.02, 0.2])
_LOADS: Final = np.array([0.3, 3.0, 60.0])
_OF_TRANSITION: Final = 0.1
"""Share of the input's transition time that adds to the delay."""
_TRANSITION_PER_DELAY: Final = 1.4
"""Transition time of an output, from 10 % to 90 % linearly, over the delay that its load makes."""


@dataclass(frozen=True, slots=True)
class GateShape:
    """A cell of size 1.

    pairs: of transistors. efforts: input capacitance of each pin over that of an inverter.
    before: delay of the stages before the last in tau, and parasitic: of the last.
    inner: capacitance inside that a toggle of the output charges as well, over that of an inverter's pin.
    """

    functions: tuple[tuple[str, str], ...]
    pairs: int
    efforts: tuple[tuple[str, float], ...]
    parasitic: float
    before: float = 0.0
    inner: float = 0.0
    sizes: tuple[int, ...] = (1, 2, 4)


SHAPES: Final = {
    "INV": GateShape((("Y", "!A"),), 1, (("A", 1.0),), 1.0, sizes=(1, 2, 4, 8)),
    "BUF": GateShape((("Y", "A"),), 2, (("A", 1.0),), 1.0, before=2.0, inner=2.0, sizes=(2, 4, 8)),
    "NAND2": GateShape((("Y", "!(A & B)"),), 2, (("A", 4 / 3), ("B", 4 / 3)), 2.0),
    "NAND3": GateShape((("Y", "!(A & B & C)"),), 3, (("A", 5 / 3), ("B", 5 / 3), ("C", 5 / 3)), 3.0),
    "NAND4": GateShape(
        (("Y", "!(A & B & C & D)"),), 4, (("A", 2.0), ("B", 2.0), ("C", 2.0), ("D", 2.0)), 4.0
    ),
    "NOR2": GateShape((("Y", "!(A | B)"),), 2, (("A", 5 / 3), ("B", 5 / 3)), 2.0),
    "NOR3": GateShape((("Y", "!(A | B | C)"),), 3, (("A", 7 / 3), ("B", 7 / 3), ("C", 7 / 3)), 3.0),
    "AND2": GateShape((("Y", "A & B"),), 3, (("A", 4 / 3), ("B", 4 / 3)), 1.0, before=3.0, inner=3.0),
    "OR2": GateShape((("Y", "A | B"),), 3, (("A", 5 / 3), ("B", 5 / 3)), 1.0, before=3.0, inner=3.0),
    "AOI21": GateShape((("Y", "!((A & B) | C)"),), 3, (("A", 2.0), ("B", 2.0), ("C", 5 / 3)), 7 / 3),
    "OAI21": GateShape((("Y", "!((A | B) & C)"),), 3, (("A", 2.0), ("B", 2.0), ("C", 4 / 3)), 7 / 3),
    "AOI22": GateShape(
        (("Y", "!((A & B) | (C & D))"),), 4, (("A", 2.0), ("B", 2.0), ("C", 2.0), ("D", 2.0)), 4.0
    ),
    "OAI22": GateShape(
        (("Y", "!((A | B) & (C | D))"),), 4, (("A", 2.0), ("B", 2.0), ("C", 2.0), ("D", 2.0)), 4.0
    ),
    # A NOR2 before an AOI21, and a NAND2 before an OAI21.
    "XOR2": GateShape(
        (("Y", "A ^ B"),), 5, (("A", 11 / 3), ("B", 11 / 3)), 7 / 3, before=2 + 5 / 3, inner=2 + 5 / 3
    ),
    "XNOR2": GateShape(
        (("Y", "!(A ^ B)"),), 5, (("A", 10 / 3), ("B", 10 / 3)), 7 / 3, before=2 + 4 / 3, inner=2 + 4 / 3
    ),
    # An inverter of the select, an AOI22 and an inverter.
    "MUX2": GateShape(
        (("Y", "(A & !S) | (B & S)"),),
        6,
        (("A", 2.0), ("B", 2.0), ("S", 3.0)),
        1.0,
        before=5.0,
        inner=5.0,
        sizes=(1, 2),
    ),
}
"""Cells by name; a digit behind it in a library is the size."""


@cache
def generic_library() -> CellLibrary:
    """The library, without leakage, in NAND2 equivalents of area and of energy."""
    cells = {
        f"{name}_X{size}": _cell(f"{name}_X{size}", shape, size)
        for name, shape in SHAPES.items()
        for size in shape.sizes
    }
    library = CellLibrary(
        "generic",
        "",
        1.0,
        None,
        "NAND2",
        "NAND2",
        cells,
        _flip_flop(),
        (
            "without a library of yours: areas in NAND2 equivalents, energies in toggles of a NAND2, delays "
            "as if an inverter with four loads took 20 ps",
        ),
    )
    text = liberty_text(library, cells.values())
    return replace(library, sha256=hashlib.sha256(text.encode()).hexdigest())


def _cell(name: str, shape: GateShape, size: int) -> Cell:
    arc = _arc(shape.before, shape.parasitic, size)
    energy = LookupTable.constant(PIN_FF * (shape.parasitic * size + shape.inner) / 2)
    has_stages = shape.before > 0
    scale = 1.0 if has_stages else float(size)
    pairs = shape.pairs + size - 1 if has_stages else shape.pairs * size
    inputs = {pin: effort * PIN_FF * scale for pin, effort in shape.efforts}
    outputs = {
        pin: CellOutput(function := parse_function(text), dict.fromkeys(function.pins, arc), energy)
        for pin, text in shape.functions
    }
    return Cell(name, (pairs + 1) / NAND2_PITCHES, inputs, outputs, None)


def _arc(before: float, parasitic: float, size: int) -> TimingArc:
    """Stages before the last, which is `size` times as strong, and their load where that is more than 1."""
    driven = before + (size - 1 if before else 0)
    effort = TAU_NS * (parasitic + _LOADS / (PIN_FF * size))
    delay = TAU_NS * driven + effort[None, :] + _OF_TRANSITION * _TRANSITIONS[:, None]
    transition = np.repeat(_TRANSITION_PER_DELAY * effort[None, :], len(_TRANSITIONS), axis=0)
    return TimingArc(LookupTable(_TRANSITIONS, _LOADS, delay), LookupTable(_TRANSITIONS, _LOADS, transition))


_FLIP_FLOP_PAIRS: Final = 12
_FLIP_FLOP_BREAKS: Final = 3
_CLOCKED: Final = 7.0
"""Capacitance inside a flip-flop that every clock edge charges: two clock inverters and four gates."""
_LATCHES: Final = 12.0
"""Likewise when the output toggles: four inverters and the transmission gates between them."""


def _flip_flop() -> FlipFlopCell:
    """A master and a slave of transmission gates: 24 transistors."""
    return FlipFlopCell(
        name="DFF_X1",
        bits=1,
        output="Q",
        area=(_FLIP_FLOP_PAIRS + 1 + _FLIP_FLOP_BREAKS) / NAND2_PITCHES,
        leakage_nw=None,
        data_ff=PIN_FF,
        clock_ff=PIN_FF,
        setup_ns=6 * TAU_NS,
        arc=_arc(7.0, 1.0, 1),
        clock_energy_fj=2 * _CLOCKED * PIN_FF / 2,
        output_energy_fj=LookupTable.constant((_LATCHES + 1) * PIN_FF / 2),
    )
