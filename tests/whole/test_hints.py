"""The hint of a dominating cause: exact shares, the right field, and silence where nothing dominates."""

from __future__ import annotations

import pytest

from simulator.report.hints import hint
from simulator.result import Result
from simulator.result_layer import OperandBytes, OperandTraffic
from tests.report_fixtures import make_result


def with_causes(causes: dict[str, int], **arch: object) -> Result:
    result = make_result(layers=1)
    totals = result.totals.model_copy(update={"cycles": sum(causes.values()), "cycles_by_cause": causes})
    return result.model_copy(update={"totals": totals, "arch": {**result.arch, **arch}})


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        ("dram", "wait for the DRAM channel: raise dram.bandwidth_gbyte_per_s"),
        (
            "ifmap",
            "wait for ifmap tiles from DRAM: raise dram.bandwidth_gbyte_per_s or sram.ifmap.capacity_kib",
        ),
        (
            "filter",
            "wait for filter tiles from DRAM: raise dram.bandwidth_gbyte_per_s or sram.filter.capacity_kib",
        ),
        (
            "ofmap_space",
            "wait for a place in the ofmap buffer:"
            " raise sram.ofmap.capacity_kib or dram.bandwidth_gbyte_per_s",
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
    "causes", [{"compute": 501, "dram": 499}, {"compute": 1000}, {"dram": 400, "fill": 600 - 200}]
)
def test_nothing_is_said_where_no_cause_takes_half(causes: dict[str, int]) -> None:
    causes = {"compute": 200, **causes} if "compute" not in causes else causes
    assert hint(with_causes(causes)) == ""


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
