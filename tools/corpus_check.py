"""One ONNX file as a user brings it: read, executed in ONNX Runtime and run with `fp32`, all compared.

python -m tools.corpus_check FILE.onnx '{"dims": {"seq": 64}, "values": {"sr": 16000}}'    # prints JSON
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.inference import Model, load_data, load_model, plan_network, run_plan
from simulator.inference.arithmetic import float32_product
from simulator.inference.coverage import coverage
from simulator.inference.execute import execute_outputs
from simulator.inference.output_sink import saved_outputs
from simulator.workload.onnx import Sizes, read_onnx
from tests.reference.onnx_counts import session_of
from tools.executed_macs import UncountedError, executed_macs

Feeds = dict[str, NDArray[Any]]
Results = Sequence[NDArray[Any]]
TRIED_SIZES = (64, 32, 96, 320, 512, 16, 1)
"""Sizes tried for dimensions that a file leaves open, besides the first dimension of an input, until it runs."""

SEED = 20261127
LARGE_DIFFERENCE = 1e-4
"""A difference above this is listed, with what explains it as far as known."""


@dataclass(slots=True)
class Outcome:
    """What became of a file. Text fields are empty where there was nothing to tell.

    `difference` is the largest absolute difference of an output from ONNX Runtime's over its largest
    magnitude, of all outputs of floats; integers and truth values must be equal, else it is 1.
    """

    inputs: dict[str, list[int]] = field(default_factory=dict)
    macs_read: int | None = None
    macs_executed: int | None = None
    macs_in_mac: int | None = None
    layers: int | None = None
    notes: list[str] = field(default_factory=list)
    difference: float | None = None
    refused: str = ""
    infer_refused: str = ""
    not_executed: str = ""
    reason: str = ""

    def as_document(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Outcome:
        """From what `as_document` gave."""
        return cls(**document)

    @property
    def share(self) -> float | None:
        """The smaller one of what is read and what goes through the MAC, over what is executed."""
        if self.macs_read is None or not self.macs_executed:
            return None
        covered = self.macs_read if self.macs_in_mac is None else min(self.macs_read, self.macs_in_mac)
        return covered / self.macs_executed


def check(path: Path, wanted: Mapping[str, Any]) -> Outcome:
    """Bring one file.

    Args:
        path: the file.
        wanted: `dims`: sizes by symbol or by `INPUT[AXIS]`; `values`: a number for all of an input, which is
            given to the simulator as `--input-value`; `batch_axis`: as `--batch-axis`.
    """
    outcome = Outcome()
    found = _executed(path, wanted)
    if isinstance(found, str):
        outcome.not_executed = found
        return outcome
    feeds, results = found
    outcome.inputs = {name: list(values.shape) for name, values in feeds.items()}
    try:
        outcome.macs_executed = executed_macs(path, feeds)
    except UncountedError as error:
        outcome.not_executed = f"not counted: {error}"
    sizes = _sizes(feeds, wanted)
    try:
        network = read_onnx(path, sizes=sizes)
        outcome.macs_read, outcome.layers = network.macs, len(network.layers)
        outcome.notes = list(network.notes)
    except UserError as error:
        outcome.refused = _text(error, path)
    try:
        outcome.macs_in_mac, outcome.difference, outcome.reason = _inferred(path, feeds, results, sizes)
    except UserError as error:
        outcome.infer_refused = _text(error, path)
    return outcome


def _text(error: UserError, path: Path) -> str:
    return " ".join(str(error).replace(str(path), path.name).split())


def _executed(path: Path, wanted: Mapping[str, Any]) -> tuple[Feeds, Results] | str:
    """Inputs that ONNX Runtime takes and what it gives for them, or why there are none."""
    try:
        model = onnx.load(path)
        session = session_of(model)
    except Exception as error:  # whatever a file of others makes them raise
        return _short(error)
    reason = ""
    for size in TRIED_SIZES:
        feeds = _feeds(model, wanted, size)
        try:
            return feeds, session.run(None, feeds)
        except Exception as error:  # as above
            reason = _short(error)
    return reason


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _feeds(model: onnx.ModelProto, wanted: Mapping[str, Any], size: int) -> Feeds:
    """Random values for every input: normal floats, ids 1 and 2, truth; open first dimensions are 1."""
    chance = np.random.default_rng(SEED)
    stored = {tensor.name for tensor in model.graph.initializer}
    batches: set[str] = set()
    feeds: Feeds = {}
    for value in model.graph.input:
        if value.name in stored:
            continue
        shape = []
        for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
            symbol = dimension.dim_param
            given = wanted.get("dims", {})
            number = given.get(f"{value.name}[{axis}]", given.get(symbol))
            if number is None and dimension.dim_value > 0:
                number = dimension.dim_value
            if number is None and (not axis or symbol in batches):
                number = 1
                batches |= {symbol} if symbol else set()
            shape.append(size if number is None else number)
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))
        number = wanted.get("values", {}).get(value.name)
        if number is not None:
            feeds[value.name] = np.full(shape, number, dtype)
        elif dtype.kind == "f":
            feeds[value.name] = (chance.normal(size=shape) * 0.5).astype(dtype)
        elif dtype.kind == "b":
            feeds[value.name] = np.ones(shape, dtype)
        else:
            feeds[value.name] = chance.integers(1, 3, size=shape).astype(dtype)
    return feeds


def _inferred(path: Path, feeds: Feeds, expected: Results, sizes: Sizes) -> tuple[int, float, str]:
    """MACs through the MAC, the difference of `infer --mac fp32` from ONNX Runtime, and what explains it."""
    model = load_model(path, sizes=sizes)
    with tempfile.TemporaryDirectory() as folder:
        data_file = Path(folder) / "inputs.npz"
        np.savez(data_file, **{each.name: _widened(feeds[each.name]) for each in model.inputs})  # type: ignore[arg-type]
        data = load_data(str(data_file), model)
        with saved_outputs(Path(folder) / "outputs") as sink:
            run_plan(model, data, plan_network(model, data, "fp32"), sink=sink)
            files = sink.finish()
        got = {name: np.load(file) for name, file in files.items()}
    worst, reasons = 0.0, []
    for name, values in zip(model.source.output_names, expected, strict=True):
        found = _difference(got[name], np.asarray(values))
        worst = max(worst, found)
        if found > LARGE_DIFFERENCE:
            reasons.append(_before_sigmoid(path, feeds, model, name) or _rounded_inside(path))
    return coverage(model).macs_in_mac, worst, "; ".join(dict.fromkeys(filter(None, reasons)))


def _rounded_inside(path: Path) -> str:
    """A reason where activations are rounded inside; empty where none are."""
    kinds = {node.op_type for node in onnx.load(path, load_external_data=False).graph.node}
    rounding = sorted(kind for kind in kinds if kind.startswith("DynamicQuantize"))
    return (
        f"{', '.join(rounding)} rounds activations to 8 bits: a sum that differs in its last bit may give the"
        " neighbouring code"
        if rounding
        else ""
    )


def _before_sigmoid(path: Path, feeds: Feeds, model: Model, output: str) -> str:
    """How far apart the operands of an output's Sigmoid are; empty for outputs of other operators."""
    exposed = onnx.load(path)
    made_by = {name: node for node in exposed.graph.node for name in node.output}
    node = made_by.get(output)
    if node is None or node.op_type != "Sigmoid":
        return ""
    operand = node.input[0]
    exposed.graph.output.append(onnx.helper.make_empty_tensor_value_info(operand))
    wanted = session_of(exposed).run([operand], feeds)[0]
    data = {each.name: feeds[each.name] for each in model.inputs}
    got = execute_outputs(model, data, float32_product, (operand,))[operand]
    before = _difference(got, wanted)
    if before > LARGE_DIFFERENCE:
        return ""
    return (
        f"what enters the Sigmoid of output {output} differs by {before:.1e}; ONNX Runtime's Sigmoid is an approximation,"
        " off by 0.5 % of results near 1e-5 and by more of smaller ones"
    )


def _sizes(feeds: Feeds, wanted: Mapping[str, Any]) -> Sizes:
    values = {name: value for name, value in wanted.get("values", {}).items() if name in feeds}
    shapes = {name: array.shape for name, array in feeds.items()}
    return Sizes(shapes, batch_axis=wanted.get("batch_axis", "auto"), values=values)


def _widened(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.float32) if values.dtype == np.float16 else values


def _difference(got: NDArray[Any], wanted: NDArray[Any]) -> float:
    if got.shape != wanted.shape:
        raise UserError(f"an output has shape {got.shape}, and ONNX Runtime gives {wanted.shape}")
    if wanted.dtype.kind != "f":
        return 0.0 if np.array_equal(got, wanted) else 1.0
    if not wanted.size:
        return 0.0
    error = np.abs(got.astype(np.float64) - wanted.astype(np.float64)).max()
    return float(error / max(np.abs(wanted.astype(np.float64)).max(), np.finfo(np.float32).tiny))


def main() -> None:
    wanted = json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    outcome = check(Path(sys.argv[1]), wanted)
    print(json.dumps(outcome.as_document()))


if __name__ == "__main__":
    main()
