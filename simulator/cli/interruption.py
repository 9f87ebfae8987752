"""Ctrl-C at any moment ends the command, even where a library swallows the exception that it becomes."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Final, NoReturn

_AGAIN_AFTER_S: Final = 5.0
"""Longer than any cleaning up takes."""

_DROPPED_AGAIN_AFTER_S: Final = 0.02
"""Long enough for the callback to have ended."""

_LONGEST_END_S: Final = 3.0


def heed() -> None:
    """Raise KeyboardInterrupt on SIGINT, and again after some seconds while the process goes on.

    Some libraries catch every exception while they are imported, or raise inside a callback whose exceptions
    Python drops. Where SIGINT is ignored, as for a job that a shell runs in the background, it stays so.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
        sys.unraisablehook = partial(_dropped, sys.unraisablehook)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    _again_after(_AGAIN_AFTER_S)
    raise KeyboardInterrupt


def _again_after(seconds: float) -> None:
    timer = threading.Timer(seconds, _again)
    timer.daemon = True
    timer.start()


def _again() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def _dropped(before: Callable[[sys.UnraisableHookArgs], object], dropped: sys.UnraisableHookArgs, /) -> None:
    """Python drops what is raised inside some callbacks and tells of it in many lines; not of Ctrl-C.

    It is raised again at once, where it is not dropped.
    """
    if issubclass(dropped.exc_type, KeyboardInterrupt):
        _again_after(_DROPPED_AGAIN_AFTER_S)
    else:
        before(dropped)


def done() -> None:
    """Ignore Ctrl-C from here on: all is written, and Python, while it ends, would end by the signal."""
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGINT) is _interrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def end(code: int) -> NoReturn:
    """End the process with an exit code, whatever threads it has.

    `sys.exit` would not do: Python remembers an interruption inside `exec`, which dataclasses use, and ends
    by the signal although the exception was caught.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watch = threading.Timer(_LONGEST_END_S, os._exit, (code,))
    watch.daemon = True
    watch.start()
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    os._exit(code)
