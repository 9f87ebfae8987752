"""Arguments of the Python interface: of the kind that they must be, and called by their names in messages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from typing import Final

from simulator.foundation.errors import UserError

PATHS: Final = (str, PathLike)
"""The kinds of a path."""

_OPTION: Final = re.compile(r"(?<![\w'\"-])--[a-z][a-z-]*[a-z]")
"""An option of the command line in a message, but not in a value that the message quotes."""


def require_kind(name: str, given: object, kinds: type | tuple[type, ...], allowed: str) -> None:
    """Refuse an argument of another kind.

    Raises:
        UserError: the argument's name, what was given, and what is allowed.
    """
    if not isinstance(given, kinds):
        raise UserError("is of another kind", location=name, value=given, allowed=allowed)


def require_kind_if_given(name: str, given: object, kinds: type | tuple[type, ...], allowed: str) -> None:
    """Refuse an argument of another kind; None passes, as it is left out. Raises UserError."""
    if given is not None:
        require_kind(name, given, kinds, allowed)


def require_callable(name: str, given: object, allowed: str) -> None:
    """Refuse an argument that cannot be called; None passes. Raises UserError."""
    if given is not None and not callable(given):
        raise UserError("is of another kind", location=name, value=given, allowed=allowed)


@contextmanager
def in_python_terms(arguments: Mapping[str, str]) -> Iterator[None]:
    """Call options of the command line by the arguments that they are in Python, in errors of the block.

    Args:
        arguments: what stands for each option, such as `{"--jobs": "jobs"}`. Other options keep their names.

    Raises:
        UserError: the same error in other words.
    """
    try:
        yield
    except UserError as error:

        def named(text: str) -> str:
            return _OPTION.sub(lambda option: arguments.get(option[0], option[0]), text)

        error.args = (named(str(error)),)
        error.problem = named(error.problem)
        error.source = named(error.source) if isinstance(error.source, str) else error.source
        error.location = None if error.location is None else named(error.location)
        raise
