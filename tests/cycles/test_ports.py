"""Do narrow ports and a slow output path lengthen folds by what vector after vector takes?"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from simulator.arch import ArchConfig, load_arch
from simulator.array import ArrayTiming
from simulator.foundation import UserError
from simulator.numerics import get_mac, preset_names
from simulator.system import LayerRun
from simulator.workload.layer import Layer, PostOperation, matrix_layer
from tests.cycles.random_layers import draw_case
from tests.cycles.tiling_player import simulate
from tests.reference.ports import Ports, delays_of
from tests.reference.tiling import Bits, Step

ROOM = {f"sram.{name}.capacity_kib": 1024 for name in ("ifmap", "filter", "ofmap")}
MACS = ("int8", "int8 x int4", "fp16", "e3m2 x e2m1")


def steps_of(run: LayerRun) -> list[Step]:
    """The tiles that were played, in order."""
    return [
        Step(
            visit.tile.m,
            visit.tile.n,
            visit.tile.k,
            visit.tile.groups,
            visit.ifmap,
            visit.filter,
            visit.ofmap,
            bool(visit.tile.starts),
            bool(visit.tile.ends),
        )
        for visit in run.played.lowered.visits
    ]


@pytest.mark.parametrize("first", range(0, 400, 50))
def test_every_tile_is_late_by_what_its_vectors_take(first: int) -> None:
    late, layers = [0, 0], 0
    for seed in range(first, first + 50):
        rnd = Random(seed)
        case = draw_case(rnd)
        layer, name = case.layer, rnd.choice(MACS)
        if rnd.random() < 0.3:
            layer = replace(layer, post_operations=(PostOperation("add", layer.m * layer.n),))
        narrow = {
            f"sram.{buffer}.word_bits": rnd.choice([8, 16, 24, 64, 512]) for buffer in ("ifmap", "filter")
        }
        narrow |= {
            "sram.ofmap.word_bits": rnd.choice([8, 32, 64, 512]),
            **{f"sram.{buffer}.ports": rnd.choice([1, 2]) for buffer in ("ifmap", "filter", "ofmap")},
        }
        whole = layer.k if rnd.random() < 0.5 else rnd.randint(1, layer.k)
        tile = {
            "tiling.tile_m": rnd.randint(1, layer.m),
            "tiling.tile_n": rnd.randint(1, layer.n // layer.groups),
            "tiling.tile_k": whole,
        }
        values = rnd.choice([1, 2, None])
        arch = load_arch(
            case.arch, {**narrow, **tile, "output_path.values_per_cycle": values, "array.mac": name}
        )
        mac = get_mac(name)
        activation = mac.activation.bits
        bits = Bits(
            activation,
            mac.weight.bits,
            mac.accumulator_bits,
            activation,
            activation if layer.post_operations else 0,
        )
        sram = arch.sram
        ports = Ports(
            sram["ifmap"].word_bits * sram["ifmap"].ports,
            sram["filter"].word_bits * sram["filter"].ports,
            sram["ofmap"].word_bits * sram["ofmap"].ports,
            values or arch.array.columns,
        )
        try:
            run = simulate(layer, arch)
        except UserError:
            continue
        timing = ArrayTiming.of(arch.array, [mac.spec])
        for step, played in zip(steps_of(run), run.played.lowered.programme.steps, strict=True):
            expected = delays_of(timing, ports, bits, step, layer.k)
            assert (played.port_cycles, played.output_cycles) == expected, f"seed {seed}: {step}"
            late = [late[0] + expected[0], late[1] + expected[1]]
        layers += 1
    assert min(late) > 0
    assert layers >= 25  # the others have tiles that do not fit


def port_stalls(layer: Layer, arch: ArchConfig) -> int:
    return simulate(layer, arch).counts.cycles.stalls["sram_port"]


@pytest.mark.parametrize("dataflow", ["ws", "is"])
@pytest.mark.parametrize("mac", preset_names())
def test_words_that_a_file_leaves_out_never_make_a_fold_wait(dataflow: str, mac: str) -> None:
    """Reductions of one, two and three folds: sums written, read and written, read and finished."""
    arch = load_arch("int8_32x32", {"array.dataflow": dataflow, "array.mac": mac, **ROOM, "clock_mhz": 50})
    for k in (32, 64, 96, 70):
        assert port_stalls(matrix_layer("l", "fc", m=1024, n=1024, k=k), arch) == 0


@pytest.mark.parametrize(("dataflow", "streamed"), [("ws", 200), ("is", 96)])
@pytest.mark.parametrize("bits", [32, 64, 256, 1000])
def test_the_last_fold_of_a_reduction_takes_no_longer_than_one_in_the_middle(
    dataflow: str, streamed: int, bits: int
) -> None:
    """A tile of 200 x 96 on 32 x 32: port stalls of 2, 3 and 4 folds along K differ by those of middle folds.

    A middle fold reads 32 sums of 32 bits and writes as many for each of its vectors: 2,048 bits. The last
    one reads as many and writes 32 results of 8 bits: 1,280 bits. The first one writes 1,024.
    """
    arch = load_arch("int8_32x32", {"array.dataflow": dataflow, "sram.ofmap.word_bits": bits, **ROOM})
    whole = {"tiling.tile_m": 200, "tiling.tile_n": 96}
    stalls = {
        folds: port_stalls(
            matrix_layer("l", "fc", m=200, n=96, k=32 * folds),
            load_arch(arch, {**whole, "tiling.tile_k": 32 * folds}),
        )
        for folds in (1, 2, 3, 4)
    }
    across = {"ws": 3, "is": 7}[dataflow]
    first, middle, last = (-(-sums // bits) - 1 for sums in (1024, 2048, 1280))
    if dataflow == "ws":
        per_fold = streamed * across
        assert stalls[2] == per_fold * (first + last)
        assert stalls[3] - stalls[2] == stalls[4] - stalls[3] == per_fold * middle
    assert stalls[2] - stalls[1] <= stalls[3] - stalls[2] == stalls[4] - stalls[3]


def test_the_published_product_has_no_port_stalls() -> None:
    """M, N, K = 1024, 32, 64 with default buffers: the last fold took a third longer in version 0.1."""
    for dataflow in ("ws", "is"):
        arch = load_arch("int8_32x32", {"array.dataflow": dataflow})
        assert port_stalls(matrix_layer("l", "fc", m=1024, n=32, k=64), arch) == 0
