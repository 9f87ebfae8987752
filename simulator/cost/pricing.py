"""Action counts times prices: the energy of a layer by component, every femtojoule explained line by line."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from simulator.arch.config import ArchConfig, Dataflow
from simulator.cost.activity import SUM_SHARE, SwitchingActivity, relative_activity
from simulator.cost.book import PriceBook, Prices, PriceUse
from simulator.cost.composition import PeCost, UnitCost, composed_cost, pe_cost
from simulator.cost.lines import Area, AreaLine, FormationLine, LayerEnergy, price_sources
from simulator.cost.mac_structure import MacStructure, PartCount, RegisterClass
from simulator.cost.memory import SramCost, sram_cost
from simulator.result import PriceSource
from simulator.system.counts import OPERANDS, ActionCounts, Operand, PECycles

_BITS_PER_BYTE: Final = 8
_UM_PER_MM: Final = 1000.0

_MOVES_IN_SHIFTS: Final[Mapping[Dataflow, RegisterClass]] = {
    "os": "accumulator",
    "ws": "weight",
    "is": "activation",
}
"""Results shift out, or the stationary operand shifts in; the other registers hold meanwhile."""

_DEFAULT_ACTIVITY: Final = "activity at which the price was taken"


@dataclass(frozen=True, slots=True)
class MacBlock:
    """Neighbouring columns whose PEs hold the same MAC."""

    structure: MacStructure
    columns: int


@dataclass(frozen=True, slots=True)
class _Block:
    """A block of columns with its costs."""

    structure: MacStructure
    columns: int
    pe: PeCost
    decoder: UnitCost | None
    converter: UnitCost | None
    rescale: UnitCost | None


class ArchitecturePricing:
    """Prices of one architecture, looked up and scaled once, ready for any number of layers.

    Args:
        arch: the architecture.
        macs: its MACs, one block for all columns or one for each of `array.column_blocks`.
        book: price tables; by default the architecture's own.

    Raises:
        UserError: a missing price, or one whose conditions do not match and may not be scaled.
    """

    def __init__(
        self, arch: ArchConfig, macs: Sequence[MacBlock] | MacStructure, book: PriceBook | None = None
    ) -> None:
        """Look up every price that the architecture can need."""
        self.arch = arch
        self.prices = Prices.of(arch, book)
        blocks = [MacBlock(macs, arch.array.columns)] if isinstance(macs, MacStructure) else macs
        self._blocks = [self._priced_block(block) for block in blocks]
        self._srams: dict[Operand, SramCost] = {
            operand: sram_cost(getattr(arch.sram, operand), self.prices, field=f"sram.{operand}")
            for operand in OPERANDS
        }
        self._dram = self.prices.get("dram", arch.dram.type, "transfer")
        self._wire = self.prices.get("wire", "intermediate", "transfer")
        self._leakage = self.prices.get("logic", "28nm", "leakage")
        self._steps = {
            kind: composed_cost("output_path", parts, self.prices)
            for kind, parts in self._step_parts().items()
        }
        self.area = Area(tuple(self._area_lines()))

    @property
    def pes(self) -> list[PeCost]:
        """The PE of each block, left to right."""
        return [block.pe for block in self._blocks]

    @property
    def notes(self) -> list[str]:
        """What a reader of the result must know about its prices."""
        notes = []
        for block in self._blocks:
            pe = block.pe
            if pe.status == "composed":
                notes.append(
                    f"{pe.name}: no published row; composed from parts, to about {pe.uncertainty or 0:.0%}"
                )
        return list(dict.fromkeys(notes))

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
        lines = [*self._pe_lines(counts, activity), *self._edge_lines(counts), *self._output_lines(counts)]
        lines += [*self._memory_lines(counts), *self._static_lines(counts)]
        return LayerEnergy(tuple(line for line in lines if line.count))

    def sources(self, layers: Sequence[LayerEnergy]) -> list[PriceSource]:
        """The provenance of every price used by these layers and by the area."""
        lines = [line for layer in layers for line in layer.lines]
        return price_sources([*lines, *self.area.lines])

    def _priced_block(self, block: MacBlock) -> _Block:
        structure = block.structure

        def edge(component: str, parts: tuple[PartCount, ...]) -> UnitCost | None:
            return composed_cost(component, parts, self.prices) if parts else None

        leaves_raw = not structure.converter and structure.accumulator == "fixed"
        rescale = (
            PartCount("shifter_bit", structure.accumulator_bits, "shift by the scale's exponent"),
            PartCount("small_adder_bit", structure.output_bits, "rounding increment"),
        )
        return _Block(
            structure,
            block.columns,
            pe_cost(structure, self.prices),
            edge("decoders", structure.decoder),
            edge("converters", structure.converter),
            edge("output_path", rescale) if leaves_raw else None,
        )

    def _step_parts(self) -> dict[str, tuple[PartCount, ...]]:
        """Elementwise steps behind the converters, in the width at which values leave the array."""
        bits = max(
            b.structure.accumulator_bits if b.rescale else b.structure.output_bits for b in self._blocks
        )
        add = PartCount("accumulate_adder_bit", bits, "adder")
        compare = PartCount("small_adder_bit", bits, "comparison")
        return {"bias": (add,), "relu": (compare,), "pool": (compare,), "add": (add,), "other": (add,)}

    # --- PEs

    def _pe_lines(self, counts: ActionCounts, activity: SwitchingActivity | None) -> Iterator[FormationLine]:
        shares = self._cycles_by_block(counts)
        for block, cycles in zip(self._blocks, shares, strict=True):
            share = cycles.useful / counts.macs if counts.macs else block.columns / self._columns
            yield from self._combinational_lines(block, cycles, _part_of(activity, share))
            yield from self._register_lines(block, cycles, _part_of(activity, share))

    def _combinational_lines(
        self, block: _Block, cycles: PECycles, activity: SwitchingActivity | None
    ) -> Iterator[FormationLine]:
        macs, gated = cycles.useful, ""
        if self.arch.array.zero_gating and activity is not None:
            macs -= activity.zero_operand_macs
            gated = f"; {activity.zero_operand_macs} MACs with a zero operand gated"
        relative = (
            relative_activity(activity, macs, block.pe.registers.toggles_per_cycle) if activity else None
        )
        for cost in block.pe.combinational:
            yield _line(
                cost,
                counted=f"useful MACs of {block.pe.name}",
                count=macs,
                factor=relative.of(cost.component) if relative else 1.0,
                reason=("bits toggled, relative to the characterised" if relative else _DEFAULT_ACTIVITY)
                + gated,
            )
        if self.arch.array.dataflow == "os":
            yield from self._shifting_adder_lines(block, cycles, activity)

    def _shifting_adder_lines(
        self, block: _Block, cycles: PECycles, activity: SwitchingActivity | None
    ) -> Iterator[FormationLine]:
        """Sums that shift out pass the adder's input, which nothing isolates, while the product rests."""
        moved = 1.0
        if activity is not None and cycles.shifting:
            characterised = block.pe.registers.toggles_per_cycle["accumulator"]
            moved = activity.shift / cycles.shifting / characterised
        for cost in block.pe.combinational:
            if cost.component == "pe_add":
                yield _line(
                    cost,
                    counted=f"shifting PE-cycles of {block.pe.name}",
                    count=cycles.shifting,
                    factor=moved * SUM_SHARE,
                    reason="the moving sum is one of the adder's two inputs, the product rests",
                )

    def _register_lines(
        self, block: _Block, cycles: PECycles, activity: SwitchingActivity | None
    ) -> Iterator[FormationLine]:
        registers, name = block.pe.registers, block.pe.name
        gating = self.arch.array.clock_gating
        still = 0 if gating else cycles.holding
        if activity is None:
            working = cycles.useful + (0 if gating else cycles.idle)
            yield _line(
                registers.characterised,
                counted=f"useful{'' if gating else ' and idle'} PE-cycles of {name}",
                count=working,
                reason=_DEFAULT_ACTIVITY,
            )
            moving = _MOVES_IN_SHIFTS[self.arch.array.dataflow]
            yield _line(
                registers.shifting(moving),
                counted=f"shifting PE-cycles of {name}",
                count=cycles.shifting,
                reason=f"only the {moving} register moves, as often as when the price was taken",
            )
            yield _line(registers.clock, counted=f"holding PE-cycles of {name}, clock alone", count=still)
            return
        clocked = cycles.useful + cycles.shifting + (0 if gating else cycles.idle) + still
        yield _line(registers.clock, counted=f"clocked PE-cycles of {name}", count=clocked)
        if self.arch.array.zero_gating and activity.zero_operand_macs:
            accumulator_share = registers.bits["accumulator"] / registers.all_bits
            yield _line(
                registers.clock,
                counted=f"zero-operand MACs of {name}, accumulator not clocked",
                count=-activity.zero_operand_macs,
                factor=accumulator_share,
                reason="accumulator's share of the flip-flops",
            )
        yield FormationLine(
            component="pe_registers",
            kind="dynamic",
            counted=f"register bits toggled in PEs of {name}",
            count=activity.toggles,
            unit_pj=registers.toggle.value,
            uses=(registers.toggle,),
            composed=registers.clock.composed,
        )

    def _cycles_by_block(self, counts: ActionCounts) -> list[PECycles]:
        """PE-cycles of each block: its useful ones are known, the others follow its share of the columns."""
        if len(self._blocks) == 1:
            return [counts.pe_cycles]
        unknown = set(counts.macs_by_name) - {block.structure.name for block in self._blocks}
        if unknown:
            message = f"counts name MACs that no column block has: {sorted(unknown)}"
            raise ValueError(message)
        shares = []
        for block in self._blocks:
            same = [other for other in self._blocks if other.structure.name == block.structure.name]
            columns = sum(other.columns for other in same)
            useful = counts.macs_by_name.get(block.structure.name, 0) * block.columns // columns
            fraction = block.columns / self._columns
            shifting, holding = (
                round(counts.pe_cycles.shifting * fraction),
                round(counts.pe_cycles.holding * fraction),
            )
            idle = max(0, round(counts.pe_cycles.total * fraction) - useful - shifting - holding)
            shares.append(PECycles(useful, idle, shifting, holding))
        return shares

    @property
    def _columns(self) -> int:
        return sum(block.columns for block in self._blocks)

    # --- edges and output path

    def _edge_lines(self, counts: ActionCounts) -> Iterator[FormationLine]:
        for block in self._blocks:
            share = block.columns / self._columns
            if block.decoder:
                yield _line(
                    block.decoder,
                    counted="codes decoded at the edges",
                    count=counts.decoder_operations * share,
                )
            if block.converter:
                yield _line(
                    block.converter, counted="results converted", count=counts.converter_operations * share
                )

    def _output_lines(self, counts: ActionCounts) -> Iterator[FormationLine]:
        for block in self._blocks:
            if block.rescale:
                results = counts.converter_operations * block.columns / self._columns
                yield _line(block.rescale, counted="results rescaled", count=results)
        for kind, count in counts.output_path_operations.items():
            step = self._steps.get(kind, self._steps["other"])
            yield _line(step, counted=f"{kind} operations", count=count)

    # --- memories and wires

    def _memory_lines(self, counts: ActionCounts) -> Iterator[FormationLine]:
        for operand in OPERANDS:
            sram, moved = self._srams[operand], counts.sram[operand]
            yield _traffic(f"sram_{operand}", operand, "bytes read", moved.read_bytes, sram.read)
            yield _traffic(f"sram_{operand}", operand, "bytes written", moved.write_bytes, sram.write)
        for operand in OPERANDS:
            yield _traffic(
                f"dram_{operand}",
                operand,
                "bytes read or written",
                counts.dram[operand].total_bytes,
                (PriceUse(self._dram, _BITS_PER_BYTE, "bits a byte"),),
            )
        for operand in OPERANDS:
            moved = counts.sram[operand]
            at_array = moved.write_bytes if operand == "ofmap" else moved.read_bytes
            distance_mm = self._distance_mm(operand)
            use = PriceUse(self._wire, _BITS_PER_BYTE * distance_mm, f"bits a byte over {distance_mm:.3f} mm")
            yield _traffic("wires", operand, "bytes between buffer and array", at_array, (use,))

    def _distance_mm(self, operand: Operand) -> float:
        """Centre to centre of buffer and array, both square and side by side: an estimate."""
        array_um2 = sum(line.area_um2 for line in self.area.lines if line.component == "pe_array")
        sides_um = math.sqrt(array_um2) + math.sqrt(self._srams[operand].area_um2)
        return sides_um / 2 / _UM_PER_MM

    # --- leakage

    def _static_lines(self, counts: ActionCounts) -> Iterator[FormationLine]:
        time_ns = counts.cycles.total * self.arch.cycle_ns
        logic_um2 = sum(line.area_um2 for line in self.area.lines if not line.component.startswith("sram_"))
        use = PriceUse(self._leakage, logic_um2, "um2 of logic")
        yield _leaking("leakage_array", None, time_ns, (use,))
        for operand in OPERANDS:
            yield _leaking("leakage_sram", operand, time_ns, self._srams[operand].leakage)

    # --- area

    def _area_lines(self) -> Iterator[AreaLine]:
        rows, columns = self.arch.array.rows, self._columns
        lanes = self.arch.output_path.values_per_cycle or columns
        for block in self._blocks:
            yield AreaLine(
                "pe_array",
                f"PEs of {block.pe.name}",
                rows * block.columns,
                block.pe.area,
                composed=block.pe.status == "composed",
            )
        for block in self._blocks:
            share = block.columns / columns
            if block.decoder:
                yield AreaLine(
                    "decoders",
                    "codes on two edges",
                    rows * share + block.columns,
                    block.decoder.area,
                    composed=True,
                )
            if block.converter:
                yield AreaLine("converters", "columns", block.columns, block.converter.area, composed=True)
            if block.rescale:
                yield AreaLine(
                    "output_path", "lanes that rescale", lanes * share, block.rescale.area, composed=True
                )
        for kind in ("bias", "relu", "pool", "add"):
            yield AreaLine("output_path", f"lanes of {kind}", lanes, self._steps[kind].area, composed=True)
        for operand, sram in self._srams.items():
            yield AreaLine(f"sram_{operand}", "buffer", 1, sram.area)


