"""Do columns with MACs of their own each compute as their MAC does?"""

from __future__ import annotations

import numpy as np
import pytest

from simulator.array import ArrayTiming, Grid, run_product
from simulator.foundation import UserError
from simulator.numerics import get_mac, multiply


@pytest.mark.parametrize("dataflow", ["os", "ws"])
def test_every_column_has_its_own_mac(dataflow: str) -> None:
    rng = np.random.default_rng(2)
    narrow = {"activation": "int8", "weight": "int4", "accumulator": {"kind": "fixed", "bits": 12}}
    blocks = [("int8", 2), (narrow, 1), ("int8 x e4m3", 2)]
    a, w = rng.integers(-128, 128, (7, 9)), rng.integers(0, 16, (9, 5))
    run = run_product(ArrayTiming(3, 5, dataflow, "full"), blocks, a, w)  # type: ignore[arg-type]
    expected = [
        multiply(get_mac("int8"), a, w[:, :2]).accumulators,
        multiply(get_mac(narrow), a, w[:, 2:3]).accumulators,
        multiply(get_mac("int8 x e4m3"), a, w[:, 3:]).accumulators,
    ]
    assert np.array_equal(run.accumulators, np.concatenate(expected, axis=1))


def test_blocks_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match="must cover the array"):
        Grid([("int8", 2), ("int8", 1)], 4, 4)
    with pytest.raises(UserError, match="share one activation format"):
        Grid([("int8", 2), ("elma8", 2)], 4, 4)
    with pytest.raises(UserError, match="need one MAC"):
        Grid([("int8", 2), ("int8 x int4", 2)], 4, 4, dataflow="is")
