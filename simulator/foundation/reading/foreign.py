"""Decoders of what a user gives: whatever they raise becomes the one error."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from simulator.foundation.errors import UserError

_LOG: Final = logging.getLogger("simulator.reading")


@contextmanager
def decoding(what: str, *, source: object, location: str | None = None) -> Iterator[None]:
    """Around a decoder: what it raises says that `source` is not `what`; its warnings are left out.

    Decoders raise anything for damaged input: `TokenError`, `struct.error`, `zlib.error`, `RecursionError`,
    `OverflowError`. Only calls of libraries stand inside, and the importers of ONNX, whose graphs can be
    wrong in more ways than they could check; so defects of this package are not taken for damaged input
    elsewhere. The traceback goes to the logger `simulator.reading`, at level DEBUG.

    Raises:
        UserError: anything was raised but a UserError.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UserError:
        raise
    except MemoryError as error:
        raise UserError("needs more memory than there is", source=source, location=location) from error
    except Exception as error:
        _LOG.debug("%s is not %s", source, what, exc_info=True)
        raise UserError(
            f"is not {what}, or is truncated or damaged ({_told(error)})", source=source, location=location
        ) from error


def _told(error: Exception) -> str:
    first = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {first[:160]}" if first else type(error).__name__
