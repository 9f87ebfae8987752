"""Products with short rows run transposed; sums of more than 64 bits become Python integers."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.numerics import get_mac
from simulator.numerics.engines.orientation import SHORT, Orientation
from simulator.numerics.engines.planner import multiply
from simulator.numerics.engines.wide import Wide


@pytest.mark.parametrize(
    ("rows", "columns", "turned"),
    [(SHORT + 1, SHORT, True), (SHORT + 2, SHORT + 1, False), (64, 64, False), (65, 64, True), (1, 1, False)],
)
def test_only_short_rows_beside_longer_columns_are_turned(rows: int, columns: int, *, turned: bool) -> None:
    assert Orientation.of(rows, columns).is_turned is turned


@pytest.mark.parametrize("name", ["fp16", "fp8_fp16", "elma8", "elma16"])
@pytest.mark.parametrize(("M", "N"), [(150, 5), (5, 150), (131, 130)])
def test_turned_products_have_the_bits_of_single_steps(name: str, M: int, N: int) -> None:
    mac, rng = get_mac(name), np.random.default_rng(M)
    a, w = mac.activation.encode(rng.normal(size=(M, 37))), mac.weight.encode(rng.normal(size=(37, N)))
    start = multiply(mac, a[:, :3], w[:3], engine="stepwise").accumulators
    for initial in (None, start):
        found = multiply(mac, a, w, initial, threads=2, one_of_many=True)
        assert found.engine in ("sequential", "log")
        wanted = multiply(mac, a, w, initial, engine="stepwise").accumulators
        assert (found.accumulators == wanted).all()
        assert found.accumulators.flags.c_contiguous


@pytest.mark.parametrize("bits", [65, 66, 100, 127, 128])
@pytest.mark.parametrize("shift", [0, 1, 63, 64, 65, 100, 127, 128])
def test_wide_sums_as_python_integers(bits: int, shift: int) -> None:
    values = [0, 1, -1, 2**63 - 1, -(2**63), 2**62, -(2**62) - 1, 12345, -98765]
    found = Wide.shifted(np.array(values, np.int64), shift).to_integers(bits)
    half = 1 << (bits - 1)
    assert found.tolist() == [((each << shift) + half) % (1 << bits) - half for each in values]
