"""Tilings that were played, compiled: which one is chosen, and playing others that may be better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from simulator.arch.config import Objective
from simulator.foundation.defects import DefectError
from simulator.numerics.engines.compiled import helper, kernel, still_kernel
from simulator.system.footprint import Integers
from simulator.system.layer_work import BURSTS, BYTES, END, PLAYED, STEPS, TOTALS, LayerWork
from simulator.system.nest import KINDS, lengths_of, sizes_of
from simulator.system.nest_machine import play_nest
from simulator.system.nest_state import Scratch
from simulator.system.tiling_candidates import CANDIDATE, LEAST, MOVED, SINGLE, blocking_of
from simulator.system.tiling_needs import Limits, slots_of

Weights = npt.NDArray[np.float64]
"""Picojoules of one of each total of the machine, for the objective `energy`."""

AS_GOOD = 1.0005
"""Scores within 0.05 % of each other count as equal; fewer, larger transfers are then better."""
NEAR = 1.01
"""Latency: among tilings within 1 % of the fewest cycles the least traffic is taken."""

_MOST_CYCLES = 1 << 60
"""What waits and transfers of a layer may take together, so that 64 bits hold every sum of cycles."""

LATENCY, TRAFFIC, ENERGY = range(3)
OBJECTIVES: dict[Objective, int] = {"latency": LATENCY, "traffic": TRAFFIC, "energy": ENERGY}

MOST_SEARCHED = 16_000_000
"""Steps that a search plays: 70 times the most that layers of bundled networks took in buffers of 4 KiB."""
MOST_OF_ONE = 2_000_000
"""Steps of one candidate; those with more are left out."""

COUNT, CHOSEN, FASTEST, SPENT, LEFT_OUT = range(5)
"""Places of `Trials.standing`."""
_CYCLES, _MOVED, _STEPS, _SCORE = range(4)
_ROOM = 256


class Trials(NamedTuple):
    """Candidates that were played.

    rows: [room, `CANDIDATE`].
    totals: [room, `TOTALS`].
    figures: [room, 4], cycles, DRAM bytes, steps and the weighed totals.
    standing: how many there are, which one is chosen, which one takes the fewest cycles, how many steps were
        played for all, how many candidates took too many.
    """

    objective: int
    weights: Weights
    rows: Integers
    totals: Integers
    figures: npt.NDArray[np.float64]
    standing: Integers

    @property
    def played(self) -> int:
        """How many were played."""
        return int(self.standing[COUNT])

    @property
    def chosen(self) -> int:
        """The row that is best for the objective."""
        return int(self.standing[CHOSEN])

    @property
    def is_cut_short(self) -> bool:
        """Whether the search ended because it had played `MOST_SEARCHED` steps."""
        return int(self.standing[SPENT]) >= MOST_SEARCHED

    @property
    def left_out(self) -> int:
        """Candidates that were not played to their ends, as they take too many steps."""
        return int(self.standing[LEFT_OUT])

    @property
    def fastest(self) -> int:
        """The row with the fewest cycles."""
        return int(self.standing[FASTEST])


def no_trials(objective: Objective, weights: Weights | None) -> Trials:
    """Nothing was played yet."""
    return Trials(
        objective=OBJECTIVES[objective],
        weights=np.zeros(TOTALS) if weights is None else weights,
        rows=np.empty((_ROOM, CANDIDATE), np.int64),
        totals=np.empty((_ROOM, TOTALS), np.int64),
        figures=np.empty((_ROOM, 4)),
        standing=np.zeros(5, np.int64),
    )


def with_room(trials: Trials, more: int) -> Trials:
    """The same trials, with room for some more."""
    room = len(trials.rows)
    if trials.played + more <= room:
        return trials
    longer = [
        np.concatenate([part, np.empty((room + more, part.shape[1]), part.dtype)])
        for part in (trials.rows, trials.totals, trials.figures)
    ]
    return trials._replace(rows=longer[0], totals=longer[1], figures=longer[2])


def best_of(several: Sequence[Trials]) -> tuple[int, int]:
    """Which of several trials of one objective has the best row, and which row it is."""
    figures = np.concatenate([trials.figures[: trials.played] for trials in several])
    row = int(choose_row(several[0].objective, figures, len(figures), float(figures[:, _CYCLES].min())))
    for number, trials in enumerate(several):
        if row < trials.played:
            return number, row
        row -= trials.played
    raise DefectError("no row was played")


@helper
def weigh(weights: Weights, burst_bytes: int, cycles: float, moved: float) -> float:
    """Energy of cycles and DRAM bytes alone, which no totals with as many of both fall below."""
    return float(cycles * weights[END] + moved * weights[BURSTS] / burst_bytes)


@helper
def _may_improve(trials: Trials, burst_bytes: int, row: Integers, aim: int) -> bool:
    """Whether a candidate may be chosen, or change what is: by cycles that no play of it falls below.

    aim: what it is to improve, the objective or only the bytes that are moved.
    """
    if trials.standing[COUNT] == 0:
        return True
    chosen = trials.figures[trials.standing[CHOSEN]]
    least, moved = AS_GOOD * row[LEAST], row[MOVED]
    if trials.objective == ENERGY:
        return bool(weigh(trials.weights, burst_bytes, least, moved) < chosen[_SCORE])
    moves_less = moved < chosen[_MOVED] or (moved == chosen[_MOVED] and least < chosen[_CYCLES])
    if trials.objective == TRAFFIC:
        return bool(moves_less)
    fewest = trials.figures[trials.standing[FASTEST], _CYCLES]
    faster = aim == LATENCY and least < fewest
    return bool(faster or (moves_less and row[LEAST] <= NEAR * fewest))


@helper
def _is_countable(work: LayerWork, row: Integers) -> bool:
    """Whether 64 bits hold every count of cycles, however badly transfers lie in bursts."""
    memory, lengths, sizes = work.memory, lengths_of(work.geometry), sizes_of(blocking_of(row))
    burst = memory.burst_bytes * memory.rate_cycles / memory.rate_bytes
    steps = 1.0
    for kind in range(KINDS):
        steps *= np.ceil(lengths[kind] / sizes[kind])
    cycles = steps * (memory.latency + np.ceil(burst)) + row[MOVED] * burst
    return bool(cycles <= _MOST_CYCLES and row[MOVED] >= 0)


@kernel
def are_countable(work: LayerWork, candidates: Integers) -> npt.NDArray[np.bool_]:
    """Of which candidates 64 bits hold every count of cycles."""
    countable = np.empty(len(candidates), np.bool_)
    for i in range(len(candidates)):
        countable[i] = _is_countable(work, candidates[i])
    return countable


@helper
def _is_known(trials: Trials, row: Integers) -> bool:
    for i in range(trials.standing[COUNT]):
        same = True
        for place in range(SINGLE + 1):
            if trials.rows[i, place] != row[place]:
                same = False
                break
        if same:
            return True
    return False


@still_kernel
def choose_row(objective: int, figures: npt.NDArray[np.float64], count: int, fewest: float) -> int:
    """The best row for the objective; of those as good as equal one with the fewest steps.

    figures: of `Trials`, of which the first `count` rows were played.
    fewest: cycles of the fastest one.
    """
    value = _SCORE if objective == ENERGY else _CYCLES
    most_cycles, moved = np.inf, np.inf
    if objective == LATENCY:
        most_cycles = NEAR * fewest
    if objective != ENERGY:
        for i in range(count):
            if figures[i, _CYCLES] <= most_cycles:
                moved = min(moved, figures[i, _MOVED])
    best = np.inf
    for i in range(count):
        if figures[i, _CYCLES] <= most_cycles and figures[i, _MOVED] <= moved:
            best = min(best, figures[i, value])
    chosen = -1
    for i in range(count):
        if figures[i, _CYCLES] > most_cycles or figures[i, _MOVED] > moved:
            continue
        if figures[i, value] > AS_GOOD * best:
            continue
        steps = figures[i, _STEPS]
        if (
            chosen < 0
            or steps < figures[chosen, _STEPS]
            or (steps == figures[chosen, _STEPS] and figures[i, value] < figures[chosen, value])
        ):
            chosen = i
    return chosen


@helper
def _note(trials: Trials, place: int) -> None:
    """Take a row that was played among the others."""
    totals, figures = trials.totals[place], trials.figures[place]
    score = 0.0
    if trials.objective == ENERGY:
        for i in range(TOTALS):
            score += totals[i] * trials.weights[i]
    moved = totals[BYTES] + totals[BYTES + 1] + totals[BYTES + 2] + totals[BYTES + 3]
    figures[_CYCLES], figures[_MOVED], figures[_STEPS] = totals[END], moved, totals[STEPS]
    figures[_SCORE] = score
    if place == 0 or totals[END] < trials.figures[trials.standing[FASTEST], _CYCLES]:
        trials.standing[FASTEST] = place
    trials.standing[COUNT] = place + 1
    fewest = trials.figures[trials.standing[FASTEST], _CYCLES]
    trials.standing[CHOSEN] = choose_row(trials.objective, trials.figures, place + 1, fewest)


@still_kernel
def try_candidates(
    work: LayerWork,
    limits: Limits,
    candidates: Integers,
    order: Integers,
    most: int,
    aim: int,
    trials: Trials,
    scratch: Scratch,
    most_of_one: int,
) -> int:
    """Play candidates in an order, at most `most` of them; how many.

    What was played before, what cannot be better, what 64 bits may not count and what takes more steps than
    `most_of_one` is left out, and everything once `MOST_SEARCHED` steps were played. aim: the
    objective, or `TRAFFIC` beside `LATENCY`, where only fewer bytes near the fewest cycles are better.
    `trials` has room for as many.
    """
    played = 0
    for i in order:
        if played == most or trials.standing[SPENT] >= MOST_SEARCHED:
            break
        row = candidates[i]
        if not _may_improve(trials, work.memory.burst_bytes, row, aim) or _is_known(trials, row):
            continue
        if not _is_countable(work, row):
            continue
        place = trials.standing[COUNT]
        for column in range(CANDIDATE):
            trials.rows[place, column] = row[column]
        b = blocking_of(row)
        slots = slots_of(work, b, limits, scratch.needs)
        ended = play_nest(work, b, slots, trials.totals[place], scratch, most_of_one)
        trials.standing[SPENT] += trials.totals[place, PLAYED]
        if ended:
            _note(trials, place)
            played += 1
        else:
            trials.standing[LEFT_OUT] += 1
    return played


@still_kernel
def play_candidates(
    work: LayerWork, limits: Limits, rows: Integers, totals: Integers, scratch: Scratch
) -> bool:
    """Play every candidate; row i of `totals` is what candidate i does. Whether all came to their ends."""
    ended = True
    for i in range(len(rows)):
        b = blocking_of(rows[i])
        ended = play_nest(work, b, slots_of(work, b, limits, scratch.needs), totals[i], scratch) and ended
    return ended
