"""Does one SRAM for all tensors work from a file to every output, at the prices of its rows?"""

from __future__ import annotations

import json
from math import sqrt
from pathlib import Path
from typing import Any

import pytest

from simulator.arch import ArchConfig, load_arch
from simulator.foundation import UserError
from simulator.result import Result, load_result, priced
from simulator.simulation import simulate
from simulator.workload.layer import Network, matrix_layer
from tests.command import run

Capture = pytest.CaptureFixture[str]

NETWORK = Network("n", (matrix_layer("l", "fc", m=32, n=32, k=64),))
"""One fold on 32 x 32 PEs: 64 words of 256 bits at either edge, 32 words of results."""

READ_PJ = 0.00096926 * 256 + sqrt(768) * (0.33806 + 0.004905 * 256) + 0.00044224 * 768**0.75 * 256
WRITE_PJ = (
    0.059116
    + 0.0059699 * 768**0.25 * 256
    + sqrt(768) * (0.16029 + 0.006457 * 256)
    + 0.0057811 * 768**0.75
    + 1.8931e-05 * 768 * 256
)
"""A word of 256 bits in 768 KiB: the terms of the rows of `sram_28nm`, docs/sram.md."""


def leakage_mw(kib: float) -> float:
    """Of a macro with words of 256 bits."""
    return 0.0029733 * sqrt(kib) * 16 + 0.12079 * sqrt(kib * sqrt(kib)) / 4 + 0.33796 * kib / 256


def area_um2(kib: float) -> float:
    """Of a macro with words of 256 bits."""
    return 9.6685 * 256 + 1483.4 * kib


def component_pj(result: Result, component: str) -> float:
    return priced(result.totals.energy_by_component_pj[component])


@pytest.fixture(scope="module")
def result() -> Result:
    return simulate(NETWORK, "int8_32x32_unified")


def test_energy_is_words_by_the_rows_of_its_whole_capacity(result: Result) -> None:
    """160 words are read, 64 + 64 by the array and 32 for the DRAM, and as many written, the other way."""
    assert component_pj(result, "sram_unified") == pytest.approx(160 * (READ_PJ + WRITE_PJ), rel=1e-5)
    assert not {"sram_ifmap", "sram_filter", "sram_ofmap"} & set(result.totals.energy_by_component_pj)


def test_area_and_leakage_are_those_of_a_bank_for_every_port(result: Result) -> None:
    """Two ports: two macros of 384 KiB. A cycle is 2 ns."""
    assert priced(result.area_um2["sram_unified"]) == pytest.approx(2 * area_um2(384), rel=1e-9)
    leaked_pj = 2 * leakage_mw(384) * result.totals.cycles * 2
    assert component_pj(result, "leakage_sram") == pytest.approx(leaked_pj, rel=1e-5)


def test_ports_of_their_own_are_banks_of_their_own() -> None:
    """One port for each of three tensors: three macros of 256 KiB, as large as three buffers of as much."""
    own = simulate(
        NETWORK, "int8_32x32_unified", overrides={"sram.unified.ports": 1, "sram.unified.port_use": "own"}
    )
    assert priced(own.area_um2["sram_unified"]) == pytest.approx(3 * area_um2(256), rel=1e-9)


def test_wires_are_as_long_as_the_shared_memory_is_far(result: Result) -> None:
    """2,048 bytes of each operand and 1,024 of results, 82 fJ a bit and millimetre."""
    array, memory = (priced(result.area_um2[part]) for part in ("pe_array", "sram_unified"))
    distance_mm = (sqrt(array) + sqrt(memory)) / 2 / 1000
    assert component_pj(result, "wires") == pytest.approx(5120 * 8 * 0.082 * distance_mm, rel=1e-5)


def test_bytes_stay_told_by_tensor(result: Result) -> None:
    moved = result.layers[0].sram_bytes
    assert (moved.ifmap.read, moved.filter.read, moved.ofmap.read) == (2048, 2048, 1024)
    assert (moved.ifmap.write, moved.filter.write, moved.ofmap.write) == (2048, 2048, 1024)


def test_every_tensor_has_its_line(result: Result) -> None:
    names = {line.unit_price: line.count for line in result.layers[0].formation}
    for operand, read in (("ifmap", 2048), ("filter", 2048), ("ofmap", 1024)):
        assert names[f"sram_unified {operand}: bytes of words read"] == read
    assert names["leakage_sram: nanoseconds"] == result.totals.cycles * 2


def test_the_least_energy_is_searched_with_its_prices() -> None:
    """Two layers that differ in what is worth keeping; no objective costs less energy than `energy`."""
    network = Network(
        "n",
        (
            matrix_layer("wide", "fc", m=2000, n=100, k=700),
            matrix_layer("deep", "fc", m=100, n=2000, k=700),
        ),
    )
    small = {"sram.unified.capacity_kib": 96}
    energies = {
        objective: priced(
            simulate(
                network, "int8_32x32_unified", overrides={**small, "tiling.objective": objective}
            ).totals.energy_pj
        )
        for objective in ("energy", "latency", "traffic")
    }
    assert energies["energy"] <= 1.0005 * min(energies.values())


