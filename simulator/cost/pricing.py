"""Action counts times prices: the energy of a layer by component, and the area of the chip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from simulator.arch.config import ArchConfig
from simulator.cost.activity import SwitchingActivity
from simulator.cost.area import Area, AreaLine
from simulator.cost.book import PriceBook, Prices
from simulator.cost.composition import PeCost, UnitCost
from simulator.cost.edge_lines import EdgeLines, OutputSteps
from simulator.cost.lines import Action, FormationLine, LayerEnergy
from simulator.cost.mac_structure import MacStructure
from simulator.cost.memory_lines import Memories, Wires
from simulator.cost.pe_lines import PeLines, cycles_by_block, part_of
from simulator.cost.price import NotPriced, Uses, total, use
from simulator.cost.variant_pe import pe_cost
from simulator.system.counts import OPERANDS, ActionCounts
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
        self._pes = [PeLines(arch.array, pe_cost(structure, self.prices)) for structure in structures]
        self._edges = [
            EdgeLines(block.structure, block.columns, block.columns / self._columns, self.prices)
            for block in self._blocks
        ]
        self._steps = OutputSteps(structures, self._edges, self.prices)
        self._memories = Memories(arch, self.prices)
        self.area = Area(tuple(self._area_lines()))
        self._wires = Wires(self.prices, self.area, self.name)
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
            f"{pe.name}: no published row; composed from parts, to about {pe.uncertainty or 0:.0%}"
            for pe in self.pes
            if pe.status == "composed" and pe.is_priced
        ]
        notes += [note for pe in self.pes for note in pe.notes]
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
            activity: bits that really toggled; without it every useful and idle PE-cycle is taken to toggle
                as many register bits as when the PE was characterised (an upper bound for idle ones), a
                shifting one those of the register that moves, and every useful MAC to switch its logic as
                it did then.

        Raises:
            ValueError: `macs_by_name` names a MAC that the array does not have.
        """
        time_ns = counts.cycles.total * self.arch.cycle_ns
        lines = [
            *self._pe_lines(counts, activity),
            *(line for edge in self._edges for line in edge.lines(counts)),
            *self._steps.lines(counts),
            *self._memories.lines(counts),
            *self._wires.lines(counts),
            FormationLine(self._leaking, time_ns),
            *self._memories.leakage_lines(time_ns),
        ]
        return LayerEnergy(tuple(line for line in lines if line.count))

    def move_prices(self) -> MovePrices | NotPriced:
        """What moves and cycles cost, for tilings of the least energy; which price is missing, if one is."""
        srams = self._memories.srams
        prices = {
            "dram": self._memories.dram_pj_per_byte,
            **{f"read {operand}": srams[operand].read_pj_per_byte for operand in OPERANDS},
            **{f"write {operand}": srams[operand].write_pj_per_byte for operand in OPERANDS},
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
        leaking_mw = [self._leaking.unit_pj, *(sram.leakage_mw for sram in self._memories.srams.values())]
        clocks = [total(pe.registers.clock.energy) for pe in self.pes]
        counts = [self.arch.array.rows * block.columns for block in self._blocks]
        if self.arch.array.clock_gating:
            counts = [0 for _ in counts]
        if None in leaking_mw or None in clocks:
            return None
        leaking_pj = sum(mw for mw in leaking_mw if mw is not None) * self.arch.cycle_ns
        return leaking_pj + sum(c * n for c, n in zip(clocks, counts, strict=True) if c is not None)

    def _pe_lines(self, counts: ActionCounts, activity: SwitchingActivity | None) -> Iterator[FormationLine]:
        shares = cycles_by_block(counts, [(block.structure.name, block.columns) for block in self._blocks])
        for block, pes, cycles in zip(self._blocks, self._pes, shares, strict=True):
            share = cycles.useful / counts.macs if counts.macs else block.columns / self._columns
            yield from pes.lines(cycles, part_of(activity, share), counts.dataflow)

    def _leakage(self) -> Uses:
        logic_um2 = self.area.logic_um2
        leakage = self.prices.get("logic", "28nm", "leakage")
        if isinstance(leakage, NotPriced):
            return leakage
        return logic_um2 if isinstance(logic_um2, NotPriced) else use(leakage, logic_um2, "um2 of logic")

    def _area_lines(self) -> Iterator[AreaLine]:
        rows = self.arch.array.rows
        lanes = self.arch.output_path.values_per_cycle or self._columns
        for block, pe in zip(self._blocks, self.pes, strict=True):
            count = rows * block.columns
            composed = pe.area_status == "composed"
            yield AreaLine(
                "pe_array", f"PEs of {pe.name}", count, pe.area, composed=composed, uncertainty=pe.uncertainty
            )
        for edge in self._edges:
            yield from edge.area_lines(rows, lanes)
        yield from self._steps.area_lines(lanes)
        yield from self._memories.area_lines()

    def _logic_costs(self) -> Iterator[UnitCost]:
        for pe in self.pes:
            yield from (*pe.combinational, pe.registers.characterised, pe.registers.clock)
        for edge in self._edges:
            yield from (cost for cost in (edge.decoder, edge.converter, edge.rescale) if cost)
        yield from self._steps.costs.values()
