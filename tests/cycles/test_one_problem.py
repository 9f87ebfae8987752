"""Does the machine give the same answer to the same problem, however it is written?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from random import Random

import pytest

from simulator.arch import ArchConfig, load_arch
from simulator.foundation import UserError
from simulator.system import simulate_network
from simulator.workload import load_network
from simulator.workload.layer import Convolution, Layer, Network, convolution_layer, matrix_layer
from tests.cycles.random_layers import arch_of, draw_convolution, draw_fields, draw_product, turned
from tests.cycles.tiling_player import cost_of, simulate

DATAFLOWS, OVERLAPS = ("os", "ws", "is"), ("none", "drain", "full")
ACCELERATORS = list(product(DATAFLOWS, OVERLAPS))


def bundled(dataflow: str = "os", overlap: str = "none", **fields: object) -> ArchConfig:
    fields = {name.replace("__", "."): value for name, value in fields.items()}
    return load_arch("int8_32x32", {"array.dataflow": dataflow, "array.overlap": overlap, **fields})


def apart(one: int, other: int) -> float:
    """Difference of two amounts as a part of the smaller one."""
    return abs(one - other) / min(one, other)


# --- one matrix product


def forms_of(m: int, n: int, k: int) -> Iterator[tuple[str, Layer]]:
    """One product as a GEMM, as images of one row and one column, as pixels of a square image, and as kernels
    that cover their whole input, of which there are M in a batch.
    """
    yield "GEMM", matrix_layer("l", "fc", m=m, n=n, k=k)
    yield "1 x W image", convolution_layer("l", Convolution(1, k, n, (1, m), (1, 1)))
    yield "W x 1 image", convolution_layer("l", Convolution(1, k, n, (m, 1), (1, 1)))
    side = next(side for side in range(int(m**0.5), 0, -1) if m % side == 0)
    yield "image", convolution_layer("l", Convolution(1, k, n, (side, m // side), (1, 1)))
    yield "batch", convolution_layer("l", Convolution(side, k, n, (1, m // side), (1, 1)))
    high = next(high for high in (7, 5, 4, 3, 2, 1) if k % high == 0)
    wide = next(wide for wide in (8, 6, 3, 1) if k // high % wide == 0)
    whole = Convolution(m, k // high // wide, n, (high, wide), (high, wide))
    yield "kernels as large as the image", convolution_layer("l", whole)
    pool = Convolution(1, k // high // wide, n, (high, wide * m), (high, wide), stride=(1, wide))
    yield "kernels side by side", convolution_layer("l", pool)
    subsampled = Convolution(1, k, n, (1, 3 * m), (1, 1), stride=(1, 3))
    yield "stride longer than the kernel", convolution_layer("l", subsampled)


PRODUCTS = [
    (1024, 256, 512),
    (3000, 384, 384),
    (1, 4096, 2048),
    (64, 33, 4608),
    (7, 9216, 64),
    (5124, 700, 2048),  # DeepBench
    (35, 8457, 2560),
]


@pytest.mark.parametrize(("m", "n", "k"), PRODUCTS)
@pytest.mark.parametrize(("dataflow", "overlap"), [("os", "none"), ("ws", "full"), ("is", "drain")])
def test_one_product_costs_the_same_in_every_form(
    m: int, n: int, k: int, dataflow: str, overlap: str
) -> None:
    arch = bundled(dataflow, overlap)
    cycles, moved = cost_of(simulate(matrix_layer("l", "fc", m=m, n=n, k=k), arch))
    for form, layer in forms_of(m, n, k):
        assert (layer.m, layer.n, layer.k) == (m, n, k)
        others = cost_of(simulate(layer, arch))
        assert apart(cycles, others[0]) <= 0.02, f"{form}: {others} for {cycles, moved}"
        assert apart(moved, others[1]) <= 0.02, f"{form}: {others} for {cycles, moved}"


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_small_products_cost_the_same_in_every_form(first: int) -> None:
    for seed in range(first, first + 50):
        rnd = Random(seed)
        layer = replace(draw_product(rnd), groups=1)
        layer = matrix_layer("l", "fc", m=layer.m, n=layer.n, k=layer.k)
        arch = arch_of(draw_fields(rnd))
        expected = cost_of(simulate(layer, arch))
        for form, other in forms_of(layer.m, layer.n, layer.k):
            assert cost_of(simulate(other, arch)) == expected, f"seed {seed}, {form}"


# --- height and width


IMAGES = {
    "a wide image": Convolution(1, 16, 32, (60, 500), (3, 3), padding=(1, 1, 1, 1)),
    "an oblong kernel": Convolution(1, 32, 64, (35, 70), (7, 1), padding=(3, 0, 3, 0)),
    "strides of its own": Convolution(2, 24, 48, (57, 113), (3, 5), stride=(1, 2), padding=(1, 2, 1, 2)),
    "dilated": Convolution(1, 8, 40, (40, 90), (3, 3), padding=(2, 1, 2, 1), dilation=(2, 1)),
    "padded on one side": Convolution(1, 12, 20, (30, 80), (4, 2), padding=(3, 0, 0, 1)),
    "depthwise": Convolution(1, 96, 96, (28, 112), (3, 3), padding=(1, 1, 1, 1), groups=96),
    "grouped": Convolution(1, 64, 64, (14, 56), (3, 3), padding=(1, 1, 1, 1), groups=8),
    "a spectrogram": Convolution(1, 1, 32, (80, 3000), (3, 3), stride=(1, 2), padding=(1, 1, 1, 1)),
}


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize(("dataflow", "overlap"), ACCELERATORS)
def test_height_and_width_are_alike(name: str, dataflow: str, overlap: str) -> None:
    layer = convolution_layer("l", IMAGES[name])
    arch = bundled(dataflow, overlap, sram__ifmap__capacity_kib=64, sram__ofmap__capacity_kib=64)
    one, other = (cost_of(simulate(form, arch)) for form in (layer, turned(layer)))
    assert apart(one[0], other[0]) <= 0.05, (one, other)
    assert apart(one[1], other[1]) <= 0.05, (one, other)


@pytest.mark.parametrize("first", range(0, 400, 50))
def test_height_and_width_of_small_images_are_alike(first: int) -> None:
    for seed in range(first, first + 50):
        rnd = Random(seed)
        layer = draw_convolution(rnd)
        while layer.convolution is None:
            layer = draw_convolution(rnd)
        arch = arch_of(draw_fields(rnd))
        one, other = (cost_of(simulate(form, arch)) for form in (layer, turned(layer)))
        assert apart(one[0], other[0]) <= 0.05, (seed, one, other)
        assert apart(one[1], other[1]) <= 0.05, (seed, one, other)


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_columns_first_is_rows_first_of_the_turned_image(first: int) -> None:
    """Every count and every step, not only the costs; also where sums depend on their order."""
    for seed in range(first, first + 50):
        rnd = Random(seed)
        layer = draw_convolution(rnd)
        while layer.convolution is None:
            layer = draw_convolution(rnd)
        arch = arch_of({**draw_fields(rnd), "tiling.tile_n": rnd.choice([None, 1, 3])})
        by_columns = simulate(layer, load_arch(arch, {"tiling.image_order": "columns"}))
        by_rows = simulate(turned(layer), load_arch(arch, {"tiling.image_order": "rows"}))
        assert by_columns.counts == by_rows.counts, seed
        assert by_columns.played.lowered.programme == by_rows.played.lowered.programme, seed


def test_the_better_order_of_the_image_is_taken() -> None:
    better = {"rows": 0, "columns": 0}
    for seed in range(120):
        rnd = Random(seed)
        layer = draw_convolution(rnd)
        arch = load_arch(arch_of(draw_fields(rnd)), {"tiling.objective": "traffic"})
        for form in (layer, turned(layer)) if layer.convolution else ():
            moved = {
                order: cost_of(simulate(form, load_arch(arch, {"tiling.image_order": order})))[1]
                for order in ("auto", "rows", "columns")
            }
            assert moved["auto"] == min(moved["rows"], moved["columns"]), seed
            if moved["rows"] != moved["columns"]:
                better[min("rows", "columns", key=moved.__getitem__)] += 1
    assert better["rows"] == better["columns"] > 0, better  # every image has its turned one


def test_sums_that_depend_on_their_order_keep_it() -> None:
    layer = convolution_layer("l", IMAGES["a wide image"])
    arch = load_arch("fp16_32x32")
    assert simulate(layer, arch).tiling.fixed()["image_order"] == "rows"
    with pytest.raises(UserError, match="layer 'l' has a MAC whose sums depend on their order"):
        simulate(layer, load_arch(arch, {"tiling.image_order": "columns"}))
    one_tap = convolution_layer("l", Convolution(1, 16, 32, (6, 50), (1, 1), padding=(1, 1, 1, 1)))
    fixed = simulate(one_tap, load_arch(arch, {"tiling.image_order": "columns"})).tiling.fixed()
    assert fixed["image_order"] == "columns"


@pytest.mark.parametrize("taps", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_a_convolution_in_one_dimension_may_lie_along_either_axis(
    taps: int, stride: int, dataflow: str
) -> None:
    """The first layers of a speech model: 384 channels, 3,000 steps in time."""
    pad = taps // 2
    along = Convolution(1, 384, 384, (1, 3000), (1, taps), stride=(1, stride), padding=(0, pad, 0, pad))
    layer = convolution_layer("l", along)
    one, other = (cost_of(simulate(form, bundled(dataflow))) for form in (layer, turned(layer)))
    assert apart(one[0], other[0]) <= 0.02
    assert apart(one[1], other[1]) <= 0.02


@pytest.mark.parametrize(("height", "width"), [(1080, 2048), (2048, 1080)])
@pytest.mark.parametrize(("dataflow", "overlap"), ACCELERATORS)
def test_a_large_image_is_fetched_about_once(height: int, width: int, dataflow: str, overlap: str) -> None:
    """Blocks of rows and columns: little more than the image covers their halo.

    Partial sums of `ws` and `is` take 128 bytes a pixel, so half of the ofmap buffer holds 1,024 pixels: the
    halo of 32 x 32 of them is (34 / 32)^2 = 1.13.
    """
    convolution = Convolution(1, 32, 32, (height, width), (3, 3), padding=(1, 1, 1, 1))
    run = simulate(convolution_layer("l", convolution), bundled(dataflow, overlap))
    image = 1080 * 2048 * 32
    assert image == 70_778_880
    assert image <= run.counts.dram["ifmap"].read_bytes <= (1.1 if dataflow == "os" else 1.13) * image


# --- groups and names


@pytest.mark.parametrize(("dataflow", "overlap"), ACCELERATORS)
def test_groups_cost_no_more_than_a_layer_each(dataflow: str, overlap: str) -> None:
    """Four groups in one layer spare what three layers wait for at their beginning and end, and no more.

    A layer begins with empty buffers: it waits for its first tiles, then for its last results. In the 22,000
    cycles and more of a group that is little.
    """
    whole = Convolution(1, 64, 256, (28, 28), (3, 3), padding=(1, 1, 1, 1), groups=4)
    part = replace(whole, channels=16, filters=64, groups=1)
    arch = bundled(dataflow, overlap)
    together = cost_of(simulate(convolution_layer("l", whole), arch))
    parts = Network("n", tuple(convolution_layer(f"l{i}", part) for i in range(4)))
    runs = simulate_network(arch, parts).layers
    cycles, moved = (sum(cost_of(run)[i] for run in runs) for i in (0, 1))
    assert together[1] <= moved * 1.001
    assert 0.8 * cycles <= together[0] <= cycles * 1.01


def test_names_change_nothing() -> None:
    network = load_network("mobilenet_v2")
    names = {layer.name: f"other {number}" for number, layer in enumerate(network.layers)}
    layers = tuple(
        replace(
            layer,
            name=names[layer.name],
            inputs=tuple(names[name] for name in layer.inputs),
            post_operations=tuple(
                replace(post, inputs=tuple(names[name] for name in post.inputs))
                for post in layer.post_operations
            ),
        )
        for layer in network.layers
    )
    renamed = replace(network, name="other", layers=layers)
    arch = bundled("ws", "full", tiling__keep_ofmap_on_chip=True)
    for one, other in zip(
        simulate_network(arch, network).layers, simulate_network(arch, renamed).layers, strict=True
    ):
        assert one.counts == other.counts
        assert one.tiling.summary() == other.tiling.summary()
        assert (one.start_cycle, one.end_cycle) == (other.start_cycle, other.end_cycle)
