"""From the machine's totals of a layer to the counts that have prices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from simulator.array import ArrayTiming, schedule_product
from simulator.operands import FILTER, IFMAP, OFMAP, Operand
from simulator.system import tile_work as cost
from simulator.system.counts import STALL_CAUSES, ActionCounts, CycleBreakdown, PECycles, Traffic
from simulator.system.footprint import Integers, packed_bytes
from simulator.system.layer_work import (
    ADDED_WORDS,
    BUFFER_WORDS,
    BURSTS,
    BYTES,
    CHIP_BYTES,
    CHIP_WORDS,
    POOLED_WORDS,
    RESIDUAL_BYTES,
    RESULT_BYTES,
    STALL_IFMAP,
    LayerWork,
)
from simulator.system.tile_work import Tile, cost_of_step
from simulator.workload.layer import Layer

_INCOMING, _OUTGOING = 2, 3
"""Streams of the ofmap by number."""


def breakdown(totals: Integers) -> CycleBreakdown:
    """Every cycle of a played layer by cause."""
    stalls = {cause: int(totals[STALL_IFMAP + i]) for i, cause in enumerate(STALL_CAUSES)}
    return CycleBreakdown(int(totals[cost.COMPUTE]), int(totals[cost.FILL]), int(totals[cost.DRAIN]), stalls)


def scalesim_totals(work: LayerWork, timing: ArrayTiming, layer: Layer, totals: Integers) -> Integers:
    """The totals of a layer under SCALE-Sim's timing: the whole layer as one product, no machine around it.

    DRAM bytes and what transfers write into the buffers stay those of the tiling. Partial sums are never read
    back.
    """
    schedule = schedule_product(timing, m=layer.m, n=layer.n, k=layer.k, groups=layer.groups)
    whole = Tile(layer.m, layer.n_per_group, layer.k, layer.groups, 1, 1)
    row = np.zeros(cost.COSTS, np.int64)
    cost_of_step(work.array, whole, whole, 0, 0, row)
    changed = totals.copy()
    changed[: cost.COSTS] = row
    changed[STALL_IFMAP : STALL_IFMAP + len(STALL_CAUSES)] = 0
    changed[cost.SUMS_READ] = changed[cost.SUM_READ_WORDS] = 0
    changed[cost.COMPUTE], changed[cost.FILL] = schedule.compute_cycles, schedule.fill_cycles
    changed[cost.DRAIN], changed[cost.SHIFTING] = schedule.drain_cycles, schedule.shifting_cycles
    return changed


def action_counts(
    layer: Layer,
    work: LayerWork,
    timing: ArrayTiming,
    totals: Integers,
    macs_by_name: Mapping[str, int],
    channels_by_block: Sequence[int],
) -> ActionCounts:
    """Everything of a layer that has a price."""
    cycles = breakdown(totals)
    shifting = int(totals[cost.SHIFTING]) * timing.pe_count
    holding = cycles.stall * timing.pe_count
    posts: Counter[str] = Counter()
    for post in layer.post_operations:
        posts[post.kind] += post.elements
    return ActionCounts(
        macs=layer.macs,
        cycles=cycles,
        pe_cycles=PECycles(
            useful=layer.macs,
            idle=cycles.total * timing.pe_count - layer.macs - shifting - holding,
            shifting=shifting,
            holding=holding,
        ),
        activation_codes=int(totals[cost.ACTIVATIONS]),
        weight_codes=int(totals[cost.WEIGHTS]),
        converter_operations=layer.m * layer.n,
        output_path_operations=dict(posts),
        sram=_sram(work, totals),
        dram=_dram(work, totals),
        macs_by_name=macs_by_name,
        array_bytes=_array_bytes(work, totals),
        dataflow=timing.dataflow,
        results_by_block=tuple(layer.m * channels for channels in channels_by_block),
        hidden_shifts=_hidden_shifts(timing, totals),
        handovers=int(totals[cost.FOLDS]) * timing.pe_count if timing.has_second_register else 0,
    )


def _hidden_shifts(timing: ArrayTiming, totals: Integers) -> int:
    """PE-cycles in which second registers move beside something else: all their steps, less those in sight.

    A fold's results leave in as many steps as a lane has PEs; an operand that stays is loaded in as many as
    its fold has, or as there are where partial folds cost whole ones.
    """
    if not timing.has_second_register:
        return 0
    steps = int(totals[cost.FOLDS]) * timing.flow.lane_length(timing.rows, timing.columns)
    if timing.flow.circuit.preloads and timing.partial_folds == "trimmed":
        steps = int(totals[cost.HELD_ROWS])
    return max(0, steps - int(totals[cost.SHIFTING])) * timing.pe_count


def _sram(work: LayerWork, totals: Integers) -> dict[Operand, Traffic]:
    """Bytes through the ports of the three buffers, array side and memory side."""
    edges = work.array.edges

    def count(place: int) -> int:
        return int(totals[place])

    def words(macro_bits: int, *places: int) -> int:
        """Bytes of macro words; where these are no whole bytes, those of each kind are rounded up."""
        return sum(packed_bytes(count(place), macro_bits) for place in places)

    sums_read = packed_bytes(count(cost.SUMS_READ), edges.sum_bits)
    sums_written = packed_bytes(count(cost.SUMS_WRITTEN), edges.sum_bits)
    read_words = (cost.SUM_READ_WORDS, cost.RESIDUAL_WORDS, ADDED_WORDS, BUFFER_WORDS + _OUTGOING, CHIP_WORDS)
    written_words = (cost.SUM_WRITE_WORDS, cost.RESULT_WORDS, POOLED_WORDS, BUFFER_WORDS + _INCOMING)
    return {
        "ifmap": Traffic(
            packed_bytes(count(cost.ACTIVATIONS), edges.ifmap_bits),
            count(BYTES + IFMAP) + count(CHIP_BYTES),
            words(edges.macro[IFMAP], cost.ACTIVATION_WORDS),
            words(edges.macro[IFMAP], BUFFER_WORDS + IFMAP),
        ),
        "filter": Traffic(
            packed_bytes(count(cost.WEIGHTS), edges.filter_bits),
            count(BYTES + FILTER),
            words(edges.macro[FILTER], cost.WEIGHT_WORDS),
            words(edges.macro[FILTER], BUFFER_WORDS + FILTER),
        ),
        "ofmap": Traffic(
            sums_read + count(RESIDUAL_BYTES) + count(BYTES + _OUTGOING) + count(CHIP_BYTES),
            sums_written + count(BYTES + _INCOMING) + count(RESULT_BYTES),
            words(edges.macro[OFMAP], *read_words),
            words(edges.macro[OFMAP], *written_words),
        ),
    }


def _dram(work: LayerWork, totals: Integers) -> dict[Operand, Traffic]:
    burst = work.memory.burst_bytes

    def moved(stream: int) -> int:
        return int(totals[BURSTS + stream]) * burst

    useful = [int(size) for size in totals[BYTES : BYTES + 4]]
    return {
        "ifmap": Traffic(useful[IFMAP], 0, moved(IFMAP), 0),
        "filter": Traffic(useful[FILTER], 0, moved(FILTER), 0),
        "ofmap": Traffic(useful[_INCOMING], useful[_OUTGOING], moved(_INCOMING), moved(_OUTGOING)),
    }


def _array_bytes(work: LayerWork, totals: Integers) -> dict[Operand, int]:
    """Bytes of codes that pass between the buffers and the array; partial sums and residual operands too."""
    edges = work.array.edges
    sums = int(totals[cost.SUMS_READ] + totals[cost.SUMS_WRITTEN])
    return {
        "ifmap": packed_bytes(int(totals[cost.ACTIVATIONS]), edges.ifmap_bits),
        "filter": packed_bytes(int(totals[cost.WEIGHTS]), edges.filter_bits),
        "ofmap": packed_bytes(sums, edges.sum_bits) + int(totals[RESULT_BYTES]) + int(totals[RESIDUAL_BYTES]),
    }
