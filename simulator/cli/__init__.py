"""The `systolic` command: one module a command, joined here."""

from __future__ import annotations

import os
import sys

import click
import typer

from simulator.foundation import UserError

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


def main() -> None:
    """Run the command; a user's mistake ends in one message and exit code 2, without a traceback."""
    try:
        _command()(prog_name="systolic", standalone_mode=False)
    except UserError as error:
        _fail(str(error), EXIT_USER_ERROR)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(EXIT_USER_ERROR)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted; nothing half written", EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of a pipe left early (`| head`): not an error; nothing more is flushed into it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _fail(message: str, exit_code: int) -> None:
    sys.stderr.write(f"systolic: {message}\n")
    sys.exit(exit_code)


def _command() -> click.Command:
    from simulator.cli.commands import app

    return typer.main.get_command(app)
