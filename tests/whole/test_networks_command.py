"""`systolic networks`: the bundled networks and the layers of one, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from simulator.cli.networks import app
from simulator.workload import load_network


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_list_names_every_network_with_its_work() -> None:
    output = run()
    assert "4,089.2" in output
    assert "vit_b32" in output
    assert max(len(line) for line in output.splitlines()) <= 80


def test_the_list_as_json() -> None:
    document = {network["name"]: network for network in json.loads(run("--json"))}
    assert len(document) == 27
    assert document["resnet18"]["macs"] == load_network("resnet18").macs
    assert document["resnet18"]["parameters"] == 11_678_912
    assert document["resnet18"]["source"].startswith("He et al.")
    assert document["resnet50"]["variant"].startswith("v1.5")
    assert document["efficientnet_b0"]["macs_source"].endswith("torchvision: 0.386 G")


VARIANTS = {
    "resnet50": "variant: v1.5", "squeezenet": "version 1.1", "inception_v2": "BN-Inception",
    "shufflenet": "g = 4 at half width", "zfnet512": "not the paper's ZFNet",
}  # fmt: skip


@pytest.mark.parametrize("width", [60, 80])
def test_the_list_says_which_network_each_is(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line fits; each network's line of figures is followed by its variant, source and count."""
    monkeypatch.setenv("COLUMNS", str(width))
    lines = run().splitlines()
    assert max(len(line) for line in lines) <= width
    blocks = {}
    for line in lines[2:]:
        if not line.startswith(" "):
            name = line.split()[0]
            blocks[name] = ""
        blocks[name] += f" {line.strip()}"
    assert len(blocks) == 27
    for name, variant in VARIANTS.items():
        assert variant in blocks[name]
    for name, block in blocks.items():
        assert block.index(" variant: ") < block.index(" source: ") < block.index(" MACs: "), name


def test_one_network_says_which_it_is() -> None:
    lines = run("show", "zfnet512").splitlines()
    assert any(line.startswith("variant: ZFNet-512, not the paper's ZFNet") for line in lines)
    assert lines[-1].endswith("; no published count found")


def test_the_layers_of_one() -> None:
    output = run("show", "inception_v2")
    assert "2,018,851,840 MACs" in output
    assert max(len(line) for line in output.splitlines()) <= 80


def test_the_layers_of_one_as_json() -> None:
    document = json.loads(run("show", "resnet18", "--batch", "2", "--json"))
    first, *_, last = document["layers"]
    assert document["batch"] == 2
    assert (first["name"], first["m"], first["n"], first["k"]) == ("conv1", 2 * 112 * 112, 64, 147)
    assert first["post_operations"][-1] == {"kind": "pool", "elements": 2 * 112 * 112 * 64, "inputs": []}
    assert (last["kind"], last["inputs"]) == ("fc", ["conv5_2b"])
    assert sum(layer["macs"] for layer in document["layers"]) == document["macs"]


def test_what_is_not_simulated_is_said(tmp_path: Path) -> None:
    path = tmp_path / "sparse.csv"
    path.write_text("name,h,w,fh,fw,c,n,s,sparsity\nconv1,8,8,3,3,4,4,1,2:4\n")
    assert "not simulated: sparsity 2:4 of layer conv1 (simulated dense)" in run("show", str(path))
