"""Policies that do not suit a MAC: said before anyone compares what comes of them."""

from __future__ import annotations

from simulator.foundation import UserError
from simulator.inference.policies.policy import Policy, default_policy
from simulator.numerics import Mac


def require_suited(policy: Policy, mac: Mac) -> None:
    """Refuse policies that scale tensors for a MAC that scales blocks, and the other way round.

    Raises:
        UserError: the policy and the MAC do not go together.
    """
    has_blocks = mac.block_formats is not None
    plain = policy.rounding == "nearest" and policy.migration is None
    if has_blocks and not (policy.blocks and plain):
        raise UserError(
            f"MAC {mac.name!r} scales blocks, so that no other policy goes with it",
            location="policy",
            value=policy.name,
            allowed="blocks, blocks+bias_correction",
        )
    if policy.blocks and not has_blocks:
        raise UserError(
            f"MAC {mac.name!r} has no block scales",
            location="policy",
            value=policy.name,
            allowed=default_policy(mac),
        )


def unsuited(policy: Policy, mac: Mac) -> str | None:
    """Why a policy leaves a MAC's formats uncalibrated, in a sentence; None where it does not.

    Narrow formats need scales. Scales that use a format up to its largest value need an accumulator that
    holds the product of two such values; `mse` finds other scales for tapered formats, which are finest far
    below their largest value.
    """
    if policy.search or policy.formats != "mac" or mac.block_formats is not None:
        return None
    formats = (mac.activation, mac.weight)
    instead = f"the default for {mac.name} is {default_policy(mac)}"
    if policy.scaling == "none":
        narrow = sorted(fmt.family for fmt in formats if fmt.calibration.needs_scales)
        if not narrow:
            return None
        return (
            f"policy {policy.name} leaves {mac.name} uncalibrated, as {narrow[0]} codes need scales;"
            f" {instead}"
        )
    if policy.scaling == "mse" and any(fmt.calibration.is_tapered for fmt in formats):
        return None
    if mac.pair.largest_product > mac.accumulator.limit:
        return (
            f"policy {policy.name} does not calibrate {mac.name}: it scales tensors to the formats' largest"
            f" values, whose products the accumulator cannot hold; {instead}"
        )
    return None
