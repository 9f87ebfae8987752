"""Block-scaled layers on the machine: scales are stored and moved, tiles hold whole blocks."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from simulator.arch import load_arch
from simulator.foundation import UserError
from simulator.numerics import get_mac
from simulator.system import MachineRun, simulate_network
from simulator.system.access_trace import layer_accesses
from simulator.workload.layer import Convolution, Layer, Network, convolution_layer, matrix_layer
from tests.cycles.small_machine import NETWORK


def run(*layers: Layer, mac: Any = "mxfp8_e4m3", **overrides: Any) -> MachineRun:
    fields = {name.replace("__", "."): value for name, value in overrides.items()}
    return simulate_network(load_arch("int8_32x32", {"array.mac": mac} | fields), Network("n", layers))


@pytest.mark.parametrize(
    ("mac", "bits"),
    [
        ("mxfp8_e4m3", (8.25, 8.25)),
        ("mxfp8_e5m2", (8.25, 8.25)),
        ("mxfp6_e3m2", (6.25, 6.25)),
        ("mxfp6_e2m3", (6.25, 6.25)),
        ("mxfp4", (4.25, 4.25)),
        ("mxint8", (8.25, 8.25)),
        ("nvfp4", (4.5, 4.5)),
        ("mxfp8_e4m3 x mxfp4", (8.25, 4.25)),
        ("int8", (8, 8)),
    ],
)
def test_an_element_takes_its_bits_and_a_share_of_the_scale(mac: str, bits: tuple[float, float]) -> None:
    assert tuple(map(float, get_mac(mac).stored_bits)) == bits


@pytest.mark.parametrize(
    ("mac", "ifmap", "weights", "results"),
    [
        # 12 x 96, 96 x 64 and 12 x 64 elements, each 33/4, 25/4, 17/4 or 9/2 bits.
        ("mxfp8_e4m3", 1188, 6336, 792),
        ("mxfp6_e2m3", 900, 4800, 600),
        ("mxfp4", 612, 3264, 408),
        ("nvfp4", 648, 3456, 432),
        ("mxfp8_e4m3 x mxfp4", 1188, 3264, 792),
        ({"activation": "int8", "weight": "int4", "blocks": {"scale": "fp16", "block": 48}}, 1200, 3328, 800),
    ],
)
def test_traffic_counts_the_scales(mac: Any, ifmap: int, weights: int, results: int) -> None:
    layer = matrix_layer("l", "fc", m=12, n=64, k=96)
    counts = run(layer, mac=mac, tiling__objective="traffic").layers[0].counts
    assert counts.dram["ifmap"].read_bytes == ifmap
    assert counts.dram["filter"].read_bytes == weights
    assert counts.dram["ofmap"].write_bytes == results
    assert counts.sram["ifmap"].write_bytes == ifmap
    assert counts.sram["filter"].write_bytes == weights


def test_zeros_fill_a_tail() -> None:
    """K = 40 takes what 64 takes: 12 x 64 elements of 33/4 bits; MACs are the layer's own."""
    tail, whole = (run(matrix_layer("l", "fc", m=12, n=64, k=k)) for k in (40, 64))
    counts, others = tail.layers[0].counts, whole.layers[0].counts
    assert counts.dram["ifmap"].read_bytes == others.dram["ifmap"].read_bytes == 12 * 64 * 33 // 32
    assert counts.dram["filter"].read_bytes == 64 * 64 * 33 // 32
    assert counts.cycles == others.cycles
    assert counts.macs == counts.pe_cycles.useful == 12 * 64 * 40
    assert counts.pe_cycles.idle - others.pe_cycles.idle == 12 * 64 * 24
    (warning,) = tail.warnings
    assert "zeros fill the last block, are stored and moved, and take cycles as elements do" in warning
    assert "most in l, 1.6 for each of its own" in warning
    assert whole.warnings == ()


def test_channels_of_each_group_are_padded_at_every_kernel_position() -> None:
    """6 channels in 2 groups, 5 x 5: 3 channels become 32 in each group, 9 taps each."""
    geometry = Convolution(1, 6, 4, (5, 5), (3, 3), groups=2)
    counts = run(convolution_layer("c", geometry)).layers[0].counts
    assert counts.dram["ifmap"].read_bytes == 2 * 32 * 25 * 33 // 32
    assert counts.dram["filter"].read_bytes == 4 * 32 * 9 * 33 // 32
    assert counts.macs == 9 * 4 * 27


