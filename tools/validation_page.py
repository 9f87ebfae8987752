"""docs/validation.md: every published figure with its prediction before and now, its interval and its reason."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from simulator.accelerator_checks import accelerator_checks
from simulator.cost.validation import validate
from simulator.prediction import Check, Nature
from simulator.report.validation_text import validation_markdown

BEFORE = Path(__file__).with_name("data") / "validation_before.csv"

_HEAD = """\
# Validation

This page compares the model with published figures; `systolic validate` prints the same. Figures that are compared are not used as
prices: the published arrays are in `energy_tables/validation_28nm.yaml`, which the loader refuses as a price table, and no constant was
changed to bring a prediction closer. [Energy](energy.md) describes the model. Data for "by toggles" is drawn from N(0,1) with a fixed seed.

*Before* is the prediction of version 0.1, empty where it made none. *Interval* is the prediction minus and plus the uncertainty that its
prices state. *Inside* says whether the published figure lies in the interval. Both are empty for cycles, which need no price, for figures
that prices were solved from, and for arithmetic of the source.
{count}

Other hardware has its own section, because the intervals are not made for it. The FDSOI multipliers are from another library and were
synthesised for maximum frequency. The configurations of NVDLA are whole cores, of which the model prices only PEs and buffer. The layers
of Eyeriss use another dataflow at another node. They check ratios between layers, in which prices cancel; so their intervals are narrow,
and differences have other causes.

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
    (stated, inside), (others, others_inside) = (
        _inside(checks, nature) for nature in ("prediction", "other_hardware")
    )
    return (
        f"Of {stated} predictions with an interval, {inside} have the published figure inside "
        f"({inside / stated:.0%}); of {others} of other hardware, {others_inside}."
    )


def _inside(checks: Sequence[Check], nature: Nature) -> tuple[int, int]:
    """How many checks have an interval, and how many of their published figures lie inside."""
    stated = [check.is_inside for check in checks if check.nature == nature and check.is_inside is not None]
    return len(stated), sum(stated)
