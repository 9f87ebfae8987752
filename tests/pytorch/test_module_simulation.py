"""Is a module simulated as the ONNX file that PyTorch writes of it, with sizes worked out by hand?"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'systolic-simulator[torch]'")

from simulator import api
from simulator.foundation import UserError
from simulator.numerics import get_mac
from simulator.pytorch import export_module, infer, simulate
from simulator.pytorch.module_inputs import ModuleInputs
from simulator.result import Result
from simulator.workload.onnx import Sizes
from tests.pytorch.modules import AttentionBlock, Branching, Nested, SmallCnn, Tagger, seeded

Shape = tuple[str, int, int, int, int]


def shapes(result: Result) -> list[Shape]:
    return [(layer.name, layer.groups, layer.m, layer.n, layer.k) for layer in result.layers]


CASES: dict[str, tuple[Any, Any]] = {
    "cnn": (SmallCnn, torch.zeros(1, 3, 12, 12)),
    "cnn of a batch": (SmallCnn, torch.zeros(5, 3, 12, 12)),
    "lstm": (Tagger, torch.zeros(1, 4, dtype=torch.int64)),
    "attention": (AttentionBlock, (torch.zeros(1, 6, 16), torch.zeros(1, 6))),
}


def test_a_cnn_by_hand() -> None:
    """12 x 12 outputs of 3 x 3 x 3; pooled to 6 x 6, stride 2 without padding gives 2 x 2; 16 filters.

    K of the second convolution is 4 channels of 3 x 3; the linear layer takes 16 x 2 x 2.
    """
    result = simulate(seeded(SmallCnn), torch.zeros(1, 3, 12, 12))
    assert shapes(result) == [
        ("features.0", 1, 144, 8, 27),
        ("features.4", 2, 4, 16, 36),
        ("classifier", 1, 1, 10, 64),
    ]
    assert result.totals.macs == 144 * 8 * 27 + 4 * 16 * 36 + 64 * 10 == 34_048
    assert result.network.name == "SmallCnn"
    assert "PyTorch module SmallCnn in evaluation mode" in result.network.source
    assert "100 % of its MACs are layers" in result.network.source


def test_an_lstm_by_hand() -> None:
    """4 gates of 7: the input part of all 4 tokens at once, then the recurrent part step by step."""
    result = simulate(seeded(Tagger), torch.zeros(1, 4, dtype=torch.int64))
    assert shapes(result) == [
        ("lstm/input", 1, 4, 28, 12),
        *((f"lstm/recurrent/step_{step}", 1, 1, 28, 7) for step in range(4)),
        ("head", 1, 4, 5, 7),
    ]


def test_attention_by_hand() -> None:
    """Projections of 6 tokens; each of 2 heads multiplies 6 x 8 by 8 x 6 and 6 x 6 by 6 x 8."""
    result = simulate(seeded(AttentionBlock), (torch.zeros(1, 6, 16), torch.zeros(1, 6)))
    found = {name: rest for name, *rest in shapes(result)}
    projections = ("query", "key", "value", "out")
    assert [found[name] for name in projections] == [[1, 6, 16, 16]] * 4
    products = [rest for name, rest in found.items() if name not in projections]
    assert sorted(products) == [[2, 6, 12, 8], [2, 6, 16, 6]]
    assert result.totals.macs == 4 * 6 * 16 * 16 + 2 * (2 * 6 * 6 * 8) == 7296


@pytest.mark.parametrize("case", CASES)
def test_results_equal_those_of_the_exported_file(case: str, tmp_path: Path) -> None:
    kind, inputs = CASES[case]
    module = seeded(kind)
    path = tmp_path / "module.onnx"
    arguments = inputs if isinstance(inputs, tuple) else (inputs,)
    export_to(path, module, arguments)
    of_file, of_module = api.simulate(path, "elma8_32x32"), simulate(module, inputs, "elma8_32x32")
    assert [rest for _, *rest in shapes(of_module)] == [rest for _, *rest in shapes(of_file)]
    for figure in ("macs", "cycles", "energy_pj", "chip_energy_pj", "area_um2", "latency_ms"):
        assert getattr(of_module.totals, figure) == getattr(of_file.totals, figure), figure
    assert of_module.network.batch == of_file.network.batch


def export_to(path: Path, module: Any, arguments: tuple[Any, ...]) -> None:
    """As a user would: PyTorch's defaults, its optimizer included."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, arguments, path, dynamo=True, verbose=False)


def test_arguments_are_those_of_files() -> None:
    module = seeded(SmallCnn)
    one = simulate(
        module, torch.zeros(1, 3, 12, 12), overrides={"array.rows": 8}, mac="e4m3 x e4m3", dataflow="ws"
    )
    assert (one.arch["array"]["rows"], one.arch["array"]["dataflow"]) == (8, "ws")
    assert one.arch["array"]["mac"] == "e4m3 x e4m3"
    four = simulate(module, torch.zeros(1, 3, 12, 12), batch=4)
    assert [layer.m for layer in four.layers] == [4 * 144, 4 * 4, 4]
    assert shapes(four) == shapes(simulate(module, torch.zeros(4, 3, 12, 12)))


