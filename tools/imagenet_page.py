"""What a store of `tools.imagenet_evidence` holds, as the page docs/imagenet.md."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator.arch import ArchConfig
from simulator.cost.composition import composed_pe_cost
from simulator.cost.mac_parts import structure_of
from simulator.cost.price import total
from simulator.cost.run_prices import Prices
from simulator.foundation.files import write_text
from simulator.foundation.paired import PairedDifference, paired_outcomes
from simulator.numerics import get_mac
from simulator.result_accuracy import Accuracy
from tools.accuracy_words import at_least, percent
from tools.accuracy_words import points as shown_points
from tools.evidence_points import (
    FFP8,
    FIXED_WEIGHTS,
    FLOAT_WEIGHTS,
    LAST_EXPONENT,
    LOG,
    POSIT,
    WIDTH_POLICIES,
    WIDTHS,
    WITHOUT_EXPONENT,
    Point,
    minifloats,
    points,
    presets,
    width_formats,
    width_point,
)
from tools.evidence_store import EvidenceStore, Measurement

COLLAPSE_POINTS = 10.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured, by point, and on what."""

    identity: dict[str, Any]
    measured: dict[Point, Measurement] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> Evidence:
        """All that a store holds. Raises UserError: damaged points."""
        store = EvidenceStore(folder, {})
        identity = json.loads((folder / "identity.json").read_text(encoding="utf-8"))
        found = {point: store.find(point) for point in points()}
        return cls(identity, {point: each for point, each in found.items() if each is not None})

    def accuracy(self, point: Point) -> Accuracy | None:
        """Of a point; None where it was not measured."""
        found = self.measured.get(point)
        return None if found is None else found.accuracy

    def above(self, point: Point, other: Point) -> PairedDifference | None:
        """How far a point is above another one on the same images; None where one was not measured."""
        one, two = self.accuracy(point), self.accuracy(other)
        return None if one is None or two is None else paired_outcomes(one.outcomes, two.outcomes)


def write_page(path: Path, store: Path) -> None:
    """Write the page from what a store holds. Raises UserError: no store, or a damaged one."""
    write_text(path, page(Evidence.of(store)))


def page(evidence: Evidence) -> str:
    """The whole page."""
    parts = [
        _introduction(evidence),
        _claims(evidence),
        _presets(evidence),
        _log_and_posit(evidence),
        _widths(evidence),
        _ffp8(evidence),
        _mixed(evidence),
        _missing(evidence),
    ]
    return "\n\n".join(parts) + "\n"


def _introduction(evidence: Evidence) -> str:
    identity = evidence.identity
    dates = sorted({each.measured for each in evidence.measured.values()})
    first = next(iter(evidence.measured.values()), None)
    top1 = "-" if first is None else percent(first.accuracy.top1_float32)
    top5 = "-" if first is None else percent(first.accuracy.top5_float32)
    when = " to ".join(dict.fromkeys((dates[0], dates[-1]))) if dates else "never"
    return f"""\
# Number formats on ImageNet's classes

Written by `python -m tools.imagenet_evidence --store DIR --page docs/imagenet.md` from what the same tool measured ({when}):

<!-- not run by a test: needs images that are no part of the project -->
```console
$ python -m tools.imagenet_evidence {identity["model"]} FOLDER --store DIR --preprocess {identity["preprocess"]}
```

The model is `{identity["model"]}` (SHA-256 {identity["model_sha256"][:16]}...), the data are {identity["images"]} images of ImageNet's
classes. Neither is part of this project. The command measures one point after the other and keeps each in DIR; run it again after
whatever stopped it.

**What this is not**: the images are one for each of {identity["images"]} classes and no sample of the validation set. Float32 has {top1}
(top-5 {top5}) here, which says nothing of the validation set. Only differences on the same images are claimed: in points, with their
95 % interval in brackets ([noise](inference.md)). Policies calibrate on the first 128 of these images, as there are no others, which
favours what is calibrated over what is dropped in."""


