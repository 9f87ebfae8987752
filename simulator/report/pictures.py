"""What diagrams of formats and of a running array are drawn from; `simulator.illustrations` fills it in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """Neighbouring bits of a code with one meaning; `varies`: how many follows from the bits."""

    name: str
    bits: int
    varies: bool = False


@dataclass(frozen=True, slots=True)
class FormatPicture:
    """A number format as bits and as places on a line.

    fields: from the highest bit down; together all bits of a code.
    values: every finite value, ascending; empty where there are too many to draw.
    octaves: how many positive values lie in each power of two, by its exponent; empty likewise.
    used_for: `activations`, `weights` or both.
    """

    spec: str
    family: str
    bits: int
    fields: tuple[Field, ...]
    values: tuple[float, ...]
    octaves: tuple[tuple[int, int], ...]
    used_for: str


@dataclass(frozen=True, slots=True)
class GridFrame:
    """The registers of an array after one clock edge; planes are [row][column], empty text for nothing.

    left, top: what entered at this edge, a text a row and a column.
    """

    cycle: int
    phase: str
    left: tuple[str, ...]
    top: tuple[str, ...]
    across: tuple[tuple[str, ...], ...]
    down: tuple[tuple[str, ...], ...]
    sums: tuple[tuple[str, ...], ...]
    busy: tuple[tuple[bool, ...], ...]


@dataclass(frozen=True, slots=True)
class GridRecording:
    """One product on a small array, edge by edge, as the register-level grid went through it.

    at_rows, at_columns: which operand enters at the left and at the top. stays: what stays in the PEs.
    """

    mac: str
    dataflow: str
    at_rows: str
    at_columns: str
    stays: str
    shape: tuple[int, int, int]
    frames: tuple[GridFrame, ...]


@dataclass(frozen=True, slots=True)
class Pictures:
    """Everything that is drawn of one result beside its figures."""

    formats: tuple[FormatPicture, ...] = ()
    recording: GridRecording | None = None
