"""Action counts times prices: the energy of a layer by component, and the area of the chip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from simulator.arch.config import ArchConfig
from simulator.cost.area import Area, AreaLine
from simulator.cost.array_edges import ends_of_lanes
from simulator.cost.block_counts import BlockCounts, block_counts, part_of
from simulator.cost.composition import PeCost, UnitCost
from simulator.cost.edge_lines import Decoders, EdgeLines, OutputSteps
from simulator.cost.mac_structure import MacStructure
from simulator.cost.memory_lines import Memories, Wires
from simulator.cost.pe_lines import PeLines
from simulator.cost.price import NotPriced, Uses, use
from simulator.cost.price_lines import Action, FormationLine, LayerEnergy
from simulator.cost.register_toggles import SwitchingActivity
from simulator.cost.run_prices import PriceBook, Prices
from simulator.cost.second_registers import SecondRegisters
from simulator.cost.skew_lines import SkewBlock, SkewRegisters
from simulator.cost.synthesised_notes import synthesised_notes
from simulator.cost.variant_pe import pe_cost
from simulator.dataflow import DataflowName
from simulator.foundation.sums import sum_known
from simulator.numerics.mac_spec import COMPOSED
from simulator.operands import OPERANDS
from simulator.system.counts import ActionCounts
from simulator.system.objective import MovePrices


@dataclass(frozen=True, slots=True)
class MacBlock:
    """Neighbouring columns whose PEs hold the same MAC."""

    structure: MacStructure
    columns: int


class ArchitecturePricing:
    """Prices of one architecture, looked up and scaled once, ready for any number of layers.

    What no table prices, or prices at other conditions, stays "not priced" with its reason.

    Args:
        arch: the architecture.
        macs: its MACs, one block for all columns or one for each of `array.column_blocks`.
        book: price tables; by default the architecture's own.

    Raises:
        UserError: a table that cannot be read.
    """

    def __init__(
        self, arch: ArchConfig, macs: Sequence[MacBlock] | MacStructure, book: PriceBook | None = None
    ) -> None:
        """Look up every price that the architecture can need."""
        self.arch = arch
        self.prices = Prices.of(arch, book)
        self._blocks = [MacBlock(macs, arch.array.columns)] if isinstance(macs, MacStructure) else list(macs)
        self._columns = sum(block.columns for block in self._blocks)
        structures = self.structures
        pes = [pe_cost(structure, self.prices) for structure in structures]
        self._pes = [
            PeLines(arch.array, pe, SecondRegisters(arch, structure, pe, self.prices))
            for structure, pe in zip(structures, pes, strict=True)
        ]
        widths = [block.columns for block in self._blocks]
        self._decoders = Decoders(
            arch.dataflows, arch.array.rows, list(zip(structures, widths, strict=True)), self.prices
        )
        self._skew = self._skew_registers(pes) if arch.array.skew_registers else None
        self._edges = [
            EdgeLines(
                block.structure,
                ends_of_lanes(arch.dataflows, arch.array.rows, block.columns),
                block.columns / self._columns,
                self.prices,
            )
            for block in self._blocks
        ]
        self._steps = OutputSteps(structures, self._edges, self.prices)
        self._memories = Memories(arch, self.prices)
        self.area = Area(tuple(self._area_lines()))
        self._wires = Wires(self.prices, self.area, arch.sram, self.name)
        self._leaking = Action("leakage_array", "static", "nanoseconds", self._leakage(), mac=self.name)

    @property
    def name(self) -> str:
        """The MACs, left to right."""
        return " | ".join(block.structure.name for block in self._blocks)

    @property
    def structures(self) -> list[MacStructure]:
        """The MACs, left to right."""
        return [block.structure for block in self._blocks]

    @property
    def pes(self) -> list[PeCost]:
        """The PE of each block, left to right."""
        return [lines.pe for lines in self._pes]

    @property
    def notes(self) -> list[str]:
        """What a reader of the result must know about its prices."""
        notes = [
            f"{pe.name}: {_why_composed(structure)}composed from parts, to about {pe.uncertainty or 0:.0%}"
            for structure, pe in zip(self.structures, self.pes, strict=True)
            if pe.status == "composed" and pe.is_priced
        ]
        notes += [note for pe in self.pes for note in pe.notes]
        notes += [
            note for structure in self.structures for note in synthesised_notes(structure, self.prices.book)
        ]
        holding = [cost.component for cost in self._logic_costs() if cost.holds_leakage]
        if holding:
            notes.append(
                f"{', '.join(dict.fromkeys(holding))}: leakage is inside their dynamic energy, as no area or "
                "no leakage density tells it apart"
            )
        return list(dict.fromkeys([*notes, *self._memories.notes]))

    @property
    def warnings(self) -> list[str]:
        """Where the rows of a MAC do not fit it, or a MAC or memory does not reach the clock."""
        warnings = [text for pe in self.pes for text in pe.warnings] + self._memories.warnings
        clock_mhz = self.arch.clock_mhz
        warnings += [
            f"MAC {pe.name!r} meets timing up to {pe.max_clock_mhz:g} MHz only; cycles are those of "
            f"{clock_mhz:g} MHz all the same, its energy and area are not priced"
            for pe in self.pes
            if pe.max_clock_mhz is not None and pe.max_clock_mhz < clock_mhz
        ]
        return list(dict.fromkeys(warnings))

    def layer(self, counts: ActionCounts, activity: SwitchingActivity | None = None) -> LayerEnergy:
        """The energy of one layer.

        Args:
            counts: what the machine did.
            activity: bits that really toggled; without it every useful PE-cycle is taken to toggle as many
                register bits as when the PE was characterised, a shifting one those of the register that
                moves, an idle one none, and every useful MAC to switch its logic as it did then.

        Raises:
            ValueError: counts of another number of column blocks.
        """
        time_ns = counts.cycles.total * self.arch.cycle_ns
        done = block_counts(counts, [block.columns for block in self._blocks])
        activities = [part_of(activity, self._share(counts, each)) for each in done]
        lines = [
            *self._pe_lines(done, activities, counts.dataflow),
            *(self._skew.lines(counts, done, activities) if self._skew else ()),
            *self._decoders.lines(counts, done),
            *(line for edge, own in zip(self._edges, done, strict=True) for line in edge.lines(own.results)),
            *self._steps.lines(counts),
            *self._memories.lines(counts),
            *self._wires.lines(counts),
            FormationLine(self._leaking, time_ns),
            *self._memories.leakage_lines(time_ns),
        ]
        return LayerEnergy(
            tuple(line for line in lines if line.count), self._toggling_idle_fj(done, activities)
        )

    def move_prices(self) -> MovePrices | NotPriced:
        """What moves and cycles cost, for tilings of the least energy; which price is missing, if one is."""
        memories = self._memories
        prices = {
            "dram": memories.dram_pj_per_byte,
            **{f"read {operand}": memories.read_pj_per_byte(operand) for operand in OPERANDS},
            **{f"write {operand}": memories.write_pj_per_byte(operand) for operand in OPERANDS},
            "cycle": self._cycle_pj(),
        }
        known = {name: price for name, price in prices.items() if price is not None}
        if len(known) < len(prices):
            missing = ", ".join(name for name in prices if name not in known)
            return NotPriced(f"no price of: {missing}")
        return MovePrices(
            known["dram"],
            {operand: known[f"read {operand}"] for operand in OPERANDS},
            {operand: known[f"write {operand}"] for operand in OPERANDS},
            known["cycle"],
        )

    def _cycle_pj(self) -> float | None:
        """A cycle in which nothing happens: leakage, and the clock of all PEs where it is not gated."""
        leaking_mw = [self._leaking.unit_pj, *self._memories.leakage_mw]
        pes = [self.arch.array.rows * block.columns for block in self._blocks]
        clocks = [
            (cost.dynamic_pj, count)
            for lines, count in zip(self._pes, pes, strict=True)
            for cost in (lines.pe.registers.clock, *lines.second.costs.values())
        ]
        if self._skew:
            clocks.append((self._skew.cost.dynamic_pj, 1))
        if self.arch.array.clock_gating:
            clocks = [(clock_pj, 0) for clock_pj, _ in clocks]
        return sum_known(
            (
                *(None if mw is None else mw * self.arch.cycle_ns for mw in leaking_mw),
                *(None if clock_pj is None else clock_pj * count for clock_pj, count in clocks),
            )
        )

    def _skew_registers(self, pes: Sequence[PeCost]) -> SkewRegisters:
        blocks = [
            SkewBlock(block.structure, pe, block.columns) for block, pe in zip(self._blocks, pes, strict=True)
        ]
        return SkewRegisters(self.arch, blocks, self.prices)

    def _share(self, counts: ActionCounts, done: BlockCounts) -> float:
        """The share of a layer's toggles that falls to a block."""
        if not counts.macs:
            return 1 / len(self._blocks)
        return done.cycles.useful / counts.macs

    def _toggling_idle_fj(
        self, done: Sequence[BlockCounts], activities: Sequence[SwitchingActivity | None]
    ) -> int | None:
        return sum_known(
            pes.toggling_idle_fj(own.cycles, activity)
            for pes, own, activity in zip(self._pes, done, activities, strict=True)
        )

    def _pe_lines(
        self,
        done: Sequence[BlockCounts],
        activities: Sequence[SwitchingActivity | None],
        dataflow: DataflowName,
    ) -> Iterator[FormationLine]:
        for pes, own, activity in zip(self._pes, done, activities, strict=True):
            yield from pes.lines(own, activity, dataflow)

    def _leakage(self) -> Uses:
        logic_um2 = self.area.logic_um2
        leakage = self.prices.get("logic", "28nm", "leakage")
        if isinstance(leakage, NotPriced):
            return leakage
        return logic_um2 if isinstance(logic_um2, NotPriced) else use(leakage, logic_um2, "um2 of logic")

    def _area_lines(self) -> Iterator[AreaLine]:
        rows = self.arch.array.rows
        ends = ends_of_lanes(self.arch.dataflows, rows, self._columns)
        lanes = self.arch.output_path.values_per_cycle or max(ends.values())
        for block, pe in zip(self._blocks, self.pes, strict=True):
            count = rows * block.columns
            composed = pe.area_status == "composed"
            yield AreaLine(
                "pe_array",
                f"PEs of {pe.name}",
                count,
                pe.area,
                composed=composed,
                uncertainty=pe.uncertainty,
                composed_for=pe.name,
            )
        for block, pes in zip(self._blocks, self._pes, strict=True):
            yield from pes.second.area_lines(rows * block.columns)
        if self._skew:
            yield from self._skew.area_lines()
        yield from self._decoders.area_lines()
        for edge in self._edges:
            yield from edge.area_lines(lanes)
        yield from self._steps.area_lines(lanes)
        yield from self._memories.area_lines()

    def _logic_costs(self) -> Iterator[UnitCost]:
        for pe in self.pes:
            yield from (*pe.combinational, pe.registers.characterised, pe.registers.clock)
        for pes in self._pes:
            yield from pes.second.costs.values()
        if self._skew:
            yield self._skew.cost
        yield from self._decoders.costs
        for edge in self._edges:
            yield from edge.costs
        yield from self._steps.costs.values()


def _why_composed(structure: MacStructure) -> str:
    return "as its `price` says, " if structure.price.energy == COMPOSED else "no published row; "
