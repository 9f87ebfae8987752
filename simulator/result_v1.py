"""Results of schema version 1, whose energies were picojoules alone, as documents with whole femtojoules."""

from __future__ import annotations

import math
from typing import Any, Final

from simulator.foundation.femtojoules import FJ_PER_PJ, femtojoules

_OF_TOTALS: Final = ("energy", "static_energy", "energy_by_component")
_OF_LAYERS: Final = ("energy", "static_energy")


def energies_as_integers(document: dict[str, Any]) -> dict[str, Any]:
    """A document of version 1 with `..._fj` beside every `..._pj`, to the nearest femtojoule.

    Version 1 wrote whole femtojoules divided by 1000, which this undoes up to 8.8 J; beyond, sums that do not
    close are refused like any others. What is no energy becomes 0, of which it is not the view.
    """
    read = dict(document)
    if isinstance(read.get("totals"), dict):
        read["totals"] = _with_integers(read["totals"], _OF_TOTALS)
    if isinstance(read.get("layers"), list):
        read["layers"] = [_layer(layer) for layer in read["layers"]]
    return read


def _layer(layer: object) -> object:
    if not isinstance(layer, dict):
        return layer
    read = _with_integers(layer, _OF_LAYERS)
    if isinstance(read.get("formation"), list):
        read["formation"] = [
            _with_integers(line, ("energy",)) if isinstance(line, dict) else line
            for line in read["formation"]
        ]
    return read


def _with_integers(fields: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {
        f"{name}_fj": _integers(fields[f"{name}_pj"]) for name in names if f"{name}_pj" in fields
    } | fields


def _integers(energy_pj: object) -> object:
    if isinstance(energy_pj, dict):
        return {component: _integers(part_pj) for component, part_pj in energy_pj.items()}
    if isinstance(energy_pj, float) and math.isfinite(energy_pj):
        return femtojoules(energy_pj)
    if energy_pj is None or type(energy_pj) is int:
        return None if energy_pj is None else energy_pj * FJ_PER_PJ
    return 0
