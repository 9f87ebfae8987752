"""PEs with published figures, synthesised: what the synthesised column of `systolic validate` follows from.

Written once, as synthesis changes with the version of its tools: Amaranth 0.5.10, pyosys 0.70, the generic
library, the smallest candidate without a clock to meet, energy without delays on the published bench, seed 1.
`tests/hardware/test_synthesised_prices.py` synthesises them again and compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class SynthesisedPe:
    """A PE's MAC and registers, in NAND2 equivalents of area and of energy a cycle.

    mac: as an architecture file names or describes it.
    period_ns: its shortest clock period, as if an inverter with four loads took 20 ps.
    """

    mac: str | Mapping[str, Any]
    area: float
    energy: float
    period_ns: float


SYNTHESISED_PES: Final[Mapping[str, SynthesisedPe]] = {
    "int8": SynthesisedPe("int8", 897.67, 779.97, 1.876),
    "elma8": SynthesisedPe("elma8", 957.0, 695.4, 2.235),
    "elma16": SynthesisedPe("elma16", 2274.0, 1552.74, 3.418),
    "fp16": SynthesisedPe("fp16", 3207.67, 2040.51, 5.987),
    "int16": SynthesisedPe(
        {"activation": "int16", "weight": "int16", "accumulator": {"kind": "fixed", "bits": 32, "lsb": 0}},
        2357.0,
        1665.13,
        2.255,
    ),
    # The published unit is a float16 unit that is fed with e5m2.
    "float8_float16": SynthesisedPe(
        {
            "activation": "e5m2ieee",
            "weight": "e5m2ieee",
            "accumulator": {"kind": "float", "format": "fp16", "flush_subnormals": True},
        },
        1712.0,
        914.34,
        4.111,
    ),
}
"""By the variant of the published rows."""


def synthesised_ratio(name: str, to: str, action: str) -> float:
    """A PE over another one: of area for the action `area`, else of energy."""
    one, other = SYNTHESISED_PES[name], SYNTHESISED_PES[to]
    return one.area / other.area if action == "area" else one.energy / other.energy
