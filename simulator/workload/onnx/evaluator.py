"""What computes a node: a function on arrays, and how it takes its operands."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from simulator.workload.onnx.graph import Tensor

Evaluator = Callable[[Sequence[Tensor | None]], Sequence[Tensor]]
"""From the values of a node's inputs, None for those left out, to those of its outputs."""


def given(inputs: Sequence[Tensor | None], position: int) -> Tensor:
    """An operand that the node must have."""
    value = inputs[position]
    assert value is not None
    return value
