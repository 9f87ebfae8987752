"""Policies that put a trained network into number formats: data, and one module for each step."""

from simulator.inference.policies.convert import convert, needed_extent, needs_calibration, weight_scales
from simulator.inference.policies.policy import (
    OPTIONS,
    POLICIES,
    Policy,
    default_policy,
    get_policy,
    is_policy,
)
from simulator.inference.policies.suitability import require_suited, unsuited

__all__ = [
    "OPTIONS",
    "POLICIES",
    "Policy",
    "convert",
    "default_policy",
    "get_policy",
    "is_policy",
    "needed_extent",
    "needs_calibration",
    "require_suited",
    "unsuited",
    "weight_scales",
]
