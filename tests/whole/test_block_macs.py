"""Block-scaled MACs by name in every command, and one clear sentence where they are not known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from simulator.foundation import UserError
from simulator.numerics import get_mac, multiply
from simulator.numerics.activity import switching_activity
from simulator.numerics.mac_config import read_spec
from tests.command import run
from tests.preset_macs import WITH_BLOCKS

OWN = """
macs:
  tile:
    activation: sm4
    weight: sm4
    blocks: {scale: e8m0, block: 16}
    accumulator: {kind: blocks, sum: once}
array:
  mac: tile
"""


@pytest.mark.parametrize("name", WITH_BLOCKS)
def test_a_preset_simulates(capsys: pytest.CaptureFixture[str], name: str) -> None:
    text = run(capsys, "simulate", "lenet5_fashion", "--mac", name, "--json").must_succeed().stdout
    document = json.loads(text)
    assert document["totals"]["macs"] == 416_520
    assert document["not_priced"] == []
    assert f"{name}: no published row; composed from parts, to about 50%" in document["sources"]["notes"]


def test_presets_compare_with_accuracy(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "--mac",
        "int8",
        "--mac",
        "nvfp4",
        "--data",
        "fashion_mnist_1000",
        "--images",
        "50",
        "--json",
    ]
    document = json.loads(run(capsys, "compare", "lenet5_fashion", *arguments).must_succeed().stdout)
    assert [each["mac"] for each in document["variants"]] == ["int8", "nvfp4"]


def test_toggles_are_assumed_and_said_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--data", "fashion_mnist_1000", "--images", "20", "--json"]
    outcome = run(capsys, "simulate", "lenet5_fashion", "--mac", "mxfp4", *arguments).must_succeed()
    notes = json.loads(outcome.stdout)["sources"]["notes"]
    assert "bits toggled: assumed, not counted, of mxfp4, which has block scales" in notes
    assert not any("counted in every register" in note for note in notes)


def test_an_own_format_in_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(OWN)
    arguments = ["--arch", str(tmp_path / "own.yaml"), "--json"]
    document = json.loads(run(capsys, "simulate", "lenet5_fashion", *arguments).must_succeed().stdout)
    assert document["arch"]["array"]["mac"] == "tile"


@pytest.mark.parametrize(
    ("section", "parts"),
    [
        ("{activation: mxfp4, weight: e2m1}", ["block-scaled formats", "activation"]),
        ("{activation: mxfp4, weight: nvfp4}", ["weight", "scaled otherwise", "e8m0 scales over 32"]),
        ("{activation: e2m1, weight: e2m1, blocks: {scale: fp32}}", ["MAC", "blocks.scale", "fp32"]),
        (
            "{activation: e2m1, weight: e2m1, blocks: {scale: e8mo}}",
            ["MAC", "blocks.scale", "'e8mo'", "did you mean 'e8m0'"],
        ),
        ("{activation: e2m1, weight: e2m1, blocks: {blok: 3}}", ["blok", "did you mean"]),
        (
            "{activation: e2m1, weight: e2m1, blocks: {rule: nearest}}",
            ["MAC", "blocks.rule", "floor, ceil, even, rceil"],
        ),
        (
            "{activation: mxfp4, weight: mxfp4, accumulator: {kind: float, format: fp32}}",
            ["accumulator.kind", "'float'", "blocks"],
        ),
        ("{activation: int8, weight: int8, accumulator: {kind: blocks}}", ["without block scales", "blocks"]),
        (
            "{activation: mxint8, weight: mxint8, accumulator: {kind: blocks, sum: blackwell}}",
            ["tensor cores", "fix8.6"],
        ),
        ("{activation: fp16, weight: fp16, blocks: {}}", ["MAC", "activation: cannot", "fp16"]),
        ("{activation: e2m1, weight: int16, blocks: {}}", ["MAC", "weight: cannot", "int16"]),
        (
            "{activation: int8, weight: int8, blocks: {scale: bf16, tensor_scale: true}}",
            ["MAC", "blocks.tensor_scale", "false"],
        ),
    ],
)
def test_mistakes_in_a_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, section: str, parts: list[str]
) -> None:
    (tmp_path / "own.yaml").write_text(f"array: {{mac: {section}}}\n")
    run(capsys, "simulate", "lenet5_fashion", "--arch", tmp_path / "own.yaml").must_refuse(*parts)


@pytest.mark.parametrize("name", ["nvfp4_single", "int8_g64"])
def test_a_format_alone_is_no_mac(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """A MAC has two operands; the message says how a bundled format becomes one."""
    run(capsys, "macs", "show", name).must_refuse(repr(name), f"'{name} x {name}'")
    run(capsys, "macs", "show", f"{name} x {name}").must_succeed()


@pytest.mark.parametrize(
    "arguments",
    [
        ("rtl", "verify", "mxfp4"),
        ("simulate", "lenet5_fashion", "--mac", "mxfp4", "--engine", "grid"),
        ("simulate", "lenet5_fashion", "--mac", "mxfp4", "--vcd", "out.vcd"),
        ("simulate", "lenet5_fashion", "--mac", "mxfp4", "--access-trace", "out.csv"),
        ("rtl", "emit", "mxfp4", "-o", "out"),
        ("infer", "lenet5_fashion", "--mac", "mxfp4", "--check", "--images", "4"),
        ("trace", "lenet5_fashion", "--mac", "mxfp4", "--images", "4", "-o", "out"),
    ],
)
def test_what_does_not_know_block_scales_says_so(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run(capsys, *arguments)
    assert outcome.exit_code == 2, outcome.stderr
    assert "does not know block scales" in outcome.stderr
    assert list(tmp_path.iterdir()) == []


def test_codes_alone_are_no_operands() -> None:
    mac, codes = get_mac("mxfp4"), np.zeros((4, 4), np.uint8)
    for refused in (
        lambda: multiply(mac, codes, codes),
        lambda: switching_activity(mac, codes, codes, "os", rows=4, columns=4),
    ):
        with pytest.raises(UserError, match="does not know block scales"):
            refused()
    with pytest.raises(UserError, match="adds whole blocks"):
        mac.accumulate(0, 0, 0)


@pytest.mark.parametrize("name", [*WITH_BLOCKS, "mxfp8_e4m3 x mxfp4", "int8_g64 x int4_g64"])
def test_a_mac_is_read_back_from_its_document(name: str) -> None:
    spec = get_mac(name).spec
    assert spec.name == name
    assert read_spec(json.loads(json.dumps(spec.document()))) == spec
