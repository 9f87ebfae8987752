"""Does the register-level grid compute every channel with the MAC of the block that it is dealt to?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.arch import ArchConfig, load_arch
from simulator.numerics import get_mac, multiply
from simulator.register_level import GridProduct, verify_on_grid
from simulator.system import simulate_network
from simulator.workload.layer import Layer, Network, matrix_layer
from tests.command import run

NARROW = {"activation": "int8", "weight": "int4", "accumulator": {"kind": "fixed", "bits": 12}}

NETWORK = """
name: two
source: none
layers:
  - {name: one, matmul: {m: 6, n: 11, k: 9}}
  - {name: two, fc: {m: 5, n: 7, k: 10}}
"""


def arch_of(listed: dict[str, list[int]], dataflow: str = "os", **fields: object) -> ArchConfig:
    blocks = [
        {"mac": "int8", "columns": 2},
        {"mac": NARROW, "columns": 3, "channels": listed},
    ]
    return load_arch(
        "int8_32x32",
        {"array.rows": 4, "array.columns": 5, "array.column_blocks": blocks, "array.dataflow": dataflow}
        | fields,
    )


def sums_of(product: GridProduct, block: int, channel: int, group: int = 0) -> list[int]:
    """A channel's sums by the MAC of one block, straight from the codes."""
    mac = get_mac("int8" if block == 0 else NARROW)
    codes = product.weights[block][group][:, channel : channel + 1]
    sums: list[int] = multiply(mac, product.activations[group], codes).accumulators[:, 0].tolist()
    return sums


@pytest.mark.parametrize("dataflow", ["os", "ws"])
def test_listed_channels_are_computed_by_their_block(dataflow: str) -> None:
    layer = matrix_layer("l", "fc", m=6, n=11, k=90)
    listed = {"l": [0, 1, 4, 10]}
    product = GridProduct.of(arch_of(listed, dataflow), layer)
    # Folds of 2 + 3 columns: [2 3 | 0 1 4], [5 6 | 10 7 8], [9 - | - - -].
    wide_block = {2, 3, 5, 6, 9}
    assert product.slots.tolist() == [[2, 3, 0, 1, 4, 5, 6, 10, 7, 8, 9, -1, -1, -1, -1]]
    cycles, sums = product.run()
    assert cycles == product.closed_form_cycles
    differ = 0
    for channel in range(11):
        block = 0 if channel in wide_block else 1
        assert sums[0][:, channel].tolist() == sums_of(product, block, channel)
        differ += sums[0][:, channel].tolist() != sums_of(product, 1 - block, channel)
    assert differ == 11


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_the_machine_and_the_grid_deal_alike(data: st.DataObject) -> None:
    groups, n = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 13))
    layer = matrix_layer("l", "matmul", m=data.draw(st.integers(1, 6)), n=n, k=5, products=groups)
    listed = data.draw(st.lists(st.integers(0, layer.n - 1), unique=True))
    arch = arch_of({"l": listed}, data.draw(st.sampled_from(["os", "ws"])))
    network = Network("n", (layer,))
    machine = simulate_network(arch, network).layers[0]
    product = GridProduct.of(arch, layer)
    # Every channel once; listed ones in their block, and as many MACs by name as the machine counts.
    for slots in product.slots:
        assert sorted(slots[slots >= 0].tolist()) == list(range(n))
    computed = np.zeros(2, int)
    for group, slots in enumerate(product.slots):
        for slot in np.flatnonzero(slots >= 0):
            block = int(slot % 5 >= 2)
            computed[block] += layer.m * layer.k
            if group * n + slots[slot] in listed:
                assert block == 1
    by_block = list(machine.counts.macs_by_name.values())
    assert computed.tolist() == by_block
    assert [layer.outputs for layer in verify_on_grid(arch, network)] == [layer.m * layer.n]


def test_a_layer_may_name_a_mac_of_its_own_beside_blocks() -> None:
    layers: tuple[Layer, ...] = tuple(matrix_layer(name, "fc", m=6, n=11, k=9) for name in ("one", "two"))
    arch = arch_of({"one": [3]}, layers={"two": {"mac": "elma8"}})
    assert [layer.name for layer in verify_on_grid(arch, Network("n", layers))] == ["one", "two"]


def test_the_command_line_verifies_blocks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.yaml").write_text(NETWORK)
    (tmp_path / "blocks.yaml").write_text(
        "name: blocks\narray:\n  rows: 8\n  columns: 8\n  column_blocks:\n"
        "    - {mac: int8, columns: 3, channels: {one: [9, 10]}}\n"
        "    - {mac: int8 x int4, columns: 5}\nlayers:\n  two: {mac: elma8}\n"
    )
    network, blocks = tmp_path / "net.yaml", tmp_path / "blocks.yaml"
    outcome = run(capsys, "simulate", network, "--arch", blocks, "--engine", "grid").must_succeed()
    assert "register-level grid: 2 layers" in outcome.stderr
    assert f"{6 * 11 + 5 * 7} sums as in the matrix product" in outcome.stderr
