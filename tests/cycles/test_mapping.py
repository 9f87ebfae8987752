"""Does a run's mapping, written and read back, give the same result?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simulator.arch import ArchConfig
from simulator.foundation import UserError
from simulator.foundation.documents import dump_yaml
from simulator.simulation import configure
from simulator.system import MachineRun, simulate_network
from simulator.system.mapping import mapping_of
from simulator.workload import load_network


def figures(run: MachineRun) -> list[Any]:
    return [(layer.counts, layer.tiling.blocking, layer.tiling.slots) for layer in run.layers]


def written(run: MachineRun, folder: Path) -> Path:
    path = folder / "mapping.yaml"
    path.write_text(dump_yaml(mapping_of(run)))
    return path


CASES = [
    ("resnet18", {}),
    ("resnet18", {"array.dataflow": "ws", "array.overlap": "full", "tiling.keep_ofmap_on_chip": True}),
    ("mobilenet_v1", {"array.dataflow": "is", "tiling.objective": "traffic"}),
    ("vit_b32", {"tiling.keep_ofmap_on_chip": True}),
]


@pytest.mark.parametrize(("name", "fields"), CASES)
def test_reading_a_mapping_back_gives_the_same_run(name: str, fields: dict[str, Any], tmp_path: Path) -> None:
    network = load_network(name)
    free = simulate_network(configure("int8_32x32", fields), network)
    fixed = simulate_network(configure("int8_32x32", fields, mapping=written(free, tmp_path)), network)
    assert figures(fixed) == figures(free)


def arch_with(tmp_path: Path, text: str, fields: dict[str, Any] | None = None) -> ArchConfig:
    path = tmp_path / "m.yaml"
    path.write_text(text)
    return configure("int8_32x32", fields, mapping=path)


def test_layers_of_a_mapping_have_their_own_dataflow_and_tiling(tmp_path: Path) -> None:
    network = load_network("lenet5_fashion")
    layers = [layer.name for layer in network.layers]
    text = (
        f"layers:\n  {layers[0]}: {{dataflow: ws}}\n"
        f"  {layers[1]}: {{tiling: {{tile_rows: 2, tile_columns: 3}}}}\n"
    )
    mixed = simulate_network(arch_with(tmp_path, text), network)
    only = {
        dataflow: simulate_network(configure("int8_32x32", {"array.dataflow": dataflow}), network)
        for dataflow in ("os", "ws")
    }
    # The file leaves words out: they follow the array's own dataflow, two rows of 32 results of 8 bits.
    widths = {"sram.ofmap.word_bits": 512}
    as_ws = simulate_network(configure("int8_32x32", {"array.dataflow": "ws", **widths}), network)
    assert mixed.layers[0].counts.cycles == as_ws.layers[0].counts.cycles
    assert mixed.layers[0].counts.pe_cycles.shifting != only["os"].layers[0].counts.pe_cycles.shifting
    assert (mixed.layers[1].tiling.blocking.rows, mixed.layers[1].tiling.blocking.columns) == (2, 3)
    assert mixed.layers[2].counts == only["os"].layers[2].counts


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "layers: {conv1: {mac: int8}}",
            "layers.conv1: is no field of a mapping (got 'mac'); allowed: dataflow",
        ),
        ("layers: {conv1: {datflow: os}}", "did you mean 'dataflow'?"),
        ("layers: {conv1: {tiling: {tile_q: 3}}}", "layers.conv1.tiling.tile_q"),
        ("clock_mhz: 500", "must hold the section `layers` and nothing else"),
        ("layers: [conv1]", "must hold the section `layers` and nothing else"),
    ],
)
def test_a_wrong_mapping_is_told_by_file_and_field(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        arch_with(tmp_path, text)
    assert message in str(caught.value)
    assert "m.yaml" in str(caught.value)
