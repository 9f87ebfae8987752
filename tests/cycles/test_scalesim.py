"""Do SCALE-Sim's users find their cycles and their configuration files again?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from simulator.arch import ArchConfig, load_arch
from simulator.arch.scalesim_cfg import ScaleSimConfig, read_scalesim_cfg
from simulator.foundation import UserError
from simulator.simulation import configure, run_machine, simulate
from simulator.system import simulate_network
from simulator.workload import Network, load_network
from simulator.workload.layer import Convolution, convolution_layer, matrix_layer
from tests.command import run
from tests.reference.scalesim import reports, topology_csv

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
ReadRequestBuffer: 32

[sparsity]
SparsitySupport : false

[run_presets]
InterfaceBandwidth: USER
"""


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
@pytest.mark.parametrize("network", ["alexnet", "resnet18"])
def test_every_layer_has_the_compute_cycles_of_scalesim(network: str, dataflow: str, tmp_path: Path) -> None:
    topology = tmp_path / f"{network}.csv"
    topology.write_text(topology_csv(network), encoding="utf-8")
    published = reports(network, dataflow)
    arch = load_arch("int8_32x32", {"array.dataflow": dataflow, "array.timing": "scalesim"})
    run = simulate_network(arch, load_network(topology))
    assert len(run.layers) == len(published) > 0
    for layer, row in zip(run.layers, published, strict=True):
        assert layer.counts.cycles.total == row.compute_cycles, layer.layer.name
        assert layer.counts.cycles.stall == 0
        assert layer.layer.macs == row.macs


def config(text: str, folder: Path) -> ScaleSimConfig:
    path = folder / "mine.cfg"
    path.write_bytes(text.encode("utf-8"))
    return read_scalesim_cfg(path)


def architecture(text: str, folder: Path, overrides: Mapping[str, Any] | None = None) -> ArchConfig:
    return configure("int8_32x32", overrides, scalesim=config(text, folder))


def test_a_configuration_file_becomes_an_architecture(tmp_path: Path) -> None:
    arch = architecture(EXAMPLE, tmp_path)
    assert (arch.array.rows, arch.array.columns, arch.array.dataflow) == (16, 8, "ws")
    assert arch.array.timing == "scalesim"
    assert [arch.sram[name].capacity_kib for name in ("ifmap", "filter", "ofmap")] == [64, 128, 32]
    assert arch.dram.bandwidth_gbyte_per_s == 5.0  # 10 one-byte words a cycle at 500 MHz
    assert arch.name == "my_run"


def test_options_lie_over_the_file(tmp_path: Path) -> None:
    given = {"array.timing": "reference", "array.rows": 4, "sram.ifmap.capacity_kib": 16}
    arch = architecture(EXAMPLE, tmp_path, given)
    assert (arch.array.timing, arch.array.rows, arch.array.columns) == ("reference", 4, 8)
    assert arch.sram["ifmap"].capacity_kib == 16


def test_calculated_bandwidth_leaves_the_architecture_its_own(tmp_path: Path) -> None:
    calculated = config(EXAMPLE.replace("USER", "CALC"), tmp_path)
    assert calculated.bandwidth_bytes_per_cycle is None
    assert configure("int8_32x32", scalesim=calculated).dram.bandwidth_gbyte_per_s == 25.6
    assert any("Bandwidth is ignored" in warning for warning in calculated.warnings)


def test_keys_left_out_stay_as_the_architecture_has_them(tmp_path: Path) -> None:
    short = config("[architecture_presets]\narrayheight: 4\n", tmp_path)
    assert short.overrides == {"array.timing": "scalesim", "array.rows": 4}
    assert (short.bandwidth_bytes_per_cycle, short.warnings) == (None, ())


FIRST_VERSION = """[general]
run_name = "MLPERF_AlphaGoZero_32x32_os"

[architecture_presets]
ArrayHeight:    32, 64
ArrayWidth:     16
IfmapSramSz:    512
FilterSramSz:   256
OfmapSramSz:    128
Dataflow:       os

[network_presets]
TopologyCsvLoc: "./topologies/alexnet.csv"
"""


