"""Does the compiled machine, which leaps over repetitions, do what the machine does that plays every step?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from itertools import zip_longest
from math import ceil
from random import Random

import numpy as np
import pytest

from simulator.operands import OPERANDS
from simulator.system.chosen_tiling import Tiling
from simulator.system.counts import STALL_CAUSES
from simulator.system.footprint import Integers
from simulator.system.layer_steps import LoweredLayer, lower
from simulator.system.layer_work import (
    BUFFER_WORDS,
    BURSTS,
    BYTES,
    CHIP_BYTES,
    CHIP_WORDS,
    END,
    PLAYED,
    RESIDUAL_BYTES,
    RESULT_BYTES,
    STALL_IFMAP,
    STEPS,
    TOTALS,
    TRANSFERS,
    LayerWork,
    Slots,
)
from simulator.system.machine import play
from simulator.system.nest import Blocking
from simulator.system.nest_machine import play_nest
from simulator.system.nest_state import new_scratch
from simulator.system.programme import STREAMS
from simulator.system.tile_work import COSTS, cost_of_step
from simulator.workload.layer import Convolution, Layer, convolution_layer, matrix_layer
from tests.cycles.random_layers import Case
from tests.cycles.stalls_by_cause import stalls_by_cause
from tests.cycles.tiling_player import simulate

MOST_STEPS = 1500
CHUNK = 50


def draw_layer(rnd: Random) -> Layer:
    """Long enough loops to leap over."""
    if rnd.random() < 0.5:
        m, n, k = (rnd.randint(1, 60) for _ in range(3))
        return matrix_layer("l", "matmul", m=m, n=n, k=k, products=rnd.choice([1, 1, 2, 5, 9]))
    groups = rnd.choice([1, 1, 3])
    kernel = rnd.randint(1, 4), rnd.randint(1, 4)
    convolution = Convolution(
        rnd.choice([1, 1, 2, 3, 8]),
        groups * rnd.randint(1, 6),
        groups * rnd.randint(1, 6),
        (rnd.randint(7, 30), rnd.randint(7, 30)),
        kernel,
        stride=(rnd.randint(1, 4), rnd.randint(1, 4)),
        padding=(rnd.randint(0, 3), rnd.randint(0, 3), rnd.randint(0, 3), rnd.randint(0, 3)),
        dilation=(rnd.randint(1, 2), rnd.randint(1, 2)),
        groups=groups,
    )
    return convolution_layer("l", convolution)


def draw_fields(rnd: Random) -> dict[str, object]:
    """An accelerator whose ports may be narrow, output path slow and DRAM refreshed."""
    refreshed = rnd.random() < 0.5
    return {
        "array.rows": rnd.randint(1, 5),
        "array.columns": rnd.randint(1, 5),
        "array.mac": rnd.choice(["int8", "int8", "int8 x int4", "fp16"]),
        "array.dataflow": rnd.choice(["os", "ws", "is"]),
        "array.overlap": rnd.choice(["none", "drain", "full"]),
        "array.partial_folds": rnd.choice(["full", "trimmed"]),
        "sram.ifmap.word_bits": rnd.choice([8, 32, 256]),
        "sram.filter.word_bits": rnd.choice([8, 32, 256]),
        "sram.ofmap.word_bits": rnd.choice([8, 64, 2048]),
        "output_path.values_per_cycle": rnd.choice([1, 2, None]),
        "output_path.latency_cycles": rnd.choice([0, 4]),
        "dram.bandwidth_gbyte_per_s": rnd.choice([0.2, 0.7, 1.5, 8, 40]),
        "dram.latency_ns": rnd.choice([0, 6, 60]),
        "dram.burst_bytes": rnd.choice([1, 4, 64]),
        "dram.refresh_interval_ns": rnd.choice([74, 200]) if refreshed else 0,
        "dram.refresh_duration_ns": rnd.choice([2, 18]) if refreshed else 0,
    }


def draw_deep_layer(rnd: Random) -> Layer:
    """Many channels, whose taps come again and again in pieces of the reduction."""
    kernel = rnd.randint(1, 4), rnd.randint(2, 4)
    convolution = Convolution(
        1,
        rnd.randint(8, 90),
        rnd.randint(1, 6),
        (rnd.randint(7, 12), rnd.randint(7, 12)),
        kernel,
        stride=(rnd.randint(1, 4), rnd.randint(1, 4)),
        padding=(rnd.randint(0, 3), rnd.randint(0, 3), rnd.randint(0, 3), rnd.randint(0, 3)),
        dilation=(rnd.randint(1, 2), rnd.randint(1, 2)),
    )
    return convolution_layer("l", convolution)


def draw_work(layer: Layer, rnd: Random) -> LayerWork:
    """A layer on any accelerator; pooled, with a residual operand, from or into the ofmap buffer."""
    work = simulate(layer, Case(layer, draw_fields(rnd)).arch).played.work
    results = layer.m * layer.n
    added = rnd.choice([0, 0, results, results // 2])
    stored = rnd.choice([results, results, results // 3 + 1])
    edges = work.array.edges._replace(residual_bits=work.array.edges.result_bits if added else 0)
    array = work.array._replace(
        edges=edges, whole_results=int(stored == results), whole_residuals=int(added == results)
    )
    return work._replace(
        array=array,
        stored_results=stored,
        added_results=added,
        ifmap_on_chip=rnd.choice([0, 0, 1]),
        ofmap_stays=rnd.choice([0, 0, 0, 1]),
    )


def draw_blocking(work: LayerWork, rnd: Random) -> Blocking:
    """Tiles of any size, small ones more often; buffers are as large as they need to be."""
    g = work.geometry

    def size(length: int) -> int:
        return rnd.randint(1, length) if rnd.random() < 0.6 else max(1, length // rnd.randint(3, 12))

    images = size(g.images)
    stays = work.array.timing.outputs_stay == 1
    whole_k = stays or work.ofmap_stays or rnd.random() < 0.3
    return Blocking(
        images,
        size(g.rows.outputs) if images == 1 else g.rows.outputs,
        size(g.columns.outputs) if images == 1 else g.columns.outputs,
        size(g.n),
        g.k if whole_k else size(g.k),
        size(g.groups),
        rnd.randrange(4),
        rnd.choice([-1, 0, 1]),
    )


def draw_fold_in_pieces(work: LayerWork, rnd: Random) -> Blocking:
    """Output stationary folds whose reduction comes in pieces."""
    g, t = work.geometry, work.array.timing
    columns = rnd.randint(1, min(g.columns.outputs, t.rows))
    rows = rnd.randint(1, max(1, min(g.rows.outputs, t.rows // columns)))
    n, k = rnd.randint(1, min(g.n, t.columns)), rnd.randint(1, g.k)
    nest, whole_k = rnd.choice([(2, -1), (3, -1), (2, 0), (3, 1)])
    return Blocking(1, rows, columns, n, k, 1, nest, whole_k)


def costs_of(work: LayerWork, lowered: LoweredLayer) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Every step's costs, one by one."""
    total, row = np.zeros(COSTS, np.int64), np.zeros(COSTS, np.int64)
    visits = lowered.visits
    for number, visit in enumerate(visits):
        following = visits[number + 1] if number + 1 < len(visits) else None
        goes_on = following is not None and following.ofmap == visit.ofmap
        after = visit.tile if following is None else following.tile
        cost_of_step(work.array, visit.tile, after, int(following is not None), int(goes_on), row)
        total += row
    return total


