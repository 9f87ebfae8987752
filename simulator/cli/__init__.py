"""The `systolic` command: one module a command, joined here.

However it ends, it ends in one line on stderr and one of these exit codes: 0 done, 1 done but for what the
line names, 2 something that cannot be used or written, 70 a defect, 130 interrupted.
"""

from __future__ import annotations

import errno
import gc
import os
import sys

from simulator.cli.exit_codes import EXIT_DEFECT, EXIT_INTERRUPTED, EXIT_USER_ERROR

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""A full disk, wherever it is met."""

_BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""What BLAS libraries read when they are loaded: their threads would wait busily beside the simulator's."""

_OBJECTS_BEFORE_COLLECTION = 100_000
"""New objects after which unreachable ones are looked for. Imports and results make far more than the usual
700, all of which stay: looking for them takes a tenth of a short command's time."""


def main() -> None:
    """Run the command and end the process.

    A user's mistake, a full disk or a closed pipe ends in one message and exit code 2, Ctrl-C in exit code
    130, a defect in one message, a file with its traceback and exit code 70.

    Raises:
        SystemExit: with the exit code, where it is not 0.
    """
    from simulator.cli.interruption import done, end, heed

    gc.set_threshold(_OBJECTS_BEFORE_COLLECTION)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    if "numpy" not in sys.modules:
        for name in _BLAS_THREADS:
            os.environ.setdefault(name, "1")
    heed()
    code = exit_code(sys.argv[1:])
    if code == EXIT_INTERRUPTED:
        end(code)
    done()
    if code:
        sys.exit(code)


def exit_code(arguments: list[str]) -> int:
    """Run the command and return its exit code; nothing is raised."""
    try:
        return _finished(arguments)
    except KeyboardInterrupt:
        from simulator.cli.streams import say

        say("interrupted")
        return EXIT_INTERRUPTED


def _finished(arguments: list[str]) -> int:
    """The exit code of the command; what it wrote to stdout has been written."""
    from simulator.cli.streams import checked_output, errors_somewhere

    errors_somewhere()
    checked_output()
    code = _code(arguments)
    try:
        sys.stdout.flush()
    except Exception as error:
        _say_unless_unread(error, arguments)
        return EXIT_USER_ERROR
    return code


def _say_unless_unread(error: Exception, arguments: list[str]) -> None:
    """Say what went wrong, unless a page has lost its reader, as behind `head`; lost data are told."""
    from simulator.cli.streams import ReaderGoneError, say

    if not isinstance(error, ReaderGoneError) or "--json" in arguments:
        say(str(error))


def _was_interrupted(error: BaseException | None) -> bool:
    """Whether an error came of Ctrl-C, around which Python 3.11 puts a RuntimeError inside `__set_name__`."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def _has_current_folder() -> bool:
    """Whether the folder that the command was started in is still there."""
    try:
        os.getcwd()  # noqa: PTH109 - loads nothing
    except OSError:
        return False
    return True


def _code(arguments: list[str]) -> int:
    from simulator.cli.streams import say
    from simulator.foundation import UserError

    try:
        _require_text(arguments)
        from simulator.cli.compiler_settings import require_usable_settings
        from simulator.cli.environment import forget_unusable, require_completion

        forget_unusable()
        require_completion()
        require_usable_settings()
        from simulator.cli.commands import run

        return run(arguments)
    except UserError as error:
        _say_unless_unread(error, arguments)
    except MemoryError:
        say("needs more memory than there is")
    except Exception as error:
        if _was_interrupted(error):
            raise KeyboardInterrupt from error
        if isinstance(error, OSError) and error.errno in _NO_ROOM:  # such as where numba keeps kernels
            say(f"{error.filename or 'a file'}: cannot be written: {error.strerror}")
            return EXIT_USER_ERROR
        if isinstance(error, FileNotFoundError) and not _has_current_folder():
            say("the current folder is gone")
            return EXIT_USER_ERROR
        from simulator.cli.defect_report import told

        say(told(error, arguments))
        return EXIT_DEFECT
    return EXIT_USER_ERROR


def _require_text(arguments: list[str]) -> None:
    """Refuse arguments that no file, name or value can be: empty ones, and what is no plain UTF-8 text."""
    from simulator.foundation import UserError
    from simulator.foundation.messages import is_plain

    before = ""
    for argument in arguments:
        if argument.startswith("--") and argument.endswith("="):
            raise UserError("is empty", source=argument.removesuffix("="))
        if not argument.strip():
            raise UserError("is empty", source=f"the argument after {before}" if before else "an argument")
        if not is_plain(argument):
            raise UserError("must be plain UTF-8 text", source="an argument", value=argument)
        before = argument
