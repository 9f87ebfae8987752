"""Processes that do not run the user's script anew."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def script_stays_here() -> Iterator[None]:
    """Processes that are spawned inside the block do not import the script that the user started.

    `multiprocessing` makes a new process import the main module, for functions that are defined there. Jobs
    of this package are its own functions, so nothing of the script is needed; and a script without
    `if __name__ == "__main__":` would start all of its work again in every process. What names the script is
    taken off the main module while processes start, which takes milliseconds.
    """
    main = sys.modules["__main__"]
    with _ONE_AT_A_TIME:
        before = {name: getattr(main, name) for name in ("__spec__", "__file__") if hasattr(main, name)}
        main.__spec__ = None
        main.__file__ = None
        try:
            yield
        finally:
            for name in ("__spec__", "__file__"):
                if name in before:
                    setattr(main, name, before[name])
                else:
                    delattr(main, name)
