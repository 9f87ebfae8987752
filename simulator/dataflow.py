"""Dataflows as data: what lies along the array's rows, along its columns, and what streams.

A layer multiplies activations [M, K] by weights [K, N]. A dataflow lays two of the dimensions M, N and K over
the array and lets the third one stream; all else follows. Where K streams, sums stay in the PEs. Where K lies
along the rows, sums move down; along the columns, they move right. Every part of the simulator asks these
objects, so a dataflow that is added to `DATAFLOWS` is one everywhere (docs/architecture.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from simulator.foundation import UserError

Axis = Literal["m", "n", "k"]
"""Output pixels, output channels, reduction."""

AXES: Final[tuple[Axis, ...]] = ("m", "n", "k")

AXIS_TITLES: Final[Mapping[Axis, str]] = {
    "m": "output pixels",
    "n": "output channels",
    "k": "the reduction",
}

OperandClass = Literal["activation", "weight"]
"""An operand that enters at an edge of the array."""

RegisterClass = Literal["activation", "weight", "accumulator"]
"""The register of a PE that keeps its value while others stream."""

LaneName = Literal["rows", "columns"]

Motion = Literal["nowhere", "down", "right"]

_DIMENSIONS: Final[Mapping[RegisterClass, frozenset[Axis]]] = {
    "activation": frozenset({"m", "k"}),
    "weight": frozenset({"k", "n"}),
    "accumulator": frozenset({"m", "n"}),
}
_REGISTER_OF: Final[Mapping[frozenset[Axis], RegisterClass]] = {
    axes: register for register, axes in _DIMENSIONS.items()
}

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Circuit:
    """What a PE does with its sum, as far as others must know it. Numbers are 0 or 1 where they are flags.

    sums_stay: sums stay in the PE; they shift out when a fold ends.
    preloads: operands that stay are shifted in before a fold begins.
    doubled_with: overlaps of folds for which every PE has the register that moves between folds twice.
    handover_changes: registers that change when a fold hands over to the next one. A sum is loaded into the
        second register and cleared in the first; an operand comes out of the second register.
    handover_loads: second registers that are clocked for it; operands are there already.
    rests_in: phases of a fold in which operand registers hold what is not multiplied any more.
    """

    sums_stay: int
    preloads: int
    doubled_with: frozenset[str]
    handover_changes: int
    handover_loads: int
    rests_in: frozenset[str] = frozenset()

    def cycles_between_additions(self, interval: int) -> int:
        """Cycles from one addition of a PE to the next, where a sum is `interval` cycles in the adder."""
        return 1 + self.sums_stay * (interval - 1)

    def is_doubled(self, overlap: str) -> bool:
        """Whether every PE has the register that moves between folds twice."""
        return overlap in self.doubled_with

    def moving_share(self, lane_length: int) -> float:
        """The share of PEs whose register changes in a step of shifting, in the mean over the steps.

        Sums move from all PEs of a lane. Operands that stay come in with the last PE's first, so that a
        register changes with those of its own place and of the places behind: (L + 1) / 2 of L steps.
        """
        return (2 * lane_length - self.preloads * (lane_length - 1)) / (2 * lane_length)


SUMS_STAY: Final = Circuit(
    1, 0, frozenset({"drain", "full"}), handover_changes=2, handover_loads=1, rests_in=frozenset({"drain"})
)
SUMS_MOVE: Final = Circuit(0, 1, frozenset({"full"}), handover_changes=1, handover_loads=0)

_CIRCUITS: Final[Mapping[Motion, Circuit]] = {"nowhere": SUMS_STAY, "down": SUMS_MOVE, "right": SUMS_MOVE}


@dataclass(frozen=True, slots=True)
class Dataflow:
    """How a matrix product passes through an array.

    A lane is a line of PEs through which sums leave: a column, or a row where sums move right. Turned over
    its diagonal, an array whose sums move right is one whose sums move down. Cycles, grid and tilings know
    that one, the upright array, whose columns are the lanes.

    Attributes:
        name: as configurations and results have it.
        title: for people.
        rows, columns, time: the dimension along the rows, along the columns, and the one that streams.
        scalesim: whether SCALE-Sim has a dataflow of this name.

    Raises:
        ValueError: rows, columns and time are not M, N and K.
    """

    name: str
    title: str
    rows: Axis
    columns: Axis
    time: Axis
    scalesim: bool = False

    def __post_init__(self) -> None:
        """Refuse anything but a permutation."""
        if sorted((self.rows, self.columns, self.time)) != sorted(AXES):
            message = f"rows, columns and time must be m, n and k: {self}"
            raise ValueError(message)

    @property
    def sums_move(self) -> Motion:
        """Where sums go from one product to the next."""
        motions: dict[Axis, Motion] = {self.time: "nowhere", self.rows: "down", self.columns: "right"}
        return motions["k"]

    @property
    def description(self) -> str:
        """What stays and what lies where, for people."""
        places = f"{self.rows.upper()} along the rows, {self.columns.upper()} along the columns"
        return f"{self.stays_title} stay, {places}"

    @property
    def stays_title(self) -> str:
        """What stays in the PEs, in plural."""
        return {"activation": "inputs", "weight": "weights", "accumulator": "outputs"}[self.stationary]

    @property
    def circuit(self) -> Circuit:
        """What a PE does with its sum."""
        return _CIRCUITS[self.sums_move]

    @property
    def stationary(self) -> RegisterClass:
        """What stays in the PEs. It is also what moves while the array shifts, in or out."""
        return _REGISTER_OF[frozenset({self.rows, self.columns})]

    # --- orientation

    def turn(self, rows: Item, columns: Item) -> tuple[Item, Item]:
        """What belongs to rows and columns, as the upright array has it; or the other way round."""
        return (columns, rows) if self.sums_move == "right" else (rows, columns)

    @property
    def upright(self) -> Dataflow:
        """The dataflow of the upright array."""
        axes = (*self.turn(self.rows, self.columns), self.time)
        return next(flow for flow in DATAFLOWS.values() if (flow.rows, flow.columns, flow.time) == axes)

    def lane_length(self, rows: int, columns: int) -> int:
        """PEs of a lane: the rows of the upright array."""
        return self.turn(rows, columns)[0]

    def lanes(self, rows: int, columns: int) -> int:
        """Lanes, each with one result a cycle at its end: the columns of the upright array."""
        return self.turn(rows, columns)[1]

    @property
    def lane_name(self) -> LaneName:
        """What lanes are: columns, or rows where sums move right."""
        rows: LaneName = "rows"
        columns: LaneName = "columns"
        return self.turn(rows, columns)[1]

    # --- edges

    @property
    def entering(self) -> tuple[OperandClass, OperandClass]:
        """Operands that enter the upright array, at its left and at its top.

        At the left those that move right past sums or stay for one product; at the top those that move down
        beside them, or are shifted in to stay.
        """
        along, _ = self.turn(self.rows, self.columns)
        if _DIMENSIONS["activation"] == {along, self.time}:
            return "activation", "weight"
        return "weight", "activation"

    @property
    def at_rows(self) -> OperandClass:
        """The operand that enters at the left edge, a code for each row."""
        return self.turn(*self.entering)[0]

    @property
    def at_columns(self) -> OperandClass:
        """The operand that enters at the top edge, a code for each column."""
        return self.turn(*self.entering)[1]

    def vector(self, operand: OperandClass) -> Axis:
        """The dimension whose elements cross the edge together, and so lie together in the buffer."""
        along, across = self.turn(self.rows, self.columns)
        return dict(zip(self.entering, (along, across), strict=True))[operand]

    def buffer_order(self, operand: OperandClass) -> tuple[Axis, Axis]:
        """Dimensions of a tile in its buffer, outer and inner."""
        inner = self.vector(operand)
        (outer,) = _DIMENSIONS[operand] - {inner}
        return outer, inner

    def places(self, axis: Axis, rows: int, columns: int) -> int:
        """Elements of a dimension that a fold holds side by side; 1 of the one that streams."""
        return {self.rows: rows, self.columns: columns, self.time: 1}[axis]

    def side_of(self, axis: Axis) -> LaneName | None:
        """The side of the array that a dimension lies along; None of the one that streams."""
        sides: dict[Axis, LaneName | None] = {self.rows: "rows", self.columns: "columns", self.time: None}
        return sides[axis]

    @property
    def channels_in_columns(self) -> bool:
        """Whether columns belong to output channels, so that blocks of them may have MACs of their own."""
        return self.columns == "n"


DATAFLOWS: Final[Mapping[str, Dataflow]] = {
    flow.name: flow
    for flow in (
        Dataflow("os", "output stationary", rows="m", columns="n", time="k", scalesim=True),
        Dataflow("ws", "weight stationary", rows="k", columns="n", time="m", scalesim=True),
        Dataflow("is", "input stationary", rows="k", columns="m", time="n", scalesim=True),
        Dataflow("wst", "weight stationary, transposed", rows="n", columns="k", time="m"),
    )
}
"""Every dataflow by its name."""

CHANNELS_IN_COLUMNS: Final = tuple(name for name, flow in DATAFLOWS.items() if flow.channels_in_columns)
"""Dataflows whose columns may have MACs of their own."""

SCALESIM_DATAFLOWS: Final = tuple(name for name, flow in DATAFLOWS.items() if flow.scalesim)
"""Dataflows that SCALE-Sim has too."""

if TYPE_CHECKING:
    DataflowName = str
else:
    DataflowName = Literal[tuple(DATAFLOWS)]
    """The name of a dataflow."""


def get_dataflow(name: str) -> Dataflow:
    """The dataflow of a name.

    Raises:
        UserError: there is none; the nearest name is suggested.
    """
    if name not in DATAFLOWS:
        raise UserError("unknown dataflow", value=name, candidates=tuple(DATAFLOWS))
    return DATAFLOWS[name]
