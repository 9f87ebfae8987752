"""Walking a network's operators with one arithmetic for its products."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from simulator.foundation import UserError
from simulator.foundation.reading.limits import LARGEST_ARRAY_BYTES
from simulator.inference.arithmetic import Arithmetic
from simulator.inference.executable_program import Operator, Program
from simulator.inference.inputs import Inputs
from simulator.inference.model import Model, as_given
from simulator.numerics.array_types import Tensor
from simulator.workload.onnx import Constant

Feeds = Tensor | Inputs | Mapping[str, Tensor]
"""Values of the inputs by name, or those of the only one."""


def execute(model: Model, images: Feeds, arithmetic: Arithmetic) -> Tensor:
    """The network's judged output for a batch of images; see `execute_outputs`."""
    return execute_outputs(model, images, arithmetic, (model.output,))[model.output]


def execute_outputs(
    model: Model, images: Feeds, arithmetic: Arithmetic, names: Collection[str]
) -> dict[str, Tensor]:
    """Tensors of the network for a batch of inputs, by name; products are computed by `arithmetic`.

    Products come in execution order, everything else runs in float32. A tensor is forgotten after its last
    use, unless it is among `names`. Where the file fixes how many inferences go together, they go in parts of
    that size, and results are put together along the axis that the batch has in them; the last part is filled
    up with repetitions, whose results are dropped.

    Args:
        model: the network.
        images: values of every input, or of the only one.
        arithmetic: of the products.
        names: tensors to return: outputs or any other.

    Raises:
        UserError: inputs that are missing or do not fit, or an operator that cannot work on what it gets.
    """
    feeds = _feeds(model, images)
    axis = model.run_axes[model.input]
    first = feeds[model.input]
    count = first.shape[axis] if first.ndim else 1
    size = model.run_size
    if size is None or count == size:
        return _run_once(model, feeds, arithmetic, names)
    if model.run_axes is not model.batch_axes and count % size:
        raise UserError(
            "does not hold whole inputs of the network",
            source=model.path,
            location=model.input,
            value=first.shape,
            allowed=f"a multiple of {size} along axis {axis}",
        )
    needed_bytes = first.nbytes // max(count, 1) * size
    if needed_bytes > LARGEST_ARRAY_BYTES:
        raise UserError(
            f"takes {size:,} inferences at once, whose inputs alone are {needed_bytes:,} bytes",
            source=model.path,
            location=model.input,
            allowed=f"up to {LARGEST_ARRAY_BYTES:,} bytes",
        )
    parts = [
        _run_once(model, _part(model, feeds, start, size), arithmetic, names)
        for start in range(0, count, size)
    ]
    return {name: _together([part[name] for part in parts], count, size) for name in names}


def _feeds(model: Model, images: Feeds) -> dict[str, Tensor]:
    """Values of every input, in the types that the file states."""
    if isinstance(images, Inputs):
        images = images.tensors
    given = images if isinstance(images, Mapping) else {model.input: images}
    known = [tensor.name for tensor in model.inputs]
    for name in given:
        if name not in known:
            raise UserError("the network has no such input", source=model.path, value=name, candidates=known)
    missing = [name for name in known if name not in given]
    if missing:
        raise UserError(
            f"inputs have no data, and the file has no values for them: {', '.join(missing)}",
            source=model.path,
            allowed=f"values for each of {', '.join(known)}",
        )
    return {tensor.name: as_given(given[tensor.name], tensor) for tensor in model.inputs}


def _part(model: Model, feeds: Mapping[str, Tensor], start: int, size: int) -> dict[str, Tensor]:
    """`size` entries of every input that has the batch; the last ones are repeated where there are less."""
    axes = model.run_axes
    parts = {}
    for name, values in feeds.items():
        if name not in axes:
            parts[name] = values
            continue
        places = np.minimum(np.arange(start, start + size), values.shape[axes[name]] - 1)
        parts[name] = np.take(values, places, axis=axes[name])
    return parts


def _together(parts: list[Tensor], count: int, size: int) -> Tensor:
    """Results of several runs as one tensor, along the first axis that has a run's size, or as rows."""
    axis = next((index for index, length in enumerate(parts[0].shape) if length == size), None)
    if axis is None:
        return np.concatenate(parts) if parts[0].ndim else np.stack(parts)
    whole = np.concatenate(parts, axis=axis)
    return np.take(whole, np.arange(count), axis=axis) if whole.shape[axis] > count else whole


def _run_once(
    model: Model, feeds: Mapping[str, Tensor], arithmetic: Arithmetic, names: Collection[str]
) -> dict[str, Tensor]:
    program = model.program_for({name: values.shape for name, values in feeds.items()})
    values: dict[str, Tensor] = dict(feeds)
    for operator in each_operator(program, values, names):
        with errors_of(operator, model):
            outputs = _run(operator, values, program, arithmetic, model)
        values.update((name, value) for name, value in zip(operator.outputs, outputs, strict=False) if name)
    return {name: _tensor(name, values, program, model) for name in names}


@contextmanager
def errors_of(operator: Operator, model: Model) -> Iterator[None]:
    """Whatever an operator finds wrong with its inputs, as a UserError that names file and operator."""
    try:
        yield
    except UserError as error:
        if error.source is not None:
            raise
        raise UserError(str(error), source=model.path, location=operator.name) from error
    except (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{operator.kind} cannot be executed: {reason}", source=model.path, location=operator.name
        ) from error


def each_operator(program: Program, values: dict[str, Any], kept: Collection[str]) -> Iterator[Operator]:
    """Operators in execution order; tensors leave `values` after their last use, unless among `kept`."""
    uses = Counter(name for operator in program.operators for name in operator.inputs)
    for operator in program.operators:
        yield operator
        for name in operator.inputs:
            uses[name] -= 1
            if not uses[name] and name not in kept:
                values.pop(name, None)


def _tensor(name: str, values: Mapping[str, Tensor], program: Program, model: Model) -> Tensor:
    return values[name] if name in values else constant_of(name, program, model).values()


def constant_of(name: str, program: Program, model: Model) -> Constant:
    """A tensor that no operator gave, which must be a constant. Raises UserError."""
    if name not in program.constants:
        raise UserError("no operator gives this tensor before it is used", source=model.path, location=name)
    return program.constants[name]


def _run(
    operator: Operator, values: dict[str, Tensor], program: Program, arithmetic: Arithmetic, model: Model
) -> Any:
    def value(name: str) -> Tensor:
        return _tensor(name, values, program, model)

    product = operator.product
    if product is not None:
        second = value(operator.inputs[1]) if product.weights is None else None
        return (arithmetic(product, value(operator.inputs[0]), second),)
    assert operator.evaluate is not None
    with np.errstate(all="ignore"):  # infinities and NaN are values like others, as everywhere in ONNX
        return operator.evaluate([value(name) if name else None for name in operator.inputs])
