"""Which part of a network's work goes through the MAC, and what runs beside it in float32."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from simulator.inference.executable_program import Program
from simulator.inference.model import Model


@dataclass(frozen=True, slots=True)
class Coverage:
    """Multiply-accumulates of one run of a network.

    Attributes:
        macs: of all products, as simulation counts them.
        macs_in_mac: of those that the MAC computes.
        float32: how many operators of each kind run in float32.
        folded: products of constants, computed once before anything runs and not counted.
    """

    macs: int
    macs_in_mac: int
    float32: Mapping[str, int]
    folded: tuple[str, ...]

    @property
    def share(self) -> float:
        """Covered MACs of all."""
        return self.macs_in_mac / self.macs

    def as_document(self) -> dict[str, Any]:
        """The figures for JSON."""
        return {
            "macs": self.macs,
            "macs_in_mac": self.macs_in_mac,
            "share": self.share,
            "float32": dict(self.float32),
            "folded_products": list(self.folded),
        }

    def describe(self) -> str:
        """The figures in a sentence."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.float32.items()) or "nothing"
        text = f"{100 * self.share:.4g} % of {self.macs:,} MACs go through the MAC; in float32: {kinds}"
        return f"{text}; computed before: {', '.join(self.folded)}" if self.folded else text


def coverage(model: Model) -> Coverage:
    """What goes through the MAC in one run of a network. Raises UserError: dimensions are left open."""
    program = model.program
    total = covered = 0
    for operator in program.operators:
        if operator.kind not in ("Conv", "MatMul"):
            continue
        first = _shape(operator.inputs[0], program)
        second = _shape(operator.inputs[1], program)
        reduction = prod(second[1:]) if operator.kind == "Conv" else first[-1]
        macs = prod(_shape(operator.outputs[0], program)) * reduction
        total += macs
        covered += macs if operator.product is not None else 0
    return Coverage(total, covered, program.in_float32, program.folded)


def _shape(name: str, program: Program) -> tuple[int, ...]:
    if name in program.constants:
        return tuple(program.constants[name].shape)
    return tuple(program.shapes[name])
