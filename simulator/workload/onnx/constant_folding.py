"""Operators on constants as constants, whose values are made when somebody asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simulator.foundation import UserError
from simulator.workload.onnx.evaluate import evaluator_of
from simulator.workload.onnx.graph import Constant, Node, Tensor
from simulator.workload.onnx.operators import REARRANGEMENTS
from simulator.workload.onnx.types import known


def folded(
    node: Node, given: Sequence[Constant | None], types: Mapping[str, Any], path: Path
) -> dict[str, Constant] | None:
    """The results of an operator on constants, by name; None where nobody can compute them.

    Args:
        node: the operator.
        given: its operands.
        types: of its results, as far as they are known; else they are computed at once.
        path: the file, for messages.

    Raises:
        UserError: results that had to be computed at once and cannot be.
    """
    evaluate = evaluator_of(node)
    if evaluate is None:
        return None
    results: list[Sequence[Tensor]] = []

    def result(position: int) -> Tensor:
        made = results[0] if results else None
        if made is None:
            values = [None if constant is None else constant.values() for constant in given]
            try:
                with np.errstate(all="ignore"):
                    made = [_widened(np.asarray(each)) for each in evaluate(values)]
            except UserError:
                raise
            except Exception as error:  # whatever the evaluator raises
                reason = " ".join(str(error).split())[:200]
                raise UserError(f"{node.describe()} cannot be computed: {reason}", source=path) from error
            if len(node.outputs) > 1:
                results.append(made)
        return made[position]

    stored = given[0].stored if given and given[0] and node.operator in REARRANGEMENTS else ""
    constants = {}
    for position, name in enumerate(node.outputs):
        if not name:
            continue
        shape, dtype = known(types.get(name))
        if shape is None or dtype is None:
            values = result(position)
            shape, dtype = values.shape, values.dtype
        constants[name] = Constant(shape, dtype, _Result(result, position), stored=stored or name)
    return constants


def constant_of(node: Node) -> Constant:
    """The tensor of a `Constant` operator, whichever of its attributes holds it."""
    name = node.outputs[0]
    for attribute, value in node.attributes.items():
        if isinstance(value, Constant):
            return Constant(value.shape, value.dtype, value.values, stored=name)
        dtype = {"value_float": np.float32, "value_floats": np.float32}.get(attribute, np.int64)
        if attribute.startswith("value_string"):
            return Constant.of(np.asarray(value, object), stored=name)
        return Constant.of(np.asarray(value, dtype), stored=name)
    raise UserError("Constant has no value", location=name)


class _Result:
    """One of several results that are computed together."""

    __slots__ = ("_compute", "_position")

    def __init__(self, compute: Callable[[int], Tensor], position: int) -> None:
        self._compute = compute
        self._position = position

    def __call__(self) -> Tensor:
        return self._compute(self._position)


def _widened(values: Tensor) -> Tensor:
    half = values.dtype == np.float16 or values.dtype.name == "bfloat16"
    return values.astype(np.float32) if half else values
