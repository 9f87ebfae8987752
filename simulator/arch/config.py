"""The architecture configuration: every field validated, with its unit in its name, a range and a default.

`docs/arch_config.md` is generated from these models.
"""

from __future__ import annotations

from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator

from simulator.arch.frozen_section import Section
from simulator.arch.memories import Operands, SramsConfig
from simulator.dataflow import DATAFLOWS, DataflowName
from simulator.foundation import UserError

Overlap = Literal["none", "drain", "full"]
Timing = Literal["reference", "scalesim"]
LoopOrder = Literal["auto", "ifmap_resident", "filter_resident", "ofmap_resident"]
Loops = Literal["auto", "mkn", "nkm", "mnk", "nmk"]
Objective = Literal["latency", "traffic", "energy"]
ImageOrder = Literal["auto", "rows", "columns"]

ORDER_OF_LOOPS: dict[Loops, LoopOrder] = {
    "mkn": "ifmap_resident",
    "nkm": "filter_resident",
    "mnk": "ofmap_resident",
    "nmk": "ofmap_resident",
}
"""The operand whose tile the innermost loop leaves in place."""

LARGEST_TILE: Final = 10**12
"""No length of a layer is larger."""

MacChoice = str | dict[str, Any]
"""A MAC preset's name, a spec string such as `e4m3 x e4m3`, or a MAC written out (docs/macs.md)."""


class ProcessConfig(Section):
    """The silicon that every price must match."""

    node_nm: float = Field(28, ge=3, le=250, description="Technology node.")
    voltage_v: float = Field(0.81, gt=0.3, le=1.5, description="Supply voltage.")
    temperature_c: float = Field(25, ge=-55, le=150, description="Junction temperature.")
    corner: Literal["TT", "SS", "FF"] = Field("TT", description="Process corner at which power is meant.")


class ColumnBlockConfig(Section):
    """Neighbouring columns whose PEs hold the same MAC; all blocks share one activation format."""

    mac: MacChoice = Field(description="MAC of these columns.")
    columns: int = Field(ge=1, le=4096, description="How many columns.")
    channels: dict[str, list[int]] = Field(
        default_factory=dict,
        description="Layer name to the output channels this block computes; the rest are dealt in order.",
    )


class ArrayConfig(Section):
    """The grid of PEs and how folds pass through it."""

    rows: int = Field(32, ge=1, le=4096, description="PE rows (R).")
    columns: int = Field(32, ge=1, le=4096, description="PE columns (C).")
    mac: MacChoice = Field("int8", description="MAC of every PE: a preset, a spec string or a mapping.")
    column_blocks: tuple[ColumnBlockConfig, ...] = Field(
        (), description="Blocks of columns with MACs of their own, left to right; empty: `mac` everywhere."
    )
    dataflow: DataflowName = Field(
        "os",
        description="What stays in the PEs, and what lies along rows and columns: "
        + "; ".join(f"`{name}`: {flow.description}" for name, flow in DATAFLOWS.items())
        + ".",
    )
    overlap: Overlap = Field(
        "none",
        description="`none`: fill, compute, drain one after the other (the reference circuit); `drain`: "
        "results leave while the next fold fills; `full`: the next fold follows without a bubble.",
    )
    partial_folds: Literal["full", "trimmed"] = Field(
        "full",
        description="`full`: a fold that leaves PEs unused takes as long as a whole one (the reference "
        "controller); `trimmed`: its fill ends with its last used PE.",
    )
    timing: Timing = Field(
        "reference", description="`reference`: the published circuit; `scalesim`: SCALE-Sim's compute cycles."
    )
    zero_gating: bool = Field(
        default=False, description="A zero operand switches neither multiplier nor accumulator."
    )
    clock_gating: bool = Field(default=False, description="Registers of PEs without work get no clock.")
    skew_registers: bool = Field(
        default=True,
        description="Registers at the edges delay the operands of each row and column by one cycle more than "
        "those of the one before; without them the buffers must deliver skewed operands.",
    )

    @model_validator(mode="after")
    def _blocks_cover_the_columns(self) -> ArrayConfig:
        covered = sum(block.columns for block in self.column_blocks)
        if self.column_blocks and covered != self.columns:
            message = f"column_blocks cover {covered} of {self.columns} columns; they must cover all"
            raise ValueError(message)
        return self


