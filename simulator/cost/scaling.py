"""From the conditions of a price to an architecture's: logged steps inside their validity, or an error.

Energy follows the general scaling equations of A. Stillmaker and B. Baas, "Scaling equations for the accurate
prediction of CMOS device performance from 180 nm to 7 nm", Integration 58, 2017 (low-power models): a
quadratic in the supply for each tabulated node, linear in between. 28 nm is not tabulated there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from simulator.arch.config import ArchConfig, ProcessConfig, ScalingConfig
from simulator.cost.table_schema import PriceRow
from simulator.foundation import UserError

_ENERGY_POLYNOMIALS: Final = {
    20.0: (0.2632, -0.1400, 0.06841),
    32.0: (0.9559, -0.7823, 0.471),
    45.0: (1.103, -0.362, 0.2767),
}
"""Switching energy of one gate = a V^2 + b V + c, by node in nm."""

_AREA_FACTORS: Final = {20.0: 0.21, 32.0: 0.46, 45.0: 1.0}
"""Area of one circuit relative to 45 nm, by node in nm."""

NODE_RANGE_NM: Final = (20.0, 45.0)
"""The tabulated planar nodes around 28 nm."""

VOLTAGE_RANGE_V: Final = (0.7, 1.05)
"""Near the nominal supplies of the tables (0.81 to 1.0 V); below, the equations leave strong inversion."""

CLOCK_RANGE_MHZ: Final = (10.0, 1000.0)
"""An independent 28 nm library closes the same int8 PE in the same area at 1 GHz (28HPC+)."""

_MACRO_SUPPLY_V: Final = 0.9
"""Memories keep a supply of their own, so their node step is taken at one voltage."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a row costs on an architecture: its value times `factor`, and the steps that made the factor."""

    row: PriceRow
    factor: float = 1.0
    steps: tuple[str, ...] = ()

    @property
    def value(self) -> float:
        """The price in the row's base unit, scaled."""
        return self.row.value * self.factor


@dataclass(frozen=True, slots=True)
class _Mismatch:
    what: str
    price: float | str
    architecture: float | str
    unit: str
    allowed: bool
    permission: str


