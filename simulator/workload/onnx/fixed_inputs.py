"""Inputs that have one value for good, such as a sample rate: they become constants of the graph."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np

from simulator.foundation import UserError
from simulator.workload.onnx.graph import Constant, InputTensor, Source
from simulator.workload.onnx.sizes import Sizes


def with_values(source: Source, sizes: Sizes) -> tuple[Source, Sizes]:
    """A file whose inputs in `sizes.values` are constants of that value, and the sizes of what is left.

    Every element of a tensor has the value; sizes that the file leaves open come from `sizes`.

    Raises:
        UserError: the file has no such input, its sizes are open, or its type does not hold the value.
    """
    values = sizes.values
    if not values:
        return source, sizes
    inputs = {tensor.name: tensor for tensor in source.inputs}
    for name in values:
        if name not in inputs:
            raise UserError(
                "the network has no such input",
                source=source.path,
                location="--input-value",
                value=name,
                candidates=inputs,
            )
    if len(values) == len(inputs):
        raise UserError("leaves no input for data", source=source.path, location="--input-value")
    made = {name: _constant(source, inputs[name], value, sizes) for name, value in values.items()}
    left = tuple(tensor for tensor in source.inputs if tensor.name not in values)
    body = replace(
        source.body,
        inputs=tuple(name for name in source.body.inputs if name not in values),
        constants={**source.body.constants, **made},
    )
    shapes = {name: shape for name, shape in sizes.input_shapes.items() if name not in values}
    kept = {size for tensor in left for size in tensor.sizes or ()}
    gone = {size for name in values for size in inputs[name].sizes or ()} - kept
    dims = {symbol: size for symbol, size in sizes.dims.items() if symbol not in gone}
    return replace(source, body=body, inputs=left), replace(sizes, input_shapes=shapes, dims=dims)


def _constant(source: Source, tensor: InputTensor, value: float, given: Sizes) -> Constant:
    sizes = given.input_shapes.get(tensor.name, tensor.sizes)
    if sizes is not None:
        sizes = tuple(given.dims.get(size, size) if isinstance(size, str) else size for size in sizes)
    if sizes is None or not all(isinstance(size, int) for size in sizes):
        raise UserError(
            "cannot be given a value: its sizes are open",
            source=source.path,
            location=tensor.name,
            value=sizes,
            allowed=f"with --input-shape {tensor.name}=SIZES",
        )
    dtype = tensor.dtype or np.dtype(np.float32)
    if not _holds(dtype, value):
        raise UserError(
            f"is no {dtype}", source=source.path, location=f"--input-value {tensor.name}", value=value
        )
    shape = tuple(int(size) for size in sizes if size is not None)
    return Constant.of(np.full(shape, value, dtype), stored=tensor.name)


def _holds(dtype: np.dtype[Any], value: float) -> bool:
    if dtype.kind == "f":
        return True
    if dtype.kind == "b":
        return value in (0, 1)
    if dtype.kind not in "iu" or not isfinite(value) or value != int(value):
        return False
    return bool(np.iinfo(dtype).min <= value <= np.iinfo(dtype).max)
