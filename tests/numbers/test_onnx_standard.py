"""ONNX's own tests of its operators, through the reader: every one on plain tensors that we can run agrees.

`onnx.backend.test` makes a small model, inputs and outputs for each; nothing of them comes from us. Half
precisions run in float32 and are held to half a per cent.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.inference.arithmetic import float32_product
from simulator.inference.execute import execute_outputs
from simulator.inference.model import Model
from simulator.workload.onnx import Sizes, read_source

Tensor = NDArray[Any]

RANDOM = ("random", "bernoulli", "training")
"""Tests whose outputs depend on chance."""

ON_DATA = {
    "If": "its condition depends on data",
    "Loop": "its trip count depends on data",
    "DFT": "an axis that depends on data",
    "STFT": "a frame step or length that depends on data",
    "Scan": "its form before operator set 9",
    "MatMul": "is unknown",  # AffineGrid by simpler operators, for a size that is an input
    "FlexAttention": "ai.onnx.preview.FlexAttention",
}
"""What is refused: the operator, and the words of the refusal."""


@dataclass(frozen=True)
class OnnxTest:
    """One test: a model, values of its inputs, and those of its outputs."""

    name: str
    model: onnx.ModelProto
    feeds: Mapping[str, Tensor]
    outputs: tuple[Tensor, ...]


def on_plain_tensors() -> Iterator[OnnxTest]:
    """Tests that have inputs, all of which are tensors of numbers and not empty, as are the outputs.

    A size of zero in a file means an open dimension to us.
    """
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tests = collect_testcases(None)
    for test in tests:
        if test.model is None or not test.data_sets or any(word in test.name for word in RANDOM):
            continue
        inputs, outputs = test.data_sets[0]
        if not inputs or "optional" in test.name:
            continue
        values = [*inputs, *outputs]
        if not all(isinstance(each, np.ndarray | np.generic) for each in values):
            continue
        if any(np.asarray(each).dtype.kind in "OUS" for each in values):
            continue
        if any(np.asarray(each).size == 0 for each in inputs):
            continue
        names = [each.name for each in test.model.graph.input]
        feeds = {name: np.asarray(each) for name, each in zip(names, inputs, strict=False)}
        yield OnnxTest(test.name, test.model, feeds, tuple(np.asarray(each) for each in outputs))


def computed(path: Path, test: OnnxTest) -> list[Tensor]:
    onnx.save(test.model, path)
    source = read_source(path, all_inputs_are_data=True)
    model = Model(path, "test", source, source.output_names[0], source.output_names, Sizes())
    model._programs.run_sizes[()] = None  # no batches here: one run, as it is
    outputs = execute_outputs(model, test.feeds, float32_product, source.output_names)
    return [np.asarray(outputs[name]) for name in source.output_names]


def agrees(got: Tensor, wanted: Tensor) -> bool:
    if got.shape != wanted.shape:
        return False
    is_half = wanted.dtype.name in ("float16", "bfloat16")
    tolerance = 5e-3 if is_half else 1e-4
    got, wanted = got.astype(np.complex128), wanted.astype(np.float32 if is_half else None)
    return np.allclose(got, wanted, rtol=tolerance, atol=tolerance, equal_nan=True)


FRACTIONS_OF_A_PLACE = [f"test_resize_downsample_scales_{mode}_align_corners" for mode in ("cubic", "linear")]
"""ONNX's examples align corners at scale x length, a fraction; ONNX Runtime at the whole length."""


@pytest.mark.slow
def test_operators_do_what_onnx_says(tmp_path: Path) -> None:
    agreeing = 0
    wrong: list[str] = []
    for test in on_plain_tensors():
        operators = {node.op_type for node in test.model.graph.node}
        try:
            results = computed(tmp_path / "test.onnx", test)
        except UserError as error:
            reasons = [words for operator, words in ON_DATA.items() if operator in operators]
            if not any(words in str(error) for words in reasons):
                wrong.append(f"{test.name}: {error}")
            continue
        if all(map(agrees, results, test.outputs)):
            agreeing += 1
        else:
            wrong.append(test.name)
    assert sorted(wrong) == sorted(FRACTIONS_OF_A_PLACE)
    assert agreeing > 1400
