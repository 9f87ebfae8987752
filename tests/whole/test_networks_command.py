"""`systolic networks`: the bundled networks and the layers of one, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

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
    assert len(document) == 14
    assert document["resnet18"]["macs"] == load_network("resnet18").macs
    assert document["resnet18"]["parameters"] == 11_678_912
    assert document["resnet18"]["source"].startswith("He et al.")


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
