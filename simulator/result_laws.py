"""What figures of a result are by definition: times, powers, rates and shares that follow from the counts.

A result keeps figures that follow from others, so that people and spreadsheets need no formulas. Here each is
formed again from what it follows from, so that a file in which one was changed, or overflowed, is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from simulator.foundation.sums import TOTAL
from simulator.result_defaults import OPERATIONS_PER_MAC

_RELATIVE: Final = 1e-9
"""Far more than the rounding of a dozen floating-point operations, far less than any change of a figure."""

_KHZ_PER_MHZ: Final = 1000
_PJ_PER_MW_MS: Final = 1_000_000
_UM2_PER_MM2: Final = 1_000_000
_TERA: Final = 10**12

_Figures = Iterator[tuple[str, float | None]]
"""Names of fields and what they follow from; None: not priced."""


class _Figured(Protocol):
    @property
    def model_fields_set(self) -> set[str]: ...


class _Totals(_Figured, Protocol):
    """What the figures of a result's totals follow from."""

    @property
    def cycles(self) -> int: ...
    @property
    def macs(self) -> int: ...
    @property
    def latency_ms(self) -> float: ...
    @property
    def energy_pj(self) -> float | None: ...
    @property
    def chip_energy_pj(self) -> float | None: ...
    @property
    def dram_energy_pj(self) -> float | None: ...
    @property
    def area_um2(self) -> float | None: ...
    @property
    def peak_layer_power_mw(self) -> float | None: ...


class _Layer(_Figured, Protocol):
    """What the figures of a layer follow from."""

    @property
    def name(self) -> str: ...
    @property
    def macs(self) -> int: ...
    @property
    def total_cycles(self) -> int: ...
    @property
    def energy_pj(self) -> Mapping[str, float | None]: ...
    @property
    def power_mw(self) -> float | None: ...
    @property
    def pe_cycles(self) -> Mapping[str, int]: ...


def require_derived(
    totals: _Totals, layers: Sequence[_Layer], arch: Mapping[str, Any], *, complete: bool
) -> None:
    """Figures that are what they follow from.

    Args:
        totals: of a result.
        layers: in execution order.
        arch: the architecture as the result has it; a figure that needs a field it lacks is not asked.
        complete: whether figures that were left out count as what stands for them; else they are not asked.

    Raises:
        ValueError: naming the first figure that is not.
    """
    clock_mhz = _number(arch, "clock_mhz")
    for figure, formed in [*_of_time(totals, clock_mhz), *_of_rates(totals), *_of_use(totals, arch)]:
        if complete or figure in totals.model_fields_set:
            _require(f"totals: {figure}", getattr(totals, figure), formed)
    powers_mw = [layer.power_mw for layer in layers]
    if complete or "peak_layer_power_mw" in totals.model_fields_set:
        known = [power for power in powers_mw if power is not None]
        peak_mw = max(known) if len(known) == len(layers) else None
        _require("totals: peak_layer_power_mw", totals.peak_layer_power_mw, peak_mw)
    start_cycle = 0
    for layer in layers:
        for figure, formed in _of_layer(layer, clock_mhz, start_cycle):
            if complete or figure in layer.model_fields_set:
                _require(f"{layer.name}: {figure}", getattr(layer, figure), formed)
        start_cycle += layer.total_cycles


def require_inside(figure: str, value: float | None, ends: tuple[float, float] | None) -> None:
    """A figure that lies in its interval, and has one only where it is priced. Raises ValueError."""
    if ends is None:
        return
    if value is None or not ends[0] <= value <= ends[1]:
        message = f"intervals: {figure} is {value}, which is not in {list(ends)}"
        raise ValueError(message)


def _of_time(totals: _Totals, clock_mhz: float | None) -> _Figures:
    """Latency is cycles by clock; power is energy by latency."""
    if clock_mhz is not None:
        yield "latency_ms", totals.cycles / (clock_mhz * _KHZ_PER_MHZ)
    latency_ms = totals.latency_ms
    for figure, energy_pj in (
        ("power_mw", totals.energy_pj),
        ("chip_power_mw", totals.chip_energy_pj),
        ("dram_power_mw", totals.dram_energy_pj),
    ):
        yield figure, None if energy_pj is None else energy_pj / (latency_ms * _PJ_PER_MW_MS)
    energy_pj = totals.energy_pj
    yield "energy_delay_product_pj_ms", None if energy_pj is None else energy_pj * latency_ms


def _of_rates(totals: _Totals) -> _Figures:
    """Operations by time, by energy and by area."""
    operations = OPERATIONS_PER_MAC * totals.macs
    tops = operations / (totals.latency_ms * 1e-3) / _TERA
    yield "tops", tops
    yield "tops_per_w", operations / totals.energy_pj if totals.energy_pj else None
    yield "chip_tops_per_w", operations / totals.chip_energy_pj if totals.chip_energy_pj else None
    yield "tops_per_mm2", tops / (totals.area_um2 / _UM2_PER_MM2) if totals.area_um2 else None


def _of_use(totals: _Totals, arch: Mapping[str, Any]) -> _Figures:
    """Utilization is MACs by what the array could have done."""
    array = arch.get("array")
    rows, columns = (_number(array, "rows"), _number(array, "columns")) if isinstance(array, dict) else (0, 0)
    if rows and columns:
        yield "utilization", totals.macs / (rows * columns * totals.cycles)


def _of_layer(layer: _Layer, clock_mhz: float | None, start_cycle: int) -> _Figures:
    """A layer begins when the one before ends; its PEs are used by its MACs alone."""
    yield "start_cycle", start_cycle
    if layer.pe_cycles:
        yield "utilization", layer.macs / sum(layer.pe_cycles.values())
    energy_pj = layer.energy_pj[TOTAL]
    if clock_mhz is not None:
        latency_ms = layer.total_cycles / (clock_mhz * _KHZ_PER_MHZ)
        yield "power_mw", None if energy_pj is None else energy_pj / (latency_ms * _PJ_PER_MW_MS)


def _number(fields: object, name: str) -> float | None:
    value: Any = fields.get(name) if isinstance(fields, dict) else None
    return float(value) if type(value) in (int, float) and value > 0 else None


def _require(what: str, stated: float | None, formed: float | None) -> None:
    if stated is None or formed is None:
        if stated is not formed and stated:
            message = f"{what} is {stated}, and what it follows from is not priced"
            raise ValueError(message)
        return
    if not math.isclose(stated, formed, rel_tol=_RELATIVE, abs_tol=1e-300):
        message = f"{what} is {stated}, what it follows from gives {formed}"
        raise ValueError(message)
