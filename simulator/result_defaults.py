"""Fields that follow from others, for documents and callers that leave them out.

Results written before these fields existed have none; whoever builds a result may leave them to be filled in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from simulator.foundation.femtojoules import in_pj
from simulator.foundation.sums import TOTAL, sum_known

DRAM_PREFIX: Final = "dram"
"""Components of the DRAM; all others are on the chip."""

OPERATIONS_PER_MAC: Final = 2
"""A multiplication and an addition."""


def dram_fj(parts_fj: Mapping[str, int | None]) -> int | None:
    """Femtojoules of the DRAM by component; None: not priced."""
    return sum_known(energy for part, energy in parts_fj.items() if part.startswith(DRAM_PREFIX))


def chip_fj(parts_fj: Mapping[str, int | None]) -> int | None:
    """Femtojoules of everything but the DRAM by component; None: not priced."""
    return sum_known(
        energy for part, energy in parts_fj.items() if not part.startswith(DRAM_PREFIX) and part != TOTAL
    )


def layer_with_bound(fields: object) -> object:
    """A layer's fields with its energy as the bound of it, where they have none."""
    if not isinstance(fields, dict) or "energy_bound_fj" in fields:
        return fields
    energies_fj = fields.get("energy_fj")
    energies_pj = fields.get("energy_pj")
    if not isinstance(energies_fj, dict) or not isinstance(energies_pj, dict):
        return fields
    return fields | {"energy_bound_fj": energies_fj.get(TOTAL), "energy_bound_pj": energies_pj.get(TOTAL)}


def totals_with_parts(fields: object) -> object:
    """Totals' fields with energy, power and TOPS/W of chip and DRAM, and with the bound, where left out.

    Fields that are no totals come back as they are, to be refused as such.
    """
    if not isinstance(fields, dict):
        return fields
    filled = dict(fields)
    if "energy_bound_fj" not in fields and {"energy_fj", "energy_pj"} <= fields.keys():
        filled |= {"energy_bound_fj": fields["energy_fj"], "energy_bound_pj": fields["energy_pj"]}
    if "chip_energy_fj" not in fields:
        try:
            filled |= _parts(fields)
        except (TypeError, ValueError, KeyError, ZeroDivisionError):
            return filled
    return filled


def _parts(fields: Mapping[str, Any]) -> dict[str, float | None]:
    energies_fj = {
        str(part): None if energy is None else int(energy)
        for part, energy in dict(fields.get("energy_by_component_fj", {})).items()
    }
    latency_ns = float(fields["latency_ms"]) * 1e6
    parts: dict[str, float | None] = {}
    for name, energy_fj in (("chip", chip_fj(energies_fj)), ("dram", dram_fj(energies_fj))):
        energy_pj = in_pj(energy_fj)
        parts[f"{name}_energy_fj"] = energy_fj
        parts[f"{name}_energy_pj"] = energy_pj
        parts[f"{name}_power_mw"] = None if energy_pj is None else energy_pj / latency_ns
    chip_pj = parts["chip_energy_pj"]
    operations = OPERATIONS_PER_MAC * int(fields["macs"])
    parts["chip_tops_per_w"] = operations / chip_pj if chip_pj else None
    return parts
