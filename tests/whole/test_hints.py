"""The hint of a dominating cause: exact shares, the right field, and silence where nothing dominates."""

from __future__ import annotations

import pytest

from simulator.report.hints import hint
from simulator.result import Result
from simulator.result_layer import OperandBytes, OperandTraffic
from simulator.simulation import simulate
from simulator.workload import Network
from simulator.workload.layer import matrix_layer
from tests.report_fixtures import make_result


def with_causes(causes: dict[str, int], **arch: object) -> Result:
    result = make_result(layers=1)
    totals = result.totals.model_copy(update={"cycles": sum(causes.values()), "cycles_by_cause": causes})
    return result.model_copy(update={"totals": totals, "arch": {**result.arch, **arch}})


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (
            "dram",
            "wait for the DRAM channel: raise dram.bandwidth_gbyte_per_s or sram capacities (larger tiles)",
        ),
        (
            "ifmap",
            "wait for ifmap tiles from DRAM:"
            " raise dram.bandwidth_gbyte_per_s or sram.ifmap.capacity_kib (larger tiles)",
        ),
        (
            "filter",
            "wait for filter tiles from DRAM:"
            " raise dram.bandwidth_gbyte_per_s or sram.filter.capacity_kib (larger tiles)",
        ),
        (
            "ofmap_space",
            "wait for a place in the ofmap buffer:"
            " raise dram.bandwidth_gbyte_per_s or sram.ofmap.capacity_kib (larger tiles)",
        ),
        ("output_path", "wait for the output path: raise output_path.values_per_cycle"),
    ],
)
@pytest.mark.parametrize(("cycles", "percent"), [(500, 50), (920, 92), (1000, 100)])
def test_a_cause_of_half_the_cycles_or_more_is_told_with_its_share(
    cause: str, said: str, cycles: int, percent: int
) -> None:
    assert (
        hint(with_causes({"compute": 1000 - cycles, cause: cycles, "fill": 0}))
        == f"{percent} % of cycles {said}"
    )


@pytest.mark.parametrize(
    "causes",
    [
        {"compute": 501, "dram": 499},
        {"compute": 1000},
        {"compute": 501, "dram": 200, "fill": 150, "drain": 149},
    ],
)
def test_nothing_is_said_where_computation_takes_more_than_half(causes: dict[str, int]) -> None:
    assert hint(with_causes(causes)) == ""


@pytest.mark.parametrize(
    ("causes", "said"),
    [
        (
            {"compute": 200, "dram": 400, "fill": 390, "drain": 10},
            "40 % of cycles wait for the DRAM channel, 39 % of cycles fill the array:"
            " raise dram.bandwidth_gbyte_per_s or sram capacities (larger tiles);"
            " let folds overlap (array.overlap=full)",
        ),
        (
            {"compute": 500, "output_path": 100, "fill": 190, "drain": 210},
            "21 % of cycles drain the array, 19 % of cycles fill the array:"
            " let folds overlap (array.overlap=full)",
        ),
    ],
)
def test_the_two_largest_are_told_where_only_all_together_take_half(
    causes: dict[str, int], said: str
) -> None:
    assert hint(with_causes(causes, array={"overlap": "none"})) == said


def test_folds_that_do_not_overlap_are_told_to() -> None:
    causes = {"compute": 100, "fill": 700, "drain": 200}
    alone = with_causes(causes, array={"overlap": "none"})
    assert hint(alone) == "70 % of cycles fill the array: let folds overlap (array.overlap=full)"
    overlapped = with_causes(causes, array={"overlap": "full"})
    assert hint(overlapped) == (
        "70 % of cycles fill the array: give it longer folds (a larger batch, fewer rows)"
    )


def waiting_for_ports(sram: dict[str, dict[str, object]], *, ofmap_bytes: int) -> Result:
    """920 of 1,000 cycles; 6,400 bytes of ifmap in words of 32 bytes are 200 words, the filter's 100."""
    result = with_causes({"compute": 80, "sram_port": 920}, sram=sram)
    traffic = OperandTraffic(
        ifmap=OperandBytes(moved_read=6400),
        filter=OperandBytes(moved_read=3200),
        ofmap=OperandBytes(moved_write=ofmap_bytes),
    )
    (layer,) = result.layers
    waits = layer.model_copy(update={"stalls": {"sram_port": 920}, "sram_bytes": traffic})
    return result.model_copy(update={"layers": [waits]})


THREE: dict[str, dict[str, object]] = {
    "ifmap": {"word_bits": 256},
    "filter": {"word_bits": 256},
    "ofmap": {"word_bits": 64},
}


@pytest.mark.parametrize(("ofmap_bytes", "port"), [(1608, "ofmap"), (1592, "ifmap")])
def test_the_port_that_moves_the_most_words_is_named(ofmap_bytes: int, port: str) -> None:
    found = hint(waiting_for_ports(THREE, ofmap_bytes=ofmap_bytes))  # 201 and 199 words of 8 bytes
    assert found == f"92 % of cycles wait for the {port} port: widen sram.{port}.word_bits"


def test_a_memory_for_all_tensors_has_its_own_name() -> None:
    one: dict[str, dict[str, object]] = {
        "unified": {"word_bits": 256, "holds": ["ifmap", "filter"]},
        "ofmap": {"word_bits": 64},
    }
    found = hint(waiting_for_ports(one, ofmap_bytes=8))
    assert found == "92 % of cycles wait for the ifmap port: widen sram.unified.word_bits"


