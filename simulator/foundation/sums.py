"""Sums of figures that may not be known, and checks that parts make a whole.

A figure that is not known is None; so is every sum that it is a part of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NoReturn, TypeVar

from simulator.foundation.femtojoules import in_pj, picojoules

TOTAL = "total"
"""The key of a sum beside its parts."""

Number = TypeVar("Number", int, float)
Figure = TypeVar("Figure")


def with_total(parts_fj: Mapping[str, int | None]) -> dict[str, int | None]:
    """Whole femtojoules by component with their exact `total`; None: not priced."""
    return {**parts_fj, TOTAL: sum_known(parts_fj.values())}


def priced(figure: Figure | None) -> Figure:
    """A figure, for whoever cannot go on without a price. Raises ValueError where it has none."""
    if figure is None:
        message = "this figure is not priced; the result's `not_priced` says why"
        raise ValueError(message)
    return figure


def sum_known(parts: Iterable[Number | None]) -> Number | None:
    """The sum of all parts; None where a part is not known."""
    whole: Number = 0
    for part in parts:
        if part is None:
            return None
        whole += part
    return whole


def require_closed_energy(name: str, energy_fj: Mapping[str, int | None]) -> None:
    """Femtojoules by component that sum to their `total`, exactly. Raises ValueError."""
    if TOTAL not in energy_fj:
        message = f"{name}: energies have no {TOTAL!r}"
        raise ValueError(message)
    parts_fj = sum_known([energy for part, energy in energy_fj.items() if part != TOTAL])
    require_equal(f"{name}: femtojoules", parts_fj, energy_fj[TOTAL])


def require_view(what: str, energy_fj: int | None, energy_pj: float | None) -> None:
    """Picojoules that are the rounded view of whole femtojoules. Raises ValueError."""
    if in_pj(energy_fj) != energy_pj:
        shown = "not priced" if energy_pj is None else f"{energy_pj} pJ"
        whole = "what is not priced" if energy_fj is None else f"{energy_fj} fJ"
        message = f"{what}: {shown} is not the rounded view of {whole}"
        raise ValueError(message)


def require_views(
    what: str, energies_fj: Mapping[str, int | None], energies_pj: Mapping[str, float | None]
) -> None:
    """Picojoules by component that are the rounded view of their femtojoules. Raises ValueError."""
    if picojoules(energies_fj) == energies_pj:
        return
    if energies_fj.keys() != energies_pj.keys():
        parts = ", ".join(sorted(energies_fj.keys() ^ energies_pj.keys()))
        message = f"{what}: femtojoules and picojoules are of different components: {parts}"
        raise ValueError(message)
    for part, energy_fj in energies_fj.items():
        require_view(f"{what}: {part}", energy_fj, energies_pj[part])


def require_closed_layers(
    layers_fj: Iterable[Mapping[str, int | None]],
    by_component_fj: Mapping[str, int | None],
    whole_fj: int | None,
) -> None:
    """Layers that sum to their components and to the whole, exactly. Raises ValueError."""
    parts_fj: dict[str, int | None] = {}
    for energy_fj in layers_fj:
        for part, more in energy_fj.items():
            before = parts_fj.get(part, 0)
            parts_fj[part] = None if before is None or more is None else before + more
    require_equal("femtojoules over layers", parts_fj.pop(TOTAL, 0), whole_fj)
    require_equal("femtojoules over components", sum_known(by_component_fj.values()), whole_fj)
    for component in {**by_component_fj, **parts_fj}:
        over_layers_fj = parts_fj.get(component, 0)
        require_equal(f"femtojoules of {component}", over_layers_fj, by_component_fj.get(component, 0))


def require_equal(what: str, parts: int | None, whole: int | None) -> None:
    """Whole numbers that are the same, or both not priced. Raises ValueError, which says `what` they are."""
    if parts != whole:
        _not_closed(what, parts, whole)


def require_bound(what: str, energy_fj: int | None, bound_fj: int | None) -> None:
    """An upper bound that is priced where the energy is and not below it. Raises ValueError."""
    require_priced_alike(what, energy_fj, energy_bound_fj=bound_fj)
    if energy_fj is not None and bound_fj is not None and bound_fj < energy_fj:
        message = f"{what}: {energy_fj} fJ exceed their bound of {bound_fj} fJ"
        raise ValueError(message)


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