def test_a_result_is_stored_as_its_reader_blocks_it() -> None:
    """40 results a row are read as 64, so that the writer stores 64 elements of 33/4 bits."""
    first = matrix_layer("a", "fc", m=12, n=40, k=64)
    second = matrix_layer("b", "fc", m=12, n=32, k=40, inputs=("a",))
    one, two = (each.counts for each in run(first, second, tiling__keep_ofmap_on_chip=False).layers)
    assert one.dram["ofmap"].write_bytes == two.dram["ifmap"].read_bytes == 12 * 64 * 33 // 32
    alone = run(first, tiling__objective="traffic").layers[0].counts
    assert alone.dram["ofmap"].write_bytes == 12 * 40 * 33 // 32


@pytest.mark.parametrize("kib", [3, 6, 12])
def test_tiles_hold_whole_blocks(kib: int) -> None:
    """Pieces of the reduction are whole kernels of whole blocks of channels: multiples of 32 x 9."""
    geometry = Convolution(1, 160, 8, (9, 9), (3, 3), padding=(1, 1, 1, 1))
    layer = convolution_layer("c", geometry)
    done = run(layer, sram__filter__capacity_kib=kib, sram__ifmap__capacity_kib=48).layers[0]
    length = done.tiling.blocking.k
    assert length % (32 * 9) == 0
    assert length <= 160 * 9


def test_a_fixed_piece_that_cuts_a_block_is_refused() -> None:
    layer = matrix_layer("l", "fc", m=8, n=8, k=128)
    with pytest.raises(UserError, match=r"cuts blocks of 32 elements in layer 'l'.*multiples of 32"):
        run(layer, tiling__tile_k=40)
    assert run(layer, tiling__tile_k=64).layers[0].tiling.blocking.k == 64
    assert run(layer, tiling__tile_k=200).layers[0].tiling.blocking.k == 128


@pytest.mark.parametrize("dataflow", ["ws", "is", "wst"])
def test_folds_hold_whole_blocks(dataflow: str) -> None:
    layer = matrix_layer("l", "fc", m=8, n=8, k=64)
    sides = {"array__rows": 16, "array__columns": 16, "array__dataflow": dataflow}
    with pytest.raises(UserError, match="adds blocks of 32 elements"):
        run(layer, mac="mxfp4", **sides)
    counts = run(layer, mac="nvfp4", **sides).layers[0].counts
    assert counts.dram["filter"].read_bytes == 8 * 64 * 9 // 16
    assert run(layer, mac="mxfp4", array__dataflow=dataflow).layers[0].counts.macs == 8 * 8 * 64


@pytest.mark.parametrize("mac", ["mxfp8_e4m3", "nvfp4", "mxfp6_e3m2"])
@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
def test_the_machine_step_by_step_agrees(mac: str, dataflow: str) -> None:
    """Residual additions, tails of blocks and several tiles: `times` compares itself with the counts."""
    fields = {"array.mac": mac, "array.dataflow": dataflow, "sram.ifmap.capacity_kib": 16}
    done = simulate_network(load_arch("int8_32x32", fields), NETWORK)
    for layer in done.layers:
        assert layer.played.times.end == layer.counts.cycles.total


@pytest.mark.parametrize(("rows", "size"), [(1, 52), (2, 104), (3, 156), (1000, 52000)])
def test_fractions_of_a_bit_are_exact(rows: int, size: int) -> None:
    """4-bit elements and 16-bit scales over 48: 96 elements are 48 bytes of codes and 4 of scales."""
    mac = {"activation": "int4", "weight": "int4", "blocks": {"scale": "fp16", "block": 48}}
    assert get_mac(mac).stored_bits == (Fraction(13, 3), Fraction(13, 3))
    counts = run(matrix_layer("l", "fc", m=rows, n=1, k=96), mac=mac).layers[0].counts
    assert counts.dram["ifmap"].read_bytes == size


def test_an_access_trace_is_refused() -> None:
    done = run(matrix_layer("l", "fc", m=8, n=8, k=64)).layers[0]
    with pytest.raises(UserError, match="an access trace does not know block scales"):
        list(layer_accesses(done))
