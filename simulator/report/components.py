"""What the parts of energy, area and time are called, in which order they stand, which colour they wear.

Hue tells the place (PE datapath blue, edges of the array purple, SRAM green, DRAM orange, leakage grey),
lightness the part. The hues are those of Okabe and Ito, "Color Universal Design" (2008), which people with
any colour vision tell apart; neighbours in a bar differ in lightness as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Colour:
    """One meaning's colour on light and on dark ground, `#rrggbb`."""

    light: str
    dark: str


@dataclass(frozen=True, slots=True)
class Family:
    """Components that belong together: words found in their names, and shades for its members in turn."""

    name: str
    words: tuple[str, ...]
    shades: tuple[Colour, ...]


_FAMILIES = (
    Family(
        "multiply",
        ("multiply", "multiplier", "mult", "product"),
        (Colour("#0b4f8a", "#3f8fd6"), Colour("#10375c", "#7f9fd6")),
    ),
    Family("add", ("add", "adder", "accumulate", "accumulator"), (Colour("#2f7fc1", "#6aaee6"),)),
    Family("shift", ("shift", "shifter", "align", "alignment"), (Colour("#5fa3d9", "#93c5ee"),)),
    Family("table", ("table", "lut"), (Colour("#8fc1e8", "#b7d9f4"),)),
    Family(
        "registers",
        ("register", "registers", "sequential", "flipflops", "clock", "skew"),
        (Colour("#bcd9f0", "#d9eaf8"), Colour("#a9cbe6", "#c8e0f3")),
    ),
    Family("pe", ("pe", "pes", "mac", "array", "datapath"), (Colour("#1b66a6", "#5aa2de"),)),
    Family("decoder", ("decoder", "decoders", "decode"), (Colour("#8f3f6b", "#d98ab5"),)),
    Family(
        "converter",
        ("converter", "converters", "convert"),
        (Colour("#cc79a7", "#ecb3d0"),),
    ),
    Family("output", ("output", "bias", "relu", "pool"), (Colour("#e0a9c6", "#f3cfe1"),)),
    Family("interconnect", ("interconnect", "wire", "wires", "bus", "noc"), (Colour("#c8b400", "#f0e442"),)),
    Family(
        "sram",
        ("sram", "buffer", "buffers"),
        # Three memories, and one that holds what several of them held beside it.
        (
            Colour("#00664b", "#1fb58b"),
            Colour("#009e73", "#5fd1b0"),
            Colour("#66c5ab", "#a3e4d1"),
            Colour("#003d2c", "#0f8f6b"),
        ),
    ),
    Family(
        "dram",
        ("dram",),
        (Colour("#d55e00", "#f08a3c"), Colour("#e69f00", "#ffc04d"), Colour("#f3c566", "#ffe0a3")),
    ),
    Family("leakage", ("leakage", "static"), (Colour("#767676", "#9a9a9a"), Colour("#a0a0a0", "#c4c4c4"))),
    Family("other", (), (Colour("#4d4d4d", "#bdbdbd"), Colour("#8c8c8c", "#8c8c8c"))),
)

MAC_LOGIC = frozenset({"multiply", "add", "shift", "table", "pe"})
"""Families whose prices tell whether a MAC was published or composed."""

CYCLE_CAUSES: dict[str, Colour] = {
    "compute": Colour("#0072b2", "#4fa8e0"),
    "fill": Colour("#56b4e9", "#9bd4f5"),
    "drain": Colour("#009e73", "#4fcfa8"),
}
"""Causes that are no stall; every stall takes a warm colour."""

PE_USES: dict[str, Colour] = {
    "useful": Colour("#0072b2", "#4fa8e0"),
    "idle": Colour("#c9ced6", "#4b5563"),
    "shifting": Colour("#009e73", "#4fcfa8"),
    "holding": Colour("#d55e00", "#f08a3c"),
}
"""What a PE does in a cycle."""

STALL_COLOURS: dict[str, Colour] = {
    "ifmap": Colour("#e69f00", "#ffc04d"),
    "filter": Colour("#b8860b", "#e0b64a"),
    "ofmap_space": Colour("#cc79a7", "#ecb3d0"),
    "dram": Colour("#d55e00", "#f08a3c"),
    "sram_port": Colour("#7a4b6d", "#c79bbb"),
    "output_path": Colour("#8c3b00", "#c96a2b"),
}
"""Why the array waited."""

_OTHER_STALL = Colour("#4d4d4d", "#bdbdbd")

_LABELS = {
    "pe": "PE",
    "pes": "PEs",
    "sram": "SRAM",
    "dram": "DRAM",
    "mac": "MAC",
    "relu": "ReLU",
    "lut": "LUT",
}
_LEAKAGE = ("leakage", "static")


def label(component: str) -> str:
    """A component's name for people: `sram_ifmap` is `SRAM ifmap`."""
    words = re.split(r"[_.\s]+", component)
    return " ".join(_LABELS.get(word, word) for word in words)


def family_of(component: str) -> Family:
    """The family whose word the name holds; leakage of anything is leakage, a memory's part is memory."""
    words = re.split(r"[^a-z0-9]+", component.lower())
    if any(word in _LEAKAGE for word in words):
        return next(family for family in _FAMILIES if family.name == "leakage")
    memory = [family for family in _FAMILIES if family.name in ("sram", "dram")]
    for family in (*memory, *_FAMILIES):
        if any(word in family.words for word in words):
            return family
    return _FAMILIES[-1]


def in_order(components: Iterable[str]) -> list[str]:
    """Components in the order of every chart and table: along the way of the data, leakage last."""
    order = {family.name: position for position, family in enumerate(_FAMILIES)}
    unique = list(dict.fromkeys(components))
    return sorted(unique, key=lambda component: (order[family_of(component).name], unique.index(component)))


def colours(components: Iterable[str]) -> dict[str, Colour]:
    """A colour for each component; members of one family take its shades in turn."""
    taken: dict[str, int] = {}
    chosen: dict[str, Colour] = {}
    for component in in_order(components):
        family = family_of(component)
        position = taken.get(family.name, 0)
        chosen[component] = family.shades[position % len(family.shades)]
        taken[family.name] = position + 1
    return chosen


def cause_label(cause: str) -> str:
    """A cause's name for people; whatever is neither compute nor fill nor drain is a stall."""
    return cause if cause in CYCLE_CAUSES else f"stall: {label(cause.removeprefix('stall_'))}"


def cause_colours(causes: Iterable[str]) -> dict[str, Colour]:
    """A colour for each cause of cycles."""
    known = CYCLE_CAUSES | STALL_COLOURS
    return {cause: known.get(cause.removeprefix("stall_"), _OTHER_STALL) for cause in causes}
