"""From the conditions of a price to an architecture's: logged steps inside their validity, or a reason.

Energy follows the general scaling equations of A. Stillmaker and B. Baas, "Scaling equations for the accurate
prediction of CMOS device performance from 180 nm to 7 nm", Integration 58, 2017 (low-power models): a
quadratic in the supply for each tabulated node, linear in between. 28 nm is not tabulated there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from simulator.arch.config import ArchConfig, ProcessConfig, ScalingConfig
from simulator.cost.price import NotPriced, Price
from simulator.cost.table_schema import PriceRow

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
"""Memories keep a supply of their own; where a row does not state it, the node step is taken at this one."""

_UNCHANGED_BY_NODE: Final = {
    "mW": "the same leakage a cell, so unchanged (an assumption)",
    "ns": "access time unchanged (no rule scales it)",
}
"""Units of whole memories that the equations say nothing about."""

_KEPT_BY_CLOCK: Final = {"pJ": "energy per action", "um2": "area"}
"""What a row gives, by its unit, and what no clock within the range changes."""


@dataclass(frozen=True, slots=True)
class _Step:
    """A step that bridges a condition that differs.

    field: the architecture's field that permits it.
    limits: what it may lead to and where it may come from.
    """

    field: str
    permitted: bool
    limits: tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Condition:
    """One condition of a row beside the architecture's.

    field: the architecture's field.
    step: what bridges a difference; None where nothing does.
    """

    held: float | str | None
    wanted: float | str
    unit: str
    field: str
    step: _Step | None = None


class PriceScaling:
    """Takes rows to the process and clock of one architecture, by the steps that it permits.

    Args:
        process: the silicon of the architecture.
        clock_mhz: its clock.
        permissions: which steps the architecture allows.
    """

    def __init__(self, process: ProcessConfig, clock_mhz: float, permissions: ScalingConfig) -> None:
        self._process = process
        self.clock_mhz = clock_mhz
        self._permissions = permissions

    @classmethod
    def of(cls, arch: ArchConfig) -> PriceScaling:
        """The scaling that `arch` asks for."""
        return cls(arch.process, arch.clock_mhz, arch.scaling)

    def price(self, row: PriceRow) -> Price | NotPriced:
        """The row's price on this architecture.

        Not priced where clock, node, voltage, temperature or corner differ and no permitted step bridges
        them, or where a step would leave its validity range.
        """
        conditions = row.conditions
        if conditions.scope == "external":
            return Price(row)
        problems = [problem for condition in self._conditions(row) if (problem := _problem(condition))]
        if problems:
            return NotPriced("; ".join(problems), f"row {row.reference}")
        steps: list[str] = []
        factor = self._node_and_voltage(row, steps)
        if conditions.scope == "logic" and conditions.clock_mhz != self.clock_mhz:
            kept = _KEPT_BY_CLOCK.get(row.unit, "value")
            steps.append(f"clock {conditions.clock_mhz:g} -> {self.clock_mhz:g} MHz: {kept} unchanged")
        return Price(row, factor, tuple(steps))

    def _conditions(self, row: PriceRow) -> list[_Condition]:
        conditions, process, allow = row.conditions, self._process, self._permissions
        node = _Condition(
            conditions.node_nm,
            process.node_nm,
            "nm",
            "process.node_nm",
            _Step("scaling.node", permitted=allow.node, limits=NODE_RANGE_NM),
        )
        if conditions.scope != "logic":
            return [node]
        voltage = _Condition(
            conditions.voltage_v,
            process.voltage_v,
            "V",
            "process.voltage_v",
            _Step("scaling.voltage", permitted=allow.voltage, limits=VOLTAGE_RANGE_V),
        )
        clock = _Condition(
            conditions.clock_mhz,
            self.clock_mhz,
            "MHz",
            "clock_mhz",
            _Step("scaling.frequency", permitted=allow.frequency, limits=CLOCK_RANGE_MHZ),
        )
        temperature = _Condition(
            conditions.temperature_c, process.temperature_c, "C", "process.temperature_c"
        )
        corner = _Condition(conditions.corner, process.corner, "", "process.corner")
        return [node, voltage, clock, temperature, corner]

    def _node_and_voltage(self, row: PriceRow, steps: list[str]) -> float:
        conditions, process = row.conditions, self._process
        node, target_node = conditions.node_nm or process.node_nm, process.node_nm
        follows_supply = conditions.scope == "logic"
        volts = conditions.voltage_v or _MACRO_SUPPLY_V
        target_volts = process.voltage_v if follows_supply else volts
        if row.unit == "mW/um2":
            return _leakage_density(node, target_node, steps)
        if row.unit in _UNCHANGED_BY_NODE:
            if node != target_node:
                steps.append(f"node {node:g} -> {target_node:g} nm: {_UNCHANGED_BY_NODE[row.unit]}")
            return 1.0
        if row.unit == "um2":
            return _stepped(steps, "node", node, target_node, "nm", _area(target_node) / _area(node))
        factor = _stepped(
            steps, "node", node, target_node, "nm", _energy(target_node, volts) / _energy(node, volts)
        )
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
    above = next(index for index, point in enumerate(points[1:], start=1) if value <= point)
    return points[above - 1], points[above]


def _problem(condition: _Condition) -> str:
    """Why a row cannot be taken to the architecture's condition, with the way out; empty where it can."""
    held, wanted, field = condition.held, condition.wanted, condition.field
    if held is None or held == wanted:
        return ""
    apart = f"prices hold at {_shown(held, condition.unit)}, {field} is {_shown(wanted, condition.unit)}"
    other_table = f"add a table with prices at {_shown(wanted, condition.unit)}"
    step = condition.step
    if step is None:
        return f"{apart} and nothing scales it: set {field} to {_shown(held)} or {other_table}"
    if not step.permitted:
        ways = f"set {step.field} to true, {field} to {_shown(held)}, or {other_table}"
        return f"{apart}: {ways}"
    low, high = step.limits
    outside = [end for end in (held, wanted) if not isinstance(end, str) and not low <= end <= high]
    if not outside:
        return ""
    ways = f"set {field} to {_shown(held)} or {other_table}"
    if held not in outside and not isinstance(wanted, str):
        ways = f"the nearest is {field} {min(max(wanted, low), high):g}; {ways}"
    return f"{apart}, and prices scale inside {low:g} to {high:g} {condition.unit} only: {ways}"


def _shown(value: float | str, unit: str = "") -> str:
    return value if isinstance(value, str) else f"{value:g} {unit}".rstrip()
