"""All commands of `systolic`, registered on one application."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import typer

from simulator import __version__
from simulator.cli import formats, macs, networks, tables
from simulator.cli.compare import compare_command
from simulator.cli.exit_codes import EXIT_INTERRUPTED, EXIT_USER_ERROR
from simulator.cli.explain import explain_command
from simulator.cli.infer import infer_command
from simulator.cli.report import report_command
from simulator.cli.reproduce import reproduce_command
from simulator.cli.simulate import simulate_command
from simulator.cli.sweep import sweep_command
from simulator.cli.trace import trace_command
from simulator.cli.validate import validate_command
from simulator.foundation import UserError

_USAGE_ERROR: Final[Any] = next(
    base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"
)
"""What all complaints about arguments are; Typer brings the library that has it under changing names."""

app = typer.Typer(
    name="systolic",
    help="Cycles, energy, area and exact numbers of a network on a systolic array of any number format.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"systolic {__version__}")
        raise typer.Exit


@app.callback()
def systolic(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """Cycles, energy, area and exact numbers of a network on a systolic array of any number format."""


app.command("simulate")(simulate_command)
app.command("validate")(validate_command)
app.command("explain")(explain_command)
app.command("infer")(infer_command)
app.command("trace")(trace_command)
app.command("compare")(compare_command)
app.command("report")(report_command)
app.command("reproduce")(reproduce_command)
app.command("sweep")(sweep_command)
app.add_typer(networks.app, name="networks")
app.add_typer(formats.app, name="formats")
app.add_typer(tables.app, name="tables")
app.add_typer(macs.app, name="macs")


def run(arguments: Sequence[str]) -> int:
    """Run the command and return its exit code.

    Raises:
        UserError: arguments that the command does not have, and whatever a command refuses.
        KeyboardInterrupt: it was interrupted.
    """
    try:
        code = app(args=list(arguments), prog_name="systolic", standalone_mode=False)
    except _USAGE_ERROR as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # of some versions; its message is the whole help
            error.show()
            return EXIT_USER_ERROR
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "systolic"
        problem = " ".join(error.format_message().split()).rstrip(".")
        raise UserError(f"{problem} (see `{command} --help`)") from error
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    if code == EXIT_INTERRUPTED:  # how some versions of Typer end after Ctrl-C
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0
