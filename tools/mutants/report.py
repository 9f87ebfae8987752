"""What became of the mutants, as a table, as Markdown and as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from tools.mutants.settings import Equivalent, Settings
from tools.mutants.trial import ModuleTrial, Verdict

_COLUMNS = ("module", "made", "killed", "timed out", "survived", "equivalent", "ratio", "wanted")


def table(trials: Sequence[ModuleTrial]) -> str:
    """One row a module, in Markdown; columns have equal widths, so that it reads well as text too."""
    rows = [_COLUMNS, *map(_row, trials)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = [_line(row, widths) for row in rows]
    rule = "|".join(["", "-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:]), ""])
    return "\n".join([lines[0], rule, *lines[1:]])


def _row(trial: ModuleTrial) -> tuple[str, ...]:
    if trial.failure:
        return (trial.module, "0", *["-"] * 5, f"{trial.settings.wanted:.0%}")
    outcomes = [str(trial.count(outcome)) for outcome in ("killed", "timed out", "survived")]
    ratio = "-" if trial.ratio is None else f"{trial.ratio:.1%}"
    numbers = (str(len(trial.verdicts)), *outcomes, str(trial.equivalent), ratio)
    return (trial.module, *numbers, f"{trial.settings.wanted:.0%}")


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    numbers = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
    return f"| {' | '.join([row[0].ljust(widths[0]), *numbers])} |"


def markdown(trials: Sequence[ModuleTrial], settings: Settings, strays: Sequence[Equivalent]) -> str:
    """The table, and below it whatever needs a look: survivors, equivalent mutants and wrong entries."""
    verdicts = [verdict for trial in trials for verdict in trial.verdicts]
    stale = [*(entry for trial in trials for entry in trial.stale), *strays]
    sections = [
        f"# Mutants\n\nUp to {settings.mutants} a module, seed {settings.seed}.\n\n{table(trials)}",
        *_section(
            "Tests that fail unchanged",
            (
                f"{trial.module}\n\n```\n{trial.failure.strip()[-4000:]}\n```"
                for trial in trials
                if trial.failure
            ),
        ),
        *_section(
            "Survived",
            (_diff(each) for each in verdicts if each.outcome == "survived" and not each.is_equivalent),
        ),
        *_section("Timed out", (_diff(each) for each in verdicts if each.outcome == "timed out")),
        *_section(
            "Equivalent",
            (_diff(each, each.known.reason) for each in verdicts if each.known and each.is_equivalent),
        ),
        *_section(
            "Listed as equivalent, but killed",
            (_diff(each, f"By {each.by or 'the timeout'}.") for each in verdicts if each.contradicts),
        ),
        *_section("Stale entries: no such mutant", map(_entry, stale)),
    ]
    return "\n\n".join(sections) + "\n"


def _section(title: str, parts: Iterable[str]) -> list[str]:
    texts = list(parts)
    return [f"## {title}\n\n" + "\n\n".join(texts)] if texts else []


def _diff(verdict: Verdict, remark: str = "") -> str:
    mutant = verdict.mutant
    head = f"`{mutant.name}` in `{mutant.function}`"
    text = f"{head}\n\n```diff\n- {mutant.original}\n+ {mutant.mutated}\n```"
    return f"{text}\n\n{remark}" if remark else text


def _entry(entry: Equivalent) -> str:
    return f"`{entry.module}` in `{entry.function}`\n\n```diff\n- {entry.line}\n+ {entry.mutant}\n```"


def document(trials: Sequence[ModuleTrial], settings: Settings, strays: Sequence[Equivalent]) -> str:
    """Everything, as JSON."""
    content = {
        "mutants": settings.mutants,
        "seed": settings.seed,
        "python": sys.version.split()[0],
        "modules": [_module(trial) for trial in trials],
        "stale": [entry.model_dump(exclude_none=True) for entry in strays],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _module(trial: ModuleTrial) -> dict[str, Any]:
    return {
        "module": trial.module,
        "tests": list(trial.settings.tests),
        "kernels": trial.settings.kernels,
        "wanted": trial.settings.wanted,
        "ratio": trial.ratio,
        "is_good": trial.is_good,
        "possible": trial.possible,
        "made": len(trial.verdicts),
        "killed": trial.count("killed"),
        "timed_out": trial.count("timed out"),
        "survived": trial.count("survived"),
        "equivalent": trial.equivalent,
        "unchanged_seconds": round(trial.unchanged_seconds, 2),
        "failure": trial.failure,
        "stale": [entry.model_dump(exclude_none=True) for entry in trial.stale],
        "mutants": [_verdict(verdict) for verdict in trial.verdicts],
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    mutant = verdict.mutant
    return {
        "line": mutant.line,
        "function": mutant.function,
        "original": mutant.original,
        "mutated": mutant.mutated,
        "occurrence": mutant.occurrence,
        "outcome": "equivalent" if verdict.is_equivalent else verdict.outcome,
        "killed_by": verdict.by,
        "seconds": round(verdict.seconds, 2),
        "reason": verdict.known.reason if verdict.known else "",
    }
