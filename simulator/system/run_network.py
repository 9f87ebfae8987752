"""Playing a network on an accelerator: layer after layer, identical layers once, everything counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from simulator.arch import ArchConfig
from simulator.arch.config import TilingConfig
from simulator.arch.memories import SramsConfig
from simulator.array import ArrayTiming
from simulator.dataflow import DataflowName
from simulator.foundation import UserError
from simulator.foundation.defects import DefectError
from simulator.operands import IFMAP, OFMAP, OPERANDS
from simulator.system.chosen_tiling import Tiling, in_image_order
from simulator.system.column_blocks import LayerMacs, deal_channels, macs_by_layer
from simulator.system.counts import ActionCounts
from simulator.system.dram import memory_of
from simulator.system.footprint import StorageBits
from simulator.system.geometry import Geometry
from simulator.system.kept_tilings import KeptTilings, key_of
from simulator.system.layer_counts import action_counts, breakdown, scalesim_totals
from simulator.system.layer_work import LayerWork
from simulator.system.mac_traits import TraitsOf, configured_traits
from simulator.system.objective import MovePrices, Weights
from simulator.system.ports import edges_of, per_operand
from simulator.system.stored_widths import stored_bits
from simulator.system.tensor_lifetimes import Readers, Reuse, cheapest_reuse, may_stay, stored_results
from simulator.system.tile_work import FOLDS, Array, laid
from simulator.system.tiling_needs import Limits
from simulator.system.whole_blocks import in_whole_blocks, padding_warning, require_whole_folds
from simulator.workload.layer import Layer, Network

if TYPE_CHECKING:
    from simulator.system.layer_steps import LoweredLayer
    from simulator.system.machine import Times

Progress = Callable[[int, int, str], None]
"""Called after every layer with how many are done, how many there are, and the layer's name."""


@dataclass(frozen=True)
class PlayedLayer:
    """What a layer does on the machine, wherever in the network it stands; shared by identical layers.

    timing: the array's, with the layer's dataflow; `scalesim` knows no machine around the array.
    """

    mac: str
    counts: ActionCounts
    folds: int
    timing: ArrayTiming
    work: LayerWork
    limits: Limits
    memories: SramsConfig
    tiling: Tiling

    @cached_property
    def lowered(self) -> LoweredLayer:
        """Every step and transfer, listed when first asked for. Raises UserError where they are too many."""
        from simulator.system.layer_steps import lower

        return lower(self.work, self.tiling)

    @cached_property
    def times(self) -> Times:
        """When every step and transfer happens, played step by step.

        Raises:
            DefectError: the step-by-step machine ends in another cycle than the counts say.
        """
        from simulator.system.machine import play

        times = play(self.lowered.programme)
        if times.end != self.counts.cycles.total:
            message = f"{times.end} cycles step by step, {self.counts.cycles.total} counted"
            raise DefectError(message)
        return times


@dataclass(frozen=True, slots=True)
class LayerRun:
    """One layer of a run: cycles are counted from the beginning of the network, the end excluded."""

    layer: Layer
    played: PlayedLayer
    start_cycle: int

    @property
    def mac(self) -> str:
        """Name of the MAC that the PEs were configured to."""
        return self.played.mac

    @property
    def counts(self) -> ActionCounts:
        """Everything of the layer that has a price."""
        return self.played.counts

    @property
    def folds(self) -> int:
        """How often the array was filled."""
        return self.played.folds

    @property
    def tiling(self) -> Tiling:
        """The outer tiling and the reason for it."""
        return self.played.tiling

    @property
    def end_cycle(self) -> int:
        """First cycle of whatever follows."""
        return self.start_cycle + self.counts.cycles.total


@dataclass(frozen=True, slots=True)
class MachineRun:
    """A network on an accelerator, layers in order and without gaps between them."""

    network: Network
    layers: tuple[LayerRun, ...]
    warnings: tuple[str, ...] = ()

    @property
    def cycles(self) -> int:
        """Cycles of the whole network."""
        return self.layers[-1].end_cycle