def price_layer(
    book: PriceBook,
    arch: ArchConfig,
    mac: MacStructure,
    counts: ActionCounts,
    activity: SwitchingActivity | None = None,
) -> LayerEnergy:
    """The energy of one layer with one MAC everywhere; for many layers keep an `ArchitecturePricing`.

    Raises:
        UserError: as `ArchitecturePricing`.
    """
    return ArchitecturePricing(arch, mac, book).layer(counts, activity)


def area(book: PriceBook, arch: ArchConfig, mac: MacStructure) -> Mapping[str, float]:
    """Square micrometres by component. Raises UserError as `ArchitecturePricing`."""
    return ArchitecturePricing(arch, mac, book).area.parts_um2


def _line(
    cost: UnitCost, *, counted: str, count: float, factor: float = 1.0, reason: str = ""
) -> FormationLine:
    return FormationLine(
        component=cost.component,
        kind="dynamic",
        counted=counted,
        count=count,
        unit_pj=cost.dynamic_pj,
        uses=cost.energy,
        factor=factor,
        factor_reason=reason,
        less_leakage_pj=cost.leakage_share_pj,
        composed=cost.composed,
    )


def _traffic(
    component: str, operand: Operand, counted: str, count: int, uses: tuple[PriceUse, ...]
) -> FormationLine:
    unit_pj = sum(use.value for use in uses)
    return FormationLine(component, "dynamic", counted, count, unit_pj, uses, operand=operand)


def _leaking(
    component: str, operand: Operand | None, time_ns: float, uses: tuple[PriceUse, ...]
) -> FormationLine:
    power_mw = sum(use.value for use in uses)
    return FormationLine(component, "static", "nanoseconds", time_ns, power_mw, uses, operand=operand)


def _part_of(activity: SwitchingActivity | None, share: float) -> SwitchingActivity | None:
    """The part of a layer's toggles that falls to a block of columns."""
    if activity is None or share == 1:
        return activity
    return SwitchingActivity(
        activity.activation * share,
        activity.weight * share,
        activity.accumulator * share,
        activity.shift * share,
        round(activity.zero_operand_macs * share),
    )