def test_every_output_has_it(tmp_path: Path, capsys: Capture) -> None:
    outcome = run(
        capsys, "simulate", "lenet5_fashion", "--arch", "int8_32x32_unified", "--out", tmp_path
    ).must_succeed()
    assert "SRAM unified" in outcome.stdout
    assert "SRAM ifmap" not in outcome.stdout
    (file,) = tmp_path.glob("*.json")
    page = tmp_path / "page.html"
    run(capsys, "report", file, "-o", page).must_succeed()
    assert "SRAM unified" in page.read_text()
    section = json.loads(file.read_text())["arch"]["sram"]
    assert list(section) == ["unified"]
    assert section["unified"]["holds"] == ["ifmap", "filter", "ofmap"]
    kept = load_result(file)
    assert kept.totals.cycles == simulate("lenet5_fashion", "int8_32x32_unified").totals.cycles
    assert run(capsys, "reproduce", file).must_succeed().stderr == ""


def test_separate_memories_are_told_as_they_were() -> None:
    """A file that shares nothing has no new fields in its results: those of before keep their hashes."""
    section = load_arch("int8_32x32").model_dump(mode="json")["sram"]
    fields = {"capacity_kib", "word_bits", "macro_word_bits", "ports", "double_buffered"}
    assert {name: set(memory) for name, memory in section.items()} == dict.fromkeys(
        ("ifmap", "filter", "ofmap"), fields
    )


TWO = {"holds": ["ifmap", "filter"]}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"sram": {"ifmpa": {}}}, ["sram.ifmpa: holds no tensor", "did you mean 'ifmap'?"]),
        ({"sram": {"a": TWO, "ifmap": {}}}, ["sram.ifmap: ifmap is in sram.a as well"]),
        ({"sram": {"a": TWO, "b": TWO}}, ["sram.b.holds: ifmap is in sram.a as well", "'ifmap, filter'"]),
        ({"sram": {"a": {"holds": ["fliter"]}}}, ["sram.a.holds.0", "'fliter'"]),
        ({"sram": {"a": {"holds": ["ofmap", "ofmap"]}}}, ["sram.a.holds: names a tensor twice"]),
        ({"sram": {"ifmap": {"holds": ["filter"]}}}, ["sram.ifmap.holds: a memory called ifmap must hold"]),
        ({"sram": {"A b": TWO}}, ["sram: is no name of a memory", "'A b'"]),
        (
            {"sram": {"a": {**TWO, "capacity_kbi": 3}}},
            ["sram.a.capacity_kbi", "mean 'capacity_kib'?"],
        ),
        (
            {"sram": {"a": {**TWO, "shares_kib": {"ifmap": 9}}}},
            ["sram.a.shares_kib: lacks a tensor"],
        ),
        (
            {"sram": {"a": {**TWO, "shares_kib": {"ifmap": 9, "filter": 9, "ofmap": 9}}}},
            ["sram.a.shares_kib: gives a share to a tensor of another one", "ofmap"],
        ),
        (
            {"sram": {"a": {**TWO, "capacity_kib": 9, "shares_kib": {"ifmap": 5, "filter": 5}}}},
            ["sram.a.shares_kib: shares are 10 KiB together", "at most 9 KiB"],
        ),
        (
            {"sram": {"a": TWO}, "array.overlap": "full"},
            ["array.overlap: ifmap and filter take turns"],
        ),
        (
            {"sram": {"a": {"holds": ["filter", "ofmap"]}}, "tiling.keep_ofmap_on_chip": True},
            ["tiling.keep_ofmap_on_chip: results that stay on chip need a part of sram.a"],
        ),
        (
            {
                "sram": {"a": {"holds": ["filter", "ofmap"], "port_use": "own"}},
                "layers": {"l": {"tiling": {"keep_ofmap_on_chip": True}}},
            },
            ["layers.l.tiling.keep_ofmap_on_chip: results that stay"],
        ),
    ],
)
def test_what_cannot_be_is_told_with_its_field(fields: dict[str, Any], told: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        load_arch("int8_32x32", fields)
    for part in told:
        assert part in str(caught.value)


def test_a_tensor_without_a_section_has_a_memory_of_its_own() -> None:
    arch = ArchConfig.model_validate({"sram": {"a": TWO}})
    assert [(memory.name, memory.holds) for memory in arch.sram.memories] == [
        ("a", ("ifmap", "filter")),
        ("ofmap", ("ofmap",)),
    ]
    assert arch.sram["ofmap"].capacity_kib == 256
