"""Is a memory that several tensors share what separate memories, and its own arithmetic, say it is?"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from random import Random
from typing import Any

import pytest

from simulator.arch import ArchConfig, load_arch
from simulator.arch.config import Objective
from simulator.foundation import UserError
from simulator.operands import OPERANDS
from simulator.system import LayerRun, simulate_network
from simulator.system.access_trace import layer_accesses
from simulator.system.addresses import Addresses
from simulator.system.nest_state import new_scratch
from simulator.system.tiling_needs import slots_of
from simulator.workload.batching import with_batch
from simulator.workload.layer import Layer, Network, matrix_layer
from tests.cycles.random_layers import Case, draw_case, draw_layer, draw_shared_case, turned
from tests.cycles.tiling_laws import violations
from tests.cycles.tiling_player import cost_of, simulate

ALL = ["ifmap", "filter", "ofmap"]


def apart_and_together(seed: int) -> tuple[Layer, ArchConfig, ArchConfig]:
    """A layer with three memories, and with one that has a share of each one's size and ports of its own."""
    rnd = Random(seed)
    case = draw_case(rnd)
    access = {
        "word_bits": rnd.choice([8, 16, 64, 512]),
        "ports": rnd.choice([1, 2]),
        "double_buffered": rnd.random() < 0.7,
    }
    sizes = {name: case.fields[f"sram.{name}.capacity_kib"] for name in OPERANDS}
    others = {field: value for field, value in case.fields.items() if not field.startswith("sram.")}
    others["tiling.objective"] = rnd.choice(["latency", "traffic"])
    apart = {name: {"capacity_kib": size, **access} for name, size in sizes.items()}
    together = {
        "holds": ALL,
        "capacity_kib": sum(sizes.values()),
        "shares_kib": sizes,
        "port_use": "own",
        **access,
    }
    separate = load_arch("int8_32x32", {**others, "sram": apart})
    return case.layer, separate, load_arch("int8_32x32", {**others, "sram": {"unified": together}})


def run_or_none(layer: Layer, arch: ArchConfig) -> LayerRun | None:
    try:
        return simulate(layer, arch)
    except UserError:
        return None


@pytest.mark.parametrize("first", range(0, 120, 40))
def test_shares_with_ports_of_their_own_are_separate_memories(first: int) -> None:
    """Every count is the same: cycles by cause, useful and moved bytes, tiling."""
    played = 0
    for seed in range(first, first + 40):
        layer, apart, together = apart_and_together(seed)
        separate, shared = run_or_none(layer, apart), run_or_none(layer, together)
        assert (separate is None) == (shared is None)
        if separate is None or shared is None:
            continue
        assert shared.counts == separate.counts
        assert shared.tiling.fixed() == separate.tiling.fixed()
        assert shared.tiling.totals.tolist() == separate.tiling.totals.tolist()
        played += 1
    assert played > 20


def test_results_stay_on_chip_in_a_share_as_in_a_separate_memory() -> None:
    """With ports of its own a share has halves, one for the result that stays, one for the next."""
    access = {"word_bits": 512, "double_buffered": True}
    sizes = {"ifmap": 8, "filter": 8, "ofmap": 64}
    apart = {name: {"capacity_kib": size, **access} for name, size in sizes.items()}
    together = {"holds": ALL, "capacity_kib": 80, "shares_kib": sizes, "port_use": "own", **access}
    keep = {"tiling.keep_ofmap_on_chip": True, "tiling.objective": "traffic"}
    machines = [load_arch("int8_32x32", {**keep, "sram": sram}) for sram in (apart, {"unified": together})]
    network = Network(
        "n",
        (
            matrix_layer("a", "fc", m=200, n=96, k=64),
            matrix_layer("b", "fc", m=200, n=48, k=96, inputs=("a",)),
            matrix_layer("c", "fc", m=200, n=32, k=48, inputs=("b",)),
        ),
    )
    separate, shared = (simulate_network(arch, network) for arch in machines)
    assert [layer.counts for layer in shared.layers] == [layer.counts for layer in separate.layers]
    assert shared.layers[1].counts.dram["ifmap"].read_bytes == 0  # it stayed


