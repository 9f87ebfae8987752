"""SCALE-Sim topology files (CSV), convolution form and matrix form, as networks.

That tool's convention is kept (SCALE-Sim v2 and v3): no padding, and an output of
ceil((ifmap - kernel + stride) / stride), so that a last window may hang over the edge. What hangs over reads
zeros here: it is padding at the bottom and right, smaller than the stride.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from simulator.foundation import UserError
from simulator.foundation.documents import read_text
from simulator.workload.layer import Convolution, Layer, Network, convolution_layer, matrix_layer

_CONVOLUTION_FIELDS: Final = (
    "ifmap height", "ifmap width", "filter height", "filter width", "channels", "filters", "stride height",
    "stride width",
)  # fmt: skip
_MATRIX_FIELDS: Final = ("M", "N", "K")
_SPARSITY: Final = re.compile(r"[0-9]{1,9}\s*:\s*[0-9]{1,9}")
_FORMS: Final = (
    "name, ifmap height, ifmap width, filter height, filter width, channels, filters, stride "
    "[, stride width]; or name, M, N, K"
)


class _Row(NamedTuple):
    line: int
    name: str
    fields: list[str]
    sparsity: str


def read_scalesim(path: Path) -> Network:
    """The network in a SCALE-Sim topology file, batch 1.

    The first line is a header unless it holds a number after its first field; then it is a layer. Trailing
    commas, spaces, blank lines, CRLF and a byte-order mark are accepted. A layer whose name contains `DP` is
    depthwise: each channel is convolved with its own `filters` filters. A trailing `N:M` sparsity column is
    accepted, the layer is dense all the same, and `Network.skipped_operators` says so. A name that comes
    again gets `_2`, `_3`, ... appended. The file has no graph, so every layer reads its ifmap from outside.

    Raises:
        UserError: unreadable, no layers, or (with line and field) a missing, surplus, or impossible value.
    """
    rows = list(_rows(path))
    if not rows:
        raise UserError("has no layers", source=path, allowed=f"one line a layer: {_FORMS}")
    matrix_form = len(rows[0].fields) == len(_MATRIX_FIELDS)
    layers: dict[str, Layer] = {}
    sparse: list[str] = []
    for row in rows:
        name = _distinct(row.name, layers)
        if matrix_form:
            m, n, k = _numbers(row, _MATRIX_FIELDS, path)
            layers[name] = matrix_layer(name, "matmul", m=m, n=n, k=k)
        else:
            layers[name] = convolution_layer(name, _convolution(row, path))
        if row.sparsity:
            sparse.append(f"sparsity {row.sparsity} of layer {name} (simulated dense)")
    return Network(
        path.stem,
        tuple(layers.values()),
        source=f"SCALE-Sim topology {path.name}",
        skipped_operators=tuple(sparse),
    )


def _rows(path: Path) -> Iterator[_Row]:
    text = read_text(path).removeprefix("\ufeff")
    first = True
    for number, line in enumerate(text.splitlines(), start=1):
        name, *fields = (field.strip() for field in line.split(","))
        while fields and not fields[-1]:
            fields.pop()
        if not name and not fields:
            continue
        header = first and not any(_is_number(field) for field in fields)
        first = False
        if header:
            continue
        sparsity = fields.pop() if fields and _SPARSITY.fullmatch(fields[-1]) else ""
        if not name:
            raise UserError("layer name is missing", source=path, location=f"line {number}", value=line)
        yield _Row(number, name, fields, _structured(sparsity))


def _is_number(field: str) -> bool:
    return re.fullmatch(r"[+-]?[0-9]+([.][0-9]*)?", field) is not None


def _structured(sparsity: str) -> str:
    """The sparsity column where it says that weights are left out: N of M with N < M."""
    if not sparsity:
        return ""
    kept, block = (int(part) for part in sparsity.split(":"))
    return f"{kept}:{block}" if kept < block else ""


def _convolution(row: _Row, path: Path) -> Convolution:
    names = _CONVOLUTION_FIELDS
    fields = row.fields + row.fields[-1:] if len(row.fields) == len(names) - 1 else row.fields
    height, width, filter_height, filter_width, channels, filters, *strides = _numbers(
        row._replace(fields=fields), names, path
    )
    for axis, size, window in (("height", height, filter_height), ("width", width, filter_width)):
        if window > size:
            raise UserError(
                "is larger than the ifmap",
                source=path,
                location=f"line {row.line}, filter {axis}",
                value=window,
                allowed=f"1 to {size}",
            )
    depthwise = "DP" in row.name
    return Convolution(
        batch=1,
        channels=channels,
        filters=filters * channels if depthwise else filters,
        ifmap=(height, width),
        kernel=(filter_height, filter_width),
        stride=(strides[0], strides[1]),
        padding=(0, 0, -(height - filter_height) % strides[0], -(width - filter_width) % strides[1]),
        groups=channels if depthwise else 1,
    )


def _numbers(row: _Row, names: tuple[str, ...], path: Path) -> list[int]:
    if len(row.fields) != len(names):
        expected = f"{len(names)} numbers" if names == _MATRIX_FIELDS else "7 or 8 numbers"
        raise UserError(
            f"layer {row.name!r} needs {expected} after its name",
            source=path,
            location=f"line {row.line}",
            value=len(row.fields),
            allowed=_FORMS,
        )
    numbers = []
    for name, field in zip(names, row.fields, strict=True):
        if not re.fullmatch(r"[0-9]{1,18}", field) or int(field) < 1:
            raise UserError(
                "is not a positive whole number",
                source=path,
                location=f"line {row.line}, {name}",
                value=field,
                allowed="1, 2, 3, ...",
            )
        numbers.append(int(field))
    return numbers


def _distinct(name: str, taken: dict[str, Layer]) -> str:
    candidate, copy = name, 2
    while candidate in taken:
        candidate, copy = f"{name}_{copy}", copy + 1
    return candidate
