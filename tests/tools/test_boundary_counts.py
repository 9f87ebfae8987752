"""What counts as a decision on dataflow or on accumulator kind, and how many are there?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.boundary_counts import KINDS, SUBJECTS, Decision, Subject, decisions_in, decisions_under

DATAFLOW, ACCUMULATOR = SUBJECTS
SIMULATOR = Path(__file__).parents[2] / "simulator"

ON_DATAFLOW = {
    'x = 1 if timing.dataflow == "os" else 2': ["comparison"],
    "x = array.dataflow != OUTPUTS_STAY": ["comparison"],
    'x = "os" in arch.dataflows': ["membership"],
    'x = flow not in ("ws", "is")': ["membership"],
    "x = arch.dataflow_of(layer) == y": ["comparison"],
    "x = set(dataflows) != y": ["comparison"],
    "x = flow.rows == axis": ["comparison"],
    "match dataflow:\n    case 'os':\n        pass": ["match"],
    "x = isinstance(controller, StationaryController)": ["class"],
    "x = hasattr(flow, 'name')": ["class"],
    "if t.outputs_stay:\n    pass": ["flag"],
    "while not t.outputs_stay:\n    pass": ["flag"],
    "x = [y for y in z if y.sums_stay]": ["flag"],
    "x = any(y.sums_stay for y in z)": ["flag"],
    "x = weights_stay and y": ["flag"],
    "assert timing.flow.circuit.sums_stay": ["flag"],
    "x = TABLE[dataflow]": ["lookup"],
    "x = {'os': 1}[timing.dataflow]": ["lookup"],
    "def f(t):\n    held = t.dataflow == 'os'\n    return 1 if held else 2": ["comparison", "flag"],
    "def f(t):\n    held = int(t.outputs_stay)\n    if held:\n        pass": ["flag"],
    "def f(t):\n    held = t.dataflow\n    return held == y": ["comparison"],
    "def f(t):\n    held = t.dataflow == 'os'\ndef g(held):\n    return held or 1": ["comparison"],
    "x = dataflow is None": [],
    "x = timing.dataflow": [],
    "x = run(dataflow) == 3": [],
    "x = a == b": [],
    "x = t.outputs_stay * rows": [],
    "'if dataflow == 1'": [],
}
ON_ACCUMULATOR = {
    "if mac.is_fixed:\n    pass": ["flag"],
    "x = isinstance(mac.accumulator, FixedAccumulator)": ["class"],
    "x = isinstance(spec, FixedAccumulator | FloatAccumulator)": ["class"],
    "x = block[op.KIND] == op.FLOAT": ["comparison", "lookup"],
    'x = fixed.overflow == "sticky"': ["comparison"],
    'x = mac.spec.product == "fused"': ["comparison"],
    "x = _OVERFLOW[fixed.overflow]": ["lookup"],
    'x = mac.accumulator.kind == "float"': ["comparison"],
    "x = mac.accumulator.on_overflow in y": ["membership"],
    "x = type(y) is TruncatedAccumulator": ["comparison"],
    "x = issubclass(kind, (FixedAccumulatorConfig, str))": ["class"],
    "x = isinstance(rule, LogProducts)": ["class"],
    "x = 1 if fixed.is_modular else 2": ["flag"],
    "match fixed:\n    case FixedAccumulator(bits=8):\n        pass": ["match"],
    "x = mac.accumulator_bits > 62": [],
    "x = fixed.bits > 62": [],
    "x = mac.accumulator.step(pair, sums, a, w)": [],
    "x = mac.accumulator.limit < y": [],
    'x = FixedAccumulator(32, 0, "wrap")': [],
    "x = isinstance(mac.activation, Minifloat)": [],
}


@pytest.mark.parametrize(("source", "kinds"), ON_DATAFLOW.items())
def test_decisions_on_dataflow(source: str, kinds: list[str]) -> None:
    assert [decision.kind for decision in decisions_in(source, DATAFLOW)] == kinds


@pytest.mark.parametrize(("source", "kinds"), ON_ACCUMULATOR.items())
def test_decisions_on_accumulator_kind(source: str, kinds: list[str]) -> None:
    assert [decision.kind for decision in decisions_in(source, ACCUMULATOR)] == kinds


def test_a_decision_is_found_with_its_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "module.py").write_text("x = 1\ny = dataflow == x\n")
    (decision,) = decisions_under(tmp_path, DATAFLOW)
    assert (decision.path, decision.line, decision.kind) == ("part/module.py", 2, "comparison")


def counted(subject: Subject, *, in_hardware: bool) -> list[Decision]:
    """Decisions in the simulator, either in the circuits of `simulator.hardware` or everywhere else."""
    return [
        each
        for each in decisions_under(SIMULATOR, subject)
        if each.kind in KINDS and each.path.startswith("hardware/") == in_hardware
    ]


def test_few_places_decide_by_dataflow() -> None:
    """116 before dataflows were objects. A new one belongs into `simulator.dataflow`, as a property."""
    found = counted(DATAFLOW, in_hardware=False)
    assert 10 <= len(found) <= 25, found


def test_few_places_decide_by_the_kind_of_an_accumulator() -> None:
    """A new one answers for itself, as a subclass of `Accumulator`; kernels are registered by its type."""
    found = counted(ACCUMULATOR, in_hardware=False)
    assert 5 <= len(found) <= 20, found


def test_circuits_decide_no_more_often_than_they_do() -> None:
    """Wires and registers are drawn by dataflow and accumulator; a new decision there needs a reason."""
    assert len(counted(DATAFLOW, in_hardware=True)) <= 16
    assert len(counted(ACCUMULATOR, in_hardware=True)) <= 8