def test_a_file_of_the_first_version(tmp_path: Path) -> None:
    arch = architecture(FIRST_VERSION, tmp_path)
    assert (arch.array.rows, arch.array.columns) == (32, 16)
    assert [arch.sram[name].capacity_kib for name in ("ifmap", "filter", "ofmap")] == [512, 256, 128]
    assert config(FIRST_VERSION, tmp_path).warnings == (
        "mine.cfg: of the values ArrayHeight: 32, 64 the first one is taken",
        "mine.cfg: keys without a counterpart here are ignored: TopologyCsvLoc",
    )


@pytest.mark.parametrize(
    "text",
    [
        EXAMPLE.replace("\n", "\r\n"),
        "\ufeff" + EXAMPLE,
        EXAMPLE.lower().replace("user", "USER"),
        EXAMPLE.replace(":", " =\t"),
        EXAMPLE.replace("16\n", "16.0   # rows\n"),
        "".join(f"    {line}\n" if line else "\n" for line in EXAMPLE.splitlines()),
        EXAMPLE.replace("InterfaceBandwidth: USER", "InterfaceBandwidth: user"),
        "# a comment\n; another\n" + EXAMPLE,
        EXAMPLE.rstrip("\n"),
        EXAMPLE.replace("[run_presets]\n", "[run_preset]\n"),
    ],
    ids=["CRLF", "BOM", "lower case", "equals and tabs", "inline comment", "indented", "mode in lower case",
         "comments", "no last newline", "another section"],
)  # fmt: skip
def test_the_same_configuration_in_the_ways_people_write_it(text: str, tmp_path: Path) -> None:
    plain = config(EXAMPLE, tmp_path)
    other = config(text, tmp_path)
    assert (other.overrides, other.bandwidth_bytes_per_cycle) == (plain.overrides, 10)
    assert other.warnings == plain.warnings


def test_what_has_no_effect_is_named_and_ignored(tmp_path: Path) -> None:
    added = EXAMPLE.replace(
        "[sparsity]",
        "MemoryBanks: 1\nArrayHight: 99\nOnChipMemoryBankPorts: 2\n\n[layout]\nIfmapCustomLayout: True\n"
        "FilterCustomLayout: False\nIfmapSRAMBankNum: 10\n\n[gpu]\nTensorCores: 32\n\n[sparsity]",
    ).replace("InterfaceBandwidth: USER", "InterfaceBandwidth: USER\nUseRamulatorTrace: True")
    got = config(added, tmp_path)
    assert got.overrides == config(EXAMPLE, tmp_path).overrides
    assert got.warnings == (
        "mine.cfg: not modelled: DRAM latencies from a Ramulator trace (UseRamulatorTrace), "
        "bank conflicts of a custom ifmap layout (IfmapCustomLayout)",
        "mine.cfg: keys without a counterpart here are ignored: IfmapOffset, ReadRequestBuffer, "
        "IfmapSRAMBankNum, FilterCustomLayout",
        "mine.cfg: keys that SCALE-Sim does not read are ignored: MemoryBanks, "
        "ArrayHight (did you mean ArrayHeight?), OnChipMemoryBankPorts, TensorCores",
    )


def test_sparsity_runs_dense_and_says_so(tmp_path: Path) -> None:
    sparse = config(EXAMPLE.replace("SparsitySupport : false", "SparsitySupport : true"), tmp_path)
    assert sparse.overrides == config(EXAMPLE, tmp_path).overrides
    assert sparse.warnings[0] == (
        "mine.cfg: SparsitySupport is true: sparsity is not modelled, every layer runs dense"
    )


def test_user_bandwidth_without_a_bandwidth_is_said(tmp_path: Path) -> None:
    absent = config(EXAMPLE.replace("Bandwidth : 10\n", ""), tmp_path)
    assert absent.bandwidth_bytes_per_cycle is None
    assert "InterfaceBandwidth is USER but there is no Bandwidth" in absent.warnings[0]


