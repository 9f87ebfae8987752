"""Does everything in the machine happen when a second, cycle-by-cycle model says it does?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil
from random import Random

import pytest

from simulator.arch import ArchConfig, load_arch
from simulator.array import ArrayTiming
from simulator.foundation import UserError
from simulator.system import layer_steps as lowering
from simulator.system.dram import exact
from simulator.system.layer_steps import LoweredLayer, lower
from simulator.system.machine import Times, play
from simulator.system.run_network import PlayedLayer
from simulator.workload.layer import Layer, PostOperation, matrix_layer
from tests.cycles.random_layers import Case, draw_case, draw_shared_case
from tests.cycles.tiling_player import simulate, with_tiling
from tests.reference.pipeline import Around, Stepped, step_through
from tests.reference.steps import durations_of
from tests.reference.tiling import (
    LOOPS,
    Bits,
    Problem,
    Tiling,
    Walk,
    Whole,
    is_possible,
    is_product,
    problem_of,
    slots_of,
    walk,
)

NESTS: list[tuple[str, Whole]] = [(loops, "neither") for loops in LOOPS] + [
    ("mnk", "ifmap"),
    ("nmk", "filter"),
]
MOST_STEPS, MOST_CYCLES = 150, 4000
WIDE = {f"sram.{name}.word_bits": 2**16 for name in ("ifmap", "filter", "ofmap")}
NARROW = {"sram.ifmap.word_bits": 8, "sram.filter.word_bits": 16, "sram.ofmap.word_bits": 24}


@dataclass(frozen=True)
class Fixed:
    """A layer with a fixed tiling on the machine, and what the reference knows of it."""

    layer: Layer
    arch: ArchConfig
    problem: Problem
    walk: Walk
    played: PlayedLayer
    ifmap_on_chip: bool
    ofmap_stays: bool

    @property
    def lowered(self) -> LoweredLayer:
        work = self.played.work._replace(
            ifmap_on_chip=int(self.ifmap_on_chip), ofmap_stays=int(self.ofmap_stays)
        )
        return lower(work, self.played.tiling)

    @property
    def slots(self) -> tuple[int, int, int]:
        """Two tiles of an operand where they fit, unless the tiling has a single one."""
        return slots_of(self.problem, self.walk, tuple(self.played.tiling.fixed()["single_buffered"]))

    @property
    def around(self) -> Around:
        dram, sram = self.arch.dram, self.arch.sram
        cycle_ns = 1000 / exact(self.arch.clock_mhz)
        ports = [
            buffer.word_bits * buffer.ports for buffer in (sram.of("ifmap").config, sram.of("ofmap").config)
        ]
        return Around(
            bytes_per_cycle=exact(dram.bandwidth_gbyte_per_s) * cycle_ns,
            burst_bytes=dram.burst_bytes,
            latency=ceil(exact(dram.latency_ns) / cycle_ns),
            refresh_interval=ceil(exact(dram.refresh_interval_ns) / cycle_ns),
            refresh_duration=ceil(exact(dram.refresh_duration_ns) / cycle_ns),
            output_latency=self.arch.output_path.latency_cycles,
            chip_bits=min(ports),
            ifmap_on_chip=self.ifmap_on_chip,
            ofmap_stays=self.ofmap_stays,
            slots=self.slots,
        )


def draw_tiling(p: Problem, rnd: Random) -> Tiling:
    images = rnd.randint(1, p.images)
    whole_images = images > 1
    k = rnd.choice([p.k, rnd.randint(1, p.k), rnd.randint(1, p.k)])
    loops, whole = rnd.choice(NESTS if k < p.k else NESTS[: len(LOOPS)])
    return Tiling(
        images,
        p.rows.outputs if whole_images else rnd.randint(1, p.rows.outputs),
        p.columns.outputs if whole_images else rnd.randint(1, p.columns.outputs),
        rnd.randint(1, p.n),
        k,
        rnd.randint(1, p.groups),
        loops,
        whole,
    )


def draw_wide_shared_case(rnd: Random) -> Case:
    """A memory for two or three tensors, whose ports take no time."""
    case = draw_shared_case(rnd)
    for section in case.fields["sram"].values():
        section |= {"word_bits": 2**16, "ports": 2}
    return case


def draw_fixed(seed: int, **fields: object) -> Fixed:
    """A small layer with any tiling that is legal for it."""
    return draw_fixed_of(draw_case, seed, **fields)


def draw_fixed_of(draw: Callable[[Random], Case], seed: int, **fields: object) -> Fixed:
    """The same of other layers and accelerators."""
    rnd = Random(seed)
    while True:
        case = draw(rnd)
        layer = case.layer
        if rnd.random() < 0.3:
            layer = replace(layer, post_operations=(PostOperation("add", layer.m * layer.n),))
        interval = rnd.choice([0, 0, 30, 74])
        refresh = {"dram.refresh_interval_ns": interval, "dram.refresh_duration_ns": rnd.choice([2, 14])}
        arch = load_arch(case.arch, {**refresh, **fields})
        product = is_product(layer) and (layer.convolution is None or rnd.random() < 0.5)
        bits = Bits(residual=8 if layer.post_operations else 0)
        problem = problem_of(layer, arch, product=product, bits=bits)
        tiling = draw_tiling(problem, rnd)
        walked = walk(problem, tiling)
        few = len(walked.steps) < 3 and rnd.random() < 0.8
        if few or len(walked.steps) > MOST_STEPS or not is_possible(problem, tiling, walked):
            continue
        if 0 in slots_of(problem, walked):
            continue
        single = tuple(name for name in ("ifmap", "filter", "ofmap") if rnd.random() < 0.15)
        played = simulate(layer, with_tiling(arch, tiling, blocks=not product, single=single)).played
        if played.tiling.cycles > MOST_CYCLES:
            continue
        stays = rnd.random() < 0.2 and walked.ofmap_tile == max(walked.outgoing)
        return Fixed(layer, arch, problem, walked, played, rnd.random() < 0.2, stays)


def compare(fixed: Fixed, stepped: Stepped, lowered: LoweredLayer, times: Times) -> None:
    assert [(step.start, step.end) for step in times.steps] == stepped.steps
    for channel in ("dram", "chip"):
        machine = [
            (transfer.stream, transfer.index, transfer.bytes, *when)
            for transfer, when in zip(lowered.programme.transfers, times.transfers, strict=True)
            if transfer.channel == channel
        ]
        twin = [
            (moved.transfer.stream, moved.transfer.place, moved.transfer.bytes, *moved[1:])
            for moved in stepped.moved
            if moved.transfer.channel == channel
        ]
        assert machine == twin
    for name, capacity in zip(("ifmap", "filter"), fixed.problem.capacity, strict=False):
        assert stepped.most_held[name] <= capacity


def test_a_layer_is_listed_up_to_a_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 x 96 outputs in tiles of 32 x 32 are 6 steps."""
    fixed = {"tiling.tile_m": 32, "tiling.tile_n": 32, "tiling.tile_k": 50}
    played = simulate(matrix_layer("l", "fc", m=64, n=96, k=50), load_arch("int8_32x32", fixed)).played
    monkeypatch.setattr(lowering, "LARGEST_PROGRAMME", 6)
    assert len(lower(played.work, played.tiling).visits) == 6
    monkeypatch.setattr(lowering, "LARGEST_PROGRAMME", 5)
    with pytest.raises(UserError, match=r"a layer of 6 steps is too long.*at most 5 steps"):
        lower(played.work, played.tiling)


