"""Are equal layers priced and written once, and is the result the same as if they were not?"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from simulator import result_assembly as assembly
from simulator.arch import load_arch
from simulator.cost.mac_parts import structure_of
from simulator.cost.pricing import ArchitecturePricing
from simulator.cost.register_toggles import SwitchingActivity
from simulator.foundation.documents import pretty_json
from simulator.measurements import MeasuredLayer, Measurements
from simulator.numerics import get_mac
from simulator.result import Result
from simulator.simulation import load_workload, run_machine
from simulator.workload import Network

SHAPES = 5
LAYERS = 300


@pytest.fixture
def network(tmp_path: Path) -> Network:
    file = tmp_path / "many.csv"
    lines = [f"layer_{i},{8 + i % SHAPES},{16},{24}," for i in range(LAYERS)]
    file.write_text("\n".join(["Layer,M,N,K,", *lines]) + "\n")
    return load_workload(file)


def test_a_shape_is_priced_once_for_each_set_of_macs(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Layers of five shapes; every second of the first shape's sixty has a MAC of its own, one for all."""
    own = {f"layers.layer_{i}": {"mac": "int8 x int4"} for i in range(0, LAYERS, 2 * SHAPES)}
    arch = load_arch("int8_32x32", own)
    run = run_machine(arch, network)
    priced: list[object] = []
    made: list[object] = []
    price, make = ArchitecturePricing.layer, ArchitecturePricing.__init__

    def counting(self: ArchitecturePricing, *arguments: object) -> object:
        priced.append(self)
        return price(self, *arguments)  # type: ignore[arg-type]

    def counting_made(self: ArchitecturePricing, *arguments: object) -> None:
        made.append(self)
        make(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(ArchitecturePricing, "layer", counting)
    monkeypatch.setattr(ArchitecturePricing, "__init__", counting_made)
    result = assembly.assemble(arch, run)
    assert (len(priced), len(made)) == (SHAPES + 1, 2)
    assert len(result.layers) == LAYERS


def test_shared_layers_give_the_result_of_layers_priced_one_by_one(network: Network) -> None:
    arch = load_arch("int8_32x32")
    run = run_machine(arch, network)
    result = assembly.assemble(arch, run)
    alone = Result.model_validate(json.loads(result.to_json()))  # every sum checked anew, nothing shared
    assert alone == result
    pricing = ArchitecturePricing(arch, structure_of(get_mac("int8")))
    for layer, layer_run in zip(result.layers, run.layers, strict=True):
        assert layer.energy_pj == pricing.layer(layer_run.counts).energy_pj
        assert (layer.name, layer.start_cycle) == (layer_run.layer.name, layer_run.start_cycle)


def test_a_layer_with_tensors_is_priced_by_what_toggled_in_it_alone(network: Network) -> None:
    """Of 60 equal layers one is measured, in the middle, with no bit toggled: only its multipliers rest."""
    arch = load_arch("int8_32x32")
    still = MeasuredLayer(SwitchingActivity(0, 0, 0))
    name = f"layer_{30 * SHAPES}"
    result = assembly.assemble(arch, run_machine(arch, network), Measurements({name: still}))
    equal = [layer for layer in result.layers if layer.m == 8]
    multiply_pj = {layer.name: layer.energy_pj["pe_multiply"] for layer in equal}
    assert multiply_pj.pop(name) == 0
    assert len(multiply_pj) == LAYERS // SHAPES - 1
    assert set(multiply_pj.values()) == {equal[0].energy_pj["pe_multiply"]}
    assert equal[0].energy_pj["pe_multiply"] != 0


def test_the_text_is_that_of_the_whole_document(network: Network) -> None:
    arch = load_arch("int8_32x32")
    result = assembly.assemble(arch, run_machine(arch, network))
    assert result.to_json() == pretty_json(result.model_dump(mode="json")) + "\n"


def test_the_network_is_told_by_all_its_fields(network: Network) -> None:
    arch = load_arch("int8_32x32")
    result = assembly.assemble(arch, run_machine(arch, network))
    text = json.dumps(asdict(network), sort_keys=True, separators=(",", ":"))
    assert result.sources.network_hash == hashlib.sha256(text.encode()).hexdigest()
