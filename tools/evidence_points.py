"""Which formats and policies the evidence on a folder of images measures, and in what order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from simulator.numerics import preset_names


@dataclass(frozen=True, slots=True)
class Point:
    """One run over all images: a MAC, a policy (None: the MAC's default) and the sections that show it."""

    mac: str
    policy: str | None
    sections: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the point is called in a store: `int8__default`."""
        return f"{self.mac}__{self.policy or 'default'}".replace(" ", "").replace("=", "-")


FIRST = ("int8", "elma8", "posit8", "fp8", "mixed8", "bf16")
"""Presets that are measured before all others."""

LAST_EXPONENT = "drop_in+last_exponent=-4"
POSIT_WITHOUT_EXPONENT = "posit8.0 x posit8.0"
WIDTHS = (8, 7, 6, 5, 4)
WIDTH_POLICIES = ("max", "mse", "percentile", "mse+bias_correction", "mse+gptq+bias_correction")
FFP8_MAC = "e4m3 x e4m3"
"""The MAC whose widths `ffp8` keeps; it chooses every format of 8 bits itself."""

MIXED_MAC = "mixed8"
MIXED_POLICY = "mixed+loss=1"


def minifloats(bits: int) -> tuple[str, ...]:
    """The minifloats of a width that compete with its integer: 2 and 3 exponent bits."""
    return tuple(f"e{exponent}m{bits - 1 - exponent}" for exponent in (2, 3))


def width_formats(bits: int) -> tuple[str, ...]:
    """The integer of a width and its minifloats."""
    return (f"int{bits}", *minifloats(bits))


def points() -> tuple[Point, ...]:
    """Every point once, the most telling ones first."""
    found: dict[tuple[str, str | None], tuple[str, ...]] = {}
    for mac, policy, section in _wanted():
        found[mac, policy] = (*found.get((mac, policy), ()), section)
    return tuple(Point(mac, policy, sections) for (mac, policy), sections in found.items())


def _wanted() -> Iterator[tuple[str, str | None, str]]:
    for mac in FIRST:
        yield mac, None, "presets"
    yield POSIT_WITHOUT_EXPONENT, "drop_in", "log_posit"
    yield "elma8", LAST_EXPONENT, "log_posit"
    for mac in preset_names():
        if mac not in FIRST:
            yield mac, None, "presets"
    yield from _widths("mse")
    yield FFP8_MAC, "ffp8", "ffp8"
    yield MIXED_MAC, MIXED_POLICY, "mixed"
    for policy in WIDTH_POLICIES:
        yield from _widths(policy)


def _widths(policy: str) -> Iterator[tuple[str, str | None, str]]:
    for bits in WIDTHS:
        for spec in width_formats(bits):
            yield f"{spec} x {spec}", policy, "widths"