def _presets(evidence: Evidence) -> str:
    lines = ["| MAC | policy | top-1 | above float32, points | top-5 | agreement with float32 |"]
    lines.append("|---|---|---:|---:|---:|---:|")
    for point in presets():
        accuracy = evidence.accuracy(point)
        if accuracy is None:
            lines.append(f"| {point.mac} | | not measured | | | |")
            continue
        lines.append(
            f"| {point.mac} | {accuracy.policy} | {percent(accuracy.top1)} | {shown_points(accuracy.above_float32)}"
            f" | {percent(accuracy.top5)} | {percent(accuracy.agreement_with_float32)} |"
        )
    return "## Every MAC preset\n\nWith the default policy of each.\n\n" + "\n".join(lines)


def _log_and_posit(evidence: Evidence) -> str:
    lines = ["| formats | policy | top-1 | above float32, points |", "|---|---|---:|---:|"]
    for point, words in (
        (LOG, "log (8,1,5,5,7), `elma8`"),
        (LAST_EXPONENT, "the same, exponent bias of -4 at the last layer"),
        (POSIT, "posit(8,1), `posit8`"),
        (WITHOUT_EXPONENT, "posit(8,0)"),
    ):
        lines.append(f"| {words} | {_row(evidence, point)} |")
    pairs = ((LOG, POSIT, "log above posit(8,1)"), (POSIT, WITHOUT_EXPONENT, "posit(8,1) above posit(8,0)"))
    told = [f"{words}: {shown_points(evidence.above(one, two))} points" for one, two, words in pairs]
    return (
        "## Log float and posits, dropped in\n\nNo calibration, round to nearest even.\n\n"
        + "\n".join(lines)
        + f"\n\n{told[0][0].upper()}{told[0][1:]}; {told[1]}."
    )


def _row(evidence: Evidence, point: Point) -> str:
    accuracy = evidence.accuracy(point)
    if accuracy is None:
        return f"{point.policy or ''} | not measured | "
    return f"{accuracy.policy} | {percent(accuracy.top1)} | {shown_points(accuracy.above_float32)}"


def _widths(evidence: Evidence) -> str:
    lines = [
        "| bits | format | " + " | ".join(f"`{policy}`" for policy in WIDTH_POLICIES) + " |",
        "|---:|---|" + "---:|" * len(WIDTH_POLICIES),
    ]
    for bits in WIDTHS:
        for spec in width_formats(bits):
            cells = []
            for policy in WIDTH_POLICIES:
                accuracy = evidence.accuracy(width_point(spec, policy))
                cells.append(
                    "-"
                    if accuracy is None
                    else f"{percent(accuracy.top1)}, {shown_points(accuracy.above_float32)}"
                )
            lines.append(f"| {bits} | {spec} | {' | '.join(cells)} |")
    return (
        "## Integers and minifloats of 4 to 8 bits\n\nActivations and weights in the same format; top-1, and points above float32."
        " A dash stands for what was not measured.\n\n" + "\n".join(lines)
    )


def _ffp8(evidence: Evidence) -> str:
    text = (
        "## FFP8's choice\n\nFor each tensor the format of 8 bits with the least squared error: `ffp8`.\n\n"
    )
    found = evidence.measured.get(FFP8)
    if found is None:
        return text + "Not measured."
    fixed = Point("e4m3 x e4m3", "mse")
    accuracy = found.accuracy
    against = shown_points(evidence.above(FFP8, fixed))
    text += f"Top-1 {percent(accuracy.top1)}, {shown_points(accuracy.above_float32)} points above float32; above e4m3 with `mse`: {against}."
    return text


