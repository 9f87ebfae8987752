"""Which sizes a graph's inputs have, and which of their dimensions is the batch."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from simulator.foundation import UserError
from simulator.foundation.whole_numbers import whole_number
from simulator.workload.layer import LARGEST_LENGTH
from simulator.workload.onnx.graph import InputTensor, Shape

BatchAxis = int | Literal["auto", "none"]


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a user says of the sizes of a graph's inputs.

    Attributes:
        input_shapes: whole shapes by input, in place of those in the file.
        dims: sizes by symbol, such as `seq`.
        batch_axis: dimension of the first input that is the batch; `auto`: its first where the file leaves it
            open, or where the input is an image of rank 4, else none.
        values: of inputs that always have the same one, such as a sample rate; they are constants then.
    """

    input_shapes: Mapping[str, Shape] = field(default_factory=dict)
    dims: Mapping[str, int] = field(default_factory=dict)
    batch_axis: BatchAxis = "auto"
    values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClosedSizes:
    """Sizes of all inputs, of all symbols, and the batch with its dimension in every input that has it."""

    shapes: Mapping[str, Shape]
    symbols: Mapping[str, int]
    batch: int
    batch_axes: Mapping[str, int]
    batch_reason: str


def parse_sizes(
    input_shapes: list[str] | None,
    dims: list[str] | None,
    batch_axis: str | None,
    input_values: list[str] | None = None,
) -> Sizes:
    """Sizes from options: `x=1,3,320,320`, `seq=128`, a number, `none` or nothing, and `sr=16000`.

    Raises:
        UserError: an option that does not look like that, names given twice, or sizes that are not positive.
    """
    shapes: dict[str, Shape] = {}
    for text in input_shapes or ():
        name, sizes = _assignment(text, "--input-shape", "NAME=SIZE,SIZE,...", given=shapes)
        shapes[name] = tuple(_size(size, "--input-shape", text) for size in sizes.split(",")) if sizes else ()
    symbols: dict[str, int] = {}
    for text in dims or ():
        name, size = _assignment(text, "--dim", "NAME=SIZE", given=symbols)
        symbols[name] = _size(size, "--dim", text)
    axis: BatchAxis = "auto"
    if batch_axis is not None:
        if batch_axis == "none":
            axis = "none"
        elif (number := whole_number(batch_axis)) is not None:
            axis = number
        elif batch_axis != "auto":
            raise UserError(
                "is no dimension",
                location="--batch-axis",
                value=batch_axis,
                allowed="a number, none or auto",
            )
    values: dict[str, float] = {}
    for text in input_values or ():
        name, value = _assignment(text, "--input-value", "NAME=NUMBER", given=values)
        try:
            values[name] = float(value)
        except ValueError:
            raise UserError("is no number", location="--input-value", value=text) from None
    return Sizes(shapes, symbols, axis, values)


def _assignment(text: str, option: str, form: str, *, given: Container[str]) -> tuple[str, str]:
    name, equals, value = (part.strip() for part in text.rpartition("="))
    if not equals or not name:
        raise UserError(f"must look like {form}", location=option, value=text)
    if name in given:
        raise UserError(f"{name} is given twice", location=option, value=text)
    return name, value


def _size(text: str, option: str, whole: str) -> int:
    size = whole_number(text)
    if size is None or not 1 <= size <= LARGEST_LENGTH:
        raise UserError(
            "sizes are positive whole numbers",
            location=option,
            value=whole,
            allowed=f"1 to {LARGEST_LENGTH:,}",
        )
    return size


def close_sizes(inputs: tuple[InputTensor, ...], sizes: Sizes, path: Path) -> ClosedSizes:
    """Every input's size. An open first dimension is 1: inputs come one by one unless somebody says more.

    Raises:
        UserError: sizes for inputs or symbols that there are not, that contradict each other, or that are
            still open.
    """
    _require_known(inputs, sizes, path)
    symbols = dict(sizes.dims)
    for tensor in inputs:
        _bind(tensor, sizes.input_shapes.get(tensor.name), symbols, path)
    axes = batch_axes(inputs, sizes, path)
    axis = axes.get(inputs[0].name) if inputs else None
    shapes: dict[str, Shape] = {}
    left_open: list[str] = []
    for tensor in inputs:
        given = sizes.input_shapes.get(tensor.name)
        if given is None and tensor.sizes is None:
            raise UserError(
                "input has no shape", source=path, location=tensor.name, allowed="--input-shape gives one"
            )
        stated = tensor.sizes if given is None else given
        assert stated is not None
        own_axis = axes.get(tensor.name)
        shape = []
        for index, size in enumerate(stated):
            known = symbols.get(size) if isinstance(size, str) else size
            if known is None and (index == own_axis or (not index and sizes.batch_axis == "auto")):
                known = 1
                if isinstance(size, str):
                    symbols[size] = 1
            if known is None:
                left_open.append(f"{tensor.name}[{index}]" + (f" ({size})" if size else ""))
            shape.append(known or 0)
        shapes[tensor.name] = tuple(shape)
    if left_open:
        raise UserError(
            f"input dimensions are left open: {', '.join(left_open)}",
            source=path,
            allowed="only the batch may be; --dim NAME=SIZE or --input-shape INPUT=SIZE,... gives the others",
        )
    batch = shapes[inputs[0].name][axis] if axis is not None else 1
    return ClosedSizes(shapes, symbols, batch, axes, _reason(inputs, axis, sizes))


