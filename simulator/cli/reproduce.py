"""`systolic reproduce`: a result run again, and what differs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simulator.cli.options import JsonOption, QuietOption
from simulator.cli.progress import progress_bar

if TYPE_CHECKING:
    from simulator.reproduction import Difference, Reproduction

EXIT_DIFFERENT = 1
_MOST_SHOWN = 20


def reproduce_command(
    result: Annotated[
        Path, typer.Argument(metavar="RESULT", help="result.json, or the folder that holds it.")
    ],
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run a result again, with the code, tables and network that are here now, and say what differs.

    Files that the result names are looked for from the folder that you run the command in. The exit code is 1
    where a figure differs.

    Examples:
        systolic simulate alexnet --out results/alexnet

        systolic reproduce results/alexnet
    """
    from simulator.reproduction import reproduce
    from simulator.result import load_result

    with progress_bar(quiet=quiet or as_json) as progress:
        found = reproduce(load_result(result), source=result, progress=progress)
    if as_json:
        typer.echo(json.dumps(_document(found), indent=1))
    elif not quiet:
        _print(found)
    if not found.is_same:
        raise typer.Exit(EXIT_DIFFERENT)


def _document(found: Reproduction) -> dict[str, Any]:
    def told(differences: tuple[Difference, ...]) -> list[dict[str, object]]:
        return [{"field": d.field, "before": d.before, "after": d.after} for d in differences]

    return {
        "same": found.is_same,
        "compared": found.compared,
        "made_from": told(found.causes),
        "figures": told(found.figures),
    }


def _print(found: Reproduction) -> None:
    for cause in found.causes:
        typer.echo(f"{cause.field} is another: {_short(cause.before)} -> {_short(cause.after)}")
    if found.is_same:
        typer.echo(f"all {found.compared:,} figures are the same")
        return
    typer.echo(f"{len(found.figures):,} of {found.compared:,} figures differ:")
    for figure in found.figures[:_MOST_SHOWN]:
        typer.echo(f"  {figure.field}: {_short(figure.before)} -> {_short(figure.after)}")
    if len(found.figures) > _MOST_SHOWN:
        typer.echo(f"  and {len(found.figures) - _MOST_SHOWN:,} more (--json lists all)")


def _short(value: object) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