class DramConfig(Section):
    """Off-chip memory, shared by the streams of all tensors."""

    type: str = Field(
        "lpddr4",
        min_length=1,
        description="Names the price per bit: the variant of a `dram` row of one of `tables`.",
    )
    bandwidth_gbyte_per_s: float = Field(
        25.6, ge=0.001, le=10000, description="Peak rate, 10^9 bytes per second."
    )
    latency_ns: float = Field(60, ge=0, le=10000, description="From a request to its first byte.")
    burst_bytes: int = Field(64, ge=1, le=4096, description="Transfers are whole bursts.")
    refresh_interval_ns: float = Field(
        0, ge=0, le=1e9, description="Time between refreshes; 0: not modelled."
    )
    refresh_duration_ns: float = Field(0, ge=0, le=1e9, description="How long one refresh blocks transfers.")

    @model_validator(mode="after")
    def _refresh_leaves_time(self) -> DramConfig:
        if self.refresh_interval_ns and self.refresh_duration_ns >= self.refresh_interval_ns:
            message = "refresh_duration_ns must be shorter than refresh_interval_ns"
            raise ValueError(message)
        return self


class OutputPathConfig(Section):
    """What results pass between the array and the ofmap buffer: bias, conversion, ReLU, pooling, addition."""

    values_per_cycle: int | None = Field(
        None,
        ge=1,
        le=4096,
        description="Results converted per cycle; null: one per array column, or row where sums move right.",
    )
    latency_cycles: int = Field(4, ge=0, le=1000, description="Pipeline depth.")


class TilingChoice(Section):
    """What a tiling can fix; whatever is left open is chosen."""

    loop_order: LoopOrder = Field("auto", description="Operand that stays while the others pass.")
    loops: Loops = Field(
        "auto", description="Loops from the outermost in, over m (pixels), n (channels) and k (reduction)."
    )
    tile_m: int | None = Field(
        None,
        ge=1,
        le=LARGEST_TILE,
        description="Most output pixels of a tile. A convolution's tile is made of whole images, else of "
        "whole rows of one image, else of part of one row.",
    )
    tile_images: int | None = Field(
        None, ge=1, le=LARGEST_TILE, description="Images of a tile; more than one are whole."
    )
    image_order: ImageOrder = Field(
        "auto",
        description="Which axis of an image blocks of output pixels and the taps of a kernel follow first: "
        "`rows`: row by row; `columns`: column by column; `auto`: the better one, which is `rows` for a MAC "
        "whose sums depend on their order, and where `tile_k` or a size of the block is given.",
    )
    tile_rows: int | None = Field(
        None, ge=1, le=LARGEST_TILE, description="Output rows of a convolution's tile."
    )
    tile_columns: int | None = Field(
        None, ge=1, le=LARGEST_TILE, description="Output columns of a convolution's tile."
    )
    tile_n: int | None = Field(
        None, ge=1, le=LARGEST_TILE, description="Output channels of a tile, of each group."
    )
    tile_k: int | None = Field(None, ge=1, le=LARGEST_TILE, description="Reduction length of a tile.")
    tile_groups: int | None = Field(None, ge=1, le=LARGEST_TILE, description="Groups of a tile.")
    whole_reduction: Literal["auto", "neither", "ifmap", "filter"] = Field(
        "auto",
        description="Operand that is held with its whole reduction while the other passes in pieces.",
    )

    single_buffered: Operands = Field(
        (), description="Operands of which the buffer holds one tile although two would fit."
    )

    @model_validator(mode="after")
    def _loops_and_order_agree(self) -> Self:
        order = ORDER_OF_LOOPS.get(self.loops, self.loop_order)
        if self.loop_order not in ("auto", order):
            message = f"loops {self.loops} are {order}, which contradicts loop_order {self.loop_order}"
            raise ValueError(message)
        return self


class TilingConfig(TilingChoice):
    """Outer tiling over the buffers; whatever is left open is chosen for the objective."""

    objective: Objective = Field(
        "latency",
        description="`latency`: among tilings within 1 % of the fewest cycles, the least traffic; `traffic`: "
        "the fewest DRAM bytes, then the fewest cycles; `energy`: the least energy.",
    )
    keep_ofmap_on_chip: bool = Field(
        default=False,
        description="A layer's result stays on chip for the layer that follows where it fits and pays.",
    )


class LayerTilingConfig(TilingChoice):
    """The outer tiling of one layer; what is left open is chosen for the objective of `tiling`."""

    objective: Objective | None = Field(None, description="In place of `tiling.objective`.")
    keep_ofmap_on_chip: bool | None = Field(
        None, description="Whether this layer's result stays on chip where it can; null: where it pays."
    )


class ScalingConfig(Section):
    """Permission for explicit steps from the conditions of a price to those of the architecture."""

    voltage: bool = Field(default=False, description="Scale prices to `process.voltage_v`.")
    frequency: bool = Field(default=False, description="Use prices at another clock than theirs.")
    node: bool = Field(default=False, description="Scale prices to `process.node_nm`.")


class LayerConfig(Section):
    """What one layer does differently from the rest of the network."""

    mac: MacChoice | None = Field(None, description="MAC that the PEs are configured to for this layer.")
    dataflow: DataflowName | None = Field(None, description="What stays in the PEs during this layer.")
    tiling: LayerTilingConfig | None = Field(
        None, description="Tiling of this layer, in place of the whole section `tiling`."
    )


