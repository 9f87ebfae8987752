"""Does the corpus tool count what runs, and tell what differs? Expected counts by hand."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.onnx_models import node, real
from tools import model_corpus
from tools.corpus_check import Outcome, check
from tools.corpus_page import Checked, page
from tools.executed_macs import UncountedError, executed_macs


def save(
    path: Path, nodes: list[onnx.NodeProto], inputs: list[onnx.ValueInfoProto], **weights: np.ndarray
) -> Path:
    stored = [numpy_helper.from_array(values, name) for name, values in weights.items()]
    graph = helper.make_graph(nodes, "g", inputs, [helper.make_empty_tensor_value_info("y")], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def branch(weights: str) -> onnx.GraphProto:
    result = helper.make_empty_tensor_value_info(f"y_{weights}")
    return helper.make_graph([node("MatMul", f"x {weights}", result.name)], weights, [], [result])


@pytest.fixture
def branching(tmp_path: Path) -> Path:
    """x [n, 4] times 4 x 3 where `flag`, else times 4 x 5, behind a product with 4 x 4."""
    nodes = [
        node("MatMul", "a w0", "x"),
        node("If", "flag", "y", then_branch=branch("w3"), else_branch=branch("w5")),
    ]
    inputs = [
        helper.make_tensor_value_info("a", TensorProto.FLOAT, ["n", 4]),
        helper.make_tensor_value_info("flag", TensorProto.BOOL, []),
    ]
    weights = {"w0": real(4, 4), "w3": real(4, 3), "w5": real(4, 5)}
    return save(tmp_path / "corpus" / "package-1.0" / "branching.onnx", nodes, inputs, **weights)


def test_the_branch_that_runs_counts(branching: Path) -> None:
    for flag, macs in ((True, 16 + 12), (False, 16 + 20)):
        feeds = {"a": real(2, 4), "flag": np.array(flag)}
        assert executed_macs(branching, feeds) == 2 * macs


def test_a_loop_with_products_is_not_counted(tmp_path: Path) -> None:
    body = helper.make_graph(
        [node("Identity", "going", "still"), node("MatMul", "x w", "z")],
        "body",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 4]),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("z", TensorProto.FLOAT, [2, 4]),
        ],
    )
    inputs = [helper.make_tensor_value_info("a", TensorProto.FLOAT, [2, 4])]
    loop = node("Loop", "trips - a", "y", body=body)
    path = save(tmp_path / "loop.onnx", [loop], inputs, trips=np.array(3), w=real(4, 4))
    with pytest.raises(UncountedError, match="products in the body of Loop"):
        executed_macs(path, {"a": real(2, 4)})


def test_a_file_is_checked_and_a_refusal_is_told(branching: Path) -> None:
    refused = check(branching, {})
    assert refused.macs_executed == 16 + 12  # truth values are true, one row
    assert "If (n_y): its condition depends on data" in refused.refused
    assert refused.share is None
    given = check(branching, {"values": {"flag": 0}})
    assert (given.macs_read, given.macs_executed, given.macs_in_mac) == (36, 36, 36)
    assert given.share == 1.0
    assert given.difference is not None
    assert given.difference < 1e-6


def test_the_page_counts_what_is_covered() -> None:
    outcomes = {
        "good.onnx": Outcome(macs_read=100, macs_executed=100, macs_in_mac=100, difference=1e-6),
        "half.onnx": Outcome(macs_read=100, macs_executed=100, macs_in_mac=50, difference=0.0),
        "far.onnx": Outcome(macs_read=7, macs_executed=7, macs_in_mac=7, difference=0.5, reason="of chance"),
        "no.onnx": Outcome(macs_executed=7, refused="no.onnx: has operators: Odd (x)"),
    }
    text = page([Checked(Path("p-1") / name, outcome) for name, outcome in outcomes.items()])
    assert "2 of 4 files have at least 99 % of their MACs covered; 1 of these" in text
    assert "1 are refused by `simulate`" in text
    assert "- `half.onnx` of p-1: 50 % of the MACs are covered" in text
    assert "- `far.onnx` of p-1: differs by 5.0e-01 (of chance)" in text
    assert "- `no.onnx` of p-1: `simulate` refuses it: no.onnx: has operators: Odd (x)" in text


def test_the_tool_keeps_outcomes_and_leaves_out_equal_files(
    tmp_path: Path, branching: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (branching.parent / "same.onnx").write_bytes(branching.read_bytes())
    corpus, store = tmp_path / "corpus", tmp_path / "store"
    (corpus / "inputs.json").write_text(json.dumps({"branching": {"values": {"flag": 1}}}))
    monkeypatch.setattr(sys, "argv", ["model_corpus", str(corpus), "--store", str(store)])
    model_corpus.main()
    assert "ok package-1.0/branching.onnx: read 28 executed 28 in MAC 28" in capsys.readouterr().out
    assert len(list(store.glob("*.json"))) == 1
    model_corpus.main()
    assert not capsys.readouterr().out  # nothing is checked again