def _mixed(evidence: Evidence) -> str:
    lines = [
        "| weights | activations | top-1 | above float32, points | weight storage saved against 8 bits"
        " | multiplier energy | PE energy |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for point, words in ((FLOAT_WEIGHTS, "floats"), (FIXED_WEIGHTS, "fixed point")):
        found = evidence.accuracy(point)
        if found is None:
            lines.append(f"| {words} | | not measured | | | | |")
            continue
        chosen = found.choices["widths"]
        multiplier, whole = _relative_energy(chosen["activation"].replace("fix", "int"), chosen["weight"])
        lines.append(
            f"| {words}: {chosen['weight']} | {chosen['activation']} | {percent(found.top1)} | {shown_points(found.above_float32)}"
            f" | {percent(chosen['weight_storage_saved_against_8_bits'])} | {percent(multiplier)} | {percent(whole)} |"
        )
    return (
        "## Mixed widths\n\nThe smallest widths that lose at most 1 point on the calibration images: `mixed+loss=1`. Energies are of one"
        " multiply-accumulate at 28 nm, composed from parts alike for all, over those of int8 x int8: the multiplier alone, and the whole"
        " PE with aligning shifter, accumulator and registers.\n\n" + "\n".join(lines)
    )


def _relative_energy(activation: str, weight: str) -> tuple[float, float]:
    """Energy of the multiplier and of the whole PE, over those of int8 x int8."""
    found, eight_bits = (_energies_pj(mac) for mac in (f"{activation} x {weight}", "int8 x int8"))
    return found[0] / eight_bits[0], found[1] / eight_bits[1]


def _energies_pj(mac: str) -> tuple[float, float]:
    pe = composed_pe_cost(structure_of(get_mac(mac)), Prices.of(ArchConfig()))
    multiplier = next(total(cost.energy) for cost in pe.combinational if cost.component == "pe_multiply")
    assert multiplier is not None
    assert pe.energy_pj is not None
    return multiplier, pe.energy_pj


def _claims(evidence: Evidence) -> str:
    claims = (
        (
            "Johnson 2018: log float dropped in loses 0.9 points on ResNet-50 with an exponent bias of -4 at the last layer",
            _loses_at_most(evidence, LAST_EXPONENT, 0.9),
        ),
        ("... and 0.5 to 1 point more without", _loses_at_most(evidence, LOG, 1.9)),
        (
            "Johnson 2018: posit(8,0) collapses where posit(8,1) does not",
            _reaches(
                evidence.above(POSIT, WITHOUT_EXPONENT),
                COLLAPSE_POINTS,
                f"at least {COLLAPSE_POINTS:.0f} points apart",
            ),
        ),
        (
            "Aggarwal et al. 2024: minifloats are typically above integers at four bits and more (here under `mse`)",
            _minifloats(evidence),
        ),
        (
            "Huang et al. 2021: formats chosen for each tensor (FFP8) lose little",
            _loses_at_most(evidence, FFP8, 1.0),
        ),
        ("Lai et al. 2017: float weights need less storage at equal accuracy", _storage(evidence)),
    )
    lines = ["| claim | here |", "|---|---|", *(f"| {claim} | {verdict} |" for claim, verdict in claims)]
    return (
        "## Claims of four papers\n\nTheir networks and images are others; this says whether the effect appears on this network.\n\n"
        + "\n".join(lines)
    )


def _loses_at_most(evidence: Evidence, point: Point, most: float) -> str:
    accuracy = evidence.accuracy(point)
    above = None if accuracy is None else accuracy.above_float32
    return _reaches(above, -most, f"loses at most {most:g} points")


def _reaches(difference: PairedDifference | None, wanted: float, words: str) -> str:
    if difference is None:
        return "not measured"
    verdicts = {"yes": "appears", "no": "does not appear", "within the noise": "left open by the noise"}
    return f"{verdicts[at_least(difference, wanted)]} ({words}: {shown_points(difference)})"


def _minifloats(evidence: Evidence) -> str:
    told = []
    for bits in WIDTHS:
        integer = width_point(f"int{bits}", "mse")
        for spec in minifloats(bits):
            difference = evidence.above(width_point(spec, "mse"), integer)
            if difference is not None:
                told.append(f"{spec} above int{bits}: {shown_points(difference)}")
    return "; ".join(told) or "not measured"


def _storage(evidence: Evidence) -> str:
    floats, fixed = evidence.accuracy(FLOAT_WEIGHTS), evidence.accuracy(FIXED_WEIGHTS)
    if floats is None or fixed is None:
        return "not measured"
    one, two = (each.choices["widths"]["weight"] for each in (floats, fixed))
    saved = [each.choices["widths"]["weight_storage_saved_against_8_bits"] for each in (floats, fixed)]
    verdict = "appears" if saved[0] > saved[1] else "does not appear"
    return f"{verdict} ({one} against {two})"


def _missing(evidence: Evidence) -> str:
    missing: Sequence[Point] = [point for point in points() if point not in evidence.measured]
    if not missing:
        return "## What is missing\n\nNothing: all points were measured."
    named = ", ".join(f"{point.mac} with `{point.policy or 'its default'}`" for point in missing[:12])
    rest = f", and {len(missing) - 12} more" if len(missing) > 12 else ""
    return (
        f"## What is missing\n\n{len(missing)} of {len(points())} points were not measured yet: {named}{rest}. The command above goes on"
        " with them."
    )
