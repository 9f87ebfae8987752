"""A source text with its tokens and with the offsets of its syntax tree's nodes."""

from __future__ import annotations

import ast
import io
import tokenize
from bisect import bisect_left
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Token:
    """One token; `start` and `end` are character offsets into the source."""

    start: int
    end: int
    text: str


_LAYOUT = (
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.COMMENT,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
)


class SourceText:
    """Source code, parsed and cut into tokens.

    Args:
        source: the text of a module.

    Raises:
        SyntaxError: the text is not Python.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.tree = ast.parse(source)
        self._lines = source.splitlines(keepends=True)
        self._line_starts = [0]
        for line in self._lines:
            self._line_starts.append(self._line_starts[-1] + len(line))
        self._tokens = [
            Token(self._offset(*token.start), self._offset(*token.end), token.string)
            for token in tokenize.generate_tokens(io.StringIO(source).readline)
            if token.type not in _LAYOUT
        ]
        self._starts = [token.start for token in self._tokens]

    def _offset(self, line: int, column: int) -> int:
        return self._line_starts[line - 1] + column

    def _node_offset(self, line: int, byte_column: int) -> int:
        before = self._lines[line - 1].encode()[:byte_column].decode()
        return self._offset(line, len(before))

    def start(self, node: ast.expr | ast.stmt) -> int:
        """Offset of a node's first character."""
        return self._node_offset(node.lineno, node.col_offset)

    def end(self, node: ast.expr | ast.stmt) -> int:
        """Offset behind a node's last character."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._node_offset(node.end_lineno, node.end_col_offset)

    def of(self, node: ast.expr | ast.stmt) -> str:
        """A node's text."""
        return self.source[self.start(node) : self.end(node)]

    def token_at(self, offset: int) -> Token:
        """The first token that starts at `offset` or later."""
        return self._tokens[bisect_left(self._starts, offset)]

    def between(self, start: int, end: int, *texts: str) -> tuple[int, int]:
        """Where the first tokens with these `texts`, one behind the other, stand from `start` to `end`.

        Raises:
            LookupError: they do not stand there.
        """
        first, last = bisect_left(self._starts, start), bisect_left(self._starts, end)
        for position in range(first, last - len(texts) + 1):
            found = self._tokens[position : position + len(texts)]
            if tuple(token.text for token in found) == texts:
                return found[0].start, found[-1].end
        message = f"no {texts} in {self.source[start:end]!r}"
        raise LookupError(message)

    def line_number(self, offset: int) -> int:
        """The line, counted from 1, that an offset lies on."""
        return bisect_left(self._line_starts, offset + 1)

    def lines_around(self, start: int, end: int) -> tuple[int, int]:
        """Offsets of the whole lines that hold the text from `start` to `end`, without the last line's end."""
        first, last = self.line_number(start), self.line_number(max(start, end - 1))
        line_end = self._line_starts[last - 1] + len(self._lines[last - 1].rstrip("\r\n"))
        return self._line_starts[first - 1], line_end