@pytest.mark.parametrize("first", range(0, 300, 25))
def test_every_step_covers_its_part_of_the_layer(first: int) -> None:
    for seed in range(first, first + 25):
        fixed = draw_fixed(seed, **WIDE)
        visits = fixed.lowered.visits
        assert len(visits) == len(fixed.walk.steps)
        for visit, step, places in zip(visits, fixed.walk.steps, fixed.walk.places, strict=True):
            assert tuple(visit.origin) == tuple(place.start for place in places)
            _, images, rows, columns, _, _ = (len(place) for place in places)
            assert visit.pixels == (images, rows, columns)
            assert tuple(visit.tile) == (step.pixels, step.n, step.k, step.groups, step.starts, step.ends)
            assert (visit.ifmap, visit.filter, visit.ofmap) == (step.ifmap, step.filter, step.ofmap)


@pytest.mark.parametrize("first", range(0, 300, 25))
def test_every_begin_and_end_is_as_stepped_through(first: int) -> None:
    """With ports and an output path that take no time, the twin knows the steps' durations too."""
    for seed in range(first, first + 25):
        fixed = draw_fixed(seed, **WIDE)
        assert tuple(fixed.played.tiling.slots.values()) == fixed.slots
        lowered = fixed.lowered
        timing = ArrayTiming.of(fixed.arch.array, ())
        durations = durations_of(timing, fixed.problem, fixed.walk)
        steps = lowered.programme.steps
        assert [(step.duration, step.tail_cycles) for step in steps] == durations
        compare(fixed, step_through(fixed.walk, fixed.around, durations), lowered, play(lowered.programme))


@pytest.mark.parametrize("first", range(0, 150, 25))
def test_a_shared_memory_holds_and_delays_what_the_twin_says(first: int) -> None:
    """Slots of tensors that share a capacity, and all times that follow from them."""
    shared = 0
    for seed in range(first, first + 25):
        fixed = draw_fixed_of(draw_wide_shared_case, seed)
        assert tuple(fixed.played.tiling.slots.values()) == fixed.slots
        lowered = fixed.lowered
        durations = durations_of(ArrayTiming.of(fixed.arch.array, ()), fixed.problem, fixed.walk)
        steps = lowered.programme.steps
        assert [(step.duration, step.tail_cycles) for step in steps] == durations
        compare(fixed, step_through(fixed.walk, fixed.around, durations), lowered, play(lowered.programme))
        shared += len(set(fixed.problem.pool)) < 3
    assert shared > 5


@pytest.mark.parametrize("first", range(1000, 1150, 25))
def test_narrow_ports_and_a_slow_output_path_only_change_durations(first: int) -> None:
    for seed in range(first, first + 25):
        fixed = draw_fixed(seed, **NARROW, **{"output_path.values_per_cycle": 1})
        lowered = fixed.lowered
        durations = [(step.duration, step.tail_cycles) for step in lowered.programme.steps]
        compare(fixed, step_through(fixed.walk, fixed.around, durations), lowered, play(lowered.programme))
