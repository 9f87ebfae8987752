"""Text for one line of a terminal: control characters escaped, long values cut, whatever they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

LONGEST_QUOTE: Final = 120
"""Characters of a quoted value."""

_NOT_PLAIN: Final = re.compile(r"(?![\t\n])[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters but tabs and line feeds, and halves of surrogate pairs, which no encoding can write."""

_LARGEST_WRITTEN: Final = 10**LONGEST_QUOTE
_DEEPEST: Final = 20
_BRACKETS: Final[dict[type, tuple[str, str]]] = {list: ("[", "]"), tuple: ("(", ")"), dict: ("{", "}")}


def one_line(text: str) -> str:
    """The text with whatever is not printable written as an escape of Python.

    That is everything that could move a cursor, start a line or turn the direction of the text behind it.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


def is_plain(text: str) -> bool:
    """Whether a text has no control characters but tabs and line feeds, and can be encoded."""
    return _NOT_PLAIN.search(text) is None


def with_others(layer: str, count: int) -> str:
    """A layer as the example of `count` layers: `conv1`, `conv1 and 1 other layer`."""
    others = count - 1
    if others == 0:
        return layer
    return f"{layer} and {others} other layer{'' if others == 1 else 's'}"


def cut(text: str, most: int) -> str:
    """The text, or its beginning with dots where it has more than `most` characters."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def quoted(value: object) -> str:
    """`repr` of a value in at most 120 characters; what would not be shown is not looked at."""
    text = ""
    for piece in _pieces(value, depth=0):
        text += piece
        if len(text) > LONGEST_QUOTE:
            break
    return cut(one_line(text), LONGEST_QUOTE)


def _pieces(value: object, *, depth: int) -> Iterator[str]:
    """The parts of `repr(value)`, each made only when it is asked for."""
    kind = type(value)
    if kind in _BRACKETS and depth > _DEEPEST:
        yield "..."
    elif isinstance(value, dict):
        yield "{"
        for position, (key, part) in enumerate(value.items()):
            yield ", " if position else ""
            yield from _pieces(key, depth=depth + 1)
            yield ": "
            yield from _pieces(part, depth=depth + 1)
        yield "}"
    elif isinstance(value, list | tuple) and kind in _BRACKETS:
        first, last = _BRACKETS[kind]
        yield first
        for position, part in enumerate(value):
            yield ", " if position else ""
            yield from _pieces(part, depth=depth + 1)
        yield ",)" if kind is tuple and len(value) == 1 else last
    elif isinstance(value, str | bytes):
        yield repr(value[: 2 * LONGEST_QUOTE])
    elif isinstance(value, int) and abs(value) > _LARGEST_WRITTEN:
        yield f"a whole number of {value.bit_length()} bits"
    else:
        yield _shown(value)


def _shown(value: object) -> str:
    """`repr` of a value, or its type in angle brackets where somebody's `__repr__` fails."""
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__}>"
