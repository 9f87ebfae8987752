"""The `systolic` command: one module a command, joined here."""

from __future__ import annotations

import sys

from simulator.foundation import UserError

EXIT_USER_ERROR = 2


def main() -> None:
    """Run the command; a user's mistake ends in one message and exit code 2, without a traceback."""
    from simulator.cli.commands import app

    try:
        app(prog_name="systolic")
    except UserError as error:
        sys.stderr.write(f"systolic: {error}\n")
        sys.exit(EXIT_USER_ERROR)
