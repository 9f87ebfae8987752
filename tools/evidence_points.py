"""Which formats and policies the evidence on a folder of images measures, and in what order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from simulator.numerics import preset_names


@dataclass(frozen=True, slots=True)
class Point:
    """One run over all images: a MAC, and a policy (None: the MAC's default).

    `fixed_weights`: `mixed` searches fixed-point weights in place of floats.
    """

    mac: str
    policy: str | None
    fixed_weights: bool = False

    @property
    def name(self) -> str:
        """What the point is called in a store: `int8__default`."""
        policy = self.policy or "default"
        weights = "__fixed_weights" if self.fixed_weights else ""
        return f"{self.mac}__{policy}{weights}".replace(" ", "").replace("=", "-")


FIRST = ("int8", "elma8", "posit8", "fp8", "mixed8", "bf16")
"""Presets that are measured before all others."""

LAST_EXPONENT = Point("elma8", "drop_in+last_exponent=-4")
LOG, POSIT = Point("elma8", None), Point("posit8", None)
WITHOUT_EXPONENT = Point("posit8.0 x posit8.0", "drop_in")
WIDTHS = (8, 7, 6, 5, 4)
WIDTH_POLICIES = ("mse", "max", "percentile", "mse+bias_correction", "mse+gptq+bias_correction")
FFP8 = Point("e4m3 x e4m3", "ffp8")
"""`ffp8` keeps the widths of the MAC alone: it chooses every format of 8 bits itself."""

FLOAT_WEIGHTS = Point("mixed8", "mixed+loss=1")
FIXED_WEIGHTS = Point("mixed8", "mixed+loss=1", fixed_weights=True)


def minifloats(bits: int) -> tuple[str, ...]:
    """The minifloats of a width that compete with its integer: 2 and 3 exponent bits."""
    return tuple(f"e{exponent}m{bits - 1 - exponent}" for exponent in (2, 3))


def width_formats(bits: int) -> tuple[str, ...]:
    """The integer of a width and its minifloats."""
    return (f"int{bits}", *minifloats(bits))


def points() -> tuple[Point, ...]:
    """Every point once, the most telling ones first."""
    return tuple(dict.fromkeys(_wanted()))


def presets() -> tuple[Point, ...]:
    """Every MAC preset with its default policy."""
    return tuple(Point(mac, None) for mac in (*FIRST, *(mac for mac in preset_names() if mac not in FIRST)))


def width_point(spec: str, policy: str) -> Point:
    """Activations and weights in one format."""
    return Point(f"{spec} x {spec}", policy)


def _wanted() -> Iterator[Point]:
    yield from presets()[: len(FIRST)]
    yield WITHOUT_EXPONENT
    yield LAST_EXPONENT
    yield from presets()
    yield from _widths(WIDTH_POLICIES[0])
    yield FFP8
    yield FLOAT_WEIGHTS
    yield FIXED_WEIGHTS
    for policy in WIDTH_POLICIES[1:]:
        yield from _widths(policy)


def _widths(policy: str) -> Iterator[Point]:
    for bits in WIDTHS:
        for spec in width_formats(bits):
            yield width_point(spec, policy)
