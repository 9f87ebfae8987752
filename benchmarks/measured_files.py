"""What benchmarks measured, in `benchmarks/measured/NAME.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from benchmarks.figures import ROOT

MEASURED: Final = ROOT / "benchmarks" / "measured"


def keep(name: str, document: Mapping[str, Any]) -> None:
    """Write what a benchmark measured (`Section.document`)."""
    MEASURED.mkdir(exist_ok=True)
    (MEASURED / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")


def kept(first: Sequence[str]) -> list[dict[str, Any]]:
    """What was measured of every benchmark: of some in this order, then of the others by name."""
    names = {path.stem for path in MEASURED.glob("*.json")}
    ordered = [name for name in first if name in names] + sorted(names.difference(first))
    return [json.loads((MEASURED / f"{name}.json").read_text()) for name in ordered]