SMALL = Network(
    "small",
    (
        convolution_layer("conv", Convolution(1, 3, 8, (20, 20), (3, 3))),
        matrix_layer("fc", "fc", m=1, n=40, k=2592),
    ),
)


@dataclass(frozen=True)
class Shipped:
    """What a configuration in `configs/` of SCALE-Sim v3 sets; sizes of buffers in KiB."""

    name: str
    rows: int
    columns: int
    buffers: tuple[int, int, int]
    dataflow: str
    bandwidth: int
    interface: str = "USER"
    sparsity: str = "false"
    ramulator: str = "False"

    @property
    def text(self) -> str:
        """The file in SCALE-Sim's layout, with the keys that it repeats in nearly every file."""
        ifmap, weights, ofmap = self.buffers
        return (
            f"[general]\nrun_name = {self.name}\n\n[architecture_presets]\n"
            f"ArrayHeight:    {self.rows}\nArrayWidth:     {self.columns}\n"
            f"IfmapSramSzkB:    {ifmap}\nFilterSramSzkB:   {weights}\nOfmapSramSzkB:    {ofmap}\n"
            "IfmapOffset:    0\nFilterOffset:   10000000\nOfmapOffset:    20000000\n"
            f"Dataflow : {self.dataflow}\nBandwidth : {self.bandwidth}\nMemoryBanks:   1\n"
            "ReadRequestBuffer: 512\nWriteRequestBuffer: 512\n\n[layout]\nIfmapCustomLayout: False\n"
            f"IfmapSRAMBankBandwidth: {self.bandwidth}\nIfmapSRAMBankNum: 10\nFilterCustomLayout: False\n"
            f"\n[sparsity]\nSparsitySupport : {self.sparsity}\nSparseRep : ellpack_block\nBlockSize : 8\n"
            f"\n[run_presets]\nInterfaceBandwidth: {self.interface}\nUseRamulatorTrace: {self.ramulator}\n"
        )


