"""The three tensors of every layer, by name and number; an architecture says which memory holds each."""

from __future__ import annotations

from typing import Final, Literal

Operand = Literal["ifmap", "filter", "ofmap"]
"""Activations that enter, weights, and results with their partial sums."""

OPERANDS: Final[tuple[Operand, ...]] = ("ifmap", "filter", "ofmap")
"""In the order of their numbers."""

IFMAP: Final = 0
FILTER: Final = 1
OFMAP: Final = 2
"""Operands by number, for compiled code."""
