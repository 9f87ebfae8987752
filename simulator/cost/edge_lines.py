"""The edges of the array and what stands behind them: decoders, converters, rescaling, elementwise steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from simulator.cost.area import AreaLine
from simulator.cost.array_edges import Edge, codes_at_columns, codes_at_rows, operand_at, operands_at
from simulator.cost.block_counts import BlockCounts
from simulator.cost.composition import UnitCost, composed_cost, too_fast, with_leakage
from simulator.cost.mac_structure import OPERAND_CLASSES, MacStructure, OperandClass
from simulator.cost.price import use
from simulator.cost.price_lines import Action, FormationLine
from simulator.cost.run_prices import Prices
from simulator.dataflow import DataflowName
from simulator.numerics.hardware import PartCount, Parts
from simulator.system.counts import ActionCounts

_LISTED_STEPS = ("bias", "relu", "pool", "add")
"""Steps that every lane can do; any other kind is priced as an addition."""


class Decoders:
    """Energy and area of the code decoders on the two edges where operands enter.

    Each edge has a decoder a row or column for every kind of code that enters there with some dataflow.

    Args:
        dataflows: that the array runs.
        rows: of the array.
        blocks: the MACs of its columns with how many columns each has; all have the same activations.
        prices: of the parts; a MAC too slow for the clock has no priced decoder either.
    """

    def __init__(
        self,
        dataflows: Sequence[DataflowName],
        rows: int,
        blocks: Sequence[tuple[MacStructure, int]],
        prices: Prices,
    ) -> None:
        self.costs: list[UnitCost] = []
        self._areas: list[AreaLine] = []
        self._at_rows = self._edge("rows", dataflows, rows, blocks[0][0], prices)
        self._at_columns = [
            self._edge("columns", dataflows, columns, structure, prices) for structure, columns in blocks
        ]

    def lines(self, counts: ActionCounts, done: Sequence[BlockCounts]) -> Iterator[FormationLine]:
        """Energy of the codes that enter a layer; `done` is what each block did of it."""
        if action := self._at_rows.get(operand_at("rows", counts.dataflow)):
            yield FormationLine(action, codes_at_rows(counts))
        for actions, each in zip(self._at_columns, done, strict=True):
            if action := actions.get(operand_at("columns", counts.dataflow)):
                yield FormationLine(action, codes_at_columns(counts, each))

    def area_lines(self) -> Iterator[AreaLine]:
        """Area of all decoders."""
        yield from self._areas

    def _edge(
        self,
        edge: Edge,
        dataflows: Sequence[DataflowName],
        lanes: int,
        structure: MacStructure,
        prices: Prices,
    ) -> dict[OperandClass, Action]:
        """What decoding costs at one edge, by operand; the decoders' areas are noted, each kind once."""
        actions: dict[OperandClass, Action] = {}
        kinds: list[UnitCost] = []
        for operand in OPERAND_CLASSES:
            parts = structure.decoder(operand)
            row = "decoder", structure.format_of(operand)
            cost = _edge_cost("decoders", parts, row, structure, prices)
            if cost is None:
                continue
            actions[operand] = Action.of_cost(cost, f"{operand} codes decoded at the {edge}", structure.name)
            if operand in operands_at(edge, dataflows) and cost not in kinds:
                self.costs.append(cost)
                kinds.append(cost)
                self._areas.append(_area_line(f"{operand} decoders of {edge}", lanes, cost))
        return actions


