"""Cycles of folds and of chains of folds in closed form, compiled.

docs/timing.md derives each line. A chain is what one tile takes: for every group, for every column of folds,
for every row of folds. All arguments and results are whole numbers; nothing here looks at single folds of a
chain, so the time does not grow with their number.
"""

from __future__ import annotations

from typing import NamedTuple

from simulator.numerics.engines.compiled import helper, kernel

OVERLAP_NONE, OVERLAP_DRAIN, OVERLAP_FULL = 0, 1, 2
OVERLAPS = {"none": OVERLAP_NONE, "drain": OVERLAP_DRAIN, "full": OVERLAP_FULL}


class TimingCode(NamedTuple):
    """What decides the cycles of a fold, as whole numbers (`ArrayTiming.code`).

    outputs_stay: 1 where sums stay in the PEs, 0 where an operand does.
    rows, columns: of the upright array.
    overlap: one of `OVERLAPS`; trimmed: 1 where only used rows and columns cost skew.
    shift_out: cycles in which an output-stationary fold's results leave (SCALE-Sim counts none).
    depth, interval: the MAC's pipeline depth and accumulation interval.
    """

    outputs_stay: int
    overlap: int
    trimmed: int
    rows: int
    columns: int
    shift_out: int
    depth: int
    interval: int


class Split(NamedTuple):
    """Cycles by phase; `shifting` is the part of fill or drain in which PEs only pass registers on."""

    compute: int
    fill: int
    drain: int
    shifting: int


class Folds(NamedTuple):
    """A chain of folds: lengths along rows and columns, streamed length, groups; tiles of both sides.

    rows_full, rows_rest: how many folds fill all rows, and the rows that the last one uses if it does not
    (0: none); columns_full, columns_rest the same for columns.
    """

    rows_full: int
    rows_rest: int
    columns_full: int
    columns_rest: int
    streamed: int
    groups: int


@helper
def folds_of(t: TimingCode, on_rows: int, on_columns: int, streamed: int, groups: int) -> Folds:
    """The chain of folds of one tile."""
    return Folds(
        on_rows // t.rows, on_rows % t.rows, on_columns // t.columns, on_columns % t.columns, streamed, groups
    )


@helper
def row_folds(f: Folds) -> int:
    """Folds of one column of folds."""
    return f.rows_full + (1 if f.rows_rest else 0)


@helper
def column_folds(f: Folds) -> int:
    """Columns of folds of one group."""
    return f.columns_full + (1 if f.columns_rest else 0)


@kernel
def fold_alone(t: TimingCode, rows: int, columns: int, streamed: int) -> Split:
    """The phases of a fold that nothing follows."""
    r = rows if t.trimmed else t.rows
    c = columns if t.trimmed else t.columns
    if t.outputs_stay:
        return Split(
            t.interval * (streamed - 1) + t.depth, t.interval * (r + c - 2), t.shift_out, t.shift_out
        )
    return Split(streamed, r + t.interval * (t.rows - 1) + t.depth - 1, c - 1, r)


@kernel
def fold_interval(
    t: TimingCode, rows: int, columns: int, streamed: int, next_rows: int, next_streamed: int, adds: int
) -> Split:
    """The cycles from a fold's first one to the first one of the fold that follows without stalls.

    adds: 1 where the following fold starts from the partial sums of this one.
    """
    own = fold_alone(t, rows, columns, streamed)
    if t.overlap == OVERLAP_NONE:
        return own
    r = rows if t.trimmed else t.rows
    if t.outputs_stay:
        if t.overlap == OVERLAP_DRAIN:
            return Split(own.compute, own.fill, 0, 0)
        # Row 0 may hand its next sum over once the one before, which waits for row r, has left it.
        waiting = t.interval * max(0, r - next_streamed)
        return Split(t.interval * streamed, 0, waiting, waiting)
    if t.overlap == OVERLAP_DRAIN:
        return Split(own.compute, own.fill, 0, own.shifting)
    following = next_rows if t.trimmed else t.rows
    # Shadow registers take the next operands once the first ones are in use; sums return once they are out.
    preloaded = (t.interval - 1) * (min(r, following) - 1) + following
    returned = t.interval * t.rows if adds else 0
    apart = max(streamed, preloaded, returned)
    # Both folds begin with their preload, which ends where their stream begins.
    return Split(streamed, r - following + apart - streamed, 0, r - following)


