"""Policies on a network whose maps are 16 x 16, where every n-th value of a tensor may be one column.

The judge is `max`, which looks at extremes alone: no policy may fall more than a point behind it, at 8 bits,
where there is next to nothing to gain, nor at 4, where there is much.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from simulator.foundation.paired import paired_outcomes
from simulator.inference import infer
from tests.small_network import SmallNetwork, small_network
from tests.trained_network import trained_network

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


@cache
def trained() -> SmallNetwork:
    with TemporaryDirectory() as folder:
        return trained_network(Path(folder))


@cache
def outcomes(mac: str, policy: str) -> tuple[bool, ...]:
    """Which of 3,000 images that the trained network has not seen are right."""
    network = trained()
    return tuple(infer(network.model, network.data, f"{mac} x {mac}", policy).accuracy.outcomes)


def points_above_max(mac: str, policy: str) -> float:
    """The standard error is about 0.3 points at 8 bits and 0.9 at 4."""
    return paired_outcomes(outcomes(mac, policy), outcomes(mac, "max")).points


@pytest.mark.slow
def test_the_trained_network_has_learned_its_task() -> None:
    accuracy = infer(trained().model, trained().data, "fp32").accuracy
    assert accuracy.top1_float32 is not None
    assert 0.88 < accuracy.top1_float32 < 0.95  # hard enough that rounding shows


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("mac", ["int8", "e4m3", "e3m4"])
def test_the_trained_network_at_eight_bits(mac: str, policy: str) -> None:
    assert points_above_max(mac, policy) >= -1


BEHIND = {("e3m0", "mse"), ("e3m0", "percentile")}
"""Saturated values move the means of layers: -2.9 and -1.0 points. With these given back both are ahead."""


@pytest.mark.slow
@pytest.mark.parametrize("policy", [*POLICIES, "mse+bias_correction", "mse+gptq+bias_correction"])
@pytest.mark.parametrize("mac", ["int4", "e2m1", "e3m0"])
def test_the_trained_network_at_four_bits_but_for_two_exceptions(mac: str, policy: str) -> None:
    if (mac, policy) in BEHIND:
        assert points_above_max(mac, policy) >= -4
        assert points_above_max(mac, f"{policy}+bias_correction") > 0
    else:
        assert points_above_max(mac, policy) >= -1
