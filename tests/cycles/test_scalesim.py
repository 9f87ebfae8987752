"""Do SCALE-Sim's users find their cycles and their configuration files again?"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from simulator.arch import load_arch
from simulator.arch.scalesim_cfg import scalesim_overrides
from simulator.foundation import UserError
from simulator.system import simulate_network
from simulator.workload.load import load_network
from tests.golden import golden_file

EXAMPLE = """[general]
run_name = my_run

[architecture_presets]
ArrayHeight:    16
ArrayWidth:     8
IfmapSramSzkB:    64
FilterSramSzkB:   128
OfmapSramSzkB:    32
IfmapOffset:    0
Bandwidth : 10
Dataflow : ws
MemoryBanks:   1

[sparsity]
SparsitySupport : false

[run_presets]
InterfaceBandwidth: USER
"""


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
@pytest.mark.parametrize("network", ["alexnet", "resnet18"])
def test_every_layer_has_the_compute_cycles_of_scalesim(network: str, dataflow: str) -> None:
    topology = golden_file(f"scalesim/{network}.csv")
    published = list(
        csv.DictReader(golden_file(f"scalesim/{network}_{dataflow}.csv").read_text().splitlines())
    )
    arch = load_arch("int8_32x32", {"array.dataflow": dataflow, "array.timing": "scalesim"})
    run = simulate_network(arch, load_network(topology))
    assert len(run.layers) == len(published) > 0
    for layer, row in zip(run.layers, published, strict=True):
        assert layer.counts.cycles.total == int(row["compute_cycles"]), layer.layer.name
        assert layer.counts.cycles.stall == 0
        assert layer.layer.macs == int(row["macs"])


def test_a_configuration_file_becomes_overrides(tmp_path: Path) -> None:
    path = tmp_path / "mine.cfg"
    path.write_text(EXAMPLE)
    arch = load_arch("int8_32x32", scalesim_overrides(path, clock_mhz=500))
    assert (arch.array.rows, arch.array.columns, arch.array.dataflow) == (16, 8, "ws")
    assert arch.array.timing == "scalesim"
    assert [getattr(arch.sram, name).capacity_kib for name in ("ifmap", "filter", "ofmap")] == [64, 128, 32]
    assert arch.dram.bandwidth_gbyte_per_s == 5.0  # 10 one-byte words a cycle at 500 MHz
    assert arch.name == "my_run"


def test_calculated_bandwidth_leaves_the_architecture_its_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.cfg"
    path.write_text(EXAMPLE.replace("USER", "CALC"))
    assert "dram.bandwidth_gbyte_per_s" not in scalesim_overrides(path)


def test_keys_left_out_stay_as_the_architecture_has_them(tmp_path: Path) -> None:
    path = tmp_path / "short.cfg"
    path.write_text("[architecture_presets]\narrayheight: 4\n")
    assert scalesim_overrides(path) == {"array.timing": "scalesim", "array.rows": 4}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("Dataflow : ws", "Dataflow : wss"), "did you mean 'ws'?"),
        (("ArrayHeight:", "ArrayHight:"), "did you mean 'ArrayHeight'?"),
        (
            ("ArrayWidth:     8", "ArrayWidth:     0"),
            "architecture_presets.ArrayWidth: must be a whole number",
        ),
        (("IfmapSramSzkB:    64", "IfmapSramSzkB:    many"), "(got 'many')"),
        (("SparsitySupport : false", "SparsitySupport : true"), "sparsity is not modelled"),
        (("USER", "USR"), "did you mean 'USER'?"),
        (
            ("[general]\nrun_name = my_run\n\n[architecture_presets]\n", ""),
            "is not a SCALE-Sim configuration",
        ),
    ],
)
def test_mistakes_in_a_configuration_file_are_told(
    tmp_path: Path, change: tuple[str, str], expected: str
) -> None:
    path = tmp_path / "wrong.cfg"
    assert change[0] in EXAMPLE
    path.write_text(EXAMPLE.replace(*change))
    with pytest.raises(UserError) as caught:
        scalesim_overrides(path)
    assert expected in str(caught.value)
    assert str(path) in str(caught.value)