def simulate_network(
    arch: ArchConfig,
    network: Network,
    *,
    progress: Progress | None = None,
    traits_of: TraitsOf | None = None,
    move_prices: MovePrices | None = None,
    kept: KeptTilings | None = None,
) -> MachineRun:
    """A network on an accelerator: cycles by cause, work and bytes of every layer.

    Layers follow one another; each begins with empty buffers once the results of the one before are written
    (docs/machine.md), so equal layers take equal times and are played once.

    Args:
        arch: the accelerator.
        network: its layers, in execution order.
        progress: called after every layer.
        traits_of: gives the traits of a MAC; None asks `simulator.numerics`.
        move_prices: for tilings chosen for `energy`.
        kept: tilings of earlier runs, looked up before a search; those of this run are left there.

    Raises:
        UserError: a buffer too small for a layer, an exception for a layer that does not exist, a tiling that
            cannot work, or the objective `energy` without prices.
    """
    macs = macs_by_layer(arch, network, traits_of or configured_traits(arch))
    player = _Player(arch, network, macs, move_prices, kept)
    reuses = player.reuses()
    runs: list[LayerRun] = []
    start_cycle = 0
    for index, layer in enumerate(network.layers):
        run = LayerRun(layer, player.played(index, reuses[index]), start_cycle)
        runs.append(run)
        start_cycle = run.end_cycle
        if progress is not None:
            progress(index + 1, len(network.layers), layer.name)
    if kept is not None:
        kept.save()
    padding = padding_warning(
        (layer, macs[layer.name].together.block, macs[layer.name].together.name) for layer in network.layers
    )
    return MachineRun(network, tuple(runs), () if padding is None else (padding,))


@dataclass(frozen=True, slots=True)
class _LayerJob:
    """What decides how a layer is played, its name and place in the network left out."""

    shape: Layer
    macs: LayerMacs
    bits: StorageBits
    dataflow: DataflowName
    tiling: TilingConfig
    reuse: Reuse
    stored_results: int
    added_results: int