def test_dimensions_may_be_left_open() -> None:
    """Scores are 2 x 6 x 6 x 8 for each of 3 inferences; 9 tokens make them 2 x 9 x 9 x 8."""
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length")
    module = seeded(AttentionBlock)
    example = (torch.zeros(3, 6, 16), torch.zeros(3, 6))
    open_shapes = ({0: batch, 1: length}, {0: batch, 1: length})
    as_given = simulate(module, example, dynamic_shapes=open_shapes)
    assert as_given.totals.macs == 3 * (4 * 6 * 16 * 16 + 2 * (2 * 6 * 6 * 8))
    assert as_given.network.batch == 3
    longer = simulate(module, example, dynamic_shapes=open_shapes, sizes=Sizes(dims={"length": 9}))
    assert longer.totals.macs == 3 * (4 * 9 * 16 * 16 + 2 * (2 * 9 * 9 * 8))
    one = simulate(module, example, dynamic_shapes=open_shapes, batch=1)
    assert one.totals.macs == 7296


def test_mappings_and_arrays_are_taken() -> None:
    module = seeded(AttentionBlock)
    by_name = {"mask": np.zeros((1, 6), np.float32), "tokens": np.zeros((1, 6, 16), np.float32)}
    expected = simulate(module, (torch.zeros(1, 6, 16), torch.zeros(1, 6)))
    assert shapes(simulate(module, by_name)) == shapes(expected)


def test_nested_arguments_numbers_and_none() -> None:
    parts = {"left": torch.zeros(4, 6), "right": torch.zeros(4, 5)}
    expected = [("inner.left", 1, 4, 3, 6), ("inner.right", 1, 4, 3, 5)]
    assert shapes(simulate(Nested(), (parts, 2.0))) == expected
    assert shapes(simulate(Nested(), (parts, 2.0, torch.zeros(3)))) == expected


def test_modes_of_submodules_stay_as_they_are() -> None:
    module = seeded(SmallCnn).train()
    module.features[1].eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    modes = [each.training for each in module.modules()]
    result = simulate(module, torch.ones(2, 3, 12, 12))
    assert [each.training for each in module.modules()] == modes
    assert set(modes) == {True, False}
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert any(
        "SmallCnn was in training mode and is taken in evaluation mode" in each for each in result.warnings
    )
    assert not any(
        "training mode" in each for each in simulate(module.eval(), torch.ones(2, 3, 12, 12)).warnings
    )


def test_modes_come_back_after_a_refusal() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Dropout())
    with pytest.raises(UserError):
        simulate(module, torch.zeros(2, 4))
    assert all(each.training for each in module.modules())


def test_weights_are_not_copied() -> None:
    module = seeded(SmallCnn)
    exported = export_module(module, ModuleInputs.of(torch.zeros(1, 3, 12, 12)))
    for name in ("features.0.weight", "features.4.weight", "classifier.weight"):
        values = exported.source.body.constants[name].fresh()
        assert np.shares_memory(values, module.get_parameter(name).detach().numpy())


def test_weights_need_no_values() -> None:
    """On the device `meta` a linear layer of 20 GB costs nothing."""
    with torch.device("meta"):
        module = torch.nn.Linear(100_000, 50_000, bias=False)
        result = simulate(torch.nn.Sequential(module), torch.zeros(1, 100_000))
    assert shapes(result) == [("0", 1, 1, 50_000, 100_000)]


def test_refusals_are_one_sentence_with_the_exporters_reason(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError) as raised:
        simulate(Branching(), torch.ones(2, 3))
    message = str(raised.value)
    assert message.startswith("Branching: module: PyTorch's exporter refuses the module: ")
    assert "data-dependent" in message
    assert "\n" not in message
    with pytest.raises(UserError, match="a and b must have same reduction dim"):
        simulate(torch.nn.Linear(3, 3), torch.zeros(2, 4))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("module", "inputs", "message"),
    [
        ("resnet50", torch.zeros(1), "module: is no PyTorch module (got 'str')"),
        (torch.nn.Linear(2, 2), (), "example_inputs: holds no tensor (got 'tuple')"),
        (torch.nn.Linear(2, 2), {"input": 3}, "example_inputs: holds no tensor (got 'dict')"),
        (torch.nn.Linear(2, 2), np.array(["a"]), "has a type that PyTorch lacks"),
        (torch.nn.ReLU(), torch.zeros(1, 2), "ReLU: has no layers that an array can compute"),
    ],
)
def test_mistakes_are_named(module: Any, inputs: Any, message: str) -> None:
    with pytest.raises(UserError) as raised:
        simulate(module, inputs)
    assert message in str(raised.value)


def test_a_mac_may_be_an_object_as_for_files() -> None:
    inputs = torch.zeros(1, 3, 12, 12)
    of_name = simulate(seeded(SmallCnn), inputs, mac="elma8")
    assert simulate(seeded(SmallCnn), inputs, mac=get_mac("elma8")).totals == of_name.totals
    of_another_kind: Any = 8
    with pytest.raises(UserError, match="a MAC is a name, a spec string, a mapping"):
        simulate(seeded(SmallCnn), inputs, mac=of_another_kind)


def test_a_misspelt_price_is_refused_by_name() -> None:
    mac = {"activation": "int8", "weight": "int8", "accumulator": {"kind": "fixed", "bits": 32, "lsb": 0}}
    misspelt = {**mac, "price": {"energy": "elma9"}}
    for run in (simulate, infer):
        with pytest.raises(UserError, match=r"mac\.price\.energy: .*got 'elma9'.*did you mean 'elma8'"):
            run(torch.nn.Linear(4, 3), torch.zeros(2, 4), mac=misspelt)
