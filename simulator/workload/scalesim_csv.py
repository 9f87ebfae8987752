"""SCALE-Sim topology files (CSV), convolution form and matrix form, as networks.

That tool's convention is kept (SCALE-Sim 2.0.2 and 3.0.0, `topology_utils.py`): no padding, and an output of
ceil((ifmap - kernel + stride) / stride), so that a last window may hang over the edge. What hangs over reads
zeros here: it is padding at the bottom and right, smaller than the stride.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final

from simulator.foundation import UserError
from simulator.workload.layer import (
    LARGEST_LENGTH,
    Convolution,
    Layer,
    Network,
    convolution_layer,
    matrix_layer,
)
from simulator.workload.scalesim_columns import (
    BATCH,
    FORMS,
    NAME,
    SPARSITY,
    STRIDE_WIDTH,
    UNUSED,
    Column,
    Columns,
    columns_of_header,
    columns_without_header,
    unknown_column,
)
from simulator.workload.scalesim_rows import Row, is_number, read_rows

_NUMBER: Final = re.compile(r"[+]?([0-9]+[.]?[0-9]*)(?:[eE][+]?[0-9]{1,4})?")
_SPARSITY: Final = re.compile(r"([0-9]{1,9})\s*:\s*([0-9]{1,9})")
_DEPTHWISE: Final = re.compile(r"(?<![A-Za-z])DP(?![A-Za-z])")


def read_scalesim(path: Path) -> Network:
    """The network in a SCALE-Sim topology file.

    The first line is a header unless it holds a number after its first field; then it is a layer. A header
    says what the columns are, in its own order and spelling; without one they are SCALE-Sim's own. A layer
    whose name holds the word `DP` is depthwise: each channel is convolved with its own `filters` filters. A
    batch column makes the layer compute that many inputs. A sparsity column is accepted and the layer is
    dense all the same (`Network.skipped_operators`). A name that comes again gets `_2`, `_3`, ... appended.
    The file has no graph, so every layer reads its ifmap from outside and has weights of its own.
    `Network.notes` tells what was assumed, ignored, or read in another way than SCALE-Sim reads it.

    Raises:
        UserError: unreadable, no layers, or (with line and column) a column that is not known, a missing,
            surplus, or impossible value.
    """
    rows = read_rows(path)
    columns, layer_rows, notes = _split_header(rows, path)
    if not layer_rows:
        raise UserError("has no layers", source=path, allowed=f"one line a layer: {FORMS}")
    reading = _Reading(path, columns)
    for row in layer_rows:
        try:
            reading.add(row)
        except UserError as error:
            if error.source == path:
                raise
            raise UserError(str(error), source=path, location=f"line {row.line}") from error
    return Network(
        path.stem,
        tuple(reading.layers.values()),
        source=f"SCALE-Sim topology {path.name}",
        batch=reading.common_batch,
        skipped_operators=tuple(reading.skipped),
        notes=(*notes, *columns.notes, *reading.notes()),
    )


def _split_header(rows: Sequence[Row], path: Path) -> tuple[Columns, Sequence[Row], list[str]]:
    """What the columns are, the rows of layers, and notes on lines before the header."""
    notes: list[str] = []
    for number, row in enumerate(rows):
        if any(is_number(cell) for cell in row.cells[1:]):
            numbers = [cell for cell in row.cells[1:] if not _SPARSITY.fullmatch(cell)]
            return columns_without_header(len(numbers)), rows[number:], notes
        if len(row.cells) > 1:
            columns = columns_of_header(row.cells, source=path, line=row.line)
            return columns, rows[number + 1 :], notes
        notes.append(f"line {row.line} of {path.name} is taken as a title: {row.cells[0]!r}")
    return columns_without_header(0), (), notes


@dataclass(slots=True)
class _Reading:
    """The layers read so far, and by kind of remark what it concerns, in order."""

    path: Path
    columns: Columns
    layers: dict[str, Layer] = field(default_factory=dict)
    copies: dict[str, int] = field(default_factory=dict)
    batches: list[int] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    remarks: dict[str, dict[str, None]] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Read one layer. Raises UserError."""
        values = self._values(row)
        if not values[NAME].text:
            raise UserError(
                "layer name is missing", source=self.path, location=f"line {row.line}", value=row.text
            )
        name = self._distinct(values[NAME].text)
        batch = self._number(values[BATCH]) if BATCH in values and values[BATCH].text else 1
        numbers = {meaning: self._number(values[meaning]) for meaning in self.columns.required}
        if self.columns.is_matrix:
            layer = matrix_layer(name, "matmul", m=numbers["M"] * batch, n=numbers["N"], k=numbers["K"])
        else:
            width = values.get(STRIDE_WIDTH)
            numbers[STRIDE_WIDTH] = (
                self._number(width) if width is not None and width.text else numbers["stride height"]
            )
            self._check_filter(numbers, values)
            layer = convolution_layer(name, _convolution(numbers, batch, depthwise=self._is_depthwise(name)))
        if SPARSITY in values and _is_sparse(values[SPARSITY].text):
            self._remark("sparse", f"{name} ({values[SPARSITY].text})")
            self.skipped.append(f"sparsity {values[SPARSITY].text} of layer {name} (simulated dense)")
        self.layers[name] = layer
        self.batches.append(batch)

    @property
    def common_batch(self) -> int:
        """The batch that all layers have, else 1."""
        return self.batches[0] if len(set(self.batches)) == 1 else 1

    def notes(self) -> list[str]:
        """Every remark as one sentence."""
        notes = [_REMARKS[kind].format(", ".join(about)) for kind, about in self.remarks.items()]
        unused = [column.title or f"column {column.place}" for column in self.columns.unused]
        if unused:
            notes.append(f"columns of the topology that are not used: {', '.join(unused)}")
        if set(self.batches) != {1}:
            sizes = ", ".join(str(size) for size in sorted(set(self.batches)))
            notes.append(
                f"batch sizes ({sizes}) are those of the file's column; SCALE-Sim 3.0.0 does not read it"
                + ("" if len(set(self.batches)) == 1 else ", and the network counts as one input")
            )
        return notes

    def _remark(self, kind: str, about: str) -> None:
        self.remarks.setdefault(kind, {})[about] = None

    def _distinct(self, name: str) -> str:
        candidate = name
        while candidate in self.layers:
            copy = self.copies[name] = self.copies.get(name, 1) + 1
            candidate = f"{name}_{copy}"
        return candidate

    def _is_depthwise(self, name: str) -> bool:
        if "DP" not in name:
            return False
        depthwise = _DEPTHWISE.search(name) is not None
        self._remark("depthwise" if depthwise else "inside a word", name)
        return depthwise

    def _values(self, row: Row) -> dict[str, _Value]:
        """The cells of a row by what they mean. Raises UserError."""
        columns = self.columns.columns
        values: dict[str, _Value] = {}
        for column, cell in zip(columns, row.cells, strict=False):
            if cell and not column.meaning:
                raise self._untitled(column, cell, row)
            if column.meaning not in ("", UNUSED):
                values[column.meaning] = _Value(row.line, column, cell)
        for place, cell in enumerate(row.cells[len(columns) :], len(columns) + 1):
            self._surplus(values, Column("", "", place), cell, row)
        missing = [column for column in self.columns.needed if column.meaning not in values]
        if missing and self.columns.is_standard:
            raise self._wrong_count(row)
        if missing:
            raise UserError(
                "has no value", source=self.path, location=f"line {row.line}, {missing[0]}", value=row.text
            )
        return values

    def _surplus(self, values: dict[str, _Value], column: Column, cell: str, row: Row) -> None:
        """A cell behind the last column with a title: `N:M` sparsity, or the stride's width."""
        if not cell:
            return
        if SPARSITY not in values and _SPARSITY.fullmatch(cell):
            values[SPARSITY] = _Value(row.line, Column(SPARSITY, "", column.place), cell)
        elif (
            not self.columns.is_matrix
            and column.place == len(self.columns.columns) + 1
            and self.columns.columns[-1].meaning == "stride height"
        ):
            values[STRIDE_WIDTH] = _Value(row.line, Column(STRIDE_WIDTH, "", column.place), cell)
            self._remark("stride width", str(row.line))
        elif self.columns.is_standard and len(self.columns.columns) == len(self.columns.needed):
            raise self._wrong_count(row)
        else:
            raise self._untitled(column, cell, row)

    def _untitled(self, column: Column, cell: str, row: Row) -> UserError:
        if column.title:
            return unknown_column(column, source=self.path, line=row.line)
        return UserError(
            "column has no title in the header",
            source=self.path,
            location=f"line {row.line}, column {column.place}",
            value=cell,
        )

    def _wrong_count(self, row: Row) -> UserError:
        expected = "3 numbers" if self.columns.is_matrix else "7 or 8 numbers"
        return UserError(
            f"layer {row.cells[0]!r} needs {expected} after its name",
            source=self.path,
            location=f"line {row.line}",
            value=len(row.cells) - 1,
            allowed=FORMS,
        )

    def _number(self, value: _Value) -> int:
        """A positive whole number, also one written as 3.0 or 1e3. Raises UserError."""
        text = value.text
        number = Decimal(text) if _NUMBER.fullmatch(text) else Decimal(0)
        whole = number == number.to_integral_value()
        if not whole or not 1 <= number <= LARGEST_LENGTH:
            too_large = whole and number > LARGEST_LENGTH
            raise UserError(
                "is beyond the simulator's range" if too_large else "is not a positive whole number",
                source=self.path,
                location=f"line {value.line}, {value.column}",
                value=text,
                allowed=f"at most {LARGEST_LENGTH:,}" if too_large else "1, 2, 3, ...",
            )
        return int(number)

    def _check_filter(self, numbers: Mapping[str, int], values: Mapping[str, _Value]) -> None:
        for axis in ("height", "width"):
            size, window = numbers[f"ifmap {axis}"], numbers[f"filter {axis}"]
            if window > size:
                raise UserError(
                    "is larger than the ifmap",
                    source=self.path,
                    location=f"line {values[NAME].line}, {values[f'filter {axis}'].column}",
                    value=window,
                    allowed=f"1 to {size}",
                )


