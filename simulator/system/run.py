"""Playing a network on an accelerator: layer after layer, identical layers once, everything counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from simulator.arch import ArchConfig
from simulator.array import ArrayTiming, schedule_product
from simulator.system.column_blocks import Dealt, LayerMacs, deal_channels, macs_by_layer
from simulator.system.counts import (
    OPERANDS,
    STALL_CAUSES,
    ActionCounts,
    CycleBreakdown,
    PECycles,
)
from simulator.system.dram import DramTiming
from simulator.system.footprint import packed_bytes
from simulator.system.lowering import LoweredLayer, Lowering
from simulator.system.mac_traits import TraitsOf, configured_traits
from simulator.system.machine import Times, play
from simulator.system.ports import Edges
from simulator.system.reuse import Reuse, on_chip_reuse, stored_results
from simulator.system.stalls import stalls_by_cause
from simulator.system.tile_work import TileWork
from simulator.system.tiling import Tiling, choose_tiling
from simulator.system.tiling_problem import Dimension, TilingProblem
from simulator.workload.layer import Layer, Network

Progress = Callable[[int, int, str], None]
"""Called after every layer with how many are done, how many there are, and the layer's name."""


@dataclass(frozen=True, slots=True)
class PlayedLayer:
    """What a layer does on the machine, wherever in the network it stands; shared by identical layers.

    times is None under `timing: scalesim`, which knows no machine around the array.
    """

    mac: str
    counts: ActionCounts
    folds: int
    lowering: Lowering
    lowered: LoweredLayer
    times: Times | None

    @property
    def tiling(self) -> Tiling:
        """The outer tiling and the reason for it."""
        return self.lowering.tiling


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
) -> MachineRun:
    """A network on an accelerator: cycles by cause, work and bytes of every layer.

    Layers follow one another; each begins with empty buffers once the results of the one before are written
    (docs/machine.md), so equal layers take equal times and are played once.

    Args:
        arch: the accelerator.
        network: its layers, in execution order.
        progress: called after every layer.
        traits_of: gives the traits of a MAC; None asks `simulator.numerics`.

    Raises:
        UserError: a buffer too small for a layer, a MAC too slow for the clock, an exception for a layer that
            does not exist, or a tiling that cannot work.
    """
    macs = macs_by_layer(arch, network, traits_of or configured_traits(arch))
    reuse = on_chip_reuse(
        network, arch, [macs[layer.name].together.bits.activation for layer in network.layers]
    )
    known: dict[_LayerJob, PlayedLayer] = {}
    runs: list[LayerRun] = []
    start_cycle = 0
    for index, layer in enumerate(network.layers):
        job = _LayerJob.of(layer, network, macs[layer.name], reuse[index])
        if job not in known:
            known[job] = _play_layer(arch, layer, job)
        run = LayerRun(layer, known[job], start_cycle)
        runs.append(run)
        start_cycle = run.end_cycle
        if progress is not None:
            progress(index + 1, len(network.layers), layer.name)
    return MachineRun(network, tuple(runs))


@dataclass(frozen=True, slots=True)
class _LayerJob:
    """What decides how a layer is played, its name and place in the network left out."""

    shape: Layer
    macs: LayerMacs
    reuse: Reuse
    stored_results: int
    added_results: int

    @classmethod
    def of(cls, layer: Layer, network: Network, macs: LayerMacs, reuse: Reuse) -> _LayerJob:
        posts = tuple(replace(post, inputs=()) for post in layer.post_operations)
        return cls(
            shape=replace(layer, name="", inputs=(), post_operations=posts),
            macs=macs,
            reuse=reuse,
            stored_results=stored_results(layer, network),
            added_results=sum(post.elements for post in posts if post.kind == "add"),
        )


def _play_layer(arch: ArchConfig, layer: Layer, job: _LayerJob) -> PlayedLayer:
    timing = ArrayTiming.of(arch.array, [block.mac for block in job.macs.blocks])
    dealt = deal_channels(layer, job.macs.blocks)
    padded = replace(layer, n=dealt.slots_per_group * layer.groups)
    lowering = _lowering(arch, padded, job, timing)
    lowered = lowering.lower()
    if arch.array.timing == "scalesim":
        return _under_scalesim(layer, padded, job, dealt, timing, lowering, lowered)
    times = play(lowered.programme)
    stalls = stalls_by_cause(lowered.programme, times)
    split = lowered.work.split
    cycles = CycleBreakdown(
        split.compute, split.fill, split.drain, {cause: stalls.get(cause, 0) for cause in STALL_CAUSES}
    )
    if cycles.total != times.end:
        message = f"{layer.name}: {cycles} do not sum to the {times.end} cycles that the machine took"
        raise ValueError(message)
    counts = _counts(layer, job, dealt, timing, lowered, cycles, shifting_cycles=split.shifting)
    return PlayedLayer(job.macs.together.name, counts, lowered.work.folds, lowering, lowered, times)


