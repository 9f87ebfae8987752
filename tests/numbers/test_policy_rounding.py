"""Do learned and second-order rounding keep a layer's output? Worked examples, all choices, descent."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from simulator.inference.policies.rounding import (
    descended,
    learned,
    nearest,
    neighbours,
    output_errors,
    second_order,
    soft_shares,
)
from simulator.numerics import get_format
from tests.reference.adaround import soft_roundings

Reals = NDArray[np.float64]

SPECS = ("int3", "int4", "e2m1", "e3m2", "int8")


def problem(spec: str, length: int, channels: int, *, seed: int = 1) -> tuple[Reals, Reals]:
    """Weights [K, N] and the moments [K, K] of inputs that are correlated, as activations are."""
    random = np.random.default_rng(seed)
    mixed = random.normal(size=(400, 3)) @ random.normal(size=(3, length))
    inputs = np.maximum(mixed + 0.5 * random.normal(size=(400, length)), 0)
    inside = 0.95 * get_format(spec).largest
    weights = np.clip(random.normal(size=(length, channels)) * inside / 3, -inside, inside)
    return weights, inputs.T @ inputs


def error(weights: Reals, rounded: Reals, moments: Reals) -> Reals:
    """The squared error of the output by channel, from its definition: d^T M d."""
    return np.array([d @ moments @ d for d in (rounded - weights).T])


def around(spec: str, weights: Reals) -> tuple[Reals, Reals]:
    """The format's values below and above each weight, which must lie between its ends."""
    levels = np.unique(get_format(spec).values())
    below = np.array([[levels[levels <= weight].max() for weight in row] for row in weights])
    above = np.array([[levels[levels > weight].min() for weight in row] for row in weights])
    return below, above


def flipped_one_after_the_other(weights: Reals, spec: str, moments: Reals) -> Reals:
    """Coordinate descent from the nearest codes: weight by weight to its other neighbour, while it helps."""
    lower, upper = around(spec, weights)
    fmt = get_format(spec)
    rounded = fmt.decode(fmt.encode(weights))
    for channel in range(weights.shape[1]):
        helped = True
        while helped:
            helped = False
            for k in range(len(weights)):
                before = error(weights[:, [channel]], rounded[:, [channel]], moments)[0]
                kept = rounded[k, channel]
                rounded[k, channel] = lower[k, channel] + upper[k, channel] - kept
                if error(weights[:, [channel]], rounded[:, [channel]], moments)[0] < before * (1 - 1e-12):
                    helped = True
                else:
                    rounded[k, channel] = kept
    return rounded


def test_errors_of_the_output_by_channel() -> None:
    weights, rounded = np.array([[0.4, 1.0], [0.4, 0.0]]), np.array([[0.0, 1.0], [1.0, 0.5]])
    # Channel 0: d = (-0.4, 0.6), d^T M d = 2 * 0.16 + 2 * 1 * -0.24 + 3 * 0.36; channel 1: 3 * 0.25.
    assert output_errors(weights, rounded, np.array([[2.0, 1.0], [1.0, 3.0]])) == pytest.approx([0.92, 0.75])


def test_the_levels_around_a_weight() -> None:
    levels = np.array([-2.0, 0, 1, 4])
    weights = np.array([-5.0, -2, -0.1, 0, 0.9, 1, 3.9, 4, 7])
    lower, upper = neighbours(weights, levels)
    assert lower.tolist() == [-2, -2, -2, 0, 0, 1, 1, 1, 1]
    assert upper.tolist() == [0, 0, 0, 1, 1, 4, 4, 4, 4]


def test_two_inputs_that_are_always_equal() -> None:
    # Only the sum of the two weights counts: 0.4 + 0.4 is best rounded to 0 + 1, not to 0 + 0.
    weights = np.array([[0.4, 0.3, -1.4, 7.0], [0.4, 0.4, -0.4, 7.0]])
    fmt, moments = get_format("int4"), np.ones((2, 2))
    for rounding in (second_order, learned):
        assert fmt.decode(rounding(weights, fmt, moments)).sum(axis=0).tolist() == [1, 1, -2, 14]
    assert fmt.decode(nearest(weights, fmt, moments)).sum(axis=0).tolist() == [0, 0, -1, 14]


def test_an_error_is_made_up_for_by_the_channels_to_come() -> None:
    # GPTQ by hand: 0.4 becomes 0; M01 / M11 = 1/2 of this error (but for damping) joins the second weight.
    moments = np.array([[1.0, 0.5], [0.5, 1.0]])
    fmt = get_format("int4")
    assert fmt.decode(second_order(np.array([[0.4], [0.35]]), fmt, moments)).tolist() == [[0], [1]]
    assert fmt.decode(second_order(np.array([[0.4], [0.25]]), fmt, moments)).tolist() == [[0], [0]]
    # The damping of 1 % of the mean diagonal makes 0.4 * 0.5 / 1.01 = 0.198 of it: 0.3 is just short of 0.5.
    assert fmt.decode(second_order(np.array([[0.4], [0.3015]]), fmt, moments)).tolist() == [[0], [0]]
    assert fmt.decode(second_order(np.array([[0.4], [0.3025]]), fmt, moments)).tolist() == [[0], [1]]


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("rounding", [second_order, learned])
def test_no_channel_is_worse_than_with_its_nearest_codes(spec: str, rounding: object) -> None:
    assert callable(rounding)
    fmt = get_format(spec)
    for seed in range(4):
        weights, moments = problem(spec, 20, 12, seed=seed)
        got = error(weights, fmt.decode(rounding(weights, fmt, moments)), moments)
        plain = error(weights, fmt.decode(nearest(weights, fmt, moments)), moments)
        assert (got <= plain * (1 + 1e-9)).all()
        assert got.sum() < 0.7 * plain.sum()


