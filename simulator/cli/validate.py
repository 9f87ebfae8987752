"""`systolic validate`: published figures beside the model's predictions."""

from __future__ import annotations

import json

import typer

from simulator.cli.options import JsonOption


def validate_command(
    as_json: JsonOption = False,
) -> None:
    """Print, for every published figure the model can predict, published, predicted, difference and how.

    Examples:
        systolic validate
        systolic validate --json
    """
    from simulator.accelerator_checks import accelerator_checks
    from simulator.cli.terminal import text_columns
    from simulator.cost.validation import validate
    from simulator.report.validation_text import validation_document, validation_text

    checks = [*validate(), *accelerator_checks()]
    if as_json:
        typer.echo(json.dumps(validation_document(checks), indent=1))
    else:
        typer.echo(validation_text(checks, columns=text_columns()), nl=False)
