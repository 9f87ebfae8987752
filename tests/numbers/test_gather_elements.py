"""GatherElements by hand: indices that cover a part of the data, several dimensions of which one is 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simulator.workload.onnx.evaluate import evaluator_of
from simulator.workload.onnx.graph import Node

ROW = [[10, 20, 30, 40, 50]]
TABLE = [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    ("data", "axis", "indices", "expected"),
    [
        (ROW, 1, [[4, 0, -1]], [[50, 10, 50]]),
        (ROW, -1, [[2]], [[30]]),
        (ROW, 0, [[0, 0, 0]], [[10, 20, 30]]),
        (TABLE, 0, [[1, 0]], [[4, 2]]),
        (TABLE, 1, [[2], [-3]], [[3], [4]]),
        ([7, 8, 9], 0, [2, 2, 0, 1], [9, 9, 7, 8]),
    ],
)
def test_gathered_elements(data: Any, axis: int, indices: Any, expected: Any) -> None:
    names = (("data", "indices"), ("gathered",))
    node = Node("GatherElements", *names, version=13, attributes={"axis": axis})
    evaluate = evaluator_of(node)
    assert evaluate is not None
    (result,) = evaluate((np.array(data, np.float32), np.array(indices, np.int64)))
    assert result.dtype == np.float32
    assert result.tolist() == expected