class PriceScaling:
    """Takes rows to the process and clock of one architecture.

    Args:
        process: the silicon of the architecture.
        clock_mhz: its clock.
        permissions: which steps the architecture allows.

    Raises:
        UserError: a permitted step would leave its validity range.
    """

    def __init__(self, process: ProcessConfig, clock_mhz: float, permissions: ScalingConfig) -> None:
        """Check the ranges of the steps that are permitted."""
        self._process = process
        self._clock_mhz = clock_mhz
        self._permissions = permissions
        if permissions.frequency:
            _require_inside("clock_mhz", clock_mhz, CLOCK_RANGE_MHZ, "MHz")
        if permissions.voltage:
            _require_inside("process.voltage_v", process.voltage_v, VOLTAGE_RANGE_V, "V")
        if permissions.node:
            _require_inside("process.node_nm", process.node_nm, NODE_RANGE_NM, "nm")

    @classmethod
    def of(cls, arch: ArchConfig) -> PriceScaling:
        """The scaling that `arch` asks for."""
        return cls(arch.process, arch.clock_mhz, arch.scaling)

    def price(self, row: PriceRow) -> Price:
        """The row's price on this architecture.

        Raises:
            UserError: clock, node, voltage, temperature or corner differ and no permitted step bridges them.
        """
        conditions = row.conditions
        if conditions.scope == "external":
            return Price(row)
        for mismatch in self._mismatches(row):
            if not mismatch.allowed:
                raise UserError(
                    f"row {row.key} holds at {mismatch.price} {mismatch.unit}, "
                    f"the architecture has {mismatch.what} {mismatch.architecture} {mismatch.unit}",
                    source=row.table,
                    allowed=mismatch.permission,
                )
        steps: list[str] = []
        factor = self._node_and_voltage(row, steps)
        if conditions.scope == "logic" and conditions.clock_mhz != self._clock_mhz:
            steps.append(
                f"clock {conditions.clock_mhz:g} -> {self._clock_mhz:g} MHz: energy per action unchanged"
            )
        return Price(row, factor, tuple(steps))

    def _mismatches(self, row: PriceRow) -> list[_Mismatch]:
        conditions, process, allow = row.conditions, self._process, self._permissions
        pairs: list[tuple[str, float | str | None, float | str, str, bool, str]] = [
            ("node", conditions.node_nm, process.node_nm, "nm", allow.node, "scaling.node: true"),
        ]
        if conditions.scope == "logic":
            pairs += [
                (
                    "voltage",
                    conditions.voltage_v,
                    process.voltage_v,
                    "V",
                    allow.voltage,
                    "scaling.voltage: true",
                ),
                (
                    "clock",
                    conditions.clock_mhz,
                    self._clock_mhz,
                    "MHz",
                    allow.frequency,
                    "scaling.frequency: true",
                ),
                (
                    "temperature",
                    conditions.temperature_c,
                    process.temperature_c,
                    "C",
                    False,
                    "no scaling exists",
                ),
                ("corner", conditions.corner, process.corner, "", False, "no scaling exists"),
            ]
        return [
            _Mismatch(what, price, architecture, unit, allowed, permission)
            for what, price, architecture, unit, allowed, permission in pairs
            if price is not None and price != architecture
        ]

    def _node_and_voltage(self, row: PriceRow, steps: list[str]) -> float:
        conditions, process = row.conditions, self._process
        node, target_node = conditions.node_nm or process.node_nm, process.node_nm
        follows_supply = conditions.scope == "logic"
        volts = conditions.voltage_v if follows_supply and conditions.voltage_v else _MACRO_SUPPLY_V
        target_volts = process.voltage_v if follows_supply else volts
        if row.unit == "mW/um2":
            return _leakage_density(node, target_node, steps)
        if row.unit == "um2":
            return _stepped(steps, "node", node, target_node, "nm", _area(target_node) / _area(node))
        factor = _stepped(
            steps, "node", node, target_node, "nm", _energy(target_node, volts) / _energy(node, volts)
        )
        if row.unit == "mW":
            return factor
        voltage = _energy(target_node, target_volts) / _energy(target_node, volts)
        return factor * _stepped(steps, "voltage", volts, target_volts, "V", voltage)


def _leakage_density(node: float, target: float, steps: list[str]) -> float:
    """The same leakage a gate, so a density that grows as gates shrink; an assumption, and said so."""
    return _stepped(steps, "node (same leakage a gate)", node, target, "nm", _area(node) / _area(target))


def _stepped(steps: list[str], what: str, before: float, after: float, unit: str, factor: float) -> float:
    if before == after:
        return 1.0
    steps.append(f"{what} {before:g} -> {after:g} {unit}: x{factor:.4f} (Stillmaker & Baas 2017)")
    return factor


def _energy(node_nm: float, volts: float) -> float:
    by_node = {node: a * volts**2 + b * volts + c for node, (a, b, c) in _ENERGY_POLYNOMIALS.items()}
    low, high = _bracket(node_nm, sorted(by_node))
    weight = (node_nm - low) / (high - low)
    return by_node[low] + weight * (by_node[high] - by_node[low])


def _area(node_nm: float) -> float:
    low, high = _bracket(node_nm, sorted(_AREA_FACTORS))
    weight = math.log(node_nm / low) / math.log(high / low)
    return math.exp((1 - weight) * math.log(_AREA_FACTORS[low]) + weight * math.log(_AREA_FACTORS[high]))


def _bracket(value: float, points: list[float]) -> tuple[float, float]:
    _require_inside("process.node_nm", value, (points[0], points[-1]), "nm")
    above = next(index for index, point in enumerate(points[1:], start=1) if value <= point)
    return points[above - 1], points[above]


def _require_inside(field: str, value: float, limits: tuple[float, float], unit: str) -> None:
    low, high = limits
    if not low <= value <= high:
        raise UserError(
            "is outside the range that prices can be scaled in",
            location=field,
            value=value,
            allowed=f"{low:g} to {high:g} {unit}",
        )
