"""Which operand enters the array at which edge, and how many codes of it do; where results leave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from simulator.cost.block_counts import BlockCounts
from simulator.cost.mac_structure import OperandClass
from simulator.dataflow import DATAFLOWS, DataflowName
from simulator.system.counts import ActionCounts

Edge = Literal["rows", "columns"]


def operand_at(edge: Edge, dataflow: DataflowName) -> OperandClass:
    """The operand that enters at an edge."""
    flow = DATAFLOWS[dataflow]
    return {"rows": flow.at_rows, "columns": flow.at_columns}[edge]


def operands_at(edge: Edge, dataflows: Sequence[DataflowName]) -> list[OperandClass]:
    """Every operand that enters at an edge with one of some dataflows, in their order."""
    return list(dict.fromkeys(operand_at(edge, dataflow) for dataflow in dataflows))


def ends_of_lanes(dataflows: Sequence[DataflowName], rows: int, columns: int) -> dict[Edge, int]:
    """Where results leave with some dataflows: at the end of how many columns, or of how many rows."""
    flows = [DATAFLOWS[dataflow] for dataflow in dataflows]
    return {flow.lane_name: flow.lanes(rows, columns) for flow in flows}


def codes_at_rows(counts: ActionCounts) -> int:
    """Codes that enter along the rows."""
    codes = {"activation": counts.activation_codes, "weight": counts.weight_codes}
    return codes[operand_at("rows", counts.dataflow)]


def codes_at_columns(counts: ActionCounts, done: BlockCounts) -> int:
    """Codes that enter down the columns of one block."""
    codes = {"activation": counts.activation_codes, "weight": done.weight_codes}
    return codes[operand_at("columns", counts.dataflow)]