class ArchConfig(Section):
    """A whole accelerator."""

    name: str = Field("unnamed", description="Shown in results.")
    description: str = Field("", description="One sentence for people.")
    clock_mhz: float = Field(500, ge=0.001, le=5000, description="One clock for array and buffers.")
    process: ProcessConfig = Field(default_factory=ProcessConfig, description="Silicon conditions.")
    array: ArrayConfig = Field(default_factory=ArrayConfig, description="The PE grid.")
    sram: SramsConfig = Field(
        default_factory=lambda: SramsConfig({}), description="On-chip memories by name (docs/machine.md)."
    )
    dram: DramConfig = Field(default_factory=DramConfig, description="Off-chip memory.")
    output_path: OutputPathConfig = Field(
        default_factory=OutputPathConfig, description="From accumulators to stored activations."
    )
    tiling: TilingConfig = Field(default_factory=TilingConfig, description="Outer tiling over the buffers.")
    tables: tuple[str, ...] = Field(
        ("johnson2018_28nm", "parts_28nm", "sram_28nm", "dram", "interconnect_28nm"),
        min_length=1,
        description="Price tables, bundled names or files (relative to this file); the first with any row of "
        "a variant prices all of it.",
    )
    scaling: ScalingConfig = Field(default_factory=ScalingConfig, description="Allowed scaling of prices.")
    macs: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Your own MACs by name, or fields laid over a preset (docs/macs.md).",
    )
    layers: dict[str, LayerConfig] = Field(default_factory=dict, description="Exceptions by layer name.")

    @model_validator(mode="after")
    def _memories_are_possible(self) -> Self:
        try:
            self.sram.require_possible()
            self._require_modelled()
        except UserError as error:
            raise ValueError(str(error)) from error
        return self

    def _require_modelled(self) -> None:
        """Refuse what the machine does not model of memories that tensors share.

        Raises:
            UserError: naming the field.
        """
        for memory in self.sram.memories:
            if memory.shares_ports and self.array.overlap != "none" and self.array.timing == "reference":
                raise UserError(
                    f"{' and '.join(memory.holds)} take turns at the ports of {memory.field}, which is "
                    "modelled without overlap of folds only",
                    location="array.overlap",
                    value=self.array.overlap,
                    allowed=f"none, or {memory.field}.port_use own",
                )
        memory = self.sram.of("ofmap")
        keeping = [
            f"layers.{name}.tiling"
            for name, layer in self.layers.items()
            if layer.tiling is not None and layer.tiling.keep_ofmap_on_chip
        ]
        if self.tiling.keep_ofmap_on_chip:
            keeping = ["tiling", *keeping]
        if keeping and (memory.is_split_freely or memory.shares_ports):
            raise UserError(
                f"results that stay on chip need a part of {memory.field} with ports of its own, which ofmap "
                "does not have",
                location=f"{keeping[0]}.keep_ofmap_on_chip",
                value=True,
                allowed=f"false, or {memory.field}.shares_kib and port_use own",
            )

    def mac_choices(self, layer: str | None = None) -> tuple[tuple[MacChoice, int], ...]:
        """The MACs of the columns, left to right, with how many columns each has.

        While `layer` runs it is the layer's own MAC in all columns, where `layers` names one; else, and
        without a layer, the array's column blocks, or its one MAC.
        """
        own = self.layers.get(layer) if layer is not None else None
        if own is not None and own.mac is not None:
            return ((own.mac, self.array.columns),)
        blocks = tuple((block.mac, block.columns) for block in self.array.column_blocks)
        return blocks or ((self.array.mac, self.array.columns),)

    def dataflow_of(self, layer: str) -> DataflowName:
        """The dataflow while a layer runs: its own, where `layers` gives one, else the array's."""
        own = self.layers.get(layer)
        return self.array.dataflow if own is None or own.dataflow is None else own.dataflow

    @property
    def dataflows(self) -> tuple[DataflowName, ...]:
        """Every dataflow that the array can run, its own first, then those of single layers."""
        own = (layer.dataflow for layer in self.layers.values() if layer.dataflow is not None)
        return tuple(dict.fromkeys((self.array.dataflow, *own)))

    def tiling_of(self, layer: str) -> TilingConfig:
        """What is fixed of a layer's tiling: its own, where `layers` gives one, else the section `tiling`."""
        own = self.layers.get(layer)
        if own is None or own.tiling is None:
            return self.tiling
        kept = {"keep_ofmap_on_chip": self.tiling.keep_ofmap_on_chip, "objective": self.tiling.objective}
        return TilingConfig.model_validate(
            kept | own.tiling.model_dump(exclude={"keep_ofmap_on_chip"}, exclude_none=True)
        )

    @property
    def cycle_ns(self) -> float:
        """Duration of one clock cycle in nanoseconds."""
        return 1000 / self.clock_mhz