@helper
def _plus(a: Split, b: Split, times: int) -> Split:
    return Split(
        a.compute + times * b.compute,
        a.fill + times * b.fill,
        a.drain + times * b.drain,
        a.shifting + times * b.shifting,
    )


@helper
def split_total(s: Split) -> int:
    """All cycles."""
    return s.compute + s.fill + s.drain


@helper
def last_rows(t: TimingCode, f: Folds) -> int:
    """Rows that the last fold of a column of folds uses."""
    return f.rows_rest if f.rows_rest else t.rows


@helper
def first_rows(t: TimingCode, f: Folds) -> int:
    """Rows that the first fold of a column of folds uses."""
    return t.rows if f.rows_full else f.rows_rest


@helper
def last_columns(t: TimingCode, f: Folds) -> int:
    """Columns that the last fold uses."""
    return f.columns_rest if f.columns_rest else t.columns


@helper
def _down(t: TimingCode, f: Folds, columns: int, links: int) -> Split:
    """The first `links` intervals between the folds of one column of folds that is `columns` wide."""
    adds = 1 - t.outputs_stay
    total = Split(0, 0, 0, 0)
    equal = min(links, max(0, f.rows_full - 1))
    if equal:
        step = fold_interval(t, t.rows, columns, f.streamed, t.rows, f.streamed, adds)
        total = _plus(total, step, equal)
    if links > equal:
        step = fold_interval(t, t.rows, columns, f.streamed, f.rows_rest, f.streamed, adds)
        total = _plus(total, step, 1)
    return total


@helper
def _across(t: TimingCode, f: Folds, columns: int) -> Split:
    """From the last fold of one column of folds, `columns` wide, to the first of the next one."""
    return fold_interval(t, last_rows(t, f), columns, f.streamed, first_rows(t, f), f.streamed, 0)


@helper
def chain_start(t: TimingCode, f: Folds, group: int, column: int, row: int) -> Split:
    """All intervals before one fold of the chain, counted from its first cycle."""
    links = row_folds(f) - 1
    full = _plus(_down(t, f, t.columns, links), _across(t, f, t.columns), 1)
    total = Split(0, 0, 0, 0)
    if group:
        whole = _plus(Split(0, 0, 0, 0), full, f.columns_full)
        if f.columns_rest:
            whole = _plus(whole, _down(t, f, f.columns_rest, links), 1)
            whole = _plus(whole, _across(t, f, f.columns_rest), 1)
        total = _plus(total, whole, group)
    before = min(column, f.columns_full)
    total = _plus(total, full, before)
    if column > before:
        total = _plus(total, _down(t, f, f.columns_rest, links), 1)
        total = _plus(total, _across(t, f, f.columns_rest), 1)
    width = t.columns if column < f.columns_full else f.columns_rest
    return _plus(total, _down(t, f, width, row), 1)


@helper
def chain_end(t: TimingCode, f: Folds) -> int:
    """Cycles until the last result of the chain is out.

    A wide fold's last results may leave after those of a narrow fold behind it, so the last fold of every
    shape is looked at.
    """
    end = 0
    for wide in range(2):
        for high in range(2):
            if (wide and not f.columns_full) or (not wide and not f.columns_rest):
                continue
            if (high and not f.rows_full) or (not high and not f.rows_rest):
                continue
            column = f.columns_full - 1 if wide else f.columns_full
            row = f.rows_full - 1 if high else f.rows_full
            start = split_total(chain_start(t, f, f.groups - 1, column, row))
            own = fold_alone(
                t, t.rows if high else f.rows_rest, t.columns if wide else f.columns_rest, f.streamed
            )
            end = max(end, start + split_total(own))
    return end


@helper
def chain_split(t: TimingCode, f: Folds, following: Folds, follows: int, adds: int) -> Split:
    """The phases of a chain until the first fold of the chain that follows may begin, or all of them.

    follows: 0 where nothing follows; results that leave late then count as drain.
    adds: 1 where the following chain starts from the partial sums of this one's last fold.
    """
    before = chain_start(t, f, f.groups - 1, column_folds(f) - 1, row_folds(f) - 1)
    rows, columns = last_rows(t, f), last_columns(t, f)
    if follows:
        link = fold_interval(t, rows, columns, f.streamed, first_rows(t, following), following.streamed, adds)
        return _plus(before, link, 1)
    whole = _plus(before, fold_alone(t, rows, columns, f.streamed), 1)
    late = chain_end(t, f) - split_total(whole)
    return Split(whole.compute, whole.fill, whole.drain + late, whole.shifting)
