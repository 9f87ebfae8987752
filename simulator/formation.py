"""How energies and areas were formed: counts times unit prices, down to the rows of tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from simulator.foundation import sums
from simulator.foundation.femtojoules import Femtojoules, formed_fj
from simulator.operands import Operand

UNSTATED_UNCERTAINTY: Final = 0.15
"""Of a price that states none: a published array takes 14 % more power than its published PEs account for."""


Count = Annotated[int, Field(strict=True, ge=0)]
"""Of things; a boolean or a text is none."""

PositiveCount = Annotated[int, Field(strict=True, ge=1)]
"""Of things of which there is at least one."""

Real = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""A finite number; a boolean or a text is none."""

Amount = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0)]
"""A finite number that is not negative."""

Share = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=1 + 1e-9)]
"""Of a whole, 0 to 1 but for binary rounding."""


class Part(BaseModel):
    """A part of a result: frozen, without fields of other names, its numbers finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class UsedPrice(Part):
    """`quantity` of one price (`table:row` of `sources.prices`) inside a unit price."""

    row: str
    quantity: Real
    what: str = ""


class NoPrice(Part):
    """Why something has no price.

    reason: a sentence that ends with the way out; whatever shares a cause has the same one.
    needs: the row, area or MAC that the price follows from and that has none.
    """

    reason: str
    needs: str = ""


class UnitPrice(Part):
    """What one action of a component costs: the sum of quantity x price over `prices`, less their leakage.

    For static energy it is milliwatts, which are picojoules per nanosecond. Without a price `price_pj` is
    None, `prices` is empty and `not_priced` says why. `uncertainty` is relative, of a price that was composed
    from parts; those of the same `composed_for`, a MAC, are off together.
    """

    name: str
    component: str
    kind: Literal["dynamic", "static"]
    operand: Operand | None = None
    counted: str
    price_pj: FiniteFloat | None
    less_leakage_pj: Real = 0.0
    uncertainty: Amount | None = None
    composed_for: str = ""
    prices: list[UsedPrice]
    not_priced: NoPrice | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyFormation:
    """How a part of a layer's energy was formed: count x unit price x factor, by the rule of `formed_fj`.

    A count of things is an int, a time a float. The energy is None where the unit price is. A result has some
    twenty of these a layer, so they are plain dataclasses, a fraction of a model's size.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    unit_price: str
    count: int | FiniteFloat
    factor: FiniteFloat = 1.0
    factor_reason: str = ""
    energy_fj: Femtojoules | None
    energy_pj: float | None


class AreaFormation(Part):
    """How a part of the area was formed: count x unit area, the sum of quantity x price over `prices`.

    Without a price both areas are None, `prices` is empty and `not_priced` says why. `uncertainty` is
    relative, of an area that was composed from parts; those of the same `composed_for`, a MAC, are off
    together.
    """

    component: str
    counted: str
    count: Amount
    unit_area_um2: Amount | None
    area_um2: Amount | None
    uncertainty: Amount | None = None
    composed_for: str = ""
    prices: list[UsedPrice]
    not_priced: NoPrice | None = None


def require_unit_prices(units: Sequence[UnitPrice], prices: Mapping[str, float]) -> None:
    """Unit prices that are their quantities times prices, less their leakage, but for binary rounding.

    Args:
        units: of a result.
        prices: by `table:row`.

    Raises:
        ValueError: one is not, or names a price that is not there.
    """
    for unit in units:
        if unit.price_pj is None:
            continue
        _require_formed_of(
            f"unit price {unit.name!r}", unit.prices, prices, unit.price_pj, unit.less_leakage_pj
        )


def require_areas(
    lines: Sequence[AreaFormation], prices: Mapping[str, float], area_um2: Mapping[str, float | None]
) -> None:
    """Areas that are count x unit area, which is quantities times prices, and sum to their components.

    Args:
        lines: of a result.
        prices: by `table:row`.
        area_um2: by component, with their total.

    Raises:
        ValueError: one is not, or names a price that is not there.
    """
    parts_um2: dict[str, list[float | None]] = {}
    for line in lines:
        what = f"area of {line.component} ({line.counted})"
        if line.unit_area_um2 is not None:
            _require_formed_of(f"unit {what}", line.prices, prices, line.unit_area_um2)
        formed_um2 = None if line.unit_area_um2 is None else line.count * line.unit_area_um2
        if formed_um2 != line.area_um2:
            sums.require_close(what, formed_um2, line.area_um2)
        parts_um2.setdefault(line.component, []).append(line.area_um2)
    for part in (parts_um2.keys() | area_um2.keys()) - {sums.TOTAL}:
        whole = sums.sum_known(parts_um2.get(part, []))
        sums.require_close(f"area of {part}", whole, area_um2.get(part, 0.0))


_BINARY_ROUNDING = 1e-12
"""Relative to the largest part of a sum; a dozen products and sums of floats err by less."""


def _require_formed_of(
    what: str, used: Sequence[UsedPrice], prices: Mapping[str, float], stated: float, less: float = 0.0
) -> None:
    """A stated number that is quantities times prices, less something. Raises ValueError."""
    unknown = [each.row for each in used if each.row not in prices]
    if unknown:
        message = f"{what}: there is no price {unknown[0]!r}"
        raise ValueError(message)
    parts = [*(each.quantity * prices[each.row] for each in used), -less]
    if abs(sum(parts) - stated) > _BINARY_ROUNDING * max(map(abs, parts)):
        message = f"{what}: its prices give {sum(parts)}, it says {stated}"
        raise ValueError(message)


def require_formed(
    name: str,
    lines: Sequence[EnergyFormation],
    units: Mapping[str, UnitPrice],
    energy_fj: Mapping[str, int | None],
    static_fj: int | None,
) -> None:
    """Lines that are their products, and sum to a layer's components and to its static energy, exactly.

    Args:
        name: the layer's.
        lines: of its formation.
        units: unit prices by name.
        energy_fj: femtojoules by component, with their total.
        static_fj: what of them leaked.

    Raises:
        ValueError: they do not.
    """
    parts_fj: dict[str, int | None] = {}
    leaked_fj: int | None = 0
    for line in lines:
        unit, line_fj = units.get(line.unit_price), line.energy_fj
        if unit is None:
            message = f"{name}: there is no unit price {line.unit_price!r}"
            raise ValueError(message)
        price_pj = unit.price_pj
        try:
            formed = None if price_pj is None else formed_fj(line.count, price_pj, line.factor)
        except OverflowError as error:
            message = f"{name}: {line.unit_price}: {line.count} is beyond any range"
            raise ValueError(message) from error
        if formed != line_fj:
            sums.require_equal(f"{name}: femtojoules of {line.unit_price}", formed, line_fj)
        component = unit.component
        before_fj = parts_fj.get(component, 0)
        parts_fj[component] = None if before_fj is None or line_fj is None else before_fj + line_fj
        if unit.kind == "static":
            leaked_fj = None if leaked_fj is None or line_fj is None else leaked_fj + line_fj
    if parts_fj != {part: energy for part, energy in energy_fj.items() if part != sums.TOTAL}:
        for part in parts_fj.keys() | energy_fj.keys() - {sums.TOTAL}:
            sums.require_equal(
                f"{name}: femtojoules of {part}", parts_fj.get(part, 0), energy_fj.get(part, 0)
            )
    sums.require_equal(f"{name}: femtojoules of static energy", leaked_fj, static_fj)
