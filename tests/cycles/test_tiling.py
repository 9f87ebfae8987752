"""Do fixed tilings move the bytes that a walk through their loops moves, and are choices told to the user?

That choices are good ones is held in `test_tiling_laws.py`.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from simulator.arch import ArchConfig, load_arch
from simulator.foundation import UserError
from simulator.numerics import get_mac
from simulator.system import LayerRun, simulate_network
from simulator.workload import load_network
from simulator.workload.layer import (
    Convolution,
    Layer,
    Network,
    PostOperation,
    convolution_layer,
    matrix_layer,
)
from tests.cycles.random_layers import draw_case
from tests.cycles.tiling_player import cost_of, pace_of, simulate, with_tiling
from tests.reference.legal_tilings import legal_tilings
from tests.reference.tiling import (
    LOOPS,
    Bits,
    Problem,
    Tiling,
    Walk,
    Whole,
    is_possible,
    is_product,
    needed,
    problem_of,
    slots_of,
    touched,
    unique_bytes,
    walk,
    window_of,
)

NESTS: list[tuple[str, Whole]] = [(loops, "neither") for loops in LOOPS] + [
    ("mnk", "ifmap"),
    ("nmk", "filter"),
]
MACS = {"int8": (8, 8), "int8 x int4": (8, 4), "fp16": (16, 16), "e3m2 x e2m1": (6, 4)}
"""Bits of an activation and of a weight."""


def bundled(**fields: object) -> ArchConfig:
    return load_arch("int8_32x32", {name.replace("__", "."): value for name, value in fields.items()})


def draw_tiling(p: Problem, rnd: Random) -> Tiling:
    """Any sizes, also such as break the rules."""
    images = rnd.randint(1, p.images)
    k = rnd.choice([p.k, rnd.randint(1, p.k)])
    loops, whole = rnd.choice(NESTS if k < p.k else NESTS[: len(LOOPS)])
    rows, columns = rnd.randint(1, p.rows.outputs), rnd.randint(1, p.columns.outputs)
    if images > 1:
        rows, columns = p.rows.outputs, p.columns.outputs
    return Tiling(images, rows, columns, rnd.randint(1, p.n), k, rnd.randint(1, p.groups), loops, whole)


def streams_of(run: LayerRun) -> tuple[int, int, int, int]:
    """Bytes of ifmap, filter, ofmap in and ofmap out."""
    dram = run.counts.dram
    reads = [dram[name].read_bytes for name in ("ifmap", "filter", "ofmap")]
    assert dram["ifmap"].write_bytes == dram["filter"].write_bytes == 0
    return reads[0], reads[1], reads[2], dram["ofmap"].write_bytes


def fixed_case(seed: int) -> tuple[Layer, ArchConfig, Problem, Tiling, Walk, bool]:
    """A small layer, an accelerator, and a tiling for both, legal or not."""
    rnd = Random(seed)
    case = draw_case(rnd)
    layer = case.layer
    mac = rnd.choice([*MACS])
    activation, weight = MACS[mac]
    bits = Bits(activation, weight, get_mac(mac).accumulator_bits, activation)
    if rnd.random() < 0.3:
        layer = replace(layer, post_operations=(PostOperation("add", layer.m * layer.n),))
        bits = replace(bits, residual=bits.result)
    arch = load_arch(case.arch, {"array.mac": mac})
    product = is_product(layer) and (layer.convolution is None or rnd.random() < 0.5)
    problem = problem_of(layer, arch, product=product, bits=bits)
    tiling = draw_tiling(problem, rnd)
    return layer, arch, problem, tiling, walk(problem, tiling), product


@pytest.mark.parametrize("first", range(0, 600, 50))
def test_a_fixed_tiling_moves_what_a_walk_through_its_loops_moves(first: int) -> None:
    """Element by element, in codes of whole bytes or not; what does not fit, or cannot be, is refused."""
    played = 0
    for seed in range(first, first + 50):
        layer, arch, problem, tiling, walked, product = fixed_case(seed)
        legal = is_possible(problem, tiling, walked) and 0 not in slots_of(problem, walked)
        fixed = with_tiling(arch, tiling, blocks=not product)
        if not legal:
            with pytest.raises(UserError):
                simulate(layer, fixed)
            continue
        played += 1
        run = simulate(layer, fixed)
        assert streams_of(run) == walked.traffic, f"seed {seed}: {tiling}"
        assert run.tiling.steps == len(walked.steps), f"seed {seed}: {tiling}"
        assert sum(streams_of(run)) >= unique_bytes(problem)
        sizes = (tiling.images, tiling.rows, tiling.columns, tiling.n, tiling.k, tiling.groups)
        assert tuple(run.tiling.blocking)[:6] == sizes
    assert played >= 10


@pytest.mark.parametrize("first", range(0, 100, 25))
def test_the_list_of_legal_tilings_is_what_the_walk_says(first: int) -> None:
    """Traffic, slots and legality of listed tilings, and that those not listed are not legal."""
    for seed in range(first, first + 25):
        rnd = Random(seed)
        case = draw_case(rnd)
        problem = problem_of(case.layer, case.arch, product=is_product(case.layer))
        legal = legal_tilings(problem, pace_of(case.arch))
        listed = {legal.tiling(row) for row in rnd.sample(range(len(legal.rows)), min(20, len(legal.rows)))}
        drawn = {draw_tiling(problem, rnd) for _ in range(20)}
        rows = {legal.tiling(row): row for row in range(len(legal.rows))}
        for tiling in listed | drawn:
            walked = walk(problem, tiling)
            possible = is_possible(problem, tiling, walked) and 0 not in slots_of(problem, walked)
            assert (tiling in rows) == possible, (seed, tiling)
            if possible:
                assert tuple(legal.slots[rows[tiling]]) == slots_of(problem, walked), (seed, tiling)
                assert tuple(legal.traffic[rows[tiling]]) == walked.traffic, (seed, tiling)


@pytest.mark.parametrize("seed", range(40))
def test_elements_of_a_block_are_rows_times_columns(seed: int) -> None:
    """The walk multiplies what it collects along either axis: the same as collecting pairs."""
    rnd = Random(seed)
    case = draw_case(rnd)
    while case.layer.convolution is None:
        case = draw_case(rnd)
    p = problem_of(case.layer, case.arch, product=False)
    r0, c0 = rnd.randrange(p.rows.outputs), rnd.randrange(p.columns.outputs)
    r1, c1 = rnd.randint(r0 + 1, p.rows.outputs), rnd.randint(c0 + 1, p.columns.outputs)
    pairs = set()
    for row in range(r0, r1):
        for column in range(c0, c1):
            top = row * p.rows.stride - p.rows.padding
            left = column * p.columns.stride - p.columns.padding
            for y in range(top, top + p.rows.dilation * p.rows.kernel, p.rows.dilation):
                for x in range(left, left + p.columns.dilation * p.columns.kernel, p.columns.dilation):
                    if 0 <= y < p.rows.inputs and 0 <= x < p.columns.inputs:
                        pairs.add((y, x))
    rows = touched(p.rows, r0, r1, 0, p.rows.kernel)
    columns = touched(p.columns, c0, c1, 0, p.columns.kernel)
    assert len(pairs) == len(rows) * len(columns)
    assert needed(p.rows) == touched(p.rows, 0, p.rows.outputs, 0, p.rows.kernel)
    first = rnd.randrange(p.k)
    window = window_of(p, first, rnd.randint(first + 1, p.k))
    assert 1 <= window.channels <= p.channels


# --- by hand


def test_a_convolution_that_fits_moves_only_what_it_must() -> None:
    layer = convolution_layer("c", Convolution(1, 8, 16, (10, 10), (3, 3), padding=(1, 1, 1, 1)))
    run = simulate(layer, bundled(tiling__objective="traffic"))
    assert streams_of(run) == (8 * 100, 8 * 16 * 9, 0, 16 * 100)


def test_blocks_of_rows_and_columns_fetch_their_halo() -> None:
    """16 x 16 pixels in blocks of 4 rows and 8 columns, kernel 3 x 3, one pixel of padding.

    Rows: 5 + 6 + 6 + 5 = 22 of 16. Columns: 9 + 9 = 18 of 16.
    """
    layer = convolution_layer("c", Convolution(1, 8, 16, (16, 16), (3, 3), padding=(1, 1, 1, 1)))
    arch = bundled(tiling__tile_rows=4, tiling__tile_columns=8, tiling__tile_n=16, tiling__tile_k=72)
    assert streams_of(simulate(layer, arch)) == (22 * 18 * 8, 8 * 16 * 9, 0, 16 * 256)


@pytest.mark.parametrize(
    ("tile_m", "block"),
    [
        (1, (1, 1, 1)),
        (5, (1, 1, 5)),
        (6, (1, 1, 6)),
        (11, (1, 1, 6)),
        (12, (1, 2, 6)),
        (23, (1, 3, 6)),
        (24, (1, 4, 6)),
        (47, (1, 4, 6)),
        (48, (2, 4, 6)),
        (100, (3, 4, 6)),
    ],
)
def test_tile_m_means_whole_images_else_whole_rows_else_part_of_a_row(
    tile_m: int, block: tuple[int, int, int]
) -> None:
    """Three images of 4 x 6 outputs."""
    layer = convolution_layer("c", Convolution(3, 4, 8, (4, 6), (3, 3), padding=(1, 1, 1, 1)))
    summary = simulate(layer, bundled(tiling__tile_m=tile_m)).tiling.summary()
    assert (summary["tile_images"], summary["tile_rows"], summary["tile_columns"]) == block
    assert summary["tile_m"] == block[0] * block[1] * block[2]


def test_a_channel_that_a_cut_goes_through_is_fetched_for_both_pieces() -> None:
    """4 channels, kernel 2 x 2: K is 16. Pieces of 6 take taps of channels 0-1, 1-2 and 3."""
    layer = convolution_layer("c", Convolution(1, 4, 4, (5, 5), (2, 2)))
    fixed = {"tile_m": 16, "tile_n": 4, "tile_k": 6, "whole_reduction": "neither"}
    arch = bundled(array__dataflow="ws", **{f"tiling__{name}": value for name, value in fixed.items()})
    assert streams_of(simulate(layer, arch))[0] == (2 + 2 + 1) * 25


def test_a_long_reduction_comes_in_pieces_while_the_sums_stay_in_the_array() -> None:
    layer = matrix_layer("l", "fc", m=4, n=8, k=1000)
    sizes = {"sram__ifmap__capacity_kib": 4, "sram__filter__capacity_kib": 1, "sram__ofmap__capacity_kib": 1}
    run = simulate(layer, bundled(**sizes))
    assert run.tiling.blocking.k < 1000
    assert streams_of(run) == (4000, 8000, 0, 32)


def test_partial_sums_that_leave_are_written_and_read_at_full_width() -> None:
    """10 x 12 outputs in 4 tiles, K outside in 3 pieces, so 2 times sums leave and return."""
    layer = matrix_layer("l", "fc", m=10, n=12, k=30)
    fixed = {"tile_m": 5, "tile_n": 6, "tile_k": 10, "loops": "mkn", "whole_reduction": "neither"}
    fields = {f"tiling__{name}": value for name, value in fixed.items()}
    run = simulate(layer, bundled(array__dataflow="ws", **fields))
    sums = 10 * 12 * 4
    assert streams_of(run) == (10 * 30, 2 * 12 * 30, 2 * sums, 2 * sums + 10 * 12)


@pytest.mark.parametrize(
    ("loops", "order"),
    [
        ("mkn", "ifmap_resident"),
        ("nkm", "filter_resident"),
        ("mnk", "ofmap_resident"),
        ("nmk", "ofmap_resident"),
    ],
)
def test_loops_are_named_by_the_operand_that_the_innermost_one_leaves_in_place(
    loops: str, order: str
) -> None:
    layer = matrix_layer("l", "fc", m=64, n=64, k=64)
    sizes = {"tile_m": 16, "tile_n": 16, "tile_k": 16, "whole_reduction": "neither"}
    fields = {f"tiling__{name}": value for name, value in sizes.items()}
    by_loops = simulate(layer, bundled(array__dataflow="ws", tiling__loops=loops, **fields)).tiling
    assert (by_loops.summary()["loops"], by_loops.summary()["loop_order"]) == (loops, order)
    by_order = simulate(layer, bundled(array__dataflow="ws", tiling__loop_order=order, **fields)).tiling
    assert by_order.summary()["loop_order"] == order
    assert by_order.cycles <= by_loops.cycles * 1.01 * 1.001


def test_the_reason_has_the_numbers() -> None:
    run = simulate(matrix_layer("l", "fc", m=64, n=64, k=64), bundled(sram__ifmap__capacity_kib=1))
    reason = run.tiling.reason
    assert f"{run.tiling.total_dram_bytes:,} bytes" in reason
    assert f"{run.tiling.cycles:,} cycles" in reason
    assert str(run.tiling.summary()["loop_order"]) in reason
    assert "would take" in reason


def test_equal_problems_have_equal_tilings() -> None:
    one, other = (simulate(matrix_layer(name, "fc", m=100, n=64, k=160), bundled()).tiling for name in "ab")
    assert one.summary() == other.summary()
    assert np.array_equal(one.totals, other.totals)


# --- refusals


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"sram.ifmap.capacity_kib": 3 / 1024, "tiling.tile_m": 4},
            "the ifmap buffer is too small for layer 'l'",
        ),
        ({"sram.filter.capacity_kib": 7 / 1024, "tiling.tile_n": 8}, "the filter buffer is too small"),
        (
            {"sram.ofmap.capacity_kib": 63 / 1024, "tiling.tile_m": 8, "tiling.tile_n": 8},
            "1 bytes are missing",
        ),
    ],
)
def test_a_buffer_too_small_for_the_smallest_tile_is_named(fields: dict[str, object], expected: str) -> None:
    with pytest.raises(UserError) as caught:
        simulate(matrix_layer("l", "fc", m=8, n=8, k=8), load_arch("int8_32x32", fields))
    assert expected in str(caught.value)
    assert "capacity_kib" in str(caught.value)


@pytest.mark.parametrize(
    "fixed",
    [
        {"tile_m": 33, "tile_n": 8, "tile_k": 4},
        {"tile_m": 8, "tile_n": 33, "tile_k": 4},
        {"tile_m": 8, "tile_n": 8, "tile_k": 4, "loop_order": "ifmap_resident"},
    ],
)
def test_a_fixed_tile_that_would_move_partial_sums_out_of_the_array_is_refused(
    fixed: dict[str, object],
) -> None:
    fields = {f"tiling.{name}": value for name, value in fixed.items()}
    with pytest.raises(UserError, match="partial sums stay in the PEs"):
        simulate(matrix_layer("l", "fc", m=64, n=64, k=8), load_arch("int8_32x32", fields))


def test_the_least_energy_needs_prices() -> None:
    with pytest.raises(UserError, match="not priced") as caught:
        simulate(matrix_layer("l", "fc", m=8, n=8, k=8), bundled(tiling__objective="energy"))
    assert "tiling.objective" in str(caught.value)


# --- choices that lost by much in version 0.1


@pytest.mark.parametrize(
    ("layer", "fixed"),
    [
        (matrix_layer("l", "fc", m=8, n=4096, k=9216), {"tiling.tile_k": 2304}),
        (matrix_layer("l", "fc", m=50 * 16, n=257, k=4608), {"tiling.tile_k": 2304}),
        (matrix_layer("l", "fc", m=50 * 16, n=257, k=4608), {"tiling.tile_n": 32, "tiling.tile_k": 256}),
    ],
)
@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
def test_what_a_user_fixes_is_not_better(layer: Layer, fixed: dict[str, object], dataflow: str) -> None:
    arch = bundled(array__dataflow=dataflow)
    cycles, moved = cost_of(simulate(layer, arch))
    others = cost_of(simulate(layer, load_arch(arch, fixed)))
    assert cycles <= others[0] * 1.01 * 1.001
    assert others[0] * 1.001 >= cycles or others[1] > moved


def small_buffers(rows: int, columns: int, ifmap: float, filters: float, ofmap: float) -> dict[str, object]:
    return {
        "array.dataflow": "is",
        "array.rows": rows,
        "array.columns": columns,
        "sram.ifmap.capacity_kib": ifmap,
        "sram.filter.capacity_kib": filters,
        "sram.ofmap.capacity_kib": ofmap,
    }


RESHAPED = [
    pytest.param(
        matrix_layer("l", "fc", m=784, n=512, k=256),
        small_buffers(32, 32, 256, 3, 3)
        | {"array.overlap": "full", "array.partial_folds": "trimmed"}
        | {"dram.bandwidth_gbyte_per_s": 0.5, "dram.latency_ns": 0},
        {"loops": "mnk", "tile_m": 160, "tile_n": 4, "tile_k": 128, "whole_reduction": "ifmap"},
        id="sums of 128 x 3 and of 160 x 4 in 3 KiB",
    ),
    pytest.param(
        matrix_layer("l", "fc", m=50, n=768, k=3072),
        small_buffers(1, 1, 33, 256, 7.5)
        | {"sram.ofmap.double_buffered": False, "tiling.objective": "traffic", "dram.latency_ns": 0},
        {"loops": "nkm", "tile_m": 6, "tile_n": 256, "tile_k": 1024, "single_buffered": ["ifmap"]},
        id="sums of 10 x 192 and of 6 x 256 in 7.5 KiB",
    ),
    pytest.param(
        matrix_layer("l", "fc", m=169, n=256, k=64),
        small_buffers(128, 128, 33, 7.5, 7.5) | {"array.overlap": "drain", "array.partial_folds": "trimmed"},
        {"loops": "mkn", "tile_m": 85, "tile_n": 44, "tile_k": 64},
        id="two runs of pixels with fewer channels, or three with more",
    ),
    pytest.param(
        matrix_layer("l", "fc", m=1, n=1000, k=544),
        small_buffers(64, 8, 1024, 7.5, 64)
        | {"array.overlap": "full", "array.partial_folds": "trimmed", "dram.latency_ns": 500},
        {"loops": "nkm", "tile_m": 1, "tile_n": 60, "tile_k": 64, "whole_reduction": "ifmap"},
        id="weights of 20 x 192 and of 60 x 64 in half of 7.5 KiB",
    ),
    pytest.param(
        matrix_layer("l", "fc", m=784, n=128, k=416),
        small_buffers(256, 4, 1024, 16, 256)
        | {"array.partial_folds": "trimmed", "dram.bandwidth_gbyte_per_s": 0.5, "dram.latency_ns": 0},
        {"loops": "mnk", "tile_m": 512, "tile_n": 128, "tile_k": 104},
        id="weights of 64 x 256 and of 128 x 104 in 16 KiB",
    ),
    pytest.param(
        convolution_layer("l", Convolution(1, 128, 128, (112, 112), (3, 3), padding=(1, 1, 1, 1))),
        small_buffers(16, 16, 3, 3, 256)
        | {"array.dataflow": "os", "array.overlap": "drain", "array.partial_folds": "trimmed"}
        | {"sram.ifmap.double_buffered": False, "sram.ofmap.double_buffered": False, "dram.latency_ns": 500},
        {"loops": "mnk", "tile_images": 1, "tile_rows": 4, "tile_columns": 4, "tile_n": 16, "tile_k": 171},
        id="16 and 19 channels in 3 KiB, both estimated 50 % too long",
    ),
]


@pytest.mark.parametrize(("layer", "fields", "other"), RESHAPED)
def test_a_tile_that_cannot_grow_takes_its_best_shape(
    layer: Layer, fields: dict[str, object], other: dict[str, object]
) -> None:
    """Of two tiles that fill a buffer the better one is found, although both sizes differ."""
    arch = load_arch("int8_32x32", fields)
    cycles, moved = cost_of(simulate(layer, arch))
    fixed = load_arch(arch, {f"tiling.{name}": value for name, value in other.items()})
    others = cost_of(simulate(layer, fixed))
    assert others[1] * 1.001 >= moved or others[0] > cycles
    assert others[0] * 1.001 >= cycles or others[1] > moved
    if arch.tiling.objective == "latency":
        assert cycles <= others[0] * 1.01 * 1.001
    else:
        assert moved <= others[1] * 1.001


@pytest.mark.parametrize(
    ("layer", "fields", "times"),
    [
        (
            matrix_layer("l", "fc", m=197, n=4096, k=4608),
            small_buffers(8, 8, 256, 256, 64)
            | {"array.partial_folds": "trimmed", "dram.bandwidth_gbyte_per_s": 1},
            2,
        ),
        (
            matrix_layer("l", "fc", m=1000, n=1000, k=4608),
            small_buffers(32, 32, 64, 64, 256)
            | {"array.dataflow": "ws", "array.partial_folds": "trimmed"}
            | {"dram.bandwidth_gbyte_per_s": 1, "dram.latency_ns": 300},
            3,
        ),
    ],
)
def test_rows_in_a_batch_cost_no_more_than_one_by_one(
    layer: Layer, fields: dict[str, object], times: int
) -> None:
    """Small memories: every tile fills its buffer, and a batch may take the same tiles."""
    arch = load_arch("int8_32x32", fields)
    once = cost_of(simulate(layer, arch))
    together = cost_of(simulate(matrix_layer("l", "fc", m=times * layer.m, n=layer.n, k=layer.k), arch))
    assert together[0] <= times * once[0] * 1.01 * 1.001


def test_the_least_traffic_fetches_weights_once() -> None:
    """vit_b32's second product of every block: 50 tokens of 3072 codes fill more than half of their buffer.

    They come once, so they may have all of it, and the 3072 x 768 weights pass by once.
    """
    network = load_network("vit_b32")
    runs = simulate_network(bundled(tiling__objective="traffic"), network).layers
    seconds = [run for run in runs if (run.layer.m, run.layer.k) == (50, 3072)]
    assert len(seconds) == 12
    assert {streams_of(run)[:2] for run in seconds} == {(50 * 3072, 3072 * 768)}


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
def test_keeping_results_on_chip_never_costs_more(dataflow: str) -> None:
    """Of random chains of products, kept only where that lowers the cycles of the whole."""
    for seed in range(30):
        rnd = Random(seed)
        sizes = [rnd.choice([4, 16, 33, 64, 200]) for _ in range(5)]
        m = rnd.choice([8, 50, 128])
        names = [f"l{i}" for i in range(4)]
        layers = tuple(
            matrix_layer(names[i], "fc", m=m, n=sizes[i + 1], k=sizes[i], inputs=tuple(names[i - 1 : i]))
            for i in range(4)
        )
        network = Network("n", layers)
        fields = {
            f"sram__{name}__capacity_kib": rnd.choice([2, 8, 64]) for name in ("ifmap", "filter", "ofmap")
        }
        arch = bundled(array__dataflow=dataflow, dram__bandwidth_gbyte_per_s=rnd.choice([1, 25.6]), **fields)
        away = simulate_network(arch, network)
        kept = simulate_network(load_arch(arch, {"tiling.keep_ofmap_on_chip": True}), network)
        assert kept.cycles <= away.cycles * 1.001, seed