def rows_of(run: LayerRun) -> list[tuple[Any, ...]]:
    return [
        (part.kinds[kind], *numbers)
        for part in layer_accesses(run)
        for kind, *numbers in zip(
            part.chunk.kinds.tolist(),
            part.chunk.accesses.cycles.tolist(),
            part.chunk.accesses.addresses.tolist(),
            part.chunk.accesses.bytes.tolist(),
            part.chunk.accesses.moved.tolist(),
            strict=True,
        )
    ]


def test_shares_lie_one_behind_the_other() -> None:
    """Every access is the one of a separate memory, as many bytes further on as the shares before it have."""
    traced = 0
    for seed in range(30):
        layer, apart, together = apart_and_together(seed)
        separate, shared = run_or_none(layer, apart), run_or_none(layer, together)
        if separate is None or shared is None:
            continue
        sizes = [apart.sram[name].capacity_bytes for name in OPERANDS]
        first = {name: sum(sizes[:number]) for number, name in enumerate(OPERANDS)}
        expected = [
            (kind, cycle, address + (first[kind.operand] if kind.memory == "sram" else 0), *sizes)
            for kind, cycle, address, *sizes in rows_of(separate)
        ]
        assert rows_of(shared) == expected
        traced += 1
    assert traced > 15


@pytest.mark.parametrize("first", range(0, 90, 30))
def test_tiles_of_a_freely_split_memory_lie_apart_and_inside_it(first: int) -> None:
    """No byte belongs to the tiles of two tensors, every access lies in its tensor's room."""
    seen = 0
    for seed in range(first, first + 30):
        case = draw_shared_case(Random(seed))
        run = run_or_none(case.layer, case.arch)
        if run is None:
            continue
        rooms = Addresses.of(run).rooms
        memories = case.arch.sram.by_operand()
        taken: dict[tuple[str, int], str] = {}
        for name in OPERANDS:
            room, memory = rooms[name], memories[name]
            assert 0 <= room.first <= room.first + room.bytes <= memory.config.capacity_bytes
            for byte in range(room.first, room.first + room.bytes):
                assert taken.setdefault((memory.name, byte), name) == name
        for kind, _, address, _, _ in rows_of(run):
            if kind.memory == "sram":
                room = rooms[kind.operand]
                assert room.first <= address < room.first + room.bytes
        seen += any(memory.is_split_freely for memory in memories.values())
    assert seen > 5


@pytest.mark.parametrize("first", range(0, 80, 20))
def test_random_layers_obey_every_law_with_a_shared_memory(first: int) -> None:
    """No legal tiling is better, batches and larger memories cost no more, no byte is missing.

    Ports are wide, as in the laws of separate memories: estimates leave narrow ones out.
    """
    objectives: tuple[Objective, ...] = ("latency", "latency", "traffic", "energy")
    found = []
    for seed in range(first, first + 20):
        rnd = Random(seed)
        case, objective = draw_shared_case(rnd), rnd.choice(objectives)
        case.fields["sram"]["shared"] |= {"word_bits": 512, "ports": 8}
        broken = violations(case, objective, rnd)
        found += [f"seed {seed}, {objective}: {line}\n    {case.layer}\n    {case.fields}" for line in broken]
    assert not found, f"{len(found)} violations\n" + "\n".join(found[:5])


def test_the_same_problem_in_another_form_costs_the_same() -> None:
    """Height and width swapped, tensors renamed, a batch of matrix rows as one longer matrix."""
    tried = 0
    for seed in range(60):
        rnd = Random(seed)
        case = draw_shared_case(rnd)
        run = run_or_none(case.layer, case.arch)
        if run is None:
            continue
        assert simulate(replace(case.layer, name="other"), case.arch).counts == run.counts
        c = case.layer.convolution
        if c is not None:
            assert cost_of(simulate(turned(case.layer), case.arch)) == cost_of(run)
            tried += 1
        elif case.layer.groups == 1:
            batched = with_batch(Network("n", (case.layer,)), 3).layers[0]
            longer = matrix_layer("l", "fc", m=3 * case.layer.m, n=case.layer.n, k=case.layer.k)
            assert cost_of(simulate(batched, case.arch)) == cost_of(simulate(longer, case.arch))
            tried += 1
    assert tried > 20


