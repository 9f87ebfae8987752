"""docs/validation.md: every published figure with its prediction before and now, its interval and its reason."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from simulator.accelerator_checks import accelerator_checks
from simulator.cost.check import Check
from simulator.cost.validation import validate
from simulator.cost.validation_text import validation_markdown

BEFORE = Path(__file__).with_name("data") / "validation_before.csv"

_HEAD = """\
# Validation

What the model makes of published figures; `systolic validate` prints the same. Figures that are compared price nothing: the published
arrays stand in `energy_tables/validation_28nm.yaml`, which the loader refuses as a price table, and no constant was moved to bring a
prediction closer. docs/energy.md describes the model. Data for "by toggles" is drawn from N(0,1) with a fixed seed.

*Before* is the prediction of version 0.1, empty where it made none. *Interval* is the prediction less and plus the uncertainty that its
prices state, *inside* whether the published figure lies in it; both are empty where no uncertainty is stated.
{count}

The multipliers of another library (FDSOI, synthesised for maximum frequency) have no interval: their conditions are not those that the
parts' uncertainty was taken at. The configurations of NVDLA and the layers of Eyeriss are other kinds of array: they check the scale, and ratios between layers.

"""


def validation_page() -> str:
    """The page as Markdown."""
    checks = [*validate(), *accelerator_checks()]
    return _HEAD.format(count=_count(checks)) + validation_markdown(checks, predictions_before())


def predictions_before() -> dict[str, float]:
    """The predictions of version 0.1 by the name of the check."""
    with BEFORE.open(encoding="utf-8", newline="") as file:
        lines = [line for line in file if not line.startswith("#")]
    return {row["name"]: float(row["predicted"]) for row in csv.DictReader(lines)}


def _count(checks: Sequence[Check]) -> str:
    stated = [check for check in checks if check.nature == "prediction" and check.is_inside is not None]
    inside = sum(bool(check.is_inside) for check in stated)
    return f"Of {len(stated)} predictions with an interval, {inside} have the published figure inside."
