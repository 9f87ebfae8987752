"""`systolic explain`: how a number of a result was formed, down to the row of a price table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def explain_command(
    result: Annotated[
        Path, typer.Argument(metavar="RESULT", help="result.json, or the folder that holds it.")
    ],
    layer: Annotated[
        str | None, typer.Option("--layer", "-l", help="A layer's energy; without it the array's area.")
    ] = None,
    component: Annotated[
        str | None, typer.Option("--component", "-c", help="One component of it, e.g. pe_multiply.")
    ] = None,
) -> None:
    """Print how a number was formed: counts x price x scaling, with the source of every price.

    Examples:
        systolic explain out --layer conv1 --component pe_registers
        systolic explain out/result.json --component converters
    """
    from simulator.cli.terminal import text_columns
    from simulator.report.explain import explain
    from simulator.result import load_result

    typer.echo(explain(load_result(result), layer, component, columns=text_columns()), nl=False)
