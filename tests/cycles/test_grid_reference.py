"""Is every edge of the compiled grid right? Random edges against one PE at a time in Python."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.array import Grid
from simulator.array import signals as sig
from simulator.numerics import get_mac
from tests.reference.grid import Add, OutputStationary, Sum, WeightStationary
from tests.reference.mac import Fixed

MACS = {
    "int8": Fixed("int8", "int8", bits=32, lsb=0),
    "elma8": Fixed("log8.1", "log8.1", bits=38, lsb=-24, log=True),
    "posit8": Fixed("posit8.1", "posit8.1", bits=38, lsb=-24, overflow="sticky"),
}


def adder(mac: Fixed) -> Add:
    def add(old: Sum, a: int, w: int) -> Sum:
        value, infinite, overflow = mac.step(old[0], a, w)
        return value, old[1] or infinite, (old[2] or overflow) if mac.overflow == "sticky" else 0

    return add


def registers_of(grid: Grid) -> list[Sum]:
    sums = grid.accumulators
    bottom = zip(sums.values[-1], sums.is_infinite[-1], sums.overflow[-1], strict=True)
    return [(int(value), bool(infinite), int(overflow)) for value, infinite, overflow in bottom]


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("name", MACS)
def test_output_stationary_edges(name: str, depth: int) -> None:
    rng = np.random.default_rng(depth)
    grid = Grid(name, 3, 4, pipeline_depth=depth)
    twin = OutputStationary(3, 4, adder(MACS[name]), depth)
    for _ in range(250):
        a, w = rng.integers(0, 256, 3).tolist(), rng.integers(0, 256, 4).tolist()
        control = {
            "reset": rng.random() < 0.03,
            "multiply": rng.random() < 0.7,
            "shift_out": rng.random() < 0.5,
        }
        bottom = grid.step(a, w, **control)
        expected = twin.step(a, w, **control)
        assert bottom.tolist() == [value for value, _, _ in expected]
        assert registers_of(grid) == expected


@pytest.mark.parametrize(("depth", "interval"), [(1, 1), (3, 1), (3, 2), (2, 2)])
@pytest.mark.parametrize("name", MACS)
def test_weight_stationary_edges(name: str, depth: int, interval: int) -> None:
    rng = np.random.default_rng(depth * 10 + interval)
    grid = Grid(name, 3, 4, dataflow="ws", pipeline_depth=depth, accumulation_interval=interval)
    twin = WeightStationary(3, 4, adder(MACS[name]), depth, interval)
    # The compiled grid starts with an empty preload chain; fill it before anything is compared.
    for edge in range(250):
        a, w = rng.integers(0, 256, 3).tolist(), rng.integers(0, 256, 4).tolist()
        load = edge < 8 or rng.random() < 0.2
        multiply = edge >= 8 and rng.random() < 0.8
        sums = rng.integers(-1000, 1000, 4).tolist()
        bottom = grid.step(a, w, multiply=multiply, load=load, partial_sums=sums)
        expected = twin.step(a, w, sums, multiply=multiply, load=load)
        assert bottom.tolist() == [value for value, _, _ in expected]
        assert registers_of(grid) == expected


def test_the_numpy_grid_equals_the_compiled_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    cycles = 120
    control = rng.choice([sig.MULTIPLY, sig.MULTIPLY, sig.SHIFT_OUT, 0], cycles).astype(np.uint8)
    for name in ("int8", "elma8", "posit8", "fp16", "bf16"):
        compiled = Grid(name, 3, 4, pipeline_depth=2)
        monkeypatch.setattr("simulator.array.grid.has_compiled_step", lambda _mac: False)
        plain = Grid(name, 3, 4, pipeline_depth=2)
        monkeypatch.undo()
        bits = compiled.blocks[0][0].activation.bits
        a, w = rng.integers(0, 1 << bits, (cycles, 3)), rng.integers(0, 1 << bits, (cycles, 4))
        assert compiled.is_compiled
        assert not plain.is_compiled
        assert np.array_equal(compiled.run(a, w, control), plain.run(a, w, control)), name


@pytest.mark.parametrize("name", ["fp16", "fp8_fp16"])
def test_subnormal_partial_sums_at_the_pins_count_as_the_mac_counts_them(name: str) -> None:
    """fp16 flushes them to zeros of their sign, fp8_fp16 keeps them; products are tiny, zero or ordinary."""
    mac, rng = get_mac(name), np.random.default_rng(9)
    signs, size = rng.integers(0, 2, 400) << 15, mac.activation.bits
    sums = signs | rng.integers(1, 1024, 400)
    a, w = (rng.integers(0, 1 << size - 1, 400) >> rng.integers(0, size - 1, 400) for _ in range(2))
    a |= rng.integers(0, 2, 400) << size - 1
    grid, came = Grid(name, 1, 1, dataflow="ws"), []
    for a_code, w_code, held in zip(a, w, sums, strict=True):
        grid.step([a_code], [w_code], load=True)
        came += grid.step([a_code], [w_code], multiply=True, partial_sums=[held]).tolist()
    assert came == mac.accumulate(sums, a, w).tolist()
    plain = signs | 0  # what flushing leaves of the sums
    assert (mac.accumulate(sums, a, w) != mac.accumulate(plain, a, w)).any() == (name == "fp8_fp16")
