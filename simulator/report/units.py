"""Numbers as people read them: engineering units, four significant digits, thousands separators."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_PREFIXES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_ENERGY_UNITS = ((1e12, "J"), (1e9, "mJ"), (1e6, "µJ"), (1e3, "nJ"), (1.0, "pJ"), (1e-3, "fJ"))
_POWER_UNITS = ((1e3, "W"), (1.0, "mW"), (1e-3, "µW"), (1e-6, "nW"))
_TIME_UNITS = ((1e3, "s"), (1.0, "ms"), (1e-3, "µs"), (1e-6, "ns"))
_AREA_UNITS = ((1e6, "mm²"), (1.0, "µm²"))
_SMALLEST_AREA_IN_MM2 = 1e4
_LEAST_WITH_PREFIX = 10**15

NO_DATA = "–"
"""Stands for a figure that was not asked for or not measured."""

NOT_PRICED = "not priced"
"""Stands for a figure that no price table can give."""

_ASCII = str.maketrans({"µ": "u", "²": "2", "×": "x", "·": "-", "█": "#", "▌": "#", "–": "-", "…": "."})


def significant(value: float, digits: int = 4) -> str:
    """`value` with so many significant digits, thousands separated, never in exponent form above 1e-4."""
    if value == 0:
        return "0"
    magnitude = f"{value:.{digits - 1}e}"
    exponent = int(magnitude.partition("e")[2])
    if exponent < -4:
        return magnitude
    return f"{float(magnitude):,.{max(0, digits - 1 - exponent)}f}"


def _in_units(value: float, units: tuple[tuple[float, str], ...], digits: int) -> str:
    size = abs(float(f"{value:.{digits - 1}e}"))
    factor, unit = next((pair for pair in units if size >= pair[0]), units[-1])
    if value == 0:
        return f"0 {next(unit for factor, unit in units if factor == 1.0)}".rstrip()
    return f"{significant(value / factor, digits)} {unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Scale:
    """One unit for a whole column, so that its figures can be compared at a glance."""

    unit: str
    factor: float
    decimals: int

    def scaled(self, value: float | None) -> float | None:
        """`value` as a number of this unit; None stays None."""
        return None if value is None else value / self.factor

    def show(self, value: float | None) -> str:
        """`value` in this unit, without the unit; what is too small to show is `<` the least shown."""
        if value is None:
            return NOT_PRICED
        if isinstance(value, int) and self.factor == 1 and not self.decimals:
            return whole(value)
        least = 10.0**-self.decimals
        if 0 < value / self.factor < least / 2:
            return f"<{least:.{self.decimals}f}"
        return f"{value / self.factor:,.{self.decimals}f}"


def _scale(values: Iterable[float | None], units: tuple[tuple[float, str], ...]) -> Scale:
    """The unit in which the largest of the values has four significant digits and stays short.

    Without any known value there is no unit.
    """
    known = [abs(value) for value in values if value is not None]
    if not known:
        return Scale("", 1.0, 0)
    largest = max(known)
    factor, unit = next((pair for pair in units if largest >= pair[0]), units[-1])
    return Scale(unit, factor, max(0, 4 - len(str(int(largest / factor)))))


def energy_scale(energies_pj: Iterable[float | None]) -> Scale:
    """The unit in which the largest of some energies has one to three digits before the point."""
    return _scale(energies_pj, _ENERGY_UNITS)


def power_scale(powers_mw: Iterable[float | None]) -> Scale:
    """One unit for powers in mW."""
    return _scale(powers_mw, _POWER_UNITS)


def time_scale(times_ms: Iterable[float | None]) -> Scale:
    """One unit for durations in ms."""
    return _scale(times_ms, _TIME_UNITS)


def area_scale(areas_um2: Iterable[float | None]) -> Scale:
    """One unit for areas in square micrometres."""
    areas = [area_um2 for area_um2 in areas_um2 if area_um2 is not None]
    in_mm2 = max(areas, default=0.0) >= _SMALLEST_AREA_IN_MM2
    return _scale(areas, _AREA_UNITS[:1] if in_mm2 else _AREA_UNITS[1:])


def plain_scale(values: Iterable[float | None]) -> Scale:
    """No unit, four significant digits of the largest."""
    return _scale(values, ((1.0, ""),))


def whole_scale(_: Iterable[float | None]) -> Scale:
    """Counts, in full."""
    return Scale("", 1.0, 0)


def percent_scale(_: Iterable[float | None]) -> Scale:
    """Fractions of one, in percent with one decimal."""
    return Scale("%", 0.01, 1)


def energy(energy_pj: float | None, digits: int = 4) -> str:
    """Picojoules as fJ, pJ, nJ, µJ, mJ or J; `not priced` for None."""
    return NOT_PRICED if energy_pj is None else _in_units(energy_pj, _ENERGY_UNITS, digits)


def power(power_mw: float | None, digits: int = 4) -> str:
    """Milliwatts as nW, µW, mW or W; `not priced` for None."""
    return NOT_PRICED if power_mw is None else _in_units(power_mw, _POWER_UNITS, digits)


def duration(time_ms: float, digits: int = 4) -> str:
    """Milliseconds as ns, µs, ms or s."""
    return _in_units(time_ms, _TIME_UNITS, digits)


def efficiency(tops_per_w: float | None, digits: int = 4) -> str:
    """TOPS/W without the unit; `not priced` for None."""
    return NOT_PRICED if tops_per_w is None else significant(tops_per_w, digits)


def area(area_um2: float | None, digits: int = 4) -> str:
    """Square micrometres, from 0.01 mm² upwards as mm²; `not priced` for None."""
    if area_um2 is None:
        return NOT_PRICED
    factor, unit = _AREA_UNITS[0 if abs(area_um2) >= _SMALLEST_AREA_IN_MM2 else 1]
    return f"{significant(area_um2 / factor, digits)} {unit}"


def quantity(count: float, digits: int = 4) -> str:
    """A count with a decimal prefix: `4.089 G`."""
    return _in_units(count, _PREFIXES, digits)


def data_size(size_bytes: float, digits: int = 3) -> str:
    """Bytes with a decimal prefix: `1.07 MB`."""
    text = quantity(size_bytes, digits)
    return f"{text}B" if " " in text else f"{text} B"


def whole(count: int) -> str:
    """An integer with thousands separators."""
    return f"{count:,}"


def fitting(count: int) -> str:
    """An integer in full where a narrow table holds it, up to 15 digits, else with a prefix: `19.53 P`."""
    return whole(count) if count < _LEAST_WITH_PREFIX else quantity(count)


def percent(share: float, decimals: int = 1) -> str:
    """A fraction of one as percent."""
    return f"{100 * share:.{decimals}f} %"


def share(part: float | None, whole: float | None) -> str:
    """A part of a whole in percent; `–` where one of them is not known."""
    return NO_DATA if part is None or whole is None else percent(part / whole)


def ratio(value: float | None) -> str:
    """A factor relative to something else, `×0.865`; `–` when there is nothing to compare with."""
    return "–" if value is None else f"×{significant(value, 3)}"


def ascii_only(text: str) -> str:
    """The text for a terminal or pipe that cannot show more than ASCII."""
    return text.translate(_ASCII)
