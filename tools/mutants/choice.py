"""Which mutants of a module are tried: the same ones for the same seed, spread over its functions.

The order comes from a hash of each mutant's own text, not from its position, so that a change elsewhere in the
module leaves most of the choice as it was, on every version of Python.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable

from tools.mutants.sites import Mutant


def chosen(mutants: Iterable[Mutant], count: int, seed: int) -> list[Mutant]:
    """At most `count` mutants, in the order of the module's text.

    Functions take turns, in an order that the seed decides, and each gives one of its places at a turn. A place
    that can be changed in two ways gives its second way only after all of the function's places had a turn.
    """
    by_function: dict[str, list[Mutant]] = defaultdict(list)
    for mutant in sorted(mutants, key=lambda mutant: _rank(mutant, seed)):
        by_function[mutant.function].append(mutant)
    queues = [_one_of_each_place_first(of_one) for of_one in by_function.values()]
    picked: list[Mutant] = []
    for turn in range(max(map(len, queues), default=0)):
        picked += [queue[turn] for queue in queues if turn < len(queue)]
    return sorted(picked[:count], key=lambda mutant: (mutant.start, mutant.end, mutant.replacement))


def _one_of_each_place_first(mutants: list[Mutant]) -> list[Mutant]:
    ways: dict[tuple[int, int], int] = defaultdict(int)
    turns: list[tuple[int, Mutant]] = []
    for mutant in mutants:
        place = (mutant.start, mutant.end)
        turns.append((ways[place], mutant))
        ways[place] += 1
    return [mutant for _, mutant in sorted(turns, key=lambda turn: turn[0])]


def _rank(mutant: Mutant, seed: int) -> str:
    parts = (seed, mutant.module, mutant.function, mutant.original, mutant.mutated, mutant.occurrence)
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()
