"""Arrays of a file as the inputs of a network: images, numbers, or token ids, for one input or several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.inference.array_files import Converted
from simulator.inference.images import checked_labels, real_images
from simulator.inference.inputs import InputBatches
from simulator.inference.model import Model
from simulator.numerics.array_types import Tensor
from simulator.workload.onnx import InputTensor

_LABELS = "labels"
_CALIBRATION = "calibration_"
_IMAGES = "images"


@dataclass(frozen=True, slots=True)
class ArrayData:
    """A file's arrays bound to a network's inputs."""

    inputs: Converted | InputBatches
    labels: NDArray[np.int64] | None
    calibration: Converted | InputBatches | None
    calibration_labels: NDArray[np.int64] | None
    notes: dict[str, str] = field(default_factory=dict)


def bind(path: Path, arrays: Mapping[str, Tensor], model: Model) -> ArrayData:
    """Arrays by the names of inputs; `images`, or the only array there is, is for the first input.

    Raises:
        UserError: inputs without arrays, or arrays of other lengths, types or shapes than the inputs take.
    """
    notes: dict[str, str] = {}
    tested = _by_input(path, arrays, "", model, notes)
    assert tested is not None
    calibration = _by_input(path, arrays, _CALIBRATION, model, notes)
    known = {_LABELS, _CALIBRATION + _LABELS, _IMAGES, _CALIBRATION + _IMAGES, *notes}
    known |= {prefix + tensor.name for tensor in model.inputs for prefix in ("", _CALIBRATION)}
    unused = [name for name in arrays if name not in known]
    if unused:
        notes["unused"] = f"arrays of {path.name} that no input takes: {', '.join(unused)}"
    labels = checked_labels(path, _LABELS, arrays.get(_LABELS), len(tested))
    count = 0 if calibration is None else len(calibration)
    of_calibration = checked_labels(path, _CALIBRATION + _LABELS, arrays.get(_CALIBRATION + _LABELS), count)
    return ArrayData(tested, labels, calibration, of_calibration, notes)


def _by_input(
    path: Path, arrays: Mapping[str, Tensor], prefix: str, model: Model, notes: dict[str, str]
) -> Converted | InputBatches | None:
    """The converted arrays of all inputs; None where there are none with a prefix."""
    first, *others = model.inputs
    names = {each.name: prefix + each.name for each in model.inputs if prefix + each.name in arrays}
    if first.name not in names and prefix + _IMAGES in arrays:
        names[first.name] = prefix + _IMAGES
    if prefix and not names:
        return None
    if not prefix and not names and not others:
        alone = [name for name in arrays if name != _LABELS and not name.startswith(_CALIBRATION)]
        if len(alone) == 1:
            names[first.name] = alone[0]
            notes[alone[0]] = f"array {alone[0]!r} of {path.name} was taken for input {first.name!r}"
    missing = [prefix + each.name for each in model.inputs if each.name not in names]
    if missing:
        raise _missing(path, missing, model, prefix)
    converted = {}
    for each in model.inputs:
        values = _rows(path, names[each.name], arrays[names[each.name]], each, model, notes)
        converted[each.name] = _converted(path, names[each.name], values, each, is_first=each is first)
    if not others:
        return converted[first.name]
    model.learn_sizes({name: each.shape for name, each in converted.items()})
    axes = {each.name: model.batch_axes.get(each.name) for each in others}
    count = len(converted[first.name])
    for name, axis in axes.items():
        if axis is not None and converted[name].shape[axis] != count:
            along = f" along axis {axis}" if axis else ""
            raise UserError(
                f"does not match the {count} rows of {first.name}{along}",
                source=path,
                location=names[name],
                value=converted[name].shape,
            )
    return InputBatches(converted, {name: axis for name, axis in axes.items() if axis != 0})


def _missing(path: Path, missing: list[str], model: Model, prefix: str) -> UserError:
    allowed = f"arrays named {', '.join(prefix + each.name for each in model.inputs)}"
    if len(model.inputs) == 1:
        return UserError("has no images", source=path, location=_IMAGES, allowed=f"images, or {allowed}")
    return UserError(f"has no arrays for inputs {', '.join(missing)}", source=path, allowed=allowed)


def _allowed_row(tensor: InputTensor, length: int | None) -> str:
    if length is not None:
        return f"{length} tokens or more"
    symbol = tensor.sizes[1] if tensor.sizes is not None else None
    if symbol is None:
        return "an array of [N, tokens]"
    return f"an array of [N, tokens], or --dim {symbol}=LENGTH, which cuts the row"


def _rows(
    path: Path, name: str, values: Tensor, tensor: InputTensor, model: Model, notes: dict[str, str]
) -> Tensor:
    """Values with an axis of inferences; a long row of token ids is cut into rows of the network's length."""
    stated = model.input_shapes[tensor.name]
    if not values.ndim and stated:
        raise UserError(
            "is a single number",
            source=path,
            location=name,
            value=values.item(),
            allowed="an array whose first axis is that of the inferences",
        )
    if values.ndim != 1 or len(stated) != 2 or not _is_integer(tensor):
        if not values.size:
            raise UserError("is empty", source=path, location=name, value=values.shape)
        return values
    length = stated[1]
    if length is None or len(values) < length:
        raise UserError(
            "is one row of tokens, and the network leaves the length of its rows open"
            if length is None
            else "is one row of tokens, and the network takes rows of a fixed length",
            source=path,
            location=name,
            value=values.shape,
            allowed=_allowed_row(tensor, length),
        )
    count = len(values) // length
    left = len(values) - count * length
    notes["tokens"] = f"{len(values):,} tokens make {count} rows of {length}" + (
        f"; the last {left} are left out" if left else ""
    )
    return values[: count * length].reshape(count, length)


def _converted(path: Path, name: str, values: Tensor, tensor: InputTensor, *, is_first: bool) -> Converted:
    dtype = tensor.dtype or np.dtype(np.float32)
    if not _is_integer(tensor):
        if is_first or values.dtype.kind == "f":
            return real_images(path, name, values)
        if values.dtype.kind not in "iub":
            raise _wrong_type(path, name, values, "numbers")
        return Converted(values, lambda part, _: part.astype(np.float32), values.shape[1:])
    if values.dtype.kind not in "iub":
        raise _wrong_type(path, name, values, f"integers, as the network's input is {dtype}")
    bounds = (0, 1) if dtype == np.bool_ else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if int(values.min()) < bounds[0] or int(values.max()) > bounds[1]:
        worst = values.max() if int(values.max()) > bounds[1] else values.min()
        raise UserError(
            f"does not fit the network's input of {dtype}", source=path, location=name, value=int(worst)
        )
    return Converted(values, lambda part, _: part.astype(dtype), values.shape[1:])


def _wrong_type(path: Path, name: str, values: Tensor, allowed: str) -> UserError:
    return UserError(
        "have the wrong type", source=path, location=name, value=str(values.dtype), allowed=allowed
    )


def _is_integer(tensor: InputTensor) -> bool:
    return tensor.dtype is not None and tensor.dtype.kind in "iub"
