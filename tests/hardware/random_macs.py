"""MACs of random formats, product rules and accumulators, as architecture files write them."""

from __future__ import annotations

import random
from typing import Any

from simulator.foundation import UserError
from simulator.numerics import Mac, get_mac

STANDARD = ("e4m3fn", "e5m2ieee", "e5m2sat", "e4m3fnuz", "e5m2fnuz", "fp16", "bf16", "tf32")


def _format(draw: random.Random) -> str:
    unsigned = draw.choice(("", "", "u"))
    exponent, fraction = draw.randint(1, 6), draw.randint(0, 8)
    bias = f"b{draw.randint(-3, 20)}" if draw.randint(0, 1) else ""
    bits, tapered = draw.randint(2, 12), draw.randint(6, 12)
    choices = (
        f"{unsigned}int{bits}",
        f"{unsigned}fix{bits}.{draw.randint(0, bits)}",
        f"sm{bits}",
        f"{unsigned}e{exponent}m{fraction}{bias}",
        f"e{exponent}m{fraction}",
        draw.choice(STANDARD),
        f"posit{tapered}.{draw.randint(0, 2)}",
        f"log{tapered}.{draw.randint(0, 2)}",
        "log16",
    )
    return draw.choice(choices)


def random_mac(seed: int) -> Mac:
    """The same seed gives the same MAC."""
    draw = random.Random(seed)
    while True:
        activation = _format(draw)
        weight = draw.choice((activation, _format(draw)))
        accumulator: dict[str, Any] = {"kind": draw.choice(("fixed", "fixed", "float", "truncated"))}
        if accumulator["kind"] == "fixed":
            accumulator["overflow"] = draw.choice(("wrap", "saturate", "sticky"))
            accumulator |= {"bits": draw.randint(8, 80)} if draw.randint(0, 1) else {}
            accumulator |= {"lsb": draw.randint(-40, 5)} if draw.randint(0, 1) else {}
        else:
            accumulator["format"] = _format(draw)
        if accumulator["kind"] == "float":
            accumulator["flush_subnormals"] = draw.choice((True, False))
        try:
            return get_mac({"activation": activation, "weight": weight, "accumulator": accumulator})
        except UserError:
            continue