def test_an_architecture_that_says_nothing_of_its_memories_gets_no_hint_of_ports() -> None:
    assert hint(waiting_for_ports({}, ofmap_bytes=8)) == ""


def test_waits_for_several_ports_are_told_apart() -> None:
    """The first layer moves most words through the ofmap port, the second through the ifmap's."""
    first = (
        waiting_for_ports(THREE, ofmap_bytes=1608).layers[0].model_copy(update={"stalls": {"sram_port": 490}})
    )
    second = (
        waiting_for_ports(THREE, ofmap_bytes=8).layers[0].model_copy(update={"stalls": {"sram_port": 430}})
    )
    both = with_causes({"compute": 80, "stall_sram_port": 920}, sram=THREE).model_copy(
        update={"layers": [first, second]}
    )
    assert hint(both) == (
        "49 % of cycles wait for the ofmap port, 43 % of cycles wait for the ifmap port:"
        " widen sram.ofmap.word_bits; widen sram.ifmap.word_bits"
    )


def waiting_for_tiles(
    *, ifmap_bytes: int, latency_ns: float, buffered: bool = True, shares: bool = False
) -> Result:
    """600 of 1,000 cycles; at 500 MHz a channel of 2 GB/s moves 4 bytes a cycle."""
    memory = {"double_buffered": buffered, "holds": ["ifmap", "filter"] if shares else ["ifmap"]}
    if shares:
        memory["shares_kib"] = {"ifmap": 8, "filter": 8}
    result = with_causes(
        {"compute": 400, "ifmap": 600},
        clock_mhz=500,
        dram={"bandwidth_gbyte_per_s": 2, "latency_ns": latency_ns},
        sram={"inputs": memory},
    )
    traffic = OperandTraffic(ifmap=OperandBytes(moved_read=ifmap_bytes), filter=OperandBytes(moved_read=9000))
    (layer,) = result.layers
    waits = layer.model_copy(update={"stalls": {"ifmap": 600}, "dram_bytes": traffic})
    return result.model_copy(update={"layers": [waits]})


WAITS = "60 % of cycles wait for ifmap tiles from DRAM: "
BANDWIDTH = "raise dram.bandwidth_gbyte_per_s or sram.inputs.capacity_kib (larger tiles)"


@pytest.mark.parametrize(
    ("ifmap_bytes", "latency_ns", "remedy"),
    [
        (1200, 100, "lower dram.latency_ns"),  # 300 cycles on the channel, 300 cycles beyond
        (1204, 100, BANDWIDTH),  # 301 and 299
        (1200, 0, BANDWIDTH),  # no latency to lower
    ],
)
def test_latency_and_bandwidth_have_remedies_of_their_own(
    ifmap_bytes: int, latency_ns: float, remedy: str
) -> None:
    assert hint(waiting_for_tiles(ifmap_bytes=ifmap_bytes, latency_ns=latency_ns)) == WAITS + remedy


def test_a_memory_without_double_buffering_is_told_of_it() -> None:
    alone = waiting_for_tiles(ifmap_bytes=4, latency_ns=100, buffered=False)
    assert hint(alone) == f"{WAITS}lower dram.latency_ns or set sram.inputs.double_buffered=true"
    slow = waiting_for_tiles(ifmap_bytes=2400, latency_ns=100, buffered=False)
    assert hint(slow) == f"{WAITS}{BANDWIDTH} or set sram.inputs.double_buffered=true"


def test_a_tensor_with_a_share_of_a_memory_is_told_of_its_share() -> None:
    shared = waiting_for_tiles(ifmap_bytes=2400, latency_ns=100, shares=True)
    assert hint(shared).endswith("or sram.inputs.shares_kib.ifmap (larger tiles)")


SMALL = {f"sram.{tensor}.capacity_kib": 4 for tensor in ("ifmap", "filter", "ofmap")}


@pytest.mark.parametrize(
    ("slow", "advised", "other"),
    [
        ({"dram.latency_ns": 10_000.0}, "dram.latency_ns", "dram.bandwidth_gbyte_per_s"),
        ({"dram.bandwidth_gbyte_per_s": 0.1}, "dram.bandwidth_gbyte_per_s", "dram.latency_ns"),
    ],
)
def test_what_is_advised_saves_almost_half_of_the_cycles_and_the_other_little(
    slow: dict[str, float], advised: str, other: str
) -> None:
    """Twice as good a DRAM in the field of the hint, and in the other one, on a machine that only waits."""
    network = Network("product", (matrix_layer("product", "matmul", m=64, n=256, k=512),))
    fields = {"dram.latency_ns": 60.0, "dram.bandwidth_gbyte_per_s": 25.6, **slow}
    better = {"dram.latency_ns": 0.5, "dram.bandwidth_gbyte_per_s": 2.0}

    def cycles_and_hint(field: str = "") -> tuple[int, str]:
        improved = {field: fields[field] * better[field]} if field else {}
        result = simulate(network, overrides={**SMALL, **fields, **improved})
        return result.totals.cycles, hint(result)

    cycles, said = cycles_and_hint()
    assert advised in said
    assert other not in said
    assert cycles_and_hint(advised)[0] < 0.55 * cycles
    assert cycles_and_hint(other)[0] > 0.98 * cycles
