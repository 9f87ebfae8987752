"""YAML as plain data: mappings with keys of text, lists, text, numbers, booleans and null; nothing else.

libyaml splits the text into events, and one pass makes values of them with a stack of its own, so that no
nesting is too deep for the machine. Scalars mean what they mean to PyYAML's safe loader, but for dates, which
stay text: no field of this project is a date. Tags, complex keys, keys given twice, aliases that refer to
themselves or stand for too much, and control characters are refused with their line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from simulator.foundation.errors import NO_VALUE, UserError
from simulator.foundation.messages import is_plain
from simulator.foundation.reading.content import read_text
from simulator.foundation.reading.limits import DEEPEST, LONGEST_KEY, LONGEST_TEXT, MOST_ALIASED, MOST_DIGITS

_EventReader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_BOOLEANS: Final = {
    spelling: value
    for words, value in ((("yes", "true", "on"), True), (("no", "false", "off"), False))
    for word in words
    for spelling in (word, word.capitalize(), word.upper())
}
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BASES: Final = (("0b", 2), ("0x", 16), ("0", 8))
_MAY_BE_NUMBER: Final = frozenset("-+.0123456789")
_WHOLE: Final = re.compile(
    r"[-+]?(0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|[1-9][0-9_]*(:[0-5]?[0-9])+)"
)
_REAL: Final = re.compile(
    r"[-+]?([0-9][0-9_]*\.[0-9_]*([eE][-+][0-9]+)?|[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*)"
    r"|\.[0-9][0-9_]*([eE][-+][0-9]+)?"
)
_NO_REAL: Final = {
    sign + "." + word: float(sign + word) for sign in ("", "+", "-") for word in ("inf", "Inf", "INF")
} | {"." + word: float("nan") for word in ("nan", "NaN", "NAN")}
_TAG: Final = "tag:yaml.org,2002:"
_TEXT_TAG: Final = "!"
"""Makes a scalar text, whatever it looks like (YAML 1.2, 6.28)."""

_MERGE: Final = "<<"
_IN_LIST: Final = 2
"""How deep entries of a list are that stands under a key of the document."""


def load_yaml(path: Path) -> Any:
    """The document in a YAML file, made of dict, list, str, int, float, bool and None.

    Raises:
        UserError: unreadable, or (with the line) as `parse_yaml`.
    """
    return parse_yaml(read_text(path), source=path)


def parse_yaml(text: str, *, source: object) -> Any:
    """The document in a YAML text; `source` names it in errors. An empty text is None.

    Infinity and NaN are floats, as YAML has them; whoever needs finite numbers refuses them by name.

    Raises:
        UserError: not YAML, more than one document, a key given twice or not of text, a tag, nesting deeper
            than `limits.DEEPEST`, too many aliases, a number of too many digits, or a control character.
    """
    text = text.removeprefix("\ufeff")
    if not is_plain(text.replace("\r", "").replace("\x85", "")):
        raise UserError("holds a control character", source=source, value=text, allowed="plain text")
    try:
        return _Composer(source).document(_events(text))
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}" if error.problem_mark else None
        raise UserError(f"is not valid YAML: {error.problem}", source=source, location=line) from error
    except yaml.YAMLError as error:
        raise UserError(f"is not valid YAML: {error}", source=source) from error


def entry_lines(text: str, key: str) -> list[int]:
    """The lines, counted from 1, on which the entries of the list under a first-level key begin.

    The text must be one that `parse_yaml` reads; without such a list there are none.
    """
    lines: list[int] = []
    depth, is_key, inside = 0, True, False
    event: Any
    for event in _events(text.removeprefix("\ufeff")):
        starts = isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent)
        is_value = starts or isinstance(event, yaml.ScalarEvent | yaml.AliasEvent)
        if is_value and inside and depth == _IN_LIST:
            lines.append(event.start_mark.line + 1)
        if is_value and depth == 1:
            if not is_key:
                inside = inside and isinstance(event, yaml.SequenceStartEvent)
            else:
                inside = isinstance(event, yaml.ScalarEvent) and event.value == key
            is_key = not is_key
        if starts:
            depth += 1
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            depth -= 1
            if depth == 1 and lines:
                return lines
    return lines


def _events(text: str) -> Iterator[yaml.Event]:
    reader = _EventReader(text)
    try:
        while reader.check_event():
            yield reader.get_event()
    finally:
        reader.dispose()


class _Open:
    """A mapping or list whose end has not come yet."""

    __slots__ = ("anchor", "awaits_value", "key", "merged", "size", "value")

    def __init__(self, value: dict[Any, Any] | list[Any], anchor: str | None) -> None:
        self.value = value
        self.anchor = anchor
        self.size = 1
        """Values in it, those of aliases counted as often as they stand."""
        self.key: Any = None
        self.awaits_value = False
        self.merged: list[dict[Any, Any]] = []


@dataclass(slots=True)
class _Composer:
    """Makes values of events; `aliased` counts the values that aliases have stood for."""

    source: object
    anchors: dict[str, tuple[Any, int]] = field(default_factory=dict)
    unfinished: set[str] = field(default_factory=set)
    stack: list[_Open] = field(default_factory=list)
    documents: list[Any] = field(default_factory=list)
    aliased: int = 0

    def document(self, events: Iterator[yaml.Event]) -> Any:
        """The one document; None where there is none."""
        for event in events:
            self._take(event)
        return self.documents[0] if self.documents else None

    def _take(self, event: Any) -> None:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            value = self._scalar(event)
            if event.anchor:
                self._name(event.anchor, value, 1)
            self._put(value, 1, event, is_merge=event.value == _MERGE and event.implicit[0] and not event.tag)
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            self._open(event, {} if kind is yaml.MappingStartEvent else [])
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._close(event)
        elif kind is yaml.AliasEvent:
            self._alias(event)
        elif kind is yaml.DocumentStartEvent and self.documents:
            raise self._error(event, "holds more than one document")

    def _open(self, event: Any, value: dict[Any, Any] | list[Any]) -> None:
        self._require_tag(event, ("map",) if isinstance(value, dict) else ("seq",))
        if len(self.stack) >= DEEPEST:
            raise self._error(event, f"is nested deeper than {DEEPEST} levels")
        if self.stack and self._is_key(self.stack[-1]):
            raise self._error(event, "a key must be text, and is a mapping or list")
        if event.anchor:
            self.unfinished.add(event.anchor)
            self.anchors.pop(event.anchor, None)
        self.stack.append(_Open(value, event.anchor))

    def _close(self, event: Any) -> None:
        done = self.stack.pop()
        if done.merged:
            assert isinstance(done.value, dict), "only mappings are merged into"
            given = dict(done.value)
            done.value.clear()
            for merged in reversed(done.merged):
                done.value.update(merged)
            done.value.update(given)
        if done.anchor:
            self.unfinished.discard(done.anchor)
            self._name(done.anchor, done.value, done.size)
        self._put(done.value, done.size, event)

    def _alias(self, event: Any) -> None:
        if event.anchor in self.unfinished:
            raise self._error(event, "an alias refers to what it stands in", value=event.anchor)
        if event.anchor not in self.anchors:
            raise self._error(event, "an alias refers to nothing", value=event.anchor)
        value, size = self.anchors[event.anchor]
        self.aliased += size
        if self.aliased > MOST_ALIASED:
            raise self._error(event, f"its aliases stand for more than {MOST_ALIASED:,} values")
        if self.stack and self._is_key(self.stack[-1]) and isinstance(value, dict | list):
            raise self._error(event, "a key must be text, and is a mapping or list")
        self._put(value, size, event)

    def _name(self, anchor: str, value: Any, size: int) -> None:
        self.anchors[anchor] = value, size

    @staticmethod
    def _is_key(parent: _Open) -> bool:
        return isinstance(parent.value, dict) and not parent.awaits_value

    def _put(self, value: Any, size: int, event: Any, *, is_merge: bool = False) -> None:
        if not self.stack:
            self.documents.append(value)
            return
        parent = self.stack[-1]
        parent.size += size
        if isinstance(parent.value, list):
            parent.value.append(value)
        elif parent.awaits_value:
            parent.awaits_value = False
            if parent.key is _MERGED:
                parent.merged += self._mappings(value, event)
            else:
                parent.value[parent.key] = value
        else:
            if is_merge and parent.merged:
                raise self._error(event, "key is given twice", value=_MERGE)
            parent.awaits_value = True
            parent.key = _MERGED if is_merge else self._key(value, parent.value, event)

    def _key(self, key: Any, mapping: dict[Any, Any], event: Any) -> Any:
        if isinstance(key, str) and len(key) > LONGEST_KEY:
            raise self._error(event, "a key is too long", value=key, allowed=f"up to {LONGEST_KEY} letters")
        if isinstance(key, float) and key != key:
            raise self._error(event, "a key must be text, and is no number", value=key)
        if key in mapping:
            raise self._error(event, "key is given twice", value=key)
        return key

    def _mappings(self, value: Any, event: Any) -> list[dict[Any, Any]]:
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(each, dict) for each in values):
            raise self._error(event, "<< merges mappings", value=value)
        return values

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if len(text) > LONGEST_TEXT:
            raise self._error(
                event, "a text is too long", value=text, allowed=f"up to {LONGEST_TEXT:,} characters"
            )
        if event.style == '"' and not is_plain(text):
            raise self._error(event, "holds a control character", value=text, allowed="plain text")
        if event.tag == _TEXT_TAG:
            return text
        if event.implicit[0]:
            return self._plain(text, event)
        if event.tag is None or event.implicit[1]:
            return text
        self._require_tag(event, tuple(_OF_TAG))
        name = event.tag.removeprefix(_TAG)
        value = text if name == "str" else self._plain(text, event)
        if not _OF_TAG[name](value):
            raise self._error(event, f"is no {name}", value=text)
        return float(value) if name == "float" else value

    def _plain(self, text: str, event: Any) -> Any:
        """What a scalar without quotes means."""
        if text in _NULLS:
            return None
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        if text[0] not in _MAY_BE_NUMBER:
            return text
        if text in _NO_REAL:
            return _NO_REAL[text]
        is_whole = _WHOLE.fullmatch(text) is not None
        if not is_whole and _REAL.fullmatch(text) is None:
            return text
        if len(text) > MOST_DIGITS:
            raise self._error(event, f"a number has more than {MOST_DIGITS} digits", value=text)
        digits = text.replace("_", "")
        try:
            return _whole(digits) if is_whole else _real(digits)
        except ValueError as error:  # such as 0b_ or 0_, which match but hold no digit
            raise self._error(event, "is no number", value=text) from error

    def _require_tag(self, event: Any, allowed: tuple[str, ...]) -> None:
        tag = event.tag
        if tag is not None and tag != _TEXT_TAG and tag.removeprefix(_TAG) not in allowed:
            raise self._error(
                event, "is not valid YAML here: a tag that no value has", value=tag, allowed="no tags"
            )

    def _error(
        self, event: Any, problem: str, *, value: object = NO_VALUE, allowed: str | None = None
    ) -> UserError:
        line = f"line {event.start_mark.line + 1}"
        return UserError(problem, source=self.source, location=line, value=value, allowed=allowed)


_MERGED: Final = object()
"""In place of the key `<<`."""

_OF_TAG: Final[dict[str, Callable[[Any], bool]]] = {
    "str": lambda value: isinstance(value, str),
    "int": lambda value: type(value) is int,
    "float": lambda value: type(value) in (int, float),
    "bool": lambda value: type(value) is bool,
    "null": lambda value: value is None,
}


def _whole(digits: str) -> int:
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-")
    if digits == "0":
        return 0
    for prefix, base in _BASES:
        if digits.startswith(prefix):
            return sign * int(digits[len(prefix) :], base)
    return sign * int(_sexagesimal(digits))


def _real(digits: str) -> float:
    sign = -1.0 if digits.startswith("-") else 1.0
    digits = digits.lstrip("+-").lower()
    return sign * float(_sexagesimal(digits)) if ":" in digits else sign * float(digits)


def _sexagesimal(digits: str) -> int | float:
    """`1:30` is 90: YAML 1.1 counts in sixties behind colons."""
    *higher, last = digits.split(":")
    total = 0
    for part in higher:
        total = (total + int(part)) * 60
    return total + (float(last) if "." in last else int(last))
