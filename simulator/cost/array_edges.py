"""Which operand enters the array at which edge, by dataflow, and how many codes of it do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from simulator.arch.config import Dataflow
from simulator.cost.block_counts import BlockCounts
from simulator.cost.mac_structure import OperandClass
from simulator.system.counts import ActionCounts

Edge = Literal["rows", "columns"]

ENTERS: Final[dict[Dataflow, dict[Edge, OperandClass]]] = {
    "os": {"rows": "activation", "columns": "weight"},
    "ws": {"rows": "activation", "columns": "weight"},
    "is": {"rows": "weight", "columns": "activation"},
}
"""The operand that enters at each edge; what stays in the PEs is loaded down the columns."""


def operands_at(edge: Edge, dataflows: Sequence[Dataflow]) -> list[OperandClass]:
    """Every operand that enters at an edge with one of some dataflows, in their order."""
    return list(dict.fromkeys(ENTERS[dataflow][edge] for dataflow in dataflows))


def codes_at_rows(counts: ActionCounts) -> int:
    """Codes that enter along the rows."""
    return counts.activation_codes if ENTERS[counts.dataflow]["rows"] == "activation" else counts.weight_codes


def codes_at_columns(counts: ActionCounts, done: BlockCounts) -> int:
    """Codes that enter down the columns of one block."""
    return done.weight_codes if ENTERS[counts.dataflow]["columns"] == "weight" else counts.activation_codes
