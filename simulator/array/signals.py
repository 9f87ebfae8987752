"""The bits that control a grid and travel beside its operands and sums."""

from __future__ import annotations

from typing import Final

# Control pins of one clock edge; reset comes before multiply, multiply before shift-out.
RESET: Final = 1
MULTIPLY: Final = 2
SHIFT_OUT: Final = 4
LOAD: Final = 8  # preload a row of stationary operands into column 0; moves right one column a cycle

# Marks that travel right with a streamed operand (and, output stationary, down with a weight: VALID alone).
VALID: Final = 1
LAST: Final = 2  # the last product of a sum: hand it over to the drain register
GO: Final = 4  # with LAST, in the last row of a fold: the drain registers of the column begin to move
FIRST: Final = (
    8  # the first streamed operand of a fold: the PE takes the shadow register's operand from now on
)

# Flags that stay beside a sum.
INFINITE: Final = 1
OVERFLOW_UP: Final = 2
OVERFLOW_DOWN: Final = 4
PRESENT: Final = 8  # a sum of the product, not what an idle array passes on
KEEP: Final = 16  # a partial sum, which returns through the partial-sum buffer
READ_BACK: Final = 32  # top pin only: start from the partial-sum buffer instead of the pin

# States of a drain register.
EMPTY: Final = 0
WAITING: Final = 1
MOVING: Final = 2

# What a grid refuses to do (`Hazard.code`).
NO_HAZARD: Final = 0
ADDER_BUSY: Final = 1
DRAIN_OCCUPIED: Final = 2
SHADOW_OCCUPIED: Final = 3
BUFFER_EMPTY: Final = 4

HAZARDS: Final = {
    ADDER_BUSY: "operands advanced before the adders had their sums",
    DRAIN_OCCUPIED: "a sum was handed over to a drain register that still held another",
    SHADOW_OCCUPIED: "a shadow register was overwritten before its operand was in use",
    BUFFER_EMPTY: "a partial sum was read back before it had left the array",
}
