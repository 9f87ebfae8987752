"""A small network with a residual addition, on buffers small enough for several tiles."""

from __future__ import annotations

from simulator.arch import load_arch
from simulator.system import MachineRun, simulate_network
from simulator.workload.layer import Convolution, Network, PostOperation, convolution_layer, matrix_layer

NETWORK = Network(
    "small",
    (
        convolution_layer("first", Convolution(1, 3, 16, (24, 24), (3, 3), padding=(1, 1, 1, 1))),
        convolution_layer(
            "second",
            Convolution(1, 16, 16, (24, 24), (3, 3), padding=(1, 1, 1, 1)),
            inputs=("first",),
            post_operations=(PostOperation("add", 16 * 24 * 24),),
        ),
        matrix_layer("last", "fc", m=1, n=10, k=9216, inputs=("second",)),
    ),
)


def run_small(**overrides: object) -> MachineRun:
    fields: dict[str, object] = {"sram.ifmap.capacity_kib": 8, "sram.filter.capacity_kib": 8}
    fields.update({name.replace("__", "."): value for name, value in overrides.items()})
    return simulate_network(load_arch("int8_32x32", fields), NETWORK)