def finished_bytes(work: LayerWork, lowered: LoweredLayer) -> tuple[int, int]:
    """Bytes of finished results that reach the buffer, and of residual operands that are read for them."""
    g, edges = work.geometry, work.array.edges
    results = g.images * g.rows.outputs * g.columns.outputs * g.n * g.groups
    stored, added = 0, 0
    for visit, following in zip_longest(lowered.visits, lowered.visits[1:]):
        leaves = following is None or following.ofmap != visit.ofmap
        if leaves and visit.tile.ends:
            own = visit.tile.m * visit.tile.n * visit.tile.groups
            stored += ceil(ceil(Fraction(own * work.stored_results, results)) * edges.result_bits / 8)
            added += ceil(ceil(Fraction(own * work.added_results, results)) * edges.residual_bits / 8)
    return stored, added


def differences(work: LayerWork, blocking: Blocking, slots: Slots, totals: Integers) -> list[str]:
    """Everything in which the two machines differ for one layer."""
    lowered = lower(
        work,
        Tiling(
            blocking,
            dict(zip(OPERANDS, slots, strict=True)),
            totals,
            "",
            is_product=work.geometry.is_product,
            turned=False,
        ),
    )
    programme = lowered.programme
    times = play(programme)
    causes = enumerate(STALL_CAUSES)
    leapt_stalls = {cause: int(totals[STALL_IFMAP + i]) for i, cause in causes if totals[STALL_IFMAP + i]}
    dram = [transfer for transfer in programme.transfers if transfer.channel == "dram"]
    moved, bursts = Counter[str](), Counter[str]()
    for transfer in dram:
        moved[transfer.stream] += transfer.bytes
        bursts[transfer.stream] += -(-transfer.bytes // work.memory.burst_bytes)
    chip = [transfer.bytes for transfer in programme.transfers if transfer.channel == "chip"]
    edges = work.array.edges
    macros = dict(zip(STREAMS, (*edges.macro, edges.macro[2]), strict=True))
    words = Counter[str]()
    for transfer in programme.transfers:
        words[transfer.stream] += ceil(transfer.bytes * 8 / macros[transfer.stream])
    pairs = {
        "end": (totals[END], times.end),
        "steps": (totals[STEPS], len(programme.steps)),
        "transfers": (totals[TRANSFERS], len(programme.transfers)),
        "stalls": (leapt_stalls, stalls_by_cause(programme, times)),
        "bytes": (totals[BYTES : BYTES + 4].tolist(), [moved[stream] for stream in STREAMS]),
        "bursts": (totals[BURSTS : BURSTS + 4].tolist(), [bursts[stream] for stream in STREAMS]),
        "bytes on chip": (totals[CHIP_BYTES], sum(chip)),
        "words on chip": (totals[CHIP_WORDS], sum(ceil(size * 8 / edges.macro[2]) for size in chip)),
        "buffer words": (
            totals[BUFFER_WORDS : BUFFER_WORDS + 4].tolist(),
            [words[stream] for stream in STREAMS],
        ),
        "finished": (
            (totals[RESULT_BYTES], totals[RESIDUAL_BYTES]),
            finished_bytes(work, lowered),
        ),
        "costs": (totals[:COSTS].tolist(), costs_of(work, lowered).tolist()),
    }
    return [f"{name}: {leapt} {stepped}" for name, (leapt, stepped) in pairs.items() if leapt != stepped]


def leaps_of(first: int, draw: Callable[[Random], tuple[LayerWork, Blocking]], fewest_steps: int) -> int:
    """How many of `CHUNK` drawn tilings are leapt over in part; in none of them does that change anything."""
    found, leapt = [], 0
    for seed in range(first, first + CHUNK):
        rnd = Random(seed)
        while True:
            work, blocking = draw(rnd)
            slots = Slots(rnd.choice([1, 2]), rnd.choice([1, 2]), rnd.choice([1, 2]))
            totals = np.empty(TOTALS, np.int64)
            play_nest(work, blocking, slots, totals, new_scratch())
            if fewest_steps <= totals[STEPS] <= MOST_STEPS:
                break
        leapt += int(totals[PLAYED] < totals[STEPS])
        found += [
            f"seed {seed}: {line}\n    {work} {blocking} {slots}"
            for line in differences(work, blocking, slots, totals)
        ]
    assert not found, "\n".join(found[:5])
    return leapt


def draw_any(rnd: Random) -> tuple[LayerWork, Blocking]:
    """Any layer, and any blocking of it."""
    work = draw_work(draw_layer(rnd), rnd)
    in_pieces = work.array.timing.outputs_stay == 1 and not work.ofmap_stays and rnd.random() < 0.5
    return work, draw_fold_in_pieces(work, rnd) if in_pieces else draw_blocking(work, rnd)


@pytest.mark.parametrize("first", range(0, 1000, CHUNK))
def test_leaps_change_nothing(first: int) -> None:
    assert leaps_of(first, draw_any, fewest_steps=4) >= CHUNK // 10


def draw_pieces_of_kernels(rnd: Random) -> tuple[LayerWork, Blocking]:
    """Pieces of the reduction that are no whole kernels; few blocks of few pixels."""
    while True:
        work = draw_work(draw_deep_layer(rnd), rnd)
        if not work.array.timing.outputs_stay and not work.ofmap_stays:
            break
    g = work.geometry
    taps = g.kernel_size
    k = rnd.choice([k for k in range(1, 3 * taps) if k % taps])
    rows, columns = rnd.randint(1, g.rows.outputs), rnd.randint(1, g.columns.outputs)
    n, nest, whole_k = rnd.randint(1, g.n), rnd.randrange(4), rnd.choice([-1, 0, 1])
    return work, Blocking(1, rows, columns, n, k, 1, nest, whole_k)


@pytest.mark.parametrize("first", range(5000, 5200, CHUNK))
def test_pieces_of_kernels_are_leapt_over(first: int) -> None:
    """Pieces that read the same taps are alike, and all are where the ifmap tile has the whole reduction."""
    assert leaps_of(first, draw_pieces_of_kernels, fewest_steps=60) >= CHUNK // 3
