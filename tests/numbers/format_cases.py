"""Every format of up to 8 bits, with the values that its definition gives it."""

from __future__ import annotations

from functools import cache

from tests.reference import formats as reference
from tests.reference.formats import Reference

BIASES = (-3, 9)


def _minifloats() -> dict[str, Reference]:
    cases = {}
    for signed in (True, False):
        for exponent_bits in range(1, 9):
            for fraction_bits in range(9 - exponent_bits - signed):
                if signed + exponent_bits + fraction_bits < 3:
                    continue
                name = f"{'' if signed else 'u'}e{exponent_bits}m{fraction_bits}"
                default = 2 ** (exponent_bits - 1) - 1
                cases[name] = reference.minifloat(exponent_bits, fraction_bits, default, signed=signed)
                for bias in BIASES:
                    cases[f"{name}b{bias}"] = reference.minifloat(
                        exponent_bits, fraction_bits, bias, signed=signed
                    )
    return cases


def _fixed_points() -> dict[str, Reference]:
    cases = {}
    for bits in range(2, 9):
        for prefix, signed in (("", True), ("u", False)):
            cases[f"{prefix}int{bits}"] = reference.fixed_point(bits, 0, signed=signed)
            for fraction_bits in range(bits + 1):
                cases[f"{prefix}fix{bits}.{fraction_bits}"] = reference.fixed_point(
                    bits, fraction_bits, signed=signed
                )
    return cases


@cache
def nearest_formats() -> dict[str, Reference]:
    """Formats whose encoding is the nearest value, ties to the even code."""
    return {
        **_fixed_points(),
        **_minifloats(),
        "e4m3fn": reference.standard_float(4, 3, infinities=False),
        "e5m2ieee": reference.standard_float(5, 2, infinities=True),
        "e5m2sat": reference.standard_float(5, 2, infinities=True, saturates=True),
        "e4m3fnuz": reference.fnuz_float(4, 3),
        "e5m2fnuz": reference.fnuz_float(5, 2),
    }


POSITS = [(bits, s) for s in range(5) for bits in range(s + 3, 9)]
LOGS = [(bits, s) for s in range(4) for bits in range(s + 4, 9)]


@cache
def tapered_values() -> dict[str, tuple[reference.Value, ...]]:
    """Values of the posits and the tapered log formats of up to 8 bits."""
    posits = {f"posit{bits}.{s}": reference.posit_values(bits, s) for bits, s in POSITS}
    logs = {f"log{bits}.{s}": reference.log_values(bits, s, alpha=bits - 2 - s) for bits, s in LOGS}
    others = {f"log8.1({alpha},5,7)": reference.log_values(8, 1, alpha) for alpha in (3, 8, 11)}
    return {**posits, **logs, **others}