class EdgeLines:
    """Energy and area behind a block of columns with the same MAC: converters, or what rescales sums.

    Args:
        structure: the MAC.
        ends: where results leave with some dataflow, at how many columns of the block or at how many rows.
        share: the block's part of all columns.
        prices: of the parts; a MAC too slow for the clock has no priced converter either.
    """

    def __init__(
        self, structure: MacStructure, ends: Mapping[Edge, int], share: float, prices: Prices
    ) -> None:
        self._ends = ends
        self._share = share
        self.leaves_raw = not structure.converter and structure.accumulator == "fixed"
        rescale: Parts = (
            PartCount("shifter_bit", structure.accumulator_bits, "shift by the scale's exponent"),
            PartCount("small_adder_bit", structure.output_bits, "rounding increment"),
        )
        name = structure.name
        row = "converter", structure.name
        self.converter = _edge_cost("converters", structure.converter, row, structure, prices)
        self.rescale = composed_cost("output_path", rescale, prices) if self.leaves_raw else None
        self._converting = self.converter and Action.of_cost(self.converter, "results converted", name)
        self._rescaling = self.rescale and Action.of_cost(self.rescale, "results rescaled", name)

    @property
    def costs(self) -> list[UnitCost]:
        """What results cost here."""
        return [cost for cost in (self.converter, self.rescale) if cost]

    def lines(self, results: int) -> Iterator[FormationLine]:
        """Energy of the results that leave through this block."""
        if self._converting:
            yield FormationLine(self._converting, results)
        if self._rescaling:
            yield FormationLine(self._rescaling, results)

    def area_lines(self, lanes: int) -> Iterator[AreaLine]:
        """Area of what results leave through, for an output path that takes so many values a cycle."""
        if self.converter:
            for edge, ends in self._ends.items():
                yield _area_line(edge, ends, self.converter)
        if self.rescale:
            count = lanes * self._share
            yield _area_line("lanes that rescale", count, self.rescale)


def _area_line(counted: str, count: float, cost: UnitCost) -> AreaLine:
    """Area of so many of a circuit."""
    return AreaLine(
        cost.component,
        counted,
        count,
        cost.area,
        composed=cost.composed,
        uncertainty=cost.uncertainty,
        composed_for=cost.composed_for,
    )


def _edge_cost(
    component: str, parts: Parts, row: tuple[str, str | None], structure: MacStructure, prices: Prices
) -> UnitCost | None:
    """The cost of a circuit on an edge, of rows where a table has any, else of parts; None: it needs none.

    Args:
        component: what results call it.
        parts: what it is made of.
        row: component and variant of the rows that price it.
        structure: the MAC; one too slow for the clock has no price here either.
        prices: of the architecture.
    """
    if not parts:
        return None
    cost, why = _cost_of_rows(component, row, prices), too_fast(structure, prices.clock_mhz)
    if cost is None:
        cost = composed_cost(component, parts, prices, mac=structure.name)
    return cost if why is None else cost.unpriced(why)


def _cost_of_rows(component: str, row: tuple[str, str | None], prices: Prices) -> UnitCost | None:
    """What rows say of a circuit on an edge; None where no table has any of it."""
    name, variant = row
    if variant is None or prices.book.table_of(name, variant) is None:
        return None
    energy, area = (use(prices.get(name, variant, action), 1, name) for action in ("operate", "area"))
    return with_leakage(prices, component, energy, area)


class OutputSteps:
    """Elementwise steps behind the converters, in the width at which values leave the array.

    Args:
        structures: the MACs of the columns.
        edges: their edges, in the same order.
        prices: of the parts.
    """

    def __init__(
        self, structures: Sequence[MacStructure], edges: Sequence[EdgeLines], prices: Prices
    ) -> None:
        bits = max(
            structure.accumulator_bits if edge.leaves_raw else structure.output_bits
            for structure, edge in zip(structures, edges, strict=True)
        )
        add = composed_cost("output_path", (PartCount("accumulate_adder_bit", bits, "adder"),), prices)
        compare = composed_cost("output_path", (PartCount("small_adder_bit", bits, "comparison"),), prices)
        self.costs = {"bias": add, "relu": compare, "pool": compare, "add": add, "other": add}
        self._macs = " | ".join(structure.name for structure in structures)
        self._actions: dict[str, Action] = {}

    def lines(self, counts: ActionCounts) -> Iterator[FormationLine]:
        """Energy of a layer's elementwise steps."""
        for kind, count in counts.output_path_operations.items():
            yield FormationLine(self._action(kind), count)

    def area_lines(self, lanes: int) -> Iterator[AreaLine]:
        """Area of every step in every lane."""
        for kind in _LISTED_STEPS:
            yield _area_line(f"lanes of {kind}", lanes, self.costs[kind])

    def _action(self, kind: str) -> Action:
        if kind not in self._actions:
            cost = self.costs.get(kind, self.costs["other"])
            self._actions[kind] = Action.of_cost(cost, f"{kind} operations", self._macs)
        return self._actions[kind]
