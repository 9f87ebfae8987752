"""One kind of error for everything a user can get wrong."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from typing import Final

from simulator.foundation.messages import cut, one_line, quoted

NO_VALUE: Final = object()
"""In place of the value of an error that has none; None is a value like others."""

_MOST_NAMES: Final = 24
_LONGEST_PART: Final = 400
_LONGEST_MESSAGE: Final = 4000
_LONGEST_MISSPELT: Final = 200
_MOST_COMPARED: Final = 2000


def nearest_name(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that looks most like `name`, or None when nothing comes near.

    A name of more than 200 characters is like nothing, and only the first 2,000 candidates are compared, so
    that a hostile file cannot make this slow.
    """
    if len(name) > _LONGEST_MISSPELT:
        return None
    candidates = [each for each in islice(candidates, _MOST_COMPARED) if len(each) <= _LONGEST_MISSPELT]
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    matches = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return by_lower[matches[0]] if matches else None


def _listed(names: list[str]) -> str:
    if len(names) <= _MOST_NAMES:
        return ", ".join(names)
    return f"{', '.join(names[:3])} and {len(names) - 3} more"


class UserError(Exception):
    """Something the user gave that cannot be used, told in one line; the command exits with code 2.

    Control characters are escaped, and long parts are cut, whatever was given.

    Args:
        problem: what is wrong, a sentence without a full stop.
        source: the file (or option) it came from.
        location: dotted field (`array.rows`) or `line 7`.
        value: the offending value, quoted with `repr` in the message.
        allowed: what would be accepted, in words.
        candidates: the valid names; the nearest one to `value` is suggested.
    """

    def __init__(
        self,
        problem: str,
        *,
        source: object = None,
        location: str | None = None,
        value: object = NO_VALUE,
        allowed: str | None = None,
        candidates: Iterable[str] = (),
    ) -> None:
        """Compose the message from its parts."""
        names = sorted(candidates)
        message = problem
        if value is not NO_VALUE:
            message += f" (got {quoted(value)})"
        if allowed is None and names:
            allowed = _listed(names)
        if allowed is not None:
            message += f"; allowed: {allowed}"
        suggestion = nearest_name(value, names) if isinstance(value, str) else None
        if suggestion is not None:
            message += f"; did you mean {suggestion!r}?"
        self._told = message
        self.problem = one_line(problem)
        self.location = location
        super().__init__(self._about(source))

    def _about(self, source: object) -> str:
        """The message, and what it is about."""
        self.source = source
        parts = [cut(str(part), _LONGEST_PART) for part in (source, self.location) if part is not None]
        return cut(one_line(": ".join([*parts, self._told])), _LONGEST_MESSAGE)

    def name_source(self, source: object) -> None:
        """Say that it is about this file or option, as where a file was written under another name first."""
        self.args = (self._about(source),)

    def alone(self) -> UserError:
        """This error without what it was raised from and where, which hold much memory."""
        self.__cause__ = self.__context__ = None
        return self.with_traceback(None)
