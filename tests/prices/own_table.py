"""Tables of your own for tests: rows written short, conditions of the bundled 28 nm logic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

BUNDLED = ("johnson2018_28nm", "parts_28nm", "sram_28nm", "dram", "interconnect_28nm")

_CONDITIONS: dict[str, Any] = {
    "synthesis": {
        "node_nm": 28,
        "voltage_v": 0.81,
        "temperature_c": 25,
        "corner": "TT",
        "clock_mhz": 500,
        "activity": "random operands",
    }
}


def row(key: str, value: float, **fields: Any) -> dict[str, Any]:
    """A row such as `pe/mine/operate`, in picojoules, or square micrometres for an area."""
    component, variant, action = key.split("/")
    unit = "area_um2" if action == "area" else "energy_pj"
    stated = {"conditions": "synthesis", "source": "report", "status": "own"}
    return {"component": component, "variant": variant, "action": action, unit: value, **stated, **fields}


def document(
    *rows: dict[str, Any], name: str = "mine", others: dict[str, dict[str, Any]] | None = None, **fields: Any
) -> dict[str, Any]:
    """A table of such rows; `others`: further conditions by name, with what they differ in."""
    conditions = {name: {**each, **fields.pop("conditions", {})} for name, each in _CONDITIONS.items()}
    conditions |= {other: conditions["synthesis"] | changed for other, changed in (others or {}).items()}
    return {
        "table": name,
        "description": "synthesis results made up for a test",
        "sources": {"report": "made up for a test"},
        "conditions": conditions,
        "rows": list(rows),
        **fields,
    }


def write(folder: Path, *rows: dict[str, Any], name: str = "mine", **fields: Any) -> str:
    """The file of such a table."""
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(document(*rows, name=name, **fields)))
    return str(file)
