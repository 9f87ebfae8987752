"""Do narrow ports and a slow output path lengthen folds by what vector after vector takes?"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from simulator.arch import ArchConfig, load_arch
from simulator.array import ArrayTiming
from simulator.foundation import UserError
from simulator.numerics import get_mac, preset_names
from simulator.operands import Operand
from simulator.system import LayerRun
from simulator.workload.layer import Layer, PostOperation, matrix_layer
from tests.cycles.random_layers import draw_case, draw_shared_case
from tests.cycles.tiling_player import simulate
from tests.reference.ports import Port, Ports, delays_of
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


def ports_of(arch: ArchConfig) -> Ports:
    def port(operand: Operand) -> Port:
        memory = arch.sram.of(operand)
        config = memory.config
        name = memory.name if config.port_use == "shared" else f"{memory.name} of {operand}"
        return Port(name, config.word_bits, config.ports)

    values = arch.output_path.values_per_cycle or arch.array.columns
    return Ports(port("ifmap"), port("filter"), port("ofmap"), values)


def delays_as_expected(layer: Layer, arch: ArchConfig, seed: int) -> tuple[int, int] | None:
    """Delays of all tiles, by ports and output path, held to those of the reference; None: does not fit."""
    mac = get_mac(str(arch.array.mac))
    activation = mac.activation.bits
    bits = Bits(
        activation,
        mac.weight.bits,
        mac.accumulator_bits,
        activation,
        activation if layer.post_operations else 0,
    )
    try:
        run = simulate(layer, arch)
    except UserError:
        return None
    timing, ports = ArrayTiming.of(arch.array, [mac.spec]), ports_of(arch)
    port, path = 0, 0
    for step, played in zip(steps_of(run), run.played.lowered.programme.steps, strict=True):
        expected = delays_of(timing, ports, bits, step, layer.k)
        assert (played.port_cycles, played.output_cycles) == expected, f"seed {seed}: {step}"
        port, path = port + expected[0], path + expected[1]
    return port, path


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
        if (found := delays_as_expected(layer, arch, seed)) is None:
            continue
        late = [late[0] + found[0], late[1] + found[1]]
        layers += 1
    assert min(late) > 0
    assert layers >= 25  # the others have tiles that do not fit


@pytest.mark.parametrize("first", range(0, 400, 50))
def test_tensors_that_share_ports_take_turns(first: int) -> None:
    """Random memories for two or three tensors, with ports in turns and of their own."""
    late, in_turns, layers = 0, 0, 0
    for seed in range(first, first + 50):
        rnd = Random(seed)
        case = draw_shared_case(rnd)
        layer, name = case.layer, rnd.choice(MACS)
        if rnd.random() < 0.3:
            layer = replace(layer, post_operations=(PostOperation("add", layer.m * layer.n),))
        fields = {
            "tiling.tile_m": rnd.randint(1, layer.m),
            "tiling.tile_n": rnd.randint(1, layer.n // layer.groups),
            "output_path.values_per_cycle": rnd.choice([1, 2, None]),
            "array.mac": name,
        }
        for memory in case.arch.sram.memories:
            if memory.name != "shared":
                fields[f"sram.{memory.name}.word_bits"] = rnd.choice([8, 16, 64, 512])
                fields[f"sram.{memory.name}.ports"] = rnd.choice([1, 2])
        arch = load_arch(case.arch, fields)
        found = delays_as_expected(layer, arch, seed)
        if found is not None:
            late += found[0]
            in_turns += found[0] if arch.sram["shared"].port_use == "shared" else 0
            layers += 1
    assert late > in_turns > 0
    assert layers >= 20  # the others have tiles that do not fit


@pytest.mark.parametrize(
    ("dataflow", "ports", "stalls"),
    [
        # 64 steps of 32 codes at either edge: two words of 256 bits a step.
        ("os", 1, 64),
        ("os", 2, 0),
        # Two folds of 32 vectors. A vector is a word of codes. The first fold writes four words of sums
        # beside it; the second one reads as many and writes a word of results: five words, then six.
        ("ws", 1, 32 * (5 - 1) + 32 * (6 - 1)),
        ("ws", 3, 32 * (2 - 1) + 32 * (2 - 1)),
        ("ws", 6, 0),
    ],
)
def test_one_memory_for_all_tensors_moves_words_in_turns(dataflow: str, ports: int, stalls: int) -> None:
    """A product of 32 x 32 x 64 on 32 x 32 PEs, one tile."""
    unified = {"holds": ["ifmap", "filter", "ofmap"], "capacity_kib": 768, "word_bits": 256, "ports": ports}
    arch = load_arch("int8_32x32", {"sram": {"unified": unified}, "array.dataflow": dataflow})
    assert port_stalls(matrix_layer("l", "fc", m=32, n=32, k=64), arch) == stalls


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
