"""What holds for every result, written down again from the definitions, with none of the code that makes results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from simulator.result import Result

_RELATIVE: Final = 1e-6


def require_laws(result: Result) -> None:
    """Raise AssertionError with the laws that a result, as it is written, breaks."""
    broken = broken_laws(json.loads(result.to_json()))
    assert not broken, f"laws are broken: {broken[:3]}"


def broken_laws(document: Mapping[str, Any]) -> list[str]:
    """Laws that a result, as its JSON has it, does not keep; in words. Version 2 only."""
    totals, layers = document["totals"], document["layers"]
    broken = []

    def require(law: str, one: Any, two: Any) -> None:
        if (one is None) != (two is None) or (
            one is not None and abs(one - two) > _RELATIVE * max(abs(one), abs(two))
        ):
            broken.append(f"{law}: {one} is not {two}")

    def exactly(law: str, one: Any, two: Any) -> None:
        if one != two:
            broken.append(f"{law}: {one} is not {two}")

    exactly("cycles", sum(layer["cycles"]["total"] for layer in layers), totals["cycles"])
    exactly("MACs", sum(layer["m"] * layer["n"] * layer["k"] for layer in layers), totals["macs"])
    exactly("causes", sum(totals["cycles_by_cause"].values()), totals["cycles"])
    exactly("energy", _sum(layer["energy_fj"]["total"] for layer in layers), _whole(totals["energy_fj"]))
    parts = totals["energy_by_component_fj"]
    for component in parts:
        exactly(f"energy of {component}", _sum(layer["energy_fj"][component] for layer in layers if component in layer["energy_fj"]),
                _whole(parts[component]))  # fmt: skip
    start = 0
    for layer in layers:
        cycles, name = layer["cycles"], layer["name"]
        exactly(
            f"{name}: cycles", sum(cycles[c] for c in ("compute", "fill", "drain", "stall")), cycles["total"]
        )
        exactly(f"{name}: stalls", sum(layer["stalls"].values()), cycles["stall"])
        exactly(f"{name}: start", layer["start_cycle"], start)
        energies = {part: value for part, value in layer["energy_fj"].items() if part != "total"}
        exactly(f"{name}: energy", _sum(energies.values()), _whole(layer["energy_fj"]["total"]))
        start += cycles["total"]
    clock_mhz = document["arch"]["clock_mhz"]
    require("latency", totals["latency_ms"], totals["cycles"] / (clock_mhz * 1000))
    energy_fj = _whole(totals["energy_fj"])
    energy_pj = None if energy_fj is None else energy_fj / 1000
    require("energy_pj", totals["energy_pj"], energy_pj)
    if totals["latency_ms"] > 0 and energy_pj is not None:
        power_mw = energy_pj / (totals["latency_ms"] * 1e6)
        require("power", totals["power_mw"], power_mw)
        tops = 2 * totals["macs"] / totals["latency_ms"] * 1e3 / 1e12
        require("TOPS", totals["tops"], tops)
        if power_mw > 0:
            require("TOPS/W", totals["tops_per_w"], tops / (power_mw / 1000))
    array = document["arch"]["array"]
    possible = totals["cycles"] * array["rows"] * array["columns"]
    require("utilization", totals["utilization"], totals["macs"] / possible)
    return broken


def _whole(text: Any) -> int | None:
    return None if text is None else int(text)


def _sum(values: Any) -> int | None:
    known = [_whole(value) for value in values]
    return None if None in known else sum(value for value in known if value is not None)
