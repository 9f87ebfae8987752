"""Policies on a network whose maps are 16 x 16, where every n-th value of a tensor may be one column.

The judge is `max`, which looks at extremes alone: no policy may fall more than a point behind it, at 8 bits,
where there is next to nothing to gain, nor at 4, where there is much.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from simulator.inference import infer
from tests.small_network import SmallNetwork, small_network

POLICIES = ("mse", "percentile", "max+gptq", "max+bias_correction")
MORE_POLICIES = (
    "percentile+percentile=99.9",
    "max+learned",
    "mse+bias_correction",
    "mse+gptq+bias_correction",
)


@cache
def network(gain: float) -> SmallNetwork:
    with TemporaryDirectory() as folder:
        return small_network(Path(folder), gain=gain)


@cache
def right_of(mac: str, policy: str, images: int, gain: float = 1.0) -> float:
    """Percent of the first images that a format has right."""
    small = network(gain)
    top1 = infer(small.model, small.data.first(images), f"{mac} x {mac}", policy).accuracy.top1
    assert top1 is not None
    return 100 * top1


def test_the_network_is_worth_testing_on() -> None:
    small = network(1.0)
    accuracy = infer(small.model, small.data, "fp32").accuracy
    assert accuracy.top1_float32 is not None
    assert accuracy.top1_float32 > 0.97
    assert small.model.products[1].weights is not None


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("mac", ["int8", "e4m3"])
def test_no_policy_falls_behind_max_at_eight_bits(mac: str, policy: str) -> None:
    assert right_of(mac, policy, 200) >= right_of(mac, "max", 200) - 1


@pytest.mark.parametrize("policy", POLICIES)
def test_no_policy_falls_behind_max_in_four_bit_integers(policy: str) -> None:
    assert right_of("int4", policy, 200) >= right_of("int4", "max", 200) - 1


@pytest.mark.slow
@pytest.mark.parametrize("policy", [*POLICIES, *MORE_POLICIES])
@pytest.mark.parametrize("mac", ["int8", "e3m4"])
def test_all_policies_at_eight_bits_with_an_outlier_channel(mac: str, policy: str) -> None:
    assert right_of(mac, policy, 500, gain=8.0) >= right_of(mac, "max", 500, gain=8.0) - 1


@pytest.mark.slow
@pytest.mark.parametrize("policy", [*POLICIES, *MORE_POLICIES])
@pytest.mark.parametrize("mac", ["int4", "e2m1", "e1m2"])
def test_all_policies_at_four_bits(mac: str, policy: str) -> None:
    assert right_of(mac, policy, 500) >= right_of(mac, "max", 500) - 1