class _Player:
    """Plays the layers of one network, equal ones once."""

    def __init__(
        self,
        arch: ArchConfig,
        network: Network,
        macs: dict[str, LayerMacs],
        prices: MovePrices | None,
        kept: KeptTilings | None,
    ) -> None:
        self.arch, self.network, self.macs, self.prices, self.kept = arch, network, macs, prices, kept
        self.readers = Readers(network)
        self.blocks = {name: own.together.block for name, own in macs.items()}
        self.bits = stored_bits(network, {name: own.together.bits for name, own in macs.items()}, self.blocks)
        self.memory = memory_of(arch)
        self._known: dict[_LayerJob, PlayedLayer] = {}

    def reuses(self) -> tuple[Reuse, ...]:
        """Where every layer's input is and where its result goes, at the least cost of the objective."""
        choices = may_stay(self.network, self.arch, self.readers, self.bits)
        return cheapest_reuse(choices, self._cost)

    def _cost(self, index: int, reuse: Reuse) -> float | None:
        try:
            played = self.played(index, reuse)
        except UserError:
            if reuse == Reuse():
                raise
            return None
        objective = self.arch.tiling_of(self.network.layers[index].name).objective
        if objective == "traffic":
            return float(played.tiling.total_dram_bytes)
        if objective == "energy" and self.prices is not None:
            return float(played.tiling.totals @ self.prices.weights(played.work))
        return float(played.counts.cycles.total)

    def played(self, index: int, reuse: Reuse) -> PlayedLayer:
        """One layer, played with its input and result where `reuse` says."""
        layer = self.network.layers[index]
        job = self._job(layer, reuse)
        if job not in self._known:
            self._known[job] = self._play(layer, job)
        return self._known[job]

    def _job(self, layer: Layer, reuse: Reuse) -> _LayerJob:
        posts = tuple(replace(post, inputs=()) for post in layer.post_operations)
        return _LayerJob(
            shape=replace(layer, name="", inputs=(), post_operations=posts),
            macs=self.macs[layer.name],
            bits=self.bits[layer.name],
            dataflow=self.arch.dataflow_of(layer.name),
            tiling=self._tiling_of(layer.name),
            reuse=reuse,
            stored_results=stored_results(layer, self.readers),
            added_results=sum(post.elements for post in posts if post.kind == "add"),
        )

    def _tiling_of(self, layer: str) -> TilingConfig:
        """What is fixed of a tiling; as none changes SCALE-Sim's cycles, the least traffic is best there."""
        fixed = self.arch.tiling_of(layer)
        if self.arch.array.timing == "scalesim" and fixed.objective == "latency":
            return fixed.model_copy(update={"objective": "traffic"})
        return fixed

    def _play(self, layer: Layer, job: _LayerJob) -> PlayedLayer:
        timing = ArrayTiming.of(self.arch.array, [block.mac for block in job.macs.blocks], job.dataflow)
        dealt = deal_channels(layer, job.macs.blocks)
        block, mac = job.macs.together.block, job.macs.together.name
        array = self.arch.array
        require_whole_folds(timing.flow, array.rows, array.columns, block, mac)
        padded = in_whole_blocks(replace(layer, n=dealt.slots_per_group * layer.groups), block)
        work, limits = self._work(padded, job, timing), self._limits(job.reuse)
        tiling = self._tiled(layer, job, work, limits)
        work = in_image_order(work, turned=tiling.turned)
        totals = tiling.totals
        if timing.timing == "scalesim":
            totals = scalesim_totals(work, timing, padded, totals)
        elif breakdown(totals).total != tiling.cycles:
            message = f"{layer.name}: {breakdown(totals)} do not sum to {tiling.cycles} cycles"
            raise DefectError(message)
        macs_by_name = job.macs.macs_by_name(layer, dealt)
        counts = action_counts(layer, work, timing, totals, macs_by_name, dealt.channels_by_block)
        return PlayedLayer(
            mac=job.macs.together.name,
            counts=counts,
            folds=int(totals[FOLDS]),
            timing=timing,
            work=work,
            limits=limits,
            memories=self.arch.sram,
            tiling=tiling,
        )

    def _tiled(self, layer: Layer, job: _LayerJob, work: LayerWork, limits: Limits) -> Tiling:
        """The tiling of a layer: that of an earlier search for the same, or of a search."""
        weights = self._weights(layer, job, work)
        in_order = job.macs.together.depends_on_order
        key = "" if self.kept is None else key_of(work, limits, job.tiling, weights, sums_in_order=in_order)
        tiling = None if self.kept is None else self.kept.look_up(key)
        if tiling is None:
            from simulator.system.tiling import choose_tiling

            tiling = choose_tiling(
                layer.name,
                work,
                limits,
                job.tiling,
                weights,
                memories=self.arch.sram,
                sums_in_order=in_order,
                block=job.macs.together.block,
            )
            if self.kept is not None:
                self.kept.add(key, tiling)
        return tiling

    def _weights(self, layer: Layer, job: _LayerJob, work: LayerWork) -> Weights | None:
        if job.tiling.objective != "energy":
            return None
        if self.prices is None:
            raise UserError(
                f"layer {layer.name!r} cannot be tiled for the least energy: its moves are not priced",
                source=self.arch.name,
                location="tiling.objective",
                value="energy",
                allowed="latency or traffic, or tables that price DRAM, SRAM and leakage",
            )
        return self.prices.weights(work)

    def _work(self, layer: Layer, job: _LayerJob, timing: ArrayTiming) -> LayerWork:
        edges = edges_of(self.arch, job.bits, timing.dataflow)
        results = layer.m * layer.n
        fixed = job.tiling
        as_product = fixed.tile_rows is None and fixed.tile_columns is None and fixed.tile_images is None
        array = Array(
            laid=laid(timing.flow),
            timing=timing.code,
            edges=edges,
            k=layer.k,
            fold_pixels=timing.flow.places("m", timing.rows, timing.columns),
            fold_channels=timing.flow.places("n", timing.rows, timing.columns),
            whole_results=int(job.stored_results == results),
            whole_residuals=int(job.added_results == results),
        )
        return LayerWork(
            geometry=Geometry.of(layer, as_product=as_product),
            array=array,
            memory=self.memory,
            stored_results=job.stored_results,
            added_results=job.added_results,
            ifmap_on_chip=int(job.reuse.ifmap_on_chip),
            ofmap_stays=int(job.reuse.ofmap_stays),
            chip_rate=min(edges.rate_of(IFMAP), edges.rate_of(OFMAP)),
            output_latency=self.arch.output_path.latency_cycles,
        )

    def _limits(self, reuse: Reuse) -> Limits:
        memories = [self.arch.sram.of(operand) for operand in OPERANDS]
        capacity = [
            memory.capacity_bytes(operand) for operand, memory in zip(OPERANDS, memories, strict=True)
        ]
        halves = [int(memory.config.double_buffered) for memory in memories]
        if reuse.ifmap_on_chip and not reuse.ofmap_stays:
            # The other half holds the input.
            capacity[OFMAP], halves[OFMAP] = memories[OFMAP].tile_bytes("ofmap"), 0
        numbers = {memory.name: number for number, memory in enumerate(memories) if memory.is_split_freely}
        return Limits(
            per_operand(capacity),
            per_operand(halves),
            per_operand(numbers.get(memory.name, number) for number, memory in enumerate(memories)),
        )
