"""Policies that do not suit a MAC: said before anyone compares what comes of them."""

from __future__ import annotations

from simulator.inference.policies.policy import Policy, default_policy
from simulator.numerics import FixedAccumulator, Mac

_NEEDS_SCALES = frozenset({"integer", "fixed point", "minifloat"})
_TAPERED = frozenset({"tapered log", "posit"})


def unsuited(policy: Policy, mac: Mac) -> str | None:
    """Why a policy leaves a MAC's formats uncalibrated, in a sentence; None where it does not.

    Narrow formats need scales. Scales that use a format up to its largest value need an accumulator that
    holds the product of two such values; `mse` finds other scales for tapered formats, which are finest far
    below their largest value.
    """
    if policy.search or policy.formats != "mac":
        return None
    families = {mac.activation.family, mac.weight.family}
    instead = f"the default for {mac.name} is {default_policy(mac)}"
    if policy.scaling == "none":
        narrow = sorted(families & _NEEDS_SCALES)
        if not narrow:
            return None
        return (
            f"policy {policy.name} leaves {mac.name} uncalibrated, as {narrow[0]} codes need scales;"
            f" {instead}"
        )
    if policy.scaling == "mse" and families & _TAPERED:
        return None
    if _largest_product(mac) > _limit(mac):
        return (
            f"policy {policy.name} does not calibrate {mac.name}: it scales tensors to the formats' largest"
            f" values, whose products the accumulator cannot hold; {instead}"
        )
    return None


def _largest_product(mac: Mac) -> float:
    return max(mac.activation.largest, -mac.activation.lowest) * max(mac.weight.largest, -mac.weight.lowest)


def _limit(mac: Mac) -> float:
    fixed = mac.accumulator
    if isinstance(fixed, FixedAccumulator):
        return fixed.highest * 2.0**fixed.lsb
    return mac.accumulator_format.largest