@dataclass(frozen=True, slots=True)
class _Value:
    line: int
    column: Column
    text: str


_REMARKS: Final[Mapping[str, str]] = {
    "depthwise": "read as depthwise, because the name holds the word DP: {}",
    "inside a word": "read as ordinary convolutions, because the name holds DP only inside a word; "
    "SCALE-Sim reads them as depthwise: {}",
    "sparse": "sparsity is not modelled; simulated dense: {}",
    "stride width": "a second number behind the stride is read as the stride's width, as in SCALE-Sim 2; "
    "lines {}",
}


def _is_sparse(text: str) -> bool:
    """Whether a sparsity column says that weights are left out: anything but N of N, 0 or nothing."""
    ratio = _SPARSITY.fullmatch(text)
    if ratio is not None:
        return int(ratio[1]) < int(ratio[2])
    return text not in ("", "0")


def _convolution(numbers: Mapping[str, int], batch: int, *, depthwise: bool) -> Convolution:
    height, width = numbers["ifmap height"], numbers["ifmap width"]
    filter_height, filter_width = numbers["filter height"], numbers["filter width"]
    stride = numbers["stride height"], numbers[STRIDE_WIDTH]
    channels, filters = numbers["channels"], numbers["filters"]
    return Convolution(
        batch=batch,
        channels=channels,
        filters=filters * channels if depthwise else filters,
        ifmap=(height, width),
        kernel=(filter_height, filter_width),
        stride=stride,
        padding=(0, 0, -(height - filter_height) % stride[0], -(width - filter_width) % stride[1]),
        groups=channels if depthwise else 1,
    )
