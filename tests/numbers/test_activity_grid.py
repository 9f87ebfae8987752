"""Does the counted activity equal what the register-level grid's registers do, edge by edge?"""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from simulator.dataflow import DataflowName
from simulator.numerics import FixedAccumulator, Mac, get_mac
from simulator.numerics.activity import switching_activity
from tests.numbers.grid_toggles import grid_toggles
from tests.numbers.test_activity import FULL_FP16, SATURATING, counts, values
from tests.preset_macs import WITHOUT_BLOCKS
from tests.reference.mac import Fixed

DATAFLOWS = get_args(DataflowName)

OTHER_MACS: dict[str, dict[str, Any]] = {
    "saturating": SATURATING,
    "full fp16": FULL_FP16,
    "coarse": {
        "activation": "e4m3",
        "weight": "e3m4",
        "accumulator": {"kind": "fixed", "bits": 26, "lsb": -6},
    },
    "wide": {"activation": "e5m2", "weight": "posit8.2"},
    "sticky": {
        "activation": "int8",
        "weight": "int8",
        "accumulator": {"kind": "fixed", "bits": 16, "lsb": 0, "overflow": "sticky"},
    },
    "bf16 sum": {
        "activation": "e4m3",
        "weight": "bf16",
        "accumulator": {"kind": "float", "format": "bf16"},
    },
    "wide sums of narrow products": {
        "activation": "int8",
        "weight": "int8",
        "accumulator": {"kind": "fixed", "bits": 80, "lsb": 0},
    },
    "integers in 64-bit lanes": {
        "activation": "int16",
        "weight": "int16",
        "accumulator": {"kind": "fixed", "bits": 60, "lsb": 0},
    },
    "shifted products": {
        "activation": "fix8.5",
        "weight": "int8",
        "accumulator": {"kind": "fixed", "bits": 31, "lsb": -8},
    },
    "shifted products in 64-bit lanes": {
        "activation": "int16",
        "weight": "fix12.2",
        "accumulator": {"kind": "fixed", "bits": 62, "lsb": -7},
    },
    "float without NaN": {
        "activation": "e4m3fn",
        "weight": "e4m3",
        "accumulator": {"kind": "float", "format": "e6m9"},
    },
    "mixed operands": {"activation": "uint8", "weight": "log8.1", "accumulator": {"kind": "fixed"}},
}


def wire_bits(mac: Mac) -> int:
    """The product register: two's complement bits of the widest increment of any two codes."""
    if not isinstance(mac.accumulator, FixedAccumulator):
        return 0
    a, w = np.arange(1 << mac.activation.bits), np.arange(1 << mac.weight.bits)
    if mac.activation.bits + mac.weight.bits > 16:  # the extremes of 16-bit log numbers lie at their ends
        logs = np.array([0x0400, 0x7BFF, 0x8400, 0xFBFF])
        some = np.concatenate([logs, np.arange(0, 1 << 16, 997)])
        a = w = some
    increments = [int(product) for product in mac.product(a[:, None], w).flat]
    spare = Fixed("", "", mac.accumulator_bits, 0)
    low, high = min(map(spare.wrap, increments)), max(map(spare.wrap, increments))
    bits = 1
    while not -(1 << (bits - 1)) <= low <= high < 1 << (bits - 1):
        bits += 1
    return bits


def assert_equal_to_the_grid(
    mac: Mac, a: np.ndarray, w: np.ndarray, dataflow: DataflowName, rows: int, columns: int
) -> None:
    """All four register classes, to the bit."""
    counted = switching_activity(mac, a, w, dataflow, rows=rows, columns=columns)
    assert counted.product.bits == wire_bits(mac)
    stepped = grid_toggles(mac, a, w, dataflow, rows, columns, counted.product.bits)
    assert counts(counted) == stepped, (rows, columns, a.shape, w.shape)