SHIPPED = (
    Shipped("eyeriss", 12, 14, (36, 36, 36), "ws", 10, interface="CALC"),
    Shipped("google", 256, 256, (6144, 6144, 2048), "os", 10),
    Shipped("google_ramulator", 256, 256, (6144, 6144, 2048), "os", 10, ramulator="True"),
    Shipped("rebuttal_test_is", 128, 128, (10240, 10240, 10240), "is", 60),
    Shipped("rebuttal_test_os_high_bw", 128, 128, (10240, 10240, 10240), "os", 720),
    Shipped("scale", 32, 32, (64, 64, 64), "ws", 10, interface="CALC"),
    Shipped("sparsity", 128, 128, (256, 256, 256), "ws", 50, sparsity="true"),
    Shipped("tpuv5e_downscale", 128, 128, (4096, 4096, 8192), "ws", 60),
)


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda shipped: shipped.name)
def test_configurations_as_scalesim_ships_them_run(shipped: Shipped, tmp_path: Path) -> None:
    """F P - 1 cycles for each layer, and every key of the file taken over or named in a warning."""
    path = tmp_path / f"{shipped.name}.cfg"
    path.write_text(shipped.text, encoding="utf-8")
    scalesim = read_scalesim_cfg(path)
    arch = configure("int8_32x32", scalesim=scalesim)
    machine = run_machine(arch, SMALL, scalesim=scalesim)
    lines = [line.replace("=", ":").partition(":") for line in path.read_text().splitlines()]
    values = {key.strip().lower(): value.strip() for key, colon, value in lines if colon}
    rows, columns = int(values["arrayheight"]), int(values["arraywidth"])
    assert (arch.array.rows, arch.array.columns, arch.array.dataflow) == (rows, columns, values["dataflow"])
    for layer in machine.layers:
        m, n, k = layer.layer.m, layer.layer.n, layer.layer.k
        along, across, down = {"os": (k, n, m), "ws": (m, n, k), "is": (n, m, k)}[values["dataflow"]]
        fill = rows + columns - 2 if values["dataflow"] == "os" else 2 * rows + columns - 2
        assert layer.counts.cycles.total == -(-across // columns) * -(-down // rows) * (along + fill) - 1
    used = {"arrayheight", "arraywidth", "ifmapsramszkb", "filtersramszkb", "ofmapsramszkb", "dataflow",
            "run_name", "interfacebandwidth", "bandwidth", "sparsitysupport"}  # fmt: skip
    said = " ".join(machine.warnings).lower()
    assert [key for key in values if key not in used and key not in said] == []
    if values["interfacebandwidth"] == "USER":
        assert arch.dram.bandwidth_gbyte_per_s == int(values["bandwidth"]) * 0.5
        assert "timing scalesim models no stalls for bandwidth" in " ".join(machine.warnings)
    if values.get("sparsitysupport") == "true":
        assert "every layer runs dense" in " ".join(machine.warnings)


USER = (
    "[architecture_presets]\nArrayHeight: 32\nArrayWidth: 32\nDataflow: os\nBandwidth: {}\n"
    "[run_presets]\nInterfaceBandwidth: USER\n"
)


@pytest.fixture
def topology(tmp_path: Path) -> Path:
    """One layer of 28 x 28 outputs of 64 channels: 14,400 + 9,216 + 50,176 bytes, all fetched once."""
    path = tmp_path / "topology.csv"
    path.write_text("Layer name, H, W, FH, FW, C, Num Filter, Strides,\nc,30,30,3,3,16,64,1,\n")
    return path


def user_file(words: int, folder: Path) -> Path:
    path = folder / "user.cfg"
    path.write_text(USER.format(words))
    return path


def test_a_bandwidth_that_does_not_suffice_is_a_warning(topology: Path, tmp_path: Path) -> None:
    """25 x 2 folds of 144 + 62 cycles, less one, are 10,299; 73,792 bytes take as many cycles at 1 each."""
    result = simulate(topology, scalesim_cfg=user_file(1, tmp_path))
    assert result.totals.cycles == 10_299
    assert result.warnings[0] == (
        "timing scalesim models no stalls for bandwidth (1 byte per cycle); layer c would have some: "
        "73,792 bytes need 73,792 cycles and 10,299 are counted; timing reference models them"
    )
    at_seven = simulate(topology, scalesim_cfg=user_file(7, tmp_path)).warnings[0]  # 73,792 / 7 = 10,541.7
    assert "(7 bytes per cycle); layer c would have some: 73,792 bytes need 10,542 cycles" in at_seven
    at_eight = simulate(topology, scalesim_cfg=user_file(8, tmp_path)).warnings[0]  # 9,224 cycles suffice
    assert at_eight == (
        "timing scalesim models no stalls for bandwidth (8 bytes per cycle); "
        "the DRAM traffic of each layer fits into its cycles all the same"
    )


def test_the_warning_sums_the_layers_that_are_late(tmp_path: Path) -> None:
    """At 4 bytes a cycle the fully connected layers wait for weights; the convolution needs 69,696 cycles."""
    network = Network(
        "three",
        (
            matrix_layer("fc1", "fc", m=1, n=64, k=320),  # 2 folds of 382 cycles; 20,480 + 320 + 64 bytes
            convolution_layer("conv", Convolution(1, 64, 128, (34, 34), (3, 3))),  # 278,784 bytes
            matrix_layer("fc2", "fc", m=1, n=32, k=640),  # 1 fold of 702 cycles; 20,480 + 640 + 32 bytes
        ),
    )
    result = simulate(network, scalesim_cfg=user_file(4, tmp_path))
    assert [layer.cycles.total for layer in result.layers] == [763, 128 * (576 + 62) - 1, 701]
    assert result.warnings[0] == (
        "timing scalesim models no stalls for bandwidth (4 bytes per cycle); 2 of 3 layers would have some, "
        f"most of all fc2: {20_864 + 21_152:,} bytes need {5_216 + 5_288:,} cycles and {763 + 701:,} are "
        "counted; timing reference models them"
    )


def test_reference_timing_models_the_bandwidth(topology: Path, tmp_path: Path) -> None:
    result = simulate(topology, scalesim_cfg=user_file(1, tmp_path), overrides={"array.timing": "reference"})
    assert result.arch["dram"]["bandwidth_gbyte_per_s"] == 0.5
    assert result.totals.cycles >= 73_792
    assert not any("stall" in warning for warning in result.warnings)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], 1.5),
        (["--clock-mhz", "250"], 0.75),
        (["--set", "clock_mhz=250"], 0.75),
        (["--set", "clock_mhz=250", "--clock-mhz", "125"], 0.75),
        (["--clock-mhz", "333"], 0.999),
        (["--clock-mhz", "250", "--set", "dram.bandwidth_gbyte_per_s=7"], 7),
        (["--set", "dram={bandwidth_gbyte_per_s: 7}"], 7),
        (["--set", "dram={latency_ns: 10}"], 1.5),
    ],
)
def test_words_per_cycle_are_converted_at_the_clock_that_holds(
    options: list[str], expected: float, topology: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """3 one-byte words a cycle, whatever option gives the clock and wherever it stands."""
    given = ["--scalesim-cfg", str(user_file(3, tmp_path))]
    scaling = ["--set", "scaling.frequency=true", "--json"]
    for order in ([*given, *options], [*options, *given]):
        outcome = run(capsys, "simulate", topology, *order, *scaling).must_succeed()
        assert json.loads(outcome.stdout)["arch"]["dram"]["bandwidth_gbyte_per_s"] == expected


def test_words_per_cycle_at_the_clock_of_the_architecture_file(
    topology: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arch = tmp_path / "slow.yaml"
    arch.write_text("clock_mhz: 200\nscaling: {frequency: true}\ndram: {bandwidth_gbyte_per_s: 99}\n")
    given: list[str | Path] = ["--scalesim-cfg", user_file(3, tmp_path), "--arch", arch, "--json"]
    outcome = run(capsys, "simulate", topology, *given).must_succeed()
    assert json.loads(outcome.stdout)["arch"]["dram"]["bandwidth_gbyte_per_s"] == 0.6


def test_the_command_shows_the_warnings_of_the_file(
    topology: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.cfg"
    path.write_text(EXAMPLE)
    outcome = run(capsys, "simulate", topology, "--scalesim-cfg", path).must_succeed()
    assert "! mine.cfg: keys without a counterpart here are ignored: IfmapOffset" in outcome.stdout
    assert "! timing scalesim models no stalls for bandwidth (10 bytes per cycle)" in outcome.stdout


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("Dataflow : ws", "Dataflow : wss"), "did you mean 'ws'?"),
        (
            ("ArrayWidth:     8", "ArrayWidth:     0"),
            "architecture_presets.ArrayWidth: must be a whole number",
        ),
        (("IfmapSramSzkB:    64", "IfmapSramSzkB:    many"), "(got 'many')"),
        (("IfmapSramSzkB:    64", "IfmapSramSzkB:    64.5"), "(got '64.5')"),
        (("Bandwidth : 10", "Bandwidth : -10"), "architecture_presets.Bandwidth: must be a whole number"),
        (("USER", "USR"), "did you mean 'USER'?"),
        (("ArrayWidth:     8", "ArrayHeight: 8"), "is not a SCALE-Sim configuration"),
        (("ArrayWidth:     8", "arrayheight: 8"), "twice, also in section architecture_presets"),
        (
            ("[run_presets]", "[run_presets]\nDataflow: os"),
            "twice, also in section architecture_presets",
        ),
        (
            ("[general]\nrun_name = my_run\n\n[architecture_presets]\n", ""),
            "is not a SCALE-Sim configuration",
        ),
    ],
)
def test_mistakes_in_a_configuration_file_are_told(
    tmp_path: Path, change: tuple[str, str], expected: str
) -> None:
    assert change[0] in EXAMPLE
    with pytest.raises(UserError) as caught:
        config(EXAMPLE.replace(*change), tmp_path)
    assert expected in str(caught.value)
    assert str(tmp_path / "mine.cfg") in str(caught.value)


def test_a_file_without_settings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no settings"):
        config("[general]\n", tmp_path)
