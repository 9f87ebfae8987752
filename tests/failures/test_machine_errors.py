"""Does a machine that cannot run a network say why, in one message?"""

from __future__ import annotations

import pytest

from simulator.arch import load_arch
from simulator.foundation import UserError
from simulator.system import simulate_network
from simulator.workload.layer import Network, matrix_layer

NETWORK = Network("net", (matrix_layer("conv1", "fc", m=8, n=8, k=8),))


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"layers": {"conv_1": {"mac": "elma8"}}}, "network 'net' has no such layer (got 'conv_1')"),
        ({"layers": {"conv_1": {"mac": "elma8"}}}, "did you mean 'conv1'?"),
        ({"sram.filter.capacity_kib": 0.01}, "the filter buffer is too small for layer 'conv1'"),
        ({"dram.bandwidth_gbyte_per_s": 0}, "dram.bandwidth_gbyte_per_s"),
        ({"array.rows": 4, "tiling.tile_m": 8, "tiling.tile_k": 4}, "partial sums stay in the PEs"),
        ({"dram.refresh_interval_ns": 3, "dram.refresh_duration_ns": 2.5}, "dram.refresh_duration_ns"),
    ],
)
def test_what_cannot_run_is_told(overrides: dict[str, object], expected: str) -> None:
    with pytest.raises(UserError) as caught:
        simulate_network(load_arch("int8_32x32", overrides), NETWORK)
    assert expected in str(caught.value)
