"""Do an array's gates hold what the register-level grid holds after every clock edge?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tests.reference.recorded import recomputed

pytest.importorskip("amaranth", reason="needs Amaranth: pip install 'systolic-simulator[rtl]'")
pytest.importorskip("pyosys", reason="needs pyosys: pip install 'systolic-simulator[rtl]'")

from simulator.foundation import UserError
from simulator.hardware.array_circuit import ArrayShape, array_designs
from simulator.hardware.sequential_checks import check_runs, joined
from simulator.numerics import get_mac
from tests.hardware.synthesized import synthesized

TILE = 4


@pytest.mark.parametrize("dataflow", ["os", "ws", "is", "wst"])
@pytest.mark.parametrize("name", ["int8", "elma8", "fp16", "posit8"])
def test_every_register_of_an_array_is_that_of_the_grid(name: str, dataflow: str) -> None:
    found = check_runs(synthesized(name, dataflow=dataflow), 5, runs=4, length=5, random_edges=40)
    rows, columns = (2, 3) if dataflow == "wst" else (3, 2)
    edges = 1 + (5 + 3) + rows + 40 if dataflow == "os" else 1 + rows + columns - 1 + (5 + 3) + 40
    # A sum and two operands in each of 6 PEs, and a code at the end of each lane.
    assert found.compared == 4 * edges * (3 * 6 + columns)
    assert (found.differing, found.first) == (0, None)


@pytest.mark.exhaustive
@pytest.mark.parametrize("dataflow", ["os", "ws"])
@pytest.mark.parametrize(
    "name", ["int8", "elma8", "elma16", "fp16", "posit8", "mixed8", "fp8", "fp8_fp16", "bf16", "fp32"]
)
def test_8_by_8_arrays_of_every_preset(name: str, dataflow: str) -> None:
    found = check_runs(synthesized(name, 8, 8, dataflow), 6, runs=2, length=12, random_edges=20)
    assert found.compared > 2 * 40 * 3 * 64
    assert (found.differing, found.first) == (0, None)


@pytest.mark.exhaustive
def test_a_32_by_32_int8_array() -> None:
    found = check_runs(synthesized("int8", 32, 32, "os"), 7, runs=1, length=16, random_edges=0)
    edges = 1 + 16 + 62 + 32
    assert found.compared == edges * (3 * 1024 + 32)
    assert (found.differing, found.first) == (0, None)


def replay(name: str, record: str, expected: dict[str, str]) -> int:
    """Drive the emitted 4 x 4 array with a recorded run and compare ports with recorded columns."""
    hardware = synthesized(name, TILE, TILE, "os")
    simulation = hardware.simulation("array")
    nets = simulation.start(1)
    columns = {key: column for key, column in recomputed(record).items() if column.ndim == 1}
    edges = len(columns["reset"])
    bits = hardware.mac.activation.bits

    def row(prefix: str, edge: int) -> npt.NDArray[np.int64]:
        return np.array([[int(columns[f"{prefix}{index}"][edge]) for index in range(TILE)]])

    for edge in range(edges):
        for port, column in (("reset", "reset"), ("multiply", "enableMul"), ("shift_out", "enableShiftOut")):
            simulation.drive(nets, port, np.array([int(columns[column][edge])]))
        for port, prefix in (("activations", "a"), ("weights", "b")):
            simulation.drive(nets, port, joined(row(prefix, edge) & ((1 << bits) - 1), bits))
            if f"{port}_valid" in simulation.netlist.inputs:
                simulation.drive(nets, f"{port}_valid", np.array([(1 << TILE) - 1]))
        simulation.settle(nets)
        simulation.clock(nets)
        for port, prefix in expected.items():
            width = len(simulation.netlist.outputs[port]) // TILE
            word = int(simulation.read(nets, port, 1)[0])
            found = [(word >> (place * width)) & ((1 << width) - 1) for place in range(TILE)]
            wanted = [_word(columns, prefix, place, edge, width) for place in range(TILE)]
            assert found == wanted, (record, edge, port)
    return edges


def _word(columns: dict[str, npt.NDArray[np.generic]], prefix: str, place: int, edge: int, width: int) -> int:
    """A recorded sum, with its infinity flag on top where there is one."""
    value = int(columns[f"{prefix}{place}"][edge])
    if prefix != "acc":
        return value & ((1 << width) - 1)
    flag = int(columns[f"inf{place}"][edge])
    return (value & ((1 << (width - 1)) - 1)) | flag << (width - 1)


def test_the_published_integer_circuit_edge_by_edge() -> None:
    assert replay("int8", "int8_grid_t4_k12", {"sums": "c"}) == 22
    assert replay("int8", "int8_grid_t4_random_control", {"sums": "c"}) == 600


def test_the_published_log_circuit_edge_by_edge() -> None:
    assert replay("elma8", "log8_grid_t4_k12", {"sums": "acc", "codes": "code"}) == 22


def test_what_has_no_hardware_names_the_part() -> None:
    pipelined = {"activation": "fp16", "weight": "fp16", "accumulator": {"kind": "float", "format": "fp16"}}
    mac = get_mac({**pipelined, "pipeline_depth": 3, "accumulation_interval": 3})
    with pytest.raises(UserError, match=r"pipeline_depth.*pipelined PEs are not built \(got 3\); allowed: 1"):
        array_designs(mac, ArrayShape.of(2, 2, "os"))


@pytest.mark.parametrize(
    ("rows", "columns", "dataflow", "message"),
    [
        (0, 2, "os", r"rows: must be 1 or more \(got 0\)"),
        (2, -1, "os", r"columns: must be 1 or more \(got -1\)"),
        (500, 500, "os", "is too large to emit"),
        (2, 2, "oss", "unknown dataflow .*did you mean 'os'"),
    ],
)
def test_arrays_that_cannot_be(rows: int, columns: int, dataflow: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        ArrayShape.of(rows, columns, dataflow)
