"""Accesses of one kind as arrays, and many kinds brought into one order of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, NamedTuple

import numpy as np

from simulator.foundation.defects import DefectError
from simulator.operands import Operand
from simulator.system.footprint import Integers

Purpose = Literal["operands", "partial sums", "results", "residual", "transfer"]
ACCESSES_AT_ONCE = 8192


class Kind(NamedTuple):
    """Which memory is accessed, how and what for; in `sram`, the operand names the buffer."""

    memory: Literal["sram", "dram"]
    operand: Operand
    direction: Literal["read", "write"]
    purpose: Purpose


@dataclass(frozen=True, slots=True)
class Accesses:
    """Cycle, byte address, useful and moved bytes of each access; int64, in order of time.

    bytes: useful ones that the access begins.
    moved: of the whole word or burst.
    """

    cycles: Integers
    addresses: Integers
    bytes: Integers
    moved: Integers

    def __len__(self) -> int:
        return len(self.cycles)

    def part(self, begin: int, stop: int) -> Accesses:
        """The accesses `begin` to `stop`."""
        return self.chosen(slice(begin, stop))

    def chosen(self, places: slice | Integers) -> Accesses:
        """Some of the accesses."""
        return Accesses(self.cycles[places], self.addresses[places], self.bytes[places], self.moved[places])

    @classmethod
    def joined(cls, parts: Sequence[Accesses]) -> Accesses:
        """Several, one behind the other."""
        return cls(
            np.concatenate([part.cycles for part in parts]),
            np.concatenate([part.addresses for part in parts]),
            np.concatenate([part.bytes for part in parts]),
            np.concatenate([part.moved for part in parts]),
        )


@dataclass(slots=True)
class WholeBytes:
    """Bits counted out in whole bytes: an access counts the bytes that it begins, so all sum up rounded up.

    bytes_per_bit: 1/8, or less where fewer results are stored than leave the array.
    """

    bytes_per_bit: Fraction = Fraction(1, 8)
    _bits: int = 0

    def next(self, bits: Integers) -> Integers:
        """The bytes of the next accesses."""
        edges = self._bits + np.concatenate([[0], np.cumsum(bits)])
        self._bits = int(edges[-1])
        return np.diff(self._in_bytes(edges))

    def before(self, bits: Integers) -> Integers:
        """Whole bytes that this many bits fill: where the byte of the next bit lies."""
        places: Integers = bits * self.bytes_per_bit.numerator // self.bytes_per_bit.denominator
        return places

    def _in_bytes(self, bits: Integers) -> Integers:
        return -(-bits * self.bytes_per_bit.numerator // self.bytes_per_bit.denominator)


class Chunk(NamedTuple):
    """Accesses of all kinds in order of time; `kinds` are indices into the kinds that were merged."""

    kinds: Integers
    accesses: Accesses


def in_portions(parts: Iterable[Accesses]) -> Iterator[Accesses]:
    """The same accesses in portions worth an array operation, none of which ends inside of a cycle.

    Raises:
        DefectError: they go back in time.
    """
    waiting: list[Accesses] = []
    count, latest = 0, 0
    for part in parts:
        if not len(part):
            continue
        if part.cycles[0] < latest or np.any(np.diff(part.cycles) < 0):
            message = f"accesses go back in time: from cycle {latest} to {part.cycles.min()}"
            raise DefectError(message)
        latest = int(part.cycles[-1])
        waiting.append(part)
        count += len(part)
        if count >= ACCESSES_AT_ONCE:
            joined = Accesses.joined(waiting)
            whole = int(np.searchsorted(joined.cycles, latest))
            if whole:
                yield joined.part(0, whole)
            waiting = [joined.part(whole, count)]
            count -= whole
    if waiting:
        yield Accesses.joined(waiting)


def in_order_of_time(kinds: Sequence[Iterable[Accesses]]) -> Iterator[Chunk]:
    """Merge kinds, each in order of time; in a cycle, kinds follow in the order given.

    Holds one portion of each kind.

    Raises:
        DefectError: a kind goes back in time.
    """
    sources = [in_portions(parts) for parts in kinds]
    heads = {number: head for number, source in enumerate(sources) if (head := next(source, None))}
    while heads:
        horizon = min(int(head.cycles[-1]) for head in heads.values())
        ready: dict[int, Accesses] = {}
        for number, head in list(heads.items()):
            stop = int(np.searchsorted(head.cycles, horizon, side="right"))
            ready[number] = head.part(0, stop)
            heads[number] = head.part(stop, len(head))
            if stop == len(head):
                following = next(sources[number], None)
                if following is None:
                    del heads[number]
                else:
                    heads[number] = following
        accesses = Accesses.joined(list(ready.values()))
        numbers = np.repeat(list(ready), [len(part) for part in ready.values()])
        order = np.argsort(accesses.cycles, kind="stable")
        yield Chunk(numbers[order], accesses.chosen(order))
