"""Inputs that have one value for good, such as a sample rate: they become constants of the graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np

from simulator.foundation import UserError
from simulator.workload.onnx.graph import Constant, InputTensor, Source


def with_values(source: Source, values: Mapping[str, float]) -> Source:
    """A file whose inputs in `values` are constants of that value; every element of a tensor has it.

    Raises:
        UserError: the file has no such input, its sizes are open, or its type does not hold the value.
    """
    if not values:
        return source
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
    made = {name: _constant(source, inputs[name], value) for name, value in values.items()}
    left = tuple(tensor for tensor in source.inputs if tensor.name not in values)
    body = replace(
        source.body,
        inputs=tuple(name for name in source.body.inputs if name not in values),
        constants={**source.body.constants, **made},
    )
    return replace(source, body=body, inputs=left)


def _constant(source: Source, tensor: InputTensor, value: float) -> Constant:
    sizes = tensor.sizes
    if sizes is None or not all(isinstance(size, int) for size in sizes):
        raise UserError(
            "cannot be given a value: its sizes are open",
            source=source.path,
            location=tensor.name,
            value=sizes,
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