def test_the_name_of_a_memory_changes_nothing_but_names() -> None:
    for seed in range(20):
        case = draw_shared_case(Random(seed))
        sections = dict(case.fields["sram"])
        sections["scratchpad"] = sections.pop("shared")
        renamed = Case(case.layer, {**case.fields, "sram": sections})
        one, other = run_or_none(case.layer, case.arch), run_or_none(renamed.layer, renamed.arch)
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert one.counts == other.counts


@pytest.mark.parametrize("objective", ["traffic", "latency"])
def test_a_free_split_is_never_worse_than_any_shares(objective: Objective) -> None:
    """Every split of 12 parts among three tensors, on small layers; free is one choice per layer."""
    better = 0
    for seed in range(12):
        rnd = Random(1000 + seed)
        layer, capacity_kib = draw_layer(rnd), rnd.choice([3 / 16, 3 / 8, 3 / 4])
        memory = {
            "holds": ALL,
            "capacity_kib": capacity_kib,
            "port_use": "own",
            "double_buffered": rnd.random() < 0.7,
        }
        fields = {
            "array.rows": 3,
            "array.columns": 4,
            "array.dataflow": rnd.choice(["os", "ws", "is"]),
            "dram.bandwidth_gbyte_per_s": 0.5,
            "dram.burst_bytes": 4,
            "tiling.objective": objective,
        }
        free = run_or_none(layer, load_arch("int8_32x32", {**fields, "sram": {"unified": memory}}))
        costs = []
        for ifmap, filters in product(range(1, 11), repeat=2):
            if ifmap + filters > 11:
                continue
            parts = (ifmap, filters, 12 - ifmap - filters)
            shares = {name: capacity_kib * part / 12 for name, part in zip(ALL, parts, strict=True)}
            sram = {"unified": {**memory, "shares_kib": shares}}
            run = run_or_none(layer, load_arch("int8_32x32", {**fields, "sram": sram}))
            if run is not None:
                costs.append(cost_of(run))
        if not costs:
            continue
        assert free is not None
        cycles, moved = cost_of(free)
        if objective == "traffic":
            assert moved <= min(each[1] for each in costs), seed
        else:
            # The least traffic within 1 % of the fewest cycles is taken.
            assert cycles <= 1.01 * min(each[0] for each in costs), seed
        better += any(each[1] > moved for each in costs)
    assert better > 2


def test_second_tiles_are_given_up_from_the_results_on() -> None:
    """Tiles of 4 x 4 x 8 of 16 x 16 x 8: 32 bytes of inputs, 32 of weights, 16 of results.

    Two of each are 160 bytes. In 144 bytes one tile of results is left, in 112 one of the filter too, in 80
    one of each; 79 bytes are too few.
    """
    layer = matrix_layer("l", "fc", m=16, n=16, k=8)
    tile = {"tiling.tile_m": 4, "tiling.tile_n": 4, "tiling.tile_k": 8, "tiling.loops": "mnk"}
    for room, slots in {160: (2, 2, 2), 144: (2, 2, 1), 112: (2, 1, 1), 80: (1, 1, 1)}.items():
        memory = {"holds": ALL, "capacity_kib": room / 1024}
        played = simulate(layer, load_arch("int8_32x32", {**tile, "sram": {"unified": memory}})).played
        blocking = played.tiling.blocking._replace(single=0)
        assert tuple(slots_of(played.work, blocking, played.limits, new_scratch().needs)) == slots, room
    memory = {"holds": ALL, "capacity_kib": 79 / 1024}
    with pytest.raises(UserError) as caught:
        simulate(layer, load_arch("int8_32x32", {**tile, "sram": {"unified": memory}}))
    assert str(caught.value).startswith(
        "sram.unified.capacity_kib: the unified memory is too small for layer 'l': its smallest tile "
        "(4 x 4 x 8 of m x n x k) needs 80 bytes (32 of ifmap, 32 of filter, 16 of ofmap), it holds 79; "
        "1 bytes are missing"
    )
