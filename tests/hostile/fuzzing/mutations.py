"""Changes to documents, texts and bytes: what has gone wrong before, and what may."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any, Final

VALUES: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, 1, -1, 2, 3, 7, 255, 4096, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63), 10**18, 10**40),
    *(0.0, -0.0, 0.5, -1.5, 1e-320, 1e-300, 1e300, -1e308, float("inf"), float("-inf"), float("nan")),
    *("", " ", "0", "-1", "1e999", "nan", "inf", "true", "null", "~", "x", "conv1", "int8", "é", "字", "\u202e"),
    *("\x1b[31m", "a\nb", "a\0b", "\ud800", "=1+1", "@x", "-x", "[bold]", "[/bold]", "{{x}}", "%s", "../x", "/", "."),
    *("a" * 300, "9" * 400, "e4m3 x e4m3", "posit8.1", "log8.1", "fix8.4", "../../etc/passwd", "2024-13-45"),
    *([], {}, [[]], [{}], {"": {}}, [None], [0] * 50, {"a": 1}, {"x": [1, {"y": None}]}, [1, "a", None, 2.5]),
)  # fmt: skip

SNIPPETS: Final = (
    *("[", "]", "{", "}", ":", ": ", "- ", ",", "\n", "\t", "'", '"', "#", "&a ", "*a", "<<: *a", "!!python/name:os"),
    *("!!int x", "!x ", "|\n", ">\n", "? ", "---\n", "...\n", "%YAML 9.9\n", "\ufeff", "\r\n", "\x00", "\x1b[2J"),
    *("\x85", "\u2028", "\ud83d", "é", "9" * 500, "[" * 300, "{a: " * 200, "- " * 150, "2024-02-31", "1:99", "0x"),
    *("0b_", "1e400", "-.inf", ".nan", "=", "\\u0000", "\\ud800", "NaN", "Infinity", "-1", "1.5", "null", "true"),
)  # fmt: skip


def places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key or index) of a document."""
    waiting = [document]
    while waiting:
        value = waiting.pop()
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in entries:
            yield value, key
            if isinstance(part, dict | list):
                waiting.append(part)


def changed_document(document: Any, draw: random.Random) -> Any:
    """A copy with one to three places replaced, removed, renamed, moved or nested."""
    changed = copy.deepcopy(document)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        found = list(places(changed))
        if not found:
            return changed
        container, key = draw.choice(found)
        _change(container, key, draw)
    return changed


def _change(container: Any, key: Any, draw: random.Random) -> None:
    way = draw.randrange(8)
    if way <= 3:
        container[key] = copy.deepcopy(draw.choice(VALUES))
    elif way == 4:
        del container[key]
    elif way == 5 and isinstance(container, dict):
        name = draw.choice(VALUES)
        container[name if isinstance(name, str) else str(key)[:-1] or "x"] = container.pop(key)
    elif way == 6 and isinstance(container[key], int | float):
        number = container[key]
        container[key] = draw.choice((-number, number * 10, number / 3, str(number), number + 1, [number]))
    else:
        value = container[key]
        for _ in range(draw.choice((1, 2, 80))):
            value = [value] if draw.random() < 0.5 else {"a": value}
        container[key] = value


def changed_text(text: str, draw: random.Random) -> str:
    """A text with a few snippets put in, pieces cut out, repeated or swapped."""
    for _ in range(draw.choice((1, 1, 2, 4))):
        place = draw.randrange(len(text) + 1)
        end = min(len(text), place + draw.choice((0, 1, 1, 5, 40)))
        way = draw.randrange(5)
        if way <= 1:
            text = text[:place] + draw.choice(SNIPPETS) + text[end:]
        elif way == 2:
            text = text[:place] + text[end:]
        elif way == 3:
            text = text[:end] + text[place:end] * draw.choice((1, 2, 20)) + text[end:]
        else:
            text = text[:place]
    return text


def changed_bytes(content: bytes, draw: random.Random) -> bytes:
    """Bytes with some flipped, cut, repeated, or replaced by what lengths and offsets are dangerous as."""
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 8))):
        if not changed:
            break
        place, way = draw.randrange(len(changed)), draw.randrange(6)
        if way <= 1:
            changed[place] ^= 1 << draw.randrange(8)
        elif way == 2:
            changed[place : place + 4] = draw.choice((b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\x80"))
        elif way == 3:
            del changed[place : place + draw.choice((1, 4, 64))]
        elif way == 4:
            changed[place:place] = draw.randbytes(draw.choice((1, 4, 64)))
        else:
            del changed[place:]
    return bytes(changed)


def encoded(text: str, draw: random.Random) -> bytes:
    """The text in UTF-8, now and then in another encoding or with bytes that are none."""
    if draw.random() < 0.03:
        return text.encode(draw.choice(("utf-16", "latin-1", "utf-8")), errors="replace") + b"\xff"
    return text.encode("utf-8", errors="surrogatepass" if draw.random() < 0.5 else "replace")