def batch_axes(inputs: tuple[InputTensor, ...], sizes: Sizes, path: Path) -> dict[str, int]:
    """The dimension that is the batch by input; inputs without one are not listed.

    Raises:
        UserError: `sizes.batch_axis` is a dimension that the first input does not have.
    """
    axis = _batch_axis(inputs, sizes, path)
    if axis is None:
        return {}
    first, *others = inputs
    symbol = _symbol(first, axis)
    axes = {first.name: axis}
    inner = {size for tensor in inputs for size in (tensor.sizes or ())[1:]}
    for tensor in others:
        own = _other_axis(tensor, symbol, sizes, inner)
        if own is not None:
            axes[tensor.name] = own
    return axes


def _require_known(inputs: tuple[InputTensor, ...], sizes: Sizes, path: Path) -> None:
    names = [tensor.name for tensor in inputs]
    for name in sizes.input_shapes:
        if name not in names:
            raise UserError("the network has no such input", source=path, value=name, candidates=names)
    symbols = {size for tensor in inputs for size in tensor.sizes or () if isinstance(size, str)}
    for name in sizes.dims:
        if name not in symbols:
            raise UserError(
                "the inputs have no such dimension",
                source=path,
                value=name,
                candidates=symbols,
                allowed=", ".join(sorted(symbols)) or "none; give --input-shape",
            )


def _bind(tensor: InputTensor, given: Shape | None, symbols: dict[str, int], path: Path) -> None:
    """Symbols take the sizes of a shape that the user gave."""
    if given is None or tensor.sizes is None:
        return
    if len(given) != len(tensor.sizes):
        raise UserError(
            "shape has another number of dimensions than the input",
            source=path,
            location=tensor.name,
            value=given,
            allowed=" x ".join(str(size or "?") for size in tensor.sizes),
        )
    for size, number in zip(tensor.sizes, given, strict=True):
        if isinstance(size, str) and symbols.setdefault(size, number) != number:
            raise UserError(
                f"dimension {size!r} has two sizes, {symbols[size]} and {number}",
                source=path,
                location=tensor.name,
            )


def _batch_axis(inputs: tuple[InputTensor, ...], sizes: Sizes, path: Path) -> int | None:
    if not inputs or sizes.batch_axis == "none":
        return None
    first = inputs[0]
    stated = first.sizes if first.sizes is not None else sizes.input_shapes.get(first.name)
    if stated is None:
        return None
    if sizes.batch_axis != "auto":
        if sizes.batch_axis >= len(stated):
            raise UserError(
                f"input {first.name!r} has no such dimension",
                source=path,
                location="--batch-axis",
                value=sizes.batch_axis,
                allowed=f"0 to {len(stated) - 1}, or none",
            )
        return sizes.batch_axis
    is_open = bool(stated) and not isinstance(stated[0], int)
    return 0 if is_open or len(stated) == 4 else None


def _symbol(tensor: InputTensor, axis: int) -> str | None:
    size = tensor.sizes[axis] if tensor.sizes is not None else None
    return size if isinstance(size, str) else None


def _other_axis(
    tensor: InputTensor, symbol: str | None, sizes: Sizes, inner: set[int | str | None]
) -> int | None:
    """The batch in an input that is not the first: the same symbol, else an open first dimension.

    Exports name the batch of each input anew (`ids_dynamic_axes_1`), so a symbol of another name is the batch
    too, unless it is the size of an `inner` dimension or the user gives it.
    """
    if not tensor.sizes:
        return None
    if symbol is not None and symbol in tensor.sizes:
        return tensor.sizes.index(symbol)
    size = tensor.sizes[0]
    if sizes.batch_axis != "auto" or isinstance(size, int) or size in sizes.dims:
        return None
    return 0 if size is None or size not in inner else None


def _reason(inputs: tuple[InputTensor, ...], axis: int | None, sizes: Sizes) -> str:
    """What was taken for the batch, in words; how large it is, networks say themselves."""
    if axis is None:
        why = "as given" if sizes.batch_axis == "none" else "sizes are fixed and it is no image of rank 4"
        return f"no batch in {inputs[0].name!r}: {why}" if inputs else "no inputs, so no batch"
    symbol = _symbol(inputs[0], axis)
    stated = inputs[0].sizes
    if sizes.batch_axis != "auto":
        why = "as given"
    elif stated is not None and isinstance(stated[axis], int):
        why = "an image of rank 4"
    else:
        why = f"left open as {symbol!r}" if symbol else "left open"
    return f"batch along dimension {axis} of {inputs[0].name!r}, {why}"
