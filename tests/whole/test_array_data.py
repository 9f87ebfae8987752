"""Do networks run on arrays of any kind: several inputs, integers, token ids? Expected values by hand."""

from __future__ import annotations

import json
from math import exp, log
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from simulator.foundation import UserError
from simulator.inference import Model, infer, load_data, load_model
from tests.command import run


def save(folder: Path, graph: onnx.GraphProto) -> Path:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    path = folder / f"{graph.name}.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture
def two_inputs(tmp_path: Path) -> Model:
    """y = x w + onehot-like shift: float input `x` [N, 2] and integer input `shift` [N, 1]."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["p"], name="fc"),
        helper.make_node("Cast", ["shift"], ["s"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["p", "s"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "two_inputs",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2]),
            helper.make_tensor_value_info("shift", TensorProto.INT64, ["N", 1]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2])],
        [numpy_helper.from_array(np.array([[1, 0], [0, 2]], np.float32), "w")],
    )
    return load_model(save(tmp_path, graph))


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    """Logits of the next of 3 tokens, from a table by token: rows 0, 1, 2 of `table`."""
    nodes = [
        helper.make_node("Gather", ["one", "ids"], ["e"]),
        helper.make_node("MatMul", ["e", "table"], ["logits"], name="fc"),
    ]
    graph = helper.make_graph(
        nodes,
        "tokens",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["N", 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 4, 3])],
        [
            numpy_helper.from_array(np.eye(3, dtype=np.float32), "one"),
            numpy_helper.from_array(np.array([[2, 0, 0], [0, 1, 0], [0, 0, 0]], np.float32), "table"),
        ],
    )
    return save(tmp_path, graph)


def test_several_inputs_by_name(tmp_path: Path, two_inputs: Model) -> None:
    x = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
    shift = np.array([[10], [20], [30]], np.int16)
    np.savez(tmp_path / "d.npz", x=x, shift=shift, labels=np.array([1, 0, 1]), spare=np.zeros(2))
    found = load_data(tmp_path / "d.npz", two_inputs)
    result = infer(two_inputs, found, "fp32")
    assert result.logits.tolist() == [[11, 14], [23, 28], [35, 42]]
    assert result.accuracy.top1 == 2 / 3
    assert result.warnings == ("arrays of d.npz that no input takes: spare",)
    assert (infer(two_inputs, found.first(2), "fp32").logits == result.logits[:2]).all()
    calibrated = infer(two_inputs, found, "int8")  # looks at the values of both inputs
    assert calibrated.accuracy.agreement_with_float32 == 1.0


@pytest.mark.parametrize(
    ("arrays", "parts"),
    [
        ({"x": np.zeros((2, 2), np.float32)}, ("no arrays for inputs shift",)),
        (
            {"x": np.zeros((2, 2), np.float32), "shift": np.zeros((3, 1), np.int64)},
            ("shift", "2 rows of x", "(3, 1)"),
        ),
        (
            {"x": np.zeros((2, 2), np.float32), "shift": np.zeros((2, 1), np.float32)},
            ("shift", "wrong type", "'float32'", "int64"),
        ),
        ({"x": np.zeros((2, 2), np.int32), "shift": np.zeros((2, 1), np.int64)}, ("x", "wrong type")),
    ],
)
def test_inputs_that_cannot_be_used(
    tmp_path: Path, two_inputs: Model, arrays: dict[str, np.ndarray], parts: tuple[str, ...]
) -> None:
    np.savez(tmp_path / "d.npz", **arrays)  # type: ignore[arg-type]  # numpy's stub takes allow_pickle
    with pytest.raises(UserError) as caught:
        load_data(tmp_path / "d.npz", two_inputs)
    for part in (str(tmp_path / "d.npz"), *parts):
        assert part in str(caught.value)


def test_a_number_and_a_state_whose_batch_is_another_axis(tmp_path: Path) -> None:
    # y[n] = x[n] w + factor * (state[0, n] + state[1, n]), with w the identity.
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["p"], name="fc"),
        helper.make_node("ReduceSum", ["state", "first"], ["s"], keepdims=0),
        helper.make_node("Mul", ["s", "factor"], ["t"]),
        helper.make_node("Add", ["p", "t"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "stateful",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2]),
            helper.make_tensor_value_info("factor", TensorProto.FLOAT, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, [2, "N", 2]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2])],
        [
            numpy_helper.from_array(np.eye(2, dtype=np.float32), "w"),
            numpy_helper.from_array(np.array([0], np.int64), "first"),
        ],
    )
    model = load_model(save(tmp_path, graph))
    x = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
    state = np.array([[[1, 1], [2, 2], [3, 3]], [[10, 0], [20, 0], [30, 0]]], np.float32)
    np.savez(tmp_path / "d.npz", x=x, factor=np.float32(2), state=state)
    found = load_data(tmp_path / "d.npz", model)
    expected = [[1 + 2 * 11, 2 + 2 * 1], [3 + 2 * 22, 4 + 2 * 2], [5 + 2 * 33, 6 + 2 * 3]]
    assert infer(model, found, "fp32").logits.tolist() == expected
    assert infer(model, found.first(2), "fp32").logits.tolist() == expected[:2]
    np.savez(tmp_path / "d.npz", x=x, factor=np.float32(2), state=state[:, :2])
    with pytest.raises(UserError, match=r"state: does not match the 3 rows of x along axis 1"):
        load_data(tmp_path / "d.npz", model)
    np.savez(tmp_path / "d.npz", x=x, factor=np.float32(np.nan), state=state)
    with pytest.raises(UserError, match=r"factor\[0\]: hold NaN or infinity"):
        infer(model, load_data(tmp_path / "d.npz", model), "fp32")


def test_an_only_array_of_another_name(tmp_path: Path, tokens: Path) -> None:
    model = load_model(tokens)
    np.savez(tmp_path / "d.npz", words=np.array([[0, 1, 2, 0]]))
    found = load_data(tmp_path / "d.npz", model)
    assert list(found.facts.notes.values()) == ["array 'words' of d.npz was taken for input 'ids'"]
    assert infer(model, found, "fp32").logits[0, 1].tolist() == [0, 1, 0]


def test_perplexity_of_next_tokens(tmp_path: Path, tokens: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Rows of four; behind 0 the logits are 2, 0, 0, behind 1 they are 0, 1, 0, behind 2 they are equal.
    stream = np.array([0, 0, 1, 1, 2, 0, 0, 2, 1, 2], np.uint16)  # two rows, and two tokens more
    np.save(tmp_path / "ids.npy", stream)
    after_0 = log(exp(2) + 2)
    after_1 = log(exp(1) + 2)
    nats = [after_0 - 2, after_0, after_1 - 1, log(3), after_0 - 2, after_0]
    expected = exp(sum(nats) / 6)
    command = ("infer", tokens, "--data", tmp_path / "ids.npy", "--mac", "fp32")
    document = json.loads(run(capsys, *command, "--json").must_succeed().stdout)
    accuracy = document["accuracy"]
    assert accuracy["predicted_tokens"] == 6
    assert accuracy["perplexity"] == pytest.approx(expected, rel=1e-6)
    assert accuracy["perplexity_float32"] == pytest.approx(expected, rel=1e-6)
    assert document["warnings"] == ["10 tokens make 2 rows of 4; the last 2 are left out"]
    assert f"{expected:.4g}" in run(capsys, *command).must_succeed().stdout


def test_tokens_beyond_a_mask_are_not_foretold() -> None:
    from simulator.inference.inputs import Inputs
    from simulator.inference.perplexity import Perplexity

    ids, mask = np.array([[0, 1, 1, 0]]), np.array([[1, 1, 1, 0]])
    logits = np.zeros((1, 4, 2))
    logits[0, 1] = [0, log(3)]
    found = Perplexity()
    found.add(logits, np.zeros((1, 4, 2)), Inputs({"input_ids": ids, "attention_mask": mask}))
    # Probabilities of the two tokens that count: 1/2, then 3/4; in float32 1/2 both times.
    assert found.tokens == 2
    assert found.value(found.nats) == pytest.approx((1 / 2 * 3 / 4) ** -0.5)
    assert found.value(found.nats_float32) == pytest.approx(2.0)
    assert found.value(float("nan")) is None


def test_token_ids_that_the_network_cannot_take(tmp_path: Path, tokens: Path) -> None:
    model = load_model(tokens)
    for values, parts in (
        (np.array([[0.0, 1.0, 2.0, 0.0]]), ("wrong type", "int64")),
        (np.array([0, 1]), ("one row of tokens", "4 tokens or more")),
    ):
        np.save(tmp_path / "ids.npy", values)
        with pytest.raises(UserError) as caught:
            load_data(tmp_path / "ids.npy", model)
        for part in parts:
            assert part in str(caught.value)


@pytest.mark.parametrize(
    ("ids_shape", "mask_shape"),
    [
        (["batch", "seq"], ["batch", "seq"]),
        (["a", "b"], ["c", "d"]),
        (["batch", 2], ["rows", 2]),
        ([None, None], [None, None]),
    ],
)
def test_ids_and_mask_share_their_batch(
    tmp_path: Path, ids_shape: list[str | int | None], mask_shape: list[str | int | None]
) -> None:
    nodes = [
        helper.make_node("Gather", ["one", "ids"], ["e"]),
        helper.make_node("MatMul", ["e", "table"], ["p"], name="fc"),
        helper.make_node("Cast", ["mask"], ["m"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["m", "last"], ["n"]),
        helper.make_node("Mul", ["p", "n"], ["y"]),
        helper.make_node("Add", ["y", "place"], ["z"]),
    ]
    graph = helper.make_graph(
        nodes,
        "masked",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ids_shape),
            helper.make_tensor_value_info("mask", TensorProto.INT64, mask_shape),
            helper.make_tensor_value_info("place", TensorProto.FLOAT, [ids_shape[1] or 2, 1]),
        ],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(np.eye(2, dtype=np.float32), "one"),
            numpy_helper.from_array(np.array([[1, 2], [3, 4]], np.float32), "table"),
            numpy_helper.from_array(np.array([2]), "last"),
        ],
    )
    model = load_model(save(tmp_path, graph))
    np.savez(
        tmp_path / "d.npz",
        ids=[[0, 1], [1, 1], [1, 0]],
        mask=[[1, 0], [1, 1], [0, 1]],
        place=np.array([[0], [100]], np.float32),
    )
    result = infer(model, load_data(tmp_path / "d.npz", model), "fp32")
    # Rows of `table` by id, 0 where the mask is 0; the second token's logits are 100 more in every row.
    expected = [[[1, 2], [100, 100]], [[3, 4], [103, 104]], [[0, 0], [101, 102]]]
    assert result.logits.tolist() == expected


def test_one_row_of_tokens_for_rows_of_open_length(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["e"]),
        helper.make_node("MatMul", ["e", "w"], ["y"]),
    ]
    table, w = np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32)
    graph = helper.make_graph(
        nodes,
        "open",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n", "length"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "length", 3])],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(w, "w")],
    )
    np.save(tmp_path / "ids.npy", np.array([0, 1, 2, 0]))
    with pytest.raises(UserError) as caught:
        load_data(tmp_path / "ids.npy", load_model(save(tmp_path, graph)))
    said = str(caught.value)
    assert "leaves the length of its rows open" in said
    assert "--dim length=LENGTH" in said
