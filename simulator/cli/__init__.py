"""The `systolic` command: one module a command, joined here."""

from __future__ import annotations

import os
import sys

from simulator.foundation import UserError

EXIT_USER_ERROR = 2

_BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""What BLAS libraries read when they are loaded: their threads would wait busily beside the simulator's."""


def main() -> None:
    """Run the command; a user's mistake ends in one message and exit code 2, without a traceback."""
    if "numpy" not in sys.modules:
        for name in _BLAS_THREADS:
            os.environ.setdefault(name, "1")
    from simulator.cli.commands import app

    try:
        app(prog_name="systolic")
    except UserError as error:
        sys.stderr.write(f"systolic: {error}\n")
        sys.exit(EXIT_USER_ERROR)
