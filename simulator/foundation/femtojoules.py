"""Energies as whole femtojoules: how a product becomes one, how files hold them, and their rounded view.

Results sum integers, so that parts make their whole at any size. Picojoules are floats for reading: a
femtojoule count divided by 1000, rounded once.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Final

from pydantic_core import core_schema

FJ_PER_PJ: Final = 1000

_MOST_DIGITS: Final = 300
"""More digits than any energy has, few enough that the rounded view is a finite float."""

_FLOAT_ERROR: Final = 2.0**-50
"""More than the relative error of three float multiplications and of three numbers' conversion to binary."""

_NORMAL: Final = 1e-290
"""Floats of at least this size are that exact; below lie the subnormal ones."""


class _DecimalText:
    """An integer that JSON holds as a decimal string, since most JSON readers keep 53 bits of a number."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> core_schema.CoreSchema:
        text = core_schema.str_schema(pattern=rf"^(0|-?[1-9][0-9]{{0,{_MOST_DIGITS - 1}}})$")
        return core_schema.union_schema(
            [
                core_schema.int_schema(strict=True, gt=-(10**_MOST_DIGITS), lt=10**_MOST_DIGITS),
                core_schema.no_info_after_validator_function(int, text),
            ],
            mode="left_to_right",
            custom_error_type="whole_femtojoules",
            custom_error_message="must be whole femtojoules as a decimal string",
            serialization=core_schema.to_string_ser_schema(when_used="json-unless-none"),
        )


Femtojoules = Annotated[int, _DecimalText]
"""A model's field of whole femtojoules: an int in Python, a decimal string such as `"4824807876449154372"` in
JSON."""


def formed_fj(count: float, unit_pj: float, factor: float = 1.0) -> int:
    """Count x unit price x factor in whole femtojoules.

    The three numbers are taken as JSON writes them: an int as it is, a float as the shortest decimal that
    reads back as the same float. Their exact product is rounded once, half to even. So nothing depends on the
    order of multiplication, and a result read back gives the same integer at any size.

    Raises:
        ValueError, OverflowError: one of them is NaN or infinite, or an int beyond the range of floats.
    """
    partial = count * unit_pj
    near_fj = partial * factor * FJ_PER_PJ
    whole_fj = round(near_fj)
    if (
        count > _NORMAL
        and unit_pj > _NORMAL
        and partial > _NORMAL
        and factor > _NORMAL
        and abs(near_fj - whole_fj) + near_fj * _FLOAT_ERROR < 0.5
    ):
        return whole_fj  # no error of floats reaches the half, so the exact product rounds alike
    return round(_as_written(count) * _as_written(unit_pj) * _as_written(factor) * FJ_PER_PJ)


def _as_written(number: float) -> Fraction:
    return Fraction(number) if isinstance(number, int) else Fraction(repr(float(number)))


def femtojoules(energy_pj: float) -> int:
    """Picojoules as the nearest whole number of femtojoules; undoes `in_pj` below 2**43 pJ (8.8 J)."""
    return formed_fj(1, energy_pj)


def in_pj(energy_fj: int | None) -> float | None:
    """Whole femtojoules as picojoules, rounded to a float; None: not priced."""
    return None if energy_fj is None else energy_fj / FJ_PER_PJ


def picojoules(energies_fj: Mapping[str, int | None]) -> dict[str, float | None]:
    """The rounded view of femtojoules by component; None: not priced."""
    return {component: in_pj(energy_fj) for component, energy_fj in energies_fj.items()}


def decimal_pj(energy_fj: int) -> str:
    """Whole femtojoules as picojoules in full, `4,824,807,876,449,154.372`."""
    whole, rest = divmod(abs(energy_fj), FJ_PER_PJ)
    return f"{'-' if energy_fj < 0 else ''}{whole:,}.{rest:03d}"
