"""Standard output that is written whole or says that it was not: full disks, closed pipes, short writes."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, Final

from simulator.foundation import UserError
from simulator.foundation.messages import one_line
from simulator.foundation.reading.content import reason_of

_STDERR: Final = 2


class ReaderGoneError(UserError):
    """Standard output is a pipe that nobody reads any more, as behind `head`."""


class _WholeWrites(io.RawIOBase):
    """A file descriptor to which a write is everything or an error; after an error nothing more is tried."""

    def __init__(self, descriptor: int | None) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._has_failed = False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        if self._descriptor is None:
            raise io.UnsupportedOperation
        return self._descriptor

    def isatty(self) -> bool:
        return self._descriptor is not None and os.isatty(self._descriptor)

    def write(self, content: Any, /) -> int:
        view = memoryview(content).cast("B")
        done = 0
        while done < len(view) and not self._has_failed:
            try:
                if self._descriptor is None:
                    raise UserError("standard output cannot be written: it is closed")
                done += os.write(self._descriptor, view[done:])
            except OSError as error:
                self._has_failed = True
                kind = ReaderGoneError if isinstance(error, BrokenPipeError) else UserError
                raise kind(f"standard output cannot be written: {reason_of(error)}") from error
            except UserError:
                self._has_failed = True
                raise
        return len(view)


def checked_output() -> None:
    """Put a stream in place of `sys.stdout` that raises UserError for what cannot be written.

    It is of the same encoding; characters that this lacks are written as escapes. Where `sys.stdout` is no
    file of the system, as in a notebook or a test, it stays.
    """
    stream = sys.stdout
    descriptor: int | None = None
    encoding = "utf-8"
    is_terminal = False
    if stream is not None:
        try:
            descriptor = stream.fileno()
        except (OSError, ValueError, AttributeError):
            return
        encoding, is_terminal = stream.encoding, stream.isatty()
    buffered = io.BufferedWriter(_WholeWrites(descriptor), 1 << 16)
    sys.stdout = io.TextIOWrapper(
        buffered, encoding=encoding, errors="backslashreplace", newline=None, line_buffering=is_terminal
    )


def errors_somewhere() -> None:
    """Put a stream that keeps nothing in place of `sys.stderr` where it is closed."""
    if sys.stderr is None:
        from simulator.foundation.discarded import discarding_stream

        sys.stderr = discarding_stream(_STDERR)


def say(text: str) -> None:
    """Write a line to stderr, control characters escaped, where there is one that can be written to."""
    try:
        sys.stderr.write(f"systolic: {one_line(text)}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        return
