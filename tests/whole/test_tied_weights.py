"""Weights that several layers share are stored once, so a network counts them once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper, save_model
from typer.testing import CliRunner

from simulator.arch import load_arch
from simulator.cli.networks import app
from simulator.foundation import UserError
from simulator.system import simulate_network
from simulator.workload import Network, load_network
from simulator.workload.batching import with_batch
from simulator.workload.network_file import network_text, read_network

TABLE = 64 * 48


def float_weights(name: str, *sizes: int) -> TensorProto:
    return numpy_helper.from_array(np.zeros(sizes, np.float32), name)


def imported(nodes: list[NodeProto], constants: list[TensorProto], width: int, folder: Path) -> Network:
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [5, width])
    result = helper.make_empty_tensor_value_info(nodes[-1].output[0])
    graph = helper.make_graph(nodes, "graph", [given], [result], constants)
    path = folder / "model.onnx"
    save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return load_network(path)


def node(operator: str, inputs: str, output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(operator, inputs.split(), [output], name=output, **attributes)


def test_one_initializer_in_two_products_counts_once(tmp_path: Path) -> None:
    square = float_weights("w", 48, 48)
    network = imported([node("MatMul", "x w", "h"), node("MatMul", "h w", "y")], [square], 48, tmp_path)
    assert [layer.parameters for layer in network.layers] == [48 * 48, 48 * 48]
    assert [layer.weights for layer in network.layers] == ["w", "w"]
    assert network.parameters == 48 * 48
    assert network.macs == 2 * 5 * 48 * 48


@pytest.mark.parametrize(
    "tie",
    [
        [node("Transpose", "w", "t", perm=[1, 0])],
        [node("Identity", "w", "i"), node("Transpose", "i", "t", perm=[1, 0])],
        [node("Cast", "w", "i", to=TensorProto.FLOAT), node("Transpose", "i", "t", perm=[1, 0])],
    ],
    ids=["transposed", "copied and transposed", "cast and transposed"],
)
def test_an_encoder_and_a_decoder_that_share_a_table(tie: list[NodeProto], tmp_path: Path) -> None:
    nodes = [*tie, node("MatMul", "x w", "h"), node("MatMul", "h t", "y")]
    network = imported(nodes, [float_weights("w", 64, 48)], 64, tmp_path)
    assert [(layer.k, layer.n) for layer in network.layers] == [(64, 48), (48, 64)]
    assert network.parameters == TABLE


def test_gemm_transposes_the_shared_table_itself(tmp_path: Path) -> None:
    nodes = [node("MatMul", "x w", "h"), node("Gemm", "h w", "y", transB=1)]
    assert imported(nodes, [float_weights("w", 64, 48)], 64, tmp_path).parameters == TABLE


def test_parts_of_a_table_and_tables_of_their_own_are_not_shared(tmp_path: Path) -> None:
    whole = float_weights("w", 48, 96)
    halves = [
        helper.make_node("Split", ["w"], ["first", "second"], name="halves", axis=1),
        node("MatMul", "x first", "h"),
        node("MatMul", "h second", "y"),
    ]
    assert imported(halves, [whole], 48, tmp_path).parameters == 48 * 96
    own = [node("MatMul", "x a", "h"), node("MatMul", "h b", "y")]
    network = imported(own, [float_weights("a", 48, 48), float_weights("b", 48, 48)], 48, tmp_path)
    assert network.parameters == 2 * 48 * 48
    assert [layer.weights for layer in network.layers] == ["", ""]


def test_an_unrolled_recurrence_has_its_weights_once(tmp_path: Path) -> None:
    steps = [node("MatMul", "x w", "h0")]
    steps += [node("MatMul", f"h{step} w", f"h{step + 1}") for step in range(9)]
    network = imported(steps, [float_weights("w", 48, 48)], 48, tmp_path)
    assert (len(network.layers), network.parameters) == (10, 48 * 48)


TIED = """name: tied
source: written by hand
layers:
  - {name: encode, fc: {m: 5, k: 64, n: 48}, weights: table}
  - {name: middle, conv: {ifmap: 4, channels: 3, filters: 8, kernel: 3, padding: 1}, inputs: [encode]}
  - {name: decode, fc: {m: 5, k: 48, n: 64}, inputs: [middle], weights: table}
"""


def read(text: str, folder: Path) -> Network:
    path = folder / "network.yaml"
    path.write_text(text)
    return read_network(path)


def test_a_network_file_names_shared_weights(tmp_path: Path) -> None:
    network = read(TIED, tmp_path)
    assert network.parameters == TABLE + 3 * 3 * 3 * 8
    assert sum(layer.parameters for layer in network.layers) == 2 * TABLE + 216
    again = read(network_text(network), tmp_path)
    assert [layer.weights for layer in again.layers] == ["table", "", "table"]
    assert again == network
    assert with_batch(network, 3).parameters == network.parameters


def test_sharing_changes_nothing_of_a_run(tmp_path: Path) -> None:
    """The array computes a layer at a time, so shared weights are fetched by every layer that uses them."""
    shared = read(TIED, tmp_path)
    apart = read(TIED.replace(", weights: table", ""), tmp_path)
    assert apart.parameters == shared.parameters + TABLE
    arch = load_arch("int8_32x32", {})
    counts = [
        [layer.counts for layer in simulate_network(arch, network).layers] for network in (shared, apart)
    ]
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        (
            "k: 48, n: 64}, inputs: [middle], weights",
            "k: 48, n: 63}, inputs: [middle], weights",
            ["layers.2 (decode).weights", "'encode' shares these weights and has 3072", "got 3024"],
        ),
        (
            "{name: middle, conv: {ifmap: 4, channels: 3, filters: 8, kernel: 3, padding: 1}",
            "{name: middle, matmul: {k: 64, n: 48, activations: true}, weights: table",
            ["layers.1 (middle).weights", "two computed tensors has no weights", "got 'table'"],
        ),
        (
            "weights: table}\n  - {name: middle",
            "weights: 7}\n  - {name: middle",
            ["layers.0.weights", "got 7"],
        ),
    ],
)
def test_weights_that_cannot_be_shared(old: str, new: str, parts: list[str], tmp_path: Path) -> None:
    assert TIED.count(old) == 1
    with pytest.raises(UserError) as caught:
        read(TIED.replace(old, new), tmp_path)
    for part in parts:
        assert part in str(caught.value)


def test_the_command_says_what_is_shared(tmp_path: Path) -> None:
    path = tmp_path / "network.yaml"
    path.write_text(TIED)
    shown = CliRunner().invoke(app, ["show", str(path)]).output
    assert f"{TABLE + 216:,} weights" in shown
    assert "weights table, shared by encode, decode, count once" in shown
    document = json.loads(CliRunner().invoke(app, ["show", str(path), "--json"]).output)
    assert document["parameters"] == TABLE + 216
    assert [layer["weights"] for layer in document["layers"]] == ["table", None, "table"]