def _lowering(arch: ArchConfig, layer: Layer, job: _LayerJob, timing: ArrayTiming) -> Lowering:
    bits, dram = job.macs.together.bits, DramTiming.of(arch)
    result_bytes = packed_bytes(job.stored_results, bits.activation)
    slots = {name: 2 if getattr(arch.sram, name).double_buffered else 1 for name in OPERANDS}
    if job.reuse.ifmap_on_chip and not job.reuse.ofmap_stays:
        slots["ofmap"] = 1  # the other half holds the input
    folds: Mapping[str, dict[Dimension, int]] = {
        "os": {"m": timing.rows, "n": timing.columns, "k": 1},
        "ws": {"m": 1, "n": timing.columns, "k": timing.rows},
        "is": {"m": timing.columns, "n": 1, "k": timing.rows},
    }
    problem = TilingProblem(
        layer=layer,
        dataflow=timing.dataflow,
        bits=bits,
        fold=folds[timing.dataflow],
        fold_overhead_cycles=2 * timing.rows + timing.columns - 2,
        tile_bytes={name: getattr(arch.sram, name).tile_bytes for name in OPERANDS},
        stored_bytes=0 if job.reuse.ofmap_stays else result_bytes,
        loaded_bytes=packed_bytes(job.added_results, bits.activation),
        dram_bytes_per_cycle=dram.bytes_per_cycle,
        dram_latency_cycles=dram.memory.latency,
        ifmap_on_chip=job.reuse.ifmap_on_chip,
    )
    return Lowering(
        problem=problem,
        tiling=choose_tiling(problem, arch.tiling),
        work=TileWork(timing, Edges.of(arch, bits, residual=job.added_results > 0), layer.k),
        dram=dram,
        slots=slots,
        output_latency=arch.output_path.latency_cycles,
        result_bytes=result_bytes,
        ofmap_stays=job.reuse.ofmap_stays,
    )


def _under_scalesim(
    layer: Layer,
    padded: Layer,
    job: _LayerJob,
    dealt: Dealt,
    timing: ArrayTiming,
    lowering: Lowering,
    lowered: LoweredLayer,
) -> PlayedLayer:
    """SCALE-Sim's compute cycles: the whole layer as one product, and no machine around the array."""
    schedule = schedule_product(timing, m=padded.m, n=padded.n, k=padded.k, groups=padded.groups)
    cycles = CycleBreakdown(
        schedule.compute_cycles,
        schedule.fill_cycles,
        schedule.drain_cycles,
        dict.fromkeys(STALL_CAUSES, 0),
    )
    counts = _counts(layer, job, dealt, timing, lowered, cycles, shifting_cycles=schedule.shifting_cycles)
    return PlayedLayer(job.macs.together.name, counts, schedule.folds, lowering, lowered, times=None)


def _counts(
    layer: Layer,
    job: _LayerJob,
    dealt: Dealt,
    timing: ArrayTiming,
    lowered: LoweredLayer,
    cycles: CycleBreakdown,
    *,
    shifting_cycles: int,
) -> ActionCounts:
    pe_count = timing.pe_count
    shifting = shifting_cycles * pe_count
    holding = cycles.stall * pe_count
    posts: Counter[str] = Counter()
    for post in layer.post_operations:
        posts[post.kind] += post.elements
    return ActionCounts(
        macs=layer.macs,
        cycles=cycles,
        pe_cycles=PECycles(
            useful=layer.macs,
            idle=cycles.total * pe_count - layer.macs - shifting - holding,
            shifting=shifting,
            holding=holding,
        ),
        decoder_operations=lowered.work.activation_reads + lowered.work.weight_reads,
        converter_operations=layer.m * layer.n,
        output_path_operations=dict(posts),
        sram=lowered.sram,
        dram=lowered.dram,
        macs_by_name=job.macs.macs_by_name(layer, dealt),
    )
