"""The syntax of Liberty files: groups with attributes, whatever they mean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from simulator.foundation import UserError

_TOKEN: Final = re.compile(
    r"(?P<skip>(?:[ \t\r\f\v]|\\[ \t\r]*\n|/\*.*?\*/|//[^\n]*)+)"
    r'|(?P<string>"(?:[^"\\]|\\.)*")'
    r"|(?P<mark>[(){}:;,\n])"
    r'|(?P<word>[^\s(){}:;,"]+)',
    re.DOTALL,
)
_DEEPEST: Final = 50


@dataclass(slots=True)
class LibertyGroup:
    """A group: `kind (arguments) { ... }`.

    values: simple attributes by name; the last one where a name is given twice.
    lists: complex attributes, `name (first, second);`, by name, each time that it is given.
    groups: what is inside it, in order.
    line: where it begins.
    """

    kind: str
    arguments: tuple[str, ...]
    line: int
    values: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)
    groups: list[LibertyGroup] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its first argument; empty where it has none."""
        return self.arguments[0] if self.arguments else ""

    def of_kind(self, *kinds: str) -> Iterator[LibertyGroup]:
        """Groups inside of some kinds."""
        return (group for group in self.groups if group.kind in kinds)


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    line: int
    is_string: bool = False


def parse_liberty(text: str, *, source: object) -> LibertyGroup:
    """The library group of a Liberty text.

    Raises:
        UserError: the text is no Liberty; the message names the line.
    """
    tokens = _Tokens(text, source)
    tokens.skip_line_ends()
    if tokens.ahead is None:
        raise UserError("is empty: it holds no library", source=source)
    name = tokens.take("a group `library (NAME) {`")
    group = _statement(tokens, name, depth=0)
    if not isinstance(group, LibertyGroup) or group.kind != "library":
        raise UserError("is no Liberty file", source=source, location=f"line {name.line}", value=name.text)
    return group


class _Tokens:
    """The tokens of a text, one ahead."""

    def __init__(self, text: str, source: object) -> None:
        self.source = source
        self._stream = self._read(text)
        self.ahead: _Token | None = next(self._stream, None)

    def _read(self, text: str) -> Iterator[_Token]:
        place, line = 0, 1
        while place < len(text):
            found = _TOKEN.match(text, place)
            if found is None:
                raise self.error("has a string without an end", line)
            piece, place = found.group(), found.end()
            kind = found.lastgroup
            if kind == "string":
                yield _Token(re.sub(r"\\[ \t\r]*\n", "", piece[1:-1]), line, is_string=True)
            elif kind != "skip":
                yield _Token(piece, line)
            line += piece.count("\n")

    def take(self, wanted: str) -> _Token:
        """The next token. Raises UserError at the end of the text."""
        token = self.ahead
        if token is None:
            message = f"ends where {wanted} is expected"
            raise UserError(message, source=self.source)
        self.ahead = next(self._stream, None)
        return token

    def skip_line_ends(self, also: str = "") -> None:
        """Past line ends and what else separates."""
        while self.ahead is not None and self.ahead.text in ("\n", *also) and not self.ahead.is_string:
            self.take("")

    def is_next(self, mark: str) -> bool:
        """Whether a mark follows."""
        return self.ahead is not None and self.ahead.text == mark and not self.ahead.is_string

    def error(self, problem: str, line: int) -> UserError:
        """What is wrong in a line."""
        return UserError(problem, source=self.source, location=f"line {line}")


def _statement(tokens: _Tokens, name: _Token, depth: int) -> LibertyGroup | tuple[str, ...] | str:
    """What follows a name: a group, the arguments of a complex attribute, or a simple value."""
    if depth > _DEEPEST:
        raise tokens.error("has groups inside each other without end", name.line)
    mark = tokens.take(f"`(` or `:` behind {name.text!r}")
    if mark.text == ":" and not mark.is_string:
        return _simple(tokens)
    if mark.text != "(" or mark.is_string:
        raise tokens.error(f"has neither `(` nor `:` behind {name.text!r}", name.line)
    arguments: list[str] = []
    while True:
        token = tokens.take("`)`")
        if token.text == ")" and not token.is_string:
            break
        if token.is_string or token.text not in (",", "\n"):
            arguments.append(token.text)
    tokens.skip_line_ends()
    if not tokens.is_next("{"):
        return tuple(arguments)
    tokens.take("")
    group = LibertyGroup(name.text, tuple(arguments), name.line)
    while True:
        tokens.skip_line_ends(";")
        inner = tokens.take(f"`}}` of the group {name.text} in line {name.line}")
        if inner.text == "}" and not inner.is_string:
            return group
        found = _statement(tokens, inner, depth + 1)
        if isinstance(found, LibertyGroup):
            group.groups.append(found)
        elif isinstance(found, str):
            group.values[inner.text] = found
        else:
            group.lists.setdefault(inner.text, []).append(found)


def _simple(tokens: _Tokens) -> str:
    """A value up to its semicolon, or to the end of its line where that is missing."""
    parts: list[str] = []
    while tokens.ahead is not None:
        if tokens.is_next("}"):
            break
        token = tokens.take("")
        if token.text in (";", "\n") and not token.is_string:
            break
        parts.append(token.text)
    return " ".join(parts)
