"""All six ways to lay M, N and K over an array, two more than are bundled, through the simulator.

A script of its own, because a dataflow has to be in `DATAFLOWS` before configurations are imported; run by
`tests/cycles/test_all_axes.py`. Prints how much it compared.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from random import Random
from typing import Any, Literal, cast

import simulator.dataflow as dataflows
from simulator.dataflow import Dataflow

NEW = (
    Dataflow("ost", "output stationary, transposed", rows="n", columns="m", time="k"),
    Dataflow("ist", "input stationary, transposed", rows="m", columns="k", time="n"),
)


def register() -> None:
    """Add the dataflows, as a line each in the module would."""
    known = cast(dict[str, Dataflow], dataflows.DATAFLOWS)
    known.update({flow.name: flow for flow in NEW})
    cast(Any, dataflows).DataflowName = Literal[tuple(known)]


def check_grid() -> int:
    """Grid, closed form and matrix product; outputs that stay are the transposed product of `os`."""
    import numpy as np

    from simulator.array import ArrayTiming, run_product, schedule_product
    from simulator.numerics import get_mac, multiply

    rng, compared = np.random.default_rng(1), 0
    for case in range(60):
        mac = get_mac(["int8", "fp16", "elma8"][case % 3])
        depth = int(rng.integers(1, 4))
        timing = ArrayTiming(
            int(rng.integers(1, 6)),
            int(rng.integers(1, 6)),
            NEW[case % 2].name,
            rng.choice(["none", "drain", "full"]),
            rng.choice(["full", "trimmed"]),
            pipeline_depth=depth,
            accumulation_interval=int(rng.integers(1, depth + 1)),
        )
        m, n, k = (int(length) for length in rng.integers(1, 12, 3))
        a = rng.integers(0, 1 << mac.activation.bits, (m, k))
        w = rng.integers(0, 1 << mac.weight.bits, (k, n))
        run = run_product(timing, mac, a, w, observe_phases=True)
        schedule = schedule_product(timing, m=m, n=n, k=k)
        assert run.cycles == schedule.total_cycles, timing
        assert list(run.phases) == list(schedule.phases()), timing
        assert np.array_equal(run.accumulators, multiply(mac, a, w).accumulators), timing
        if timing.dataflow == "ost":
            other = run_product(replace(timing, dataflow="os"), mac, w.T, a.T)
            assert np.array_equal(run.accumulators, other.accumulators.T), timing
        else:
            other = run_product(
                replace(timing, rows=timing.columns, columns=timing.rows, dataflow="is"), mac, a, w
            )
            assert np.array_equal(run.accumulators, other.accumulators), timing
        assert run.cycles == other.cycles, timing
        compared += 1
    return compared


def check_toggles() -> int:
    """Counted toggles against the registers of the grid."""
    import numpy as np

    from simulator.numerics import get_mac
    from simulator.numerics.activity import switching_activity
    from tests.numbers.grid_toggles import grid_toggles
    from tests.numbers.test_activity import counts

    compared = 0
    for name in ("int8", "posit8", "fp16"):
        mac, rng = get_mac(name), np.random.default_rng(2)
        largest = 1 << (mac.activation.bits - 2)
        for flow in NEW:
            for rows, columns in ((3, 4), (1, 1), (4, 2)):
                a, w = rng.integers(0, largest, (5, 7)), rng.integers(0, largest, (7, 6))
                counted = switching_activity(mac, a, w, flow.name, rows=rows, columns=columns)
                stepped = grid_toggles(mac, a, w, flow.name, rows, columns, counted.product.bits)
                assert counts(counted) == stepped, (name, flow.name, rows, columns)
                compared += 1
    return compared


def check_machine() -> int:
    """Counts against the machine played step by step and its trace, and against the mirror of `ist`."""
    from simulator.foundation import UserError
    from simulator.system import simulate_network
    from simulator.system.access_trace import layer_accesses
    from simulator.workload.layer import Network
    from tests.cycles.random_layers import arch_of, draw_fields, draw_layer

    compared = 0
    for seed in range(60):
        rnd = Random(seed)
        network, fields, flow = Network("n", (draw_layer(rnd),)), draw_fields(rnd), NEW[seed % 2]
        try:
            (run,) = simulate_network(arch_of({**fields, "array.dataflow": flow.name}), network).layers
        except UserError:
            continue
        assert run.played.times.end == run.counts.cycles.total, seed
        assert sum(len(part.chunk.accesses.bytes) for part in layer_accesses(run)) > 0, seed
        if flow.name == "ist":
            turned = {"array.rows": fields["array.columns"], "array.columns": fields["array.rows"]}
            (other,) = simulate_network(arch_of({**fields, **turned, "array.dataflow": "is"}), network).layers
            assert run.counts == replace(other.counts, dataflow="ist"), seed
        compared += 1
    return compared


def check_prices() -> int:
    """A whole result, which closes when it is built, with every part priced."""
    from simulator.simulation import simulate

    compared = 0
    for flow in NEW:
        for overlap in ("none", "full"):
            fields = {"array.rows": 16, "array.columns": 8, "array.overlap": overlap}
            result = simulate("lenet5_fashion", arch="int8_32x32", dataflow=flow.name, overrides=fields)
            assert result.totals.energy_pj is not None
            assert result.totals.energy_pj > 0
            compared += 1
    return compared


if __name__ == "__main__":
    register()
    sys.stdout.write(f"{check_grid()} {check_toggles()} {check_machine()} {check_prices()}\n")
