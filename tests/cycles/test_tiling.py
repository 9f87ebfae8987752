"""Is the outer tiling the one with the least traffic, and does it move the bytes it says?"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import permutations, product
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulator.system.tiling_problem import LOOP_NESTS, Dimension, TilingProblem

from simulator.arch.config import TilingConfig
from simulator.foundation import UserError
from simulator.system.footprint import Spans, StorageBits, compulsory_ifmap_bytes, input_rows
from simulator.system.tiling import Tiling, choose_tiling
from simulator.workload.layer import Convolution, Layer, convolution_layer, matrix_layer
from tests.reference.tiling import bytes_of, touched_rows, traffic_of_products, traffic_with_partial_sums

BITS = StorageBits(8, 8, 32)


def problem_of(
    layer: Layer, capacity: tuple[int, int, int], *, fold: int = 4, bits: StorageBits = BITS
) -> TilingProblem:
    return TilingProblem(
        layer=layer,
        dataflow="os",
        bits=bits,
        fold={"m": fold, "n": fold, "k": 1},
        fold_overhead_cycles=3 * fold - 2,
        tile_bytes=dict(zip(("ifmap", "filter", "ofmap"), capacity, strict=True)),
        stored_bytes=bytes_of(layer.m * layer.n, bits.activation),
        loaded_bytes=0,
        dram_bytes_per_cycle=Fraction(16),
        dram_latency_cycles=10,
    )


def choose(layer: Layer, capacity: tuple[int, int, int], **fixed: object) -> Tiling:
    return choose_tiling(problem_of(layer, capacity), TilingConfig.model_validate(fixed))


sizes = st.integers(1, 40)


@settings(max_examples=150, deadline=None)
@given(sizes, sizes, sizes, st.integers(4, 900), st.integers(4, 900), st.integers(16, 900))
def test_no_tiling_of_whole_folds_moves_less(
    m: int, n: int, k: int, ifmap: int, filters: int, ofmap: int
) -> None:
    layer, fold = matrix_layer("l", "fc", m=m, n=n, k=k), 4
    best: int | None = None
    for tile_m in {min(m, size) for size in range(fold, m + fold, fold)}:
        for tile_n in {min(n, size) for size in range(fold, n + fold, fold)}:
            if tile_m * k > ifmap or tile_n * k > filters or tile_m * tile_n > ofmap:
                continue
            for loops in ("mkn", "nkm"):
                moved = traffic_of_products(
                    {"m": m, "n": n, "k": k},
                    {"m": tile_m, "n": tile_n, "k": k},
                    loops,
                    groups=1,
                    activation_bits=8,
                    weight_bits=8,
                )
                best = min(sum(moved), best if best is not None else sum(moved))
    if best is not None:
        chosen = choose(layer, (ifmap, filters, ofmap))
        assert chosen.k == k
        assert chosen.dram_bytes["ifmap"] + chosen.dram_bytes["filter"] == best
        assert chosen.dram_bytes["ofmap"] == m * n


@settings(max_examples=150, deadline=None)
@given(
    st.tuples(sizes, sizes, sizes),
    st.tuples(sizes, sizes, sizes),
    st.integers(1, 4),
    st.sampled_from([3, 4, 8, 12]),
    st.sampled_from(["ifmap_resident", "filter_resident"]),
)
def test_fixed_tilings_move_what_a_walk_through_their_loops_moves(
    lengths: tuple[int, int, int],
    tiles: tuple[int, int, int],
    groups: int,
    weight_bits: int,
    order: str,
) -> None:
    m, n, k = lengths
    layer = matrix_layer("l", "matmul", m=m, n=n, k=k, products=groups)
    bits = StorageBits(8, weight_bits, 32)
    fixed = TilingConfig.model_validate(
        {"loop_order": order, "tile_m": tiles[0], "tile_n": tiles[1], "tile_k": k}
    )
    chosen = choose_tiling(problem_of(layer, (10**6, 10**6, 10**6), bits=bits), fixed)
    if chosen.groups > 1:
        assert (tiles[0] >= m, tiles[1] >= n) == (True, True)
        return
    moved = traffic_of_products(
        {"m": m, "n": n, "k": k},
        {"m": chosen.m, "n": chosen.n, "k": chosen.k},
        LOOP_NESTS[order][0],  # type: ignore[index]
        groups=groups,
        activation_bits=8,
        weight_bits=weight_bits,
    )
    assert (chosen.m, chosen.n) == (min(m, tiles[0]), min(n, tiles[1]))
    assert (chosen.dram_bytes["ifmap"], chosen.dram_bytes["filter"]) == moved


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["ws", "is"]),
    st.integers(1, 16),
    st.integers(1, 24),
    st.integers(1, 24),
    st.tuples(st.integers(4, 400), st.integers(4, 400), st.integers(16, 900)),
)
def test_no_tiling_with_travelling_partial_sums_moves_less(
    dataflow: Literal["ws", "is"], streamed: int, standing: int, k: int, capacity: tuple[int, int, int]
) -> None:
    """Every loop order, every residency, every multiple of a fold, walked step by step."""
    m, n = (streamed, standing) if dataflow == "ws" else (standing, streamed)
    layer, lengths = matrix_layer("l", "fc", m=m, n=n, k=k), {"m": m, "n": n, "k": k}
    fold: dict[Dimension, int] = {"m": 1, "n": 4, "k": 4} if dataflow == "ws" else {"m": 4, "n": 1, "k": 4}
    problem = replace(problem_of(layer, capacity), dataflow=dataflow, fold=fold, fold_overhead_cycles=0)
    stored = {"activation": 8, "weight": 8, "accumulator": 32}
    result_bits = 32 if k > 4 else 8
    multiples = ({min(lengths[d], s) for s in range(fold[d], lengths[d] + fold[d], fold[d])} for d in fold)
    best: int | None = None
    for tile_m, tile_n, tile_k in product(*multiples):
        if bytes_of(tile_m * tile_n, result_bits) > capacity[2]:
            continue
        for whole_k in ("none", "ifmap", "filter"):
            ifmap_k = k if whole_k == "ifmap" else tile_k
            filter_k = k if whole_k == "filter" else tile_k
            if tile_m * ifmap_k > capacity[0] or tile_n * filter_k > capacity[1]:
                continue
            tiles = {"m": tile_m, "n": tile_n, "k": tile_k}
            for loops in permutations("mnk"):
                moved = traffic_with_partial_sums(lengths, tiles, loops, whole_k=whole_k, bits=stored)
                best = min(sum(moved.values()), best if best is not None else sum(moved.values()))
    if best is None:
        with pytest.raises(UserError, match="too small"):
            choose_tiling(problem, TilingConfig())
    else:
        chosen = choose_tiling(problem, TilingConfig())
        walked = traffic_with_partial_sums(
            lengths,
            {"m": chosen.m, "n": chosen.n, "k": chosen.k},
            chosen.loops,
            whole_k=chosen.whole_k or "none",
            bits=stored,
        )
        assert dict(chosen.dram_bytes) == walked
        assert chosen.total_dram_bytes == best


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_tile_of_output_pixels_fetches_the_rows_it_reads(data: st.DataObject) -> None:
    size, kernel, stride = (data.draw(st.integers(*bounds)) for bounds in ((3, 12), (1, 3), (1, 3)))
    padding, batch = data.draw(st.integers(0, kernel - 1)), data.draw(st.integers(1, 3))
    convolution = Convolution(
        batch, 2, 3, (size, size), (kernel, kernel), stride=(stride, stride), padding=(padding,) * 4
    )
    height, width = convolution.ofmap
    pixels = batch * height * width
    tile = data.draw(st.integers(1, pixels))
    rows = input_rows(convolution, Spans.of(pixels, tile))
    for begin, counted in zip(range(0, pixels, tile), rows.tolist(), strict=True):
        expected = touched_rows(
            range(begin, min(pixels, begin + tile)),
            height=size,
            out_width=width,
            out_height=height,
            kernel=kernel,
            stride=stride,
            padding=padding,
        )
        assert counted == len(expected)


def test_a_convolution_that_fits_moves_only_what_it_must() -> None:
    layer = convolution_layer("c", Convolution(1, 8, 16, (10, 10), (3, 3), padding=(1, 1, 1, 1)))
    chosen = choose(layer, (10**5, 10**5, 10**5))
    assert chosen.dram_bytes == {"ifmap": 8 * 100, "filter": 8 * 16 * 9, "ofmap": 16 * 100}
    assert compulsory_ifmap_bytes(layer, 8) == 8 * 100


def test_a_convolution_cut_in_row_blocks_fetches_its_halo_again() -> None:
    layer = convolution_layer("c", Convolution(1, 8, 16, (16, 16), (3, 3), padding=(1, 1, 1, 1)))
    chosen = choose(
        layer, (10**5, 10**5, 10**5), tile_m=64, tile_n=16, tile_k=72, loop_order="ifmap_resident"
    )
    # Four blocks of four output rows: five input rows at the two edges, six in the middle.
    assert chosen.dram_bytes["ifmap"] == (5 + 6 + 6 + 5) * 16 * 8


def test_a_long_reduction_comes_in_pieces_while_the_sums_stay_in_the_array() -> None:
    layer = matrix_layer("l", "fc", m=4, n=8, k=1000)
    chosen = choose(layer, (4000, 500, 100))
    assert (chosen.m, chosen.n, chosen.whole_k) == (4, 4, "ifmap")
    assert chosen.k * chosen.n <= 500
    assert chosen.dram_bytes == {"ifmap": 4000, "filter": 8000, "ofmap": 32}


def test_the_reason_has_the_numbers() -> None:
    chosen = choose(matrix_layer("l", "fc", m=16, n=64, k=16), (64, 10**4, 10**4))
    assert f"{chosen.total_dram_bytes:,} bytes" in chosen.reason
    assert chosen.loop_order in chosen.reason
    assert "would move" in chosen.reason


def test_equal_problems_have_equal_tilings() -> None:
    layer = matrix_layer("l", "fc", m=100, n=64, k=16)
    assert choose(layer, (640, 640, 640)) == choose(layer, (640, 640, 640))


@pytest.mark.parametrize(
    ("capacity", "expected"),
    [
        (
            (3, 900, 900),
            "the ifmap buffer is too small for layer 'l': its smallest tile (4 x 4 x 1 of m x n x k)",
        ),
        ((900, 3, 900), "the filter buffer is too small"),
        ((900, 900, 15), "needs 16 bytes, one tile may take 15; 1 bytes are missing"),
    ],
)
def test_a_buffer_too_small_for_one_tile_is_named(capacity: tuple[int, int, int], expected: str) -> None:
    with pytest.raises(UserError) as caught:
        choose(matrix_layer("l", "fc", m=8, n=8, k=8), capacity)
    assert expected in str(caught.value)


def test_a_fixed_tile_that_would_move_partial_sums_out_of_the_array_is_refused() -> None:
    with pytest.raises(UserError, match="partial sums stay in the PEs"):
        choose(matrix_layer("l", "fc", m=8, n=8, k=8), (900, 900, 900), tile_m=8, tile_n=8, tile_k=4)


def test_every_pixel_is_in_one_tile() -> None:
    spans = Spans.of(103, 20)
    assert np.array_equal(spans.starts[1:], spans.stops[:-1])
    assert (spans.starts[0], spans.stops[-1], len(spans)) == (0, 103, 6)
