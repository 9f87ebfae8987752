"""The edges of the array and what stands behind them: decoders, converters, rescaling, elementwise steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from simulator.cost.area import AreaLine
from simulator.cost.book import Prices
from simulator.cost.composition import UnitCost, composed_cost, too_fast
from simulator.cost.lines import Action, FormationLine
from simulator.cost.mac_structure import MacStructure, PartCount, Parts
from simulator.system.counts import ActionCounts

_LISTED_STEPS = ("bias", "relu", "pool", "add")
"""Steps that every lane can do; any other kind is priced as an addition."""


class EdgeLines:
    """Energy and area of the edges of a block of columns with the same MAC.

    Args:
        structure: the MAC.
        columns: of the block.
        share: of all columns.
        prices: of the parts; a MAC too slow for the clock has no priced decoder and converter either.
    """

    def __init__(self, structure: MacStructure, columns: int, share: float, prices: Prices) -> None:
        self._columns = columns
        self._share = share
        self.leaves_raw = not structure.converter and structure.accumulator == "fixed"
        rescale: Parts = (
            PartCount("shifter_bit", structure.accumulator_bits, "shift by the scale's exponent"),
            PartCount("small_adder_bit", structure.output_bits, "rounding increment"),
        )
        why = too_fast(structure, prices.clock_mhz)

        def edge(component: str, parts: Parts) -> UnitCost | None:
            if not parts:
                return None
            cost = composed_cost(component, parts, prices)
            return cost if why is None else cost.unpriced(why)

        name = structure.name
        self.decoder = edge("decoders", structure.decoder)
        self.converter = edge("converters", structure.converter)
        self.rescale = composed_cost("output_path", rescale, prices) if self.leaves_raw else None
        self._decoding = self.decoder and Action.of_cost(self.decoder, "codes decoded at the edges", name)
        self._converting = self.converter and Action.of_cost(self.converter, "results converted", name)
        self._rescaling = self.rescale and Action.of_cost(self.rescale, "results rescaled", name)

    def lines(self, counts: ActionCounts) -> Iterator[FormationLine]:
        """Energy of the codes that enter and the results that leave through this block."""
        if self._decoding:
            yield FormationLine(self._decoding, self._own(counts.decoder_operations))
        results = self._own(counts.converter_operations)
        if self._converting:
            yield FormationLine(self._converting, results)
        if self._rescaling:
            yield FormationLine(self._rescaling, results)

    def _own(self, count: int) -> float:
        """This block's part of a count of the whole array."""
        return count if self._share == 1 else count * self._share

    def area_lines(self, rows: int, lanes: int) -> Iterator[AreaLine]:
        """Area of the edges, for an array of so many rows whose output path takes so many values a cycle."""
        if self.decoder:
            count = rows * self._share + self._columns
            yield AreaLine("decoders", "codes on two edges", count, self.decoder.area, composed=True)
        if self.converter:
            yield AreaLine("converters", "columns", self._columns, self.converter.area, composed=True)
        if self.rescale:
            count = lanes * self._share
            yield AreaLine("output_path", "lanes that rescale", count, self.rescale.area, composed=True)


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
            yield AreaLine("output_path", f"lanes of {kind}", lanes, self.costs[kind].area, composed=True)

    def _action(self, kind: str) -> Action:
        if kind not in self._actions:
            cost = self.costs.get(kind, self.costs["other"])
            self._actions[kind] = Action.of_cost(cost, f"{kind} operations", self._macs)
        return self._actions[kind]
