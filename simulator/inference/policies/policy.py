"""Conversion policies as data: a name, and options joined to it with `+`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Final, Literal

from simulator.foundation import UserError
from simulator.foundation.plugins import plugins
from simulator.inference.policies.rounding import Rounding
from simulator.inference.policies.scales import Method
from simulator.numerics import Mac


@dataclass(frozen=True, slots=True)
class Policy:
    """How weights and activations of a trained network become codes.

    Attributes:
        name: as the user wrote it.
        scaling: no scales at all, or how scales follow from weights and calibration images.
        blocks: blocks have the scales that the MAC's block-scaled formats give them.
        percentile: of magnitudes, where `scaling` is `percentile`.
        weight_scales: one scale for each output channel, or one for the tensor.
        power_of_two: scales are powers of two, which makes integers fixed point.
        rounding: which neighbouring code a weight becomes.
        bias_correction: the bias makes up for the mean error of each output channel.
        migration: SmoothQuant's strength for linear layers; None leaves operands as they are.
        formats: the MAC's own, or chosen for each tensor of each layer (FFP8).
        through_output: results leave through the MAC's own output rule, bias added to the accumulator.
        last_exponent: the last layer's sums are scaled by 2**last_exponent before their conversion.
        search: take the smallest widths, float weights x fixed activations, that lose at most `loss` points.
        loss: see `search`.
    """

    name: str
    scaling: Literal["none"] | Method = "none"
    percentile: float = 99.99
    weight_scales: Literal["channel", "tensor"] = "channel"
    power_of_two: bool = False
    rounding: Rounding = "nearest"
    bias_correction: bool = False
    migration: float | None = None
    formats: Literal["mac", "ffp8"] = "mac"
    through_output: bool = False
    last_exponent: int = 0
    search: bool = False
    loss: float = 1.0
    blocks: bool = False


POLICIES: dict[str, Policy] = {
    policy.name: policy
    for policy in (
        Policy("drop_in", through_output=True),
        Policy("blocks", blocks=True),
        Policy("max", scaling="max"),
        Policy("percentile", scaling="percentile"),
        Policy("mse", scaling="mse"),
        Policy("ffp8", formats="ffp8"),
        Policy("mixed", scaling="mse", weight_scales="tensor", power_of_two=True, search=True),
    )
}
"""Policies by name; docs/inference.md says where each comes from."""

PLUGIN_GROUP: Final = "systolic.policies"
"""Entry points of other packages: a `Policy` by its name."""

_SWITCHES: dict[str, dict[str, object]] = {
    "per_tensor": {"weight_scales": "tensor"},
    "power_of_two": {"power_of_two": True},
    "bias_correction": {"bias_correction": True},
    "learned": {"rounding": "learned"},
    "gptq": {"rounding": "second_order"},
    "smooth": {"migration": 0.5},
}
_NUMBERS: dict[str, tuple[str, float, float]] = {
    "percentile": ("percentile", 50.0, 100.0),
    "smooth": ("migration", 0.0, 1.0),
    "last_exponent": ("last_exponent", -16.0, 16.0),
    "loss": ("loss", 0.0, 100.0),
}
_TAKES_EFFECT: dict[str, Callable[[Policy], bool]] = {
    "percentile": lambda policy: policy.scaling == "percentile",
    "loss": lambda policy: policy.search,
    "last_exponent": lambda policy: policy.through_output,
    "per_tensor": lambda policy: policy.scaling != "none" and policy.weight_scales == "channel",
    "power_of_two": lambda policy: policy.scaling != "none" and not policy.power_of_two,
}
"""Of options that change nothing in some policies: whether they do in this one."""

OPTIONS = (*sorted(_SWITCHES), *(f"{name}=<number>" for name in sorted(_NUMBERS)))


def get_policy(spec: str | Policy) -> Policy:
    """The policy that a spec such as `mse+gptq+bias_correction` or `drop_in+last_exponent=-3` describes.

    Raises:
        UserError: no text, an unknown policy or option, a number out of range, an option that changes nothing
            in this policy, or two options for the same thing.
    """
    if isinstance(spec, Policy):
        return spec
    if not isinstance(spec, str):
        raise UserError("a policy is text or a Policy", value=spec, allowed="such as 'mse+gptq'")
    base, *options = (part.strip() for part in spec.split("+"))
    start = policy = _named(base)
    given: dict[str, str] = {}
    for option in options:
        policy = _with_option(policy, option)
        name = option.partition("=")[0]
        _refuse_without_effect(start, name, option)
        field = _field_of(name)
        if field in given:
            raise UserError(
                "options of a policy say the same thing twice",
                value=f"{given[field]}+{option}",
                allowed="one of " + ", ".join(each for each in OPTIONS if _field_of(each) == field),
            )
        given[field] = option
    return replace(policy, name=spec)


def _field_of(option: str) -> str:
    """The field of `Policy` that an option sets."""
    name = option.partition("=")[0]
    return next(iter(_SWITCHES[name])) if name in _SWITCHES else _NUMBERS[name][0]


def _refuse_without_effect(policy: Policy, name: str, option: str) -> None:
    takes_effect = _TAKES_EFFECT.get(name)
    if takes_effect is None or takes_effect(policy):
        return
    others = ", ".join(each.name for each in POLICIES.values() if takes_effect(each))
    raise UserError(
        f"option changes nothing in the policy {policy.name}", value=option, allowed=f"with {others}"
    )


def is_policy(name: str) -> bool:
    """Whether a policy has this name, the simulator's own or another package's."""
    return name in POLICIES or name in _added()


def _named(name: str) -> Policy:
    if name in POLICIES:
        return POLICIES[name]
    added = _added()
    if name in added:
        return added[name]
    raise UserError("unknown policy", value=name, candidates=[*POLICIES, *added])


def _added() -> dict[str, Policy]:
    """Policies of other packages."""
    return {each.name: each.value for each in plugins(PLUGIN_GROUP, Policy)}


def default_policy(mac: Mac) -> str:
    """`blocks` of a MAC with block scales; else `max` where a format says that it needs scales, or `drop_in`.

    Integers, fixed point and minifloats need scales.
    """
    if mac.block_formats is not None:
        return "blocks"
    needs_scales = mac.activation.calibration.needs_scales or mac.weight.calibration.needs_scales
    return "max" if needs_scales else "drop_in"


def _with_option(policy: Policy, option: str) -> Policy:
    name, separator, number = option.partition("=")
    if not separator and name in _SWITCHES:
        return replace(policy, **_SWITCHES[name])  # type: ignore[arg-type]  # the tables above name fields
    if not separator or name not in _NUMBERS:
        raise UserError("unknown option of a policy", value=option, candidates=OPTIONS)
    field, low, high = _NUMBERS[name]
    whole = next(f.type for f in fields(Policy) if f.name == field) == "int"
    try:
        value = int(number) if whole else float(number)
    except ValueError as error:
        raise UserError("is no number", location=name, value=number) from error
    if not low <= value <= high:
        raise UserError("is out of range", location=name, value=value, allowed=f"{low:g} to {high:g}")
    return replace(policy, **{field: value})  # type: ignore[arg-type]
