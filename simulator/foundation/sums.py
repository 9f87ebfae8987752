"""Sums of figures that may not be known, and checks that parts make a whole.

A figure that is not known is None; so is every sum that it is a part of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, TypeVar

TOTAL = "total"
"""The key of a sum beside its parts."""

Number = TypeVar("Number", int, float)
Figure = TypeVar("Figure")


def femtojoules(energy_pj: float) -> int:
    """Picojoules as the whole number of femtojoules that results are summed in."""
    return round(energy_pj * 1000)


def close_energy(parts_fj: Mapping[str, int | None]) -> dict[str, float | None]:
    """Picojoules by component with their exact `total`, from whole femtojoules; None: not priced."""
    return {component: in_pj(energy) for component, energy in parts_fj.items()} | {
        TOTAL: in_pj(sum_known(parts_fj.values()))
    }


def in_pj(energy_fj: int | None) -> float | None:
    """Whole femtojoules as picojoules; None: not priced."""
    return None if energy_fj is None else energy_fj / 1000


def priced(figure: Figure | None) -> Figure:
    """A figure, for whoever cannot go on without a price. Raises ValueError where it has none."""
    if figure is None:
        message = "this figure is not priced; the result's `not_priced` says why"
        raise ValueError(message)
    return figure


def sum_known(parts: Iterable[Number | None]) -> Number | None:
    """The sum of all parts; None where a part is not known."""
    whole: Any = 0
    for part in parts:
        if part is None:
            return None
        whole += part
    known: Number = whole
    return known


def known_femtojoules(energy_pj: float | None) -> int | None:
    """Picojoules as whole femtojoules; None: not priced."""
    return None if energy_pj is None else femtojoules(energy_pj)


def sum_femtojoules(energies_pj: list[float | None]) -> int | None:
    """The sum in whole femtojoules; None where a part is not priced."""
    known = [energy_pj for energy_pj in energies_pj if energy_pj is not None]
    return sum([round(energy_pj * 1000) for energy_pj in known]) if len(known) == len(energies_pj) else None


def require_closed_energy(name: str, energy_pj: Mapping[str, float | None]) -> None:
    """Picojoules by component that sum to their `total`, to the femtojoule. Raises ValueError."""
    parts_fj = sum_femtojoules([energy for part, energy in energy_pj.items() if part != TOTAL])
    require_equal(f"{name}: femtojoules", parts_fj, known_femtojoules(energy_pj[TOTAL]))


def require_equal(what: str, parts: int | None, whole: int | None) -> None:
    """Whole numbers that are the same, or both not priced. Raises ValueError, which says `what` they are."""
    if parts != whole:
        _not_closed(what, parts, whole)


def require_close(what: str, parts: float | None, whole: float | None) -> None:
    """Numbers that are the same but for binary rounding, or both not priced. Raises ValueError."""
    if parts is None or whole is None:
        if parts is not whole:
            _not_closed(what, parts, whole)
    elif abs(parts - whole) > 1e-9 * max(parts, 1.0):
        _not_closed(what, parts, whole)


def require_priced_alike(name: str, whole: float | None, **follows: float | None) -> None:
    """Figures that follow from a whole are priced where it is, and only there. Raises ValueError."""
    for figure, value in follows.items():
        if (value is None) != (whole is None):
            _not_closed(f"{name}: {figure}", whole, value)


def _not_closed(what: str, parts: float | None, whole: float | None) -> NoReturn:
    message = f"{what} do not add up: the parts give {_told(parts)}, the whole says {_told(whole)}"
    raise ValueError(message)


def _told(value: float | None) -> str:
    return "not priced" if value is None else str(value)
