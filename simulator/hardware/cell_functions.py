"""Boolean functions of library cells, as Liberty writes them, for whole words of patterns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeVar

import numpy as np

from simulator.foundation import UserError
from simulator.hardware.gate_simulation import Words

_TOKEN: Final = re.compile(r"\s*([A-Za-z_][\w\[\]]*|[01!'()&*|+^])")
_LONGEST: Final = 4000
_DEEPEST: Final = 150

_CONSTANT_WORDS: Final[Mapping[str, Words]] = {
    "0": np.zeros(1, np.uint64),
    "1": ~np.zeros(1, np.uint64),
}
_CONSTANT_INTEGERS: Final[Mapping[str, int]] = {"0": 0, "1": -1}

Bits = TypeVar("Bits", int, Words)
"""Many bits side by side."""

Steps = tuple[str, ...]
"""A function in postfix order: pins, constants `0` and `1`, and the operators `!`, `&`, `^`, `|`."""


@dataclass(frozen=True)
class CellFunction:
    """A function of pins: its text as given, its steps, and the pins that it reads in the order of pins."""

    text: str
    steps: Steps

    @cached_property
    def pins(self) -> tuple[str, ...]:
        """Pins that it reads, each once."""
        return tuple(dict.fromkeys(step for step in self.steps if step[0] not in "01!&^|"))

    def evaluate(self, pins: Mapping[str, Words]) -> Words:
        """Its value where pins have these; 64 patterns to a word."""
        return self._value(pins, _CONSTANT_WORDS)

    def evaluate_integers(self, pins: Mapping[str, int]) -> int:
        """Its value where pins have these, bit by bit; negative where all higher bits are 1."""
        return self._value(pins, _CONSTANT_INTEGERS)

    def _value(self, pins: Mapping[str, Bits], constants: Mapping[str, Bits]) -> Bits:
        stack: list[Bits] = []
        for step in self.steps:
            if step == "!":
                stack.append(~stack.pop())
            elif step in "&^|":
                right, left = stack.pop(), stack.pop()
                stack.append(left & right if step == "&" else left | right if step == "|" else left ^ right)
            else:
                stack.append(constants[step] if step in constants else pins[step])
        return stack[0]

    def renamed(self, names: Mapping[str, str]) -> CellFunction:
        """The same of pins by other names, in brackets, as readers differ in what binds closer."""
        stack: list[str] = []
        for step in self.steps:
            if step == "!":
                stack.append(f"!({stack.pop()})")
            elif step in "&^|":
                right, left = stack.pop(), stack.pop()
                stack.append(f"({left} {step} {right})")
            else:
                stack.append(names.get(step, step))
        return CellFunction(stack[0], tuple(names.get(step, step) for step in self.steps))

    def table(self, order: tuple[str, ...]) -> int:
        """Its truth table: bit i is its value where the pins `order` are the bits of i, the first lowest."""
        places = np.arange(1 << len(order), dtype=np.int64)
        pins = {pin: -((places >> place) & 1).view(np.uint64) for place, pin in enumerate(order)}
        values = np.broadcast_to(self.evaluate(pins), places.shape) & np.uint64(1)
        return int(sum(int(bit) << place for place, bit in enumerate(values.tolist())))


def parse_function(text: str) -> CellFunction:
    """A function in Liberty's notation: `!` or a quote behind, `&`, `*` or a space, `^`, `|` or `+`.

    Raises:
        UserError: it is none.
    """
    if len(text) > _LONGEST:
        raise UserError("a function is too long", value=text, allowed=f"up to {_LONGEST} characters")
    if text.count("(") + text.count("!") > _DEEPEST:
        raise UserError("a function has too many brackets", value=text, allowed=f"up to {_DEEPEST}")
    tokens: list[str] = []
    place = 0
    while place < len(text.rstrip()):
        found = _TOKEN.match(text, place)
        if found is None:
            raise UserError("is no function of pins", value=text)
        tokens.append(found[1])
        place = found.end()
    reader = _Reader(tokens, text)
    steps = reader.either()
    if reader.tokens:
        raise UserError("is no function of pins", value=text)
    return CellFunction(text, tuple(steps))


class _Reader:
    """Recursive descent: inversion binds closest, then exclusive or, then and, then or."""

    def __init__(self, tokens: list[str], text: str) -> None:
        self.tokens = tokens[::-1]
        self._text = text

    def _next(self) -> str:
        return self.tokens[-1] if self.tokens else ""

    def either(self) -> list[str]:
        steps = self._all()
        while self._next() in ("|", "+"):
            self.tokens.pop()
            steps += [*self._all(), "|"]
        return steps

    def _all(self) -> list[str]:
        steps = self._exclusive()
        while self._next() not in ("", "|", "+", ")", "^"):
            if self._next() in ("&", "*"):
                self.tokens.pop()
            steps += [*self._exclusive(), "&"]
        return steps

    def _exclusive(self) -> list[str]:
        steps = self._inverted()
        while self._next() == "^":
            self.tokens.pop()
            steps += [*self._inverted(), "^"]
        return steps

    def _inverted(self) -> list[str]:
        if self._next() == "!":
            self.tokens.pop()
            return [*self._inverted(), "!"]
        first = self.tokens.pop() if self.tokens else ""
        if first == "(":
            steps = self.either()
            if not self.tokens or self.tokens.pop() != ")":
                raise UserError("is no function of pins", value=self._text)
        elif first and (first[0].isalpha() or first[0] in "_01"):
            steps = [first]
        else:
            raise UserError("is no function of pins", value=self._text)
        while self._next() == "'":
            self.tokens.pop()
            steps.append("!")
        return steps
