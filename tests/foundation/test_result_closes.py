"""A result whose parts do not sum to its whole cannot be built."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from simulator.result import LayerCycles, LayerResult, OperandTraffic, close_energy


def layer(**changes: object) -> LayerResult:
    fields: dict[str, object] = {
        "name": "conv1",
        "kind": "conv",
        "mac": "int8",
        "m": 4,
        "n": 3,
        "k": 2,
        "macs": 24,
        "folds": 1,
        "cycles": LayerCycles(compute=2, fill=3, drain=4, stall=1, total=10),
        "stalls": {"dram": 1},
        "utilization": 0.5,
        "sram_bytes": OperandTraffic(),
        "dram_bytes": OperandTraffic(),
        "energy_pj": close_energy({"pe_add": 1500, "pe_multiply": 2}),
    }
    return LayerResult.model_validate(fields | changes)


def test_a_closed_layer_is_accepted() -> None:
    assert layer().energy_pj == {"pe_add": 1.5, "pe_multiply": 0.002, "total": 1.502}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"macs": 25}, "MACs do not add up"),
        ({"stalls": {"dram": 2}}, "stalls do not add up"),
        ({"energy_pj": {"pe_add": 1.5, "total": 1.501}}, "femtojoules do not add up"),
        ({"cycles": {"compute": 2, "fill": 3, "drain": 4, "stall": 1, "total": 11}}, "cycles do not add up"),
        ({"unknown": 1}, "Extra inputs"),
    ],
)
def test_a_layer_that_does_not_close_is_refused(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        layer(**changes)
