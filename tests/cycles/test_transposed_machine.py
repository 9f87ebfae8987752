"""Do cycles, bytes, tilings, traces, prices and maps of a transposed array equal those of its mirror?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from simulator.arch import ArchConfig, load_arch
from simulator.foundation import UserError
from simulator.register_level import verify_on_grid
from simulator.report.pe_map import pe_utilization
from simulator.result import Result
from simulator.simulation import simulate
from simulator.system import MachineRun, simulate_network
from simulator.system.access_trace import write_access_trace
from simulator.workload.layer import Network, matrix_layer
from tests.cycles.random_layers import arch_of, draw_fields, draw_layer

SMALL = Network("n", (matrix_layer("l", "fc", m=9, n=7, k=11), matrix_layer("g", "fc", m=3, n=10, k=5)))


def pair(fields: dict[str, Any]) -> tuple[ArchConfig, ArchConfig]:
    """A transposed array, and the array that is its mirror image."""
    rows, columns = fields["array.rows"], fields["array.columns"]
    other = {**fields, "array.rows": columns, "array.columns": rows, "array.dataflow": "ws"}
    return arch_of({**fields, "array.dataflow": "wst"}), arch_of(other)


def played(arch: ArchConfig, network: Network) -> MachineRun | str:
    try:
        return simulate_network(arch, network)
    except UserError as error:
        return str(error)


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_random_layers_on_random_machines(first: int) -> None:
    """Every count, the tiling and its reason; layers that do not fit are refused with the same words."""
    compared = 0
    for seed in range(first, first + 20):
        rnd = Random(seed)
        network, (here, there) = Network("n", (draw_layer(rnd),)), pair(draw_fields(rnd))
        ours, theirs = played(here, network), played(there, network)
        if isinstance(theirs, str):
            assert ours == theirs
            continue
        assert not isinstance(ours, str)
        assert ours.layers[0].counts == replace(theirs.layers[0].counts, dataflow="wst"), seed
        assert ours.layers[0].tiling.blocking == theirs.layers[0].tiling.blocking, seed
        assert ours.layers[0].folds == theirs.layers[0].folds
        compared += 1
    assert compared >= 12


def test_accesses_are_the_same_rows_of_a_trace(tmp_path: Path) -> None:
    for seed, overlap in enumerate(("none", "drain", "full")):
        fields = {"array.rows": 3 + seed, "array.columns": 2, "array.overlap": overlap}
        for arch, name in zip(pair(fields), ("here", "there"), strict=True):
            rows = write_access_trace(simulate_network(arch, SMALL), tmp_path / f"{name}.csv")
            assert rows > 100
        assert (tmp_path / "here.csv").read_bytes() == (tmp_path / "there.csv").read_bytes()


def test_a_layer_can_run_transposed_on_any_array() -> None:
    """On a square array a layer takes the same cycles transposed, whatever the other layers do."""
    square = {"array.rows": 4, "array.columns": 4, "array.dataflow": "ws"}
    straight = simulate_network(arch_of(square), SMALL)
    mixed = simulate_network(arch_of({**square, "layers": {"l": {"dataflow": "wst"}}}), SMALL)
    assert mixed.layers[0].counts == replace(straight.layers[0].counts, dataflow="wst")
    assert mixed.layers[1].counts == straight.layers[1].counts


@pytest.mark.parametrize("mac", ["int8", "posit8", "fp16"])
def test_layers_agree_on_the_grid(mac: str) -> None:
    arch = arch_of({"array.rows": 4, "array.columns": 3, "array.dataflow": "wst", "array.mac": mac})
    layers = list(verify_on_grid(arch, SMALL))
    assert [layer.outputs for layer in layers] == [9 * 7, 3 * 10]


def test_column_blocks_are_refused() -> None:
    blocks = [{"mac": "int8", "columns": 2}, {"mac": "int8 x int4", "columns": 2}]
    fields = {"array.rows": 4, "array.columns": 4, "array.dataflow": "wst", "array.column_blocks": blocks}
    with pytest.raises(UserError, match=r"which hold the reduction .*'wst'.*dataflow os or ws"):
        simulate_network(arch_of(fields), SMALL)


@pytest.mark.parametrize("dataflow", ["wst", "is"])
def test_a_layer_with_column_blocks_is_refused_such_a_dataflow(dataflow: str) -> None:
    """A layer with a MAC of its own has no blocks."""
    blocks = [{"mac": "int8", "columns": 2}, {"mac": "int8 x int4", "columns": 2}]
    fields = {"array.rows": 4, "array.columns": 4, "array.column_blocks": blocks}
    with pytest.raises(UserError, match=rf"layers\.l\.dataflow: .*column_blocks needs .*'{dataflow}'"):
        simulate_network(arch_of({**fields, "layers": {"l": {"dataflow": dataflow}}}), SMALL)
    own = {"l": {"dataflow": dataflow, "mac": "int8"}}
    assert simulate_network(arch_of({**fields, "layers": own}), SMALL).layers[0].counts.dataflow == dataflow


def test_a_layer_goes_through_the_grid_with_its_own_dataflow() -> None:
    """On 3 x 2 PEs 7 channels are 3 tiles of rows and K = 11 is 6 tiles of columns, 18 folds.

    Each takes 2 cycles of preload and 1 more to the first sum behind column 1, then 9 sums, and row 2 is 2
    cycles behind row 0. Output stationary the layer would take 3 x 4 folds of 11 + 3 + 3.
    """
    arch = arch_of({"array.rows": 3, "array.columns": 2, "layers": {"l": {"dataflow": "wst"}}})
    (layer,) = verify_on_grid(arch, Network("n", SMALL.layers[:1]))
    assert layer.cycles == 18 * (2 + 1 + 9 + 2)


def test_the_map_of_pes_follows_the_dataflow_of_each_layer() -> None:
    """Transposed, M = 9, N = 2, K = 3 keeps 2 x 3 PEs busy for 9 cycles; 4 outputs stay in a row for 5."""
    layers = matrix_layer("a", "fc", m=9, n=2, k=3), matrix_layer("b", "fc", m=1, n=4, k=5)
    overrides = {"array.rows": 4, "array.columns": 4, "layers": {"a": {"dataflow": "wst"}}}
    result = simulate(Network("n", layers), arch="int8_32x32", overrides=overrides)
    figure = pe_utilization(result)
    assert figure is not None
    busy = [[9 + 5, 9 + 5, 9 + 5, 5], [9, 9, 9, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    cycles = result.totals.cycles
    assert figure.values == tuple(tuple(count / cycles for count in row) for row in busy)


def results(mac: str, overlap: str) -> tuple[Result, Result]:
    """On 16 x 8 PEs transposed, and on 8 x 16."""
    here, there = (
        {"array.rows": rows, "array.columns": 24 - rows, "array.dataflow": name, "array.overlap": overlap}
        for rows, name in ((16, "wst"), (8, "ws"))
    )
    ours, theirs = (
        simulate("lenet5_fashion", arch="int8_32x32", mac=mac, overrides=fields) for fields in (here, there)
    )
    return ours, theirs


@pytest.mark.parametrize("overlap", ["none", "full"])
@pytest.mark.parametrize("mac", ["int8", "posit8.1 x int8", "int8 x posit8.1", "elma8"])
def test_energy_power_and_area_are_those_of_the_mirror(mac: str, overlap: str) -> None:
    """Decoders, skew and second registers, converters: as many of each, at other edges."""
    ours, theirs = results(mac, overlap)
    assert ours.totals.cycles == theirs.totals.cycles
    assert ours.totals.energy_pj is not None
    assert ours.totals.energy_pj == theirs.totals.energy_pj
    assert ours.totals.energy_fj == theirs.totals.energy_fj
    assert ours.totals.area_um2 is not None
    assert ours.totals.area_um2 == pytest.approx(theirs.totals.area_um2, rel=1e-12)


def test_the_map_of_pes_is_the_mirrored_one() -> None:
    ours, theirs = (pe_utilization(result) for result in results("int8", "none"))
    assert ours is not None
    assert theirs is not None
    assert len(ours.values) == 16
    assert ours.values == tuple(zip(*theirs.values, strict=True))


def test_an_unknown_dataflow_is_told_the_nearest() -> None:
    with pytest.raises(UserError, match="wst"):
        load_arch("int8_32x32", {"array.dataflow": "wts"})