@pytest.mark.parametrize("spec", ["int3", "int4", "e2m1", "e3m2"])
def test_learned_rounding_is_near_the_best_of_all_choices(spec: str) -> None:
    """All 2**10 ways to go up or down: none has much less error than what was learned."""
    fmt = get_format(spec)
    for seed in range(3):
        weights, moments = problem(spec, 10, 12, seed=seed)
        lower, upper = around(spec, weights)
        ups = np.array(list(product([False, True], repeat=10)))
        best = 0.0
        for channel in range(12):
            differences = np.where(ups, upper[:, channel], lower[:, channel]) - weights[:, channel]
            best += float(np.einsum("ck,kj,cj->c", differences, moments, differences).min())
        got = error(weights, fmt.decode(learned(weights, fmt, moments)), moments).sum()
        assert got <= 1.15 * best


@pytest.mark.parametrize("spec", SPECS)
def test_learned_rounding_reaches_what_coordinate_descent_reaches(spec: str) -> None:
    fmt = get_format(spec)
    for seed in range(3):
        weights, moments = problem(spec, 24, 10, seed=seed)
        descent = error(weights, flipped_one_after_the_other(weights, spec, moments), moments).sum()
        assert error(weights, fmt.decode(learned(weights, fmt, moments)), moments).sum() <= descent


@pytest.mark.parametrize("spec", SPECS)
def test_no_single_change_improves_on_learned_codes(spec: str) -> None:
    fmt = get_format(spec)
    weights, moments = problem(spec, 16, 6, seed=9)
    levels = np.unique(fmt.values())
    rounded = fmt.decode(learned(weights, fmt, moments))
    index = np.searchsorted(levels, rounded)
    least = error(weights, rounded, moments)
    for k in range(16):
        for step in (-1, 1):
            moved = rounded.copy()
            moved[k] = levels[np.clip(index[k] + step, 0, len(levels) - 1)]
            assert (error(weights, moved, moments) >= least * (1 - 1e-9)).all()


def test_descent_moves_each_channel_by_its_best_move_first() -> None:
    # M is the identity: weights that are furthest from their codes move first, and all end at the nearest.
    levels = np.arange(-4.0, 5)
    weights = np.array([[3.2, -2.9], [0.4, 0.0], [-4.7, 4.9]])
    start = np.zeros_like(weights)
    assert descended(weights, levels, start, np.eye(3)).tolist() == [[3, -3], [0, 0], [-4, 4]]
    # A channel that is done stays as it is while others move on.
    assert descended(weights, levels, np.array([[3.0, 0], [0, 0], [-4, 0]]), np.eye(3)).tolist() == [
        [3, -3],
        [0, 0],
        [-4, 4],
    ]


@pytest.mark.parametrize("spec", ["int4", "e2m1"])
def test_uncorrelated_inputs_leave_nothing_to_gain(spec: str) -> None:
    fmt, weights = get_format(spec), np.random.default_rng(5).normal(size=(16, 4)) * 3
    moments = np.diag(np.linspace(1, 5, 16))
    for rounding in (second_order, learned):
        rounded = fmt.decode(rounding(weights, fmt, moments))
        assert (rounded == fmt.decode(nearest(weights, fmt, moments))).all()


@pytest.mark.parametrize("moments", [np.zeros((6, 6)), np.diag([0.0, 0, 0, 0, 0, 1e-20])])
def test_inputs_that_are_zero_leave_weights_at_their_nearest_codes(moments: Reals) -> None:
    fmt, weights = get_format("int4"), np.random.default_rng(6).normal(size=(6, 3)) * 3
    for rounding in (second_order, learned):
        assert (rounding(weights, fmt, moments) == nearest(weights, fmt, moments)).all()


@pytest.mark.parametrize("spec", ["int4", "e2m1"])
def test_weights_past_the_ends_stay_at_the_ends(spec: str) -> None:
    fmt = get_format(spec)
    weights = np.array([[3 * fmt.largest], [-3 * fmt.largest], [0.3]])
    for rounding in (second_order, learned):
        rounded = fmt.decode(rounding(weights, fmt, np.eye(3)))
        assert rounded[:2, 0].tolist() == [fmt.largest, fmt.lowest]


@pytest.mark.parametrize(("spec", "seed"), [("int4", 1), ("e2m1", 2), ("int3", 3)])
def test_soft_rounding_is_that_of_the_paper(spec: str, seed: int) -> None:
    weights, moments = problem(spec, 7, 3, seed=seed)
    weights[0, 0] = np.unique(get_format(spec).values())[2]  # on a level: the share starts next to 0
    lower, upper = around(spec, weights)
    expected = soft_roundings(weights.tolist(), lower.tolist(), upper.tolist(), moments.tolist())
    assert soft_shares(weights, lower, upper, moments) == pytest.approx(np.array(expected), abs=1e-7)