@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize("name", WITHOUT_BLOCKS)
def test_activity_of_a_preset_equals_the_grid_on_random_shapes(name: str, dataflow: DataflowName) -> None:
    mac = get_mac(name)
    rng = np.random.default_rng([sum(map(ord, name + dataflow))])
    for seed in range(3):
        rows, columns = (int(size) for size in rng.integers(1, 6, 2))
        m, n = (int(size) for size in rng.integers(1, 10, 2))
        k = int(rng.integers(rows + 1, 4 * rows + 2))  # always more than the rows
        assert_equal_to_the_grid(mac, *values(mac, m, k, n, seed), dataflow, rows, columns)


@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize("name", OTHER_MACS)
def test_activity_of_any_other_mac_equals_the_grid(name: str, dataflow: DataflowName) -> None:
    mac = get_mac(OTHER_MACS[name])
    a, w = values(mac, 5, 11, 4, seed=2)
    counted = switching_activity(mac, a, w, dataflow, rows=4, columns=3)
    assert counts(counted) == grid_toggles(mac, a, w, dataflow, 4, 3, counted.product.bits)


@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize(
    "name", ["fp16", "fp8_fp16", "bf16", "fp32", "elma8", "posit8", "full fp16", "float without NaN"]
)
def test_activity_of_any_codes_equals_the_grid(name: str, dataflow: DataflowName) -> None:
    """Infinities and NaN too: in float sums they spread into the unused PEs, whose zeros they meet."""
    mac = get_mac(OTHER_MACS.get(name, name))
    rng = np.random.default_rng(17)
    fraction_bits = mac.activation.significand_bits - 1
    a = rng.integers(0, 1 << mac.activation.bits, (5, 7))
    w = rng.integers(0, 1 << mac.weight.bits, (7, 5))
    if (
        mac.activation.has_infinity
        and mac.weight.has_infinity
        and not isinstance(mac.accumulator, FixedAccumulator)
    ):
        # exactly infinite ones, not NaN, in one row and one column
        field = ((1 << (mac.activation.bits - 1 - fraction_bits)) - 1) << fraction_bits
        a[1, 2], w[3, 4] = field, field
    counted = switching_activity(mac, a, w, dataflow, rows=3, columns=4)
    assert counts(counted) == grid_toggles(mac, a, w, dataflow, 3, 4, counted.product.bits)


@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1)])
def test_a_single_pe_row_or_column_equals_the_grid(shape: tuple[int, int], dataflow: DataflowName) -> None:
    for name in ("int8", "elma8", "fp16"):
        mac = get_mac(name)
        assert_equal_to_the_grid(mac, *values(mac, 3, 4, 2, seed=4), dataflow, *shape)
        assert_equal_to_the_grid(mac, *values(mac, 1, 1, 1, seed=5), dataflow, *shape)


def test_partial_sums_enter_from_the_top_in_later_folds() -> None:
    """By hand: one row, one column, K = 2, products 3 and 4 in an 8-bit sum, one streamed activation.

    First fold: the sum register goes 0 -> 3 -> 0, which is 2 + 2 bits. Second fold: 3 enters at the top, so
    that it goes 0 -> 7 -> 0, 3 + 3 bits, and not 0 -> 4 -> 0. The wire goes 0 -> 3 -> 0 and 0 -> 4 -> 0.
    """
    mac = get_mac(
        {
            "activation": "uint2",
            "weight": "uint3",
            "accumulator": {"kind": "fixed", "bits": 8, "lsb": 0},
        }
    )
    a, w = np.array([[1, 1]]), np.array([[3], [4]])
    activity = switching_activity(mac, a, w, "ws", rows=1, columns=1)
    assert activity.accumulator.toggles == 10
    assert activity.product.toggles == 6
    assert activity.activation.toggles == 4
    assert activity.weight.toggles == 2 + 3  # 0 -> 3 -> 4: the second weight replaces the first
    still = switching_activity(mac, a, w, "os", rows=1, columns=1)
    assert still.accumulator.toggles == 2 + 1 + 3  # 0 -> 3 -> 7 -> 0
    assert still.product.toggles == 2 + 3 + 1  # 0 -> 3 -> 4 -> 0
