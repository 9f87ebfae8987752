"""JSON as plain data: each key once, finite numbers, text that can be written again, limited nesting."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, Final, NoReturn

from simulator.foundation.errors import UserError
from simulator.foundation.messages import is_plain
from simulator.foundation.reading.content import read_text
from simulator.foundation.reading.limits import DEEPEST, LARGEST_JSON_BYTES, LONGEST_KEY, MOST_DIGITS

_MAY_OVERFLOW: Final = re.compile(rf"[0-9]{{{MOST_DIGITS}}}|[eE]\+?[0-9]{{3}}")
"""Numbers that may be beyond the range of floats; where there are none, none has to be looked at."""

_MAY_BE_CONTROL: Final = re.compile(r"\\u(00[01789]|[dD][89a-fA-F])|\\[bfr]|[\x7f-\x9f]")
"""Escapes of control characters and of halves of surrogate pairs."""


class _RefusedError(ValueError):
    """A value that JSON's grammar admits and this project does not."""


def load_json(path: Path, *, what: str = "JSON") -> Any:
    """The document in a JSON file, made of dict, list, str, int, float, bool and None.

    Raises:
        UserError: unreadable, or as `parse_json`.
    """
    return parse_json(read_text(path, most_bytes=LARGEST_JSON_BYTES), source=path, what=what)


def parse_json(text: str, *, source: object, what: str = "JSON") -> Any:
    """The document in a JSON text; `source` names it in errors, `what` says what it should be.

    Raises:
        UserError: no JSON (with the line), a key given twice, NaN or Infinity, a number beyond the range of
            floats, nesting deeper than `limits.DEEPEST`, a control character, or half a surrogate pair.
    """
    may_overflow = _MAY_OVERFLOW.search(text) is not None
    try:
        document = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_no_number,
            parse_float=_finite if may_overflow else None,
            parse_int=_whole if may_overflow else None,
        )
    except json.JSONDecodeError as error:
        raise UserError(
            f"is not {what}, or is truncated", source=source, location=f"line {error.lineno}"
        ) from error
    except _RefusedError as error:
        raise UserError(str(error), source=source) from error
    except RecursionError as error:
        raise _too_deep(source) from error
    _require_shallow(document, source)
    if _MAY_BE_CONTROL.search(text):
        _require_plain(document, source)
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                message = f"key {key[:80]!r} is given twice"
                raise _RefusedError(message)
            seen.add(key)
    for key in read:
        if len(key) > LONGEST_KEY:
            message = f"key {key[:80]!r}... has more than {LONGEST_KEY} letters"
            raise _RefusedError(message)
    return read


def _no_number(name: str) -> NoReturn:
    message = f"holds {name}, which is no number of JSON"
    raise _RefusedError(message)


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        message = f"holds a number beyond the range of floats ({text[:40]})"
        raise _RefusedError(message)
    return value


def _whole(text: str) -> int:
    if len(text.lstrip("-")) > MOST_DIGITS:
        message = f"holds a number of more than {MOST_DIGITS} digits ({text[:40]}...)"
        raise _RefusedError(message)
    return int(text)


def _require_shallow(document: Any, source: object) -> None:
    level = [document]
    for _ in range(DEEPEST + 1):
        level = [
            part
            for parent in level
            for part in (parent.values() if type(parent) is dict else parent if type(parent) is list else ())
            if type(part) is dict or type(part) is list
        ]
        if not level:
            return
    raise _too_deep(source)


def _require_plain(document: Any, source: object) -> None:
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and not is_plain(value.replace("\r", "")):
            raise UserError("holds a control character", source=source, value=value, allowed="plain text")


def _too_deep(source: object) -> UserError:
    return UserError(f"is nested deeper than {DEEPEST} levels", source=source)
