"""Are a product's folds counted, linked and found without walking through them? A plain list tells."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.array.fold import FoldShape
from simulator.array.tiles import FoldGrid, Link
from simulator.foundation.cuts import Run, cut


@pytest.mark.parametrize(
    ("length", "tile", "runs"),
    [
        (10, 4, (Run(2, 4), Run(1, 2))),
        (8, 4, (Run(2, 4),)),
        (3, 4, (Run(1, 3),)),
        (4, 4, (Run(1, 4),)),
        (5, 4, (Run(1, 4), Run(1, 1))),
        (3, 1, (Run(3, 1),)),
    ],
)
def test_whole_tiles_come_first_and_the_rest_last(length: int, tile: int, runs: tuple[Run, ...]) -> None:
    assert cut(length, tile) == runs


@st.composite
def axes(draw: st.DrawFn) -> tuple[Run, ...]:
    """One to three runs of different sizes."""
    sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=3, unique=True))
    return tuple(Run(draw(st.integers(1, 3)), size) for size in sizes)


grids = st.builds(
    FoldGrid, rows=axes(), columns=axes(), groups=st.integers(1, 3), streamed=st.integers(1, 9),
    rows_add_up=st.booleans(),
)  # fmt: skip


def sizes(runs: tuple[Run, ...]) -> list[int]:
    return [run.size for run in runs for _ in range(run.count)]


def listed(grid: FoldGrid) -> list[tuple[FoldShape, tuple[int, int]]]:
    """Every fold in order with its group and column tile."""
    return [
        (FoldShape(height, width, grid.streamed), (group, column))
        for group in range(grid.groups)
        for column, width in enumerate(sizes(grid.columns))
        for height in sizes(grid.rows)
    ]


def listed_links(grid: FoldGrid) -> list[Link]:
    """Every fold with its follower; sums grow inside a column tile, where rows add up."""
    return [
        Link(fold, following, adds_to_sums=grid.rows_add_up and place == next_place)
        for (fold, place), (following, next_place) in pairwise(listed(grid))
    ]


def cost(link: Link) -> int:
    """A cost that every part of a link changes."""
    fold, following = link.fold, link.following
    return (
        fold.rows
        + 10 * fold.columns
        + 100 * following.rows
        + 1000 * following.columns
        + 10_000 * link.adds_to_sums
        + 100_000
    )


@given(grids)
def test_the_counts_are_those_of_the_list(grid: FoldGrid) -> None:
    folds = listed(grid)
    assert grid.folds == len(folds)
    assert grid.row_tiles == len(sizes(grid.rows))
    assert grid.column_tiles == len(sizes(grid.columns))
    assert (grid.first, grid.last) == (folds[0][0], folds[-1][0])


@given(grids)
def test_every_fold_is_found_by_its_index(grid: FoldGrid) -> None:
    assert [grid.shape_of(index) for index in range(grid.folds)] == [shape for shape, _ in listed(grid)]


@given(grids)
def test_every_link_is_counted_once_and_no_other(grid: FoldGrid) -> None:
    counted: Counter[Link] = Counter()
    for times, link in grid.links():
        assert times > 0
        counted[link] += times
    assert counted == Counter(listed_links(grid))


@given(grids)
def test_a_fold_starts_when_all_links_before_it_are_paid(grid: FoldGrid) -> None:
    start = 0
    assert grid.start_of(0, cost) == 0
    for index, link in enumerate(listed_links(grid), start=1):
        start += cost(link)
        assert grid.start_of(index, cost) == start


@given(grids)
def test_the_last_fold_of_each_shape(grid: FoldGrid) -> None:
    last = {shape: index for index, (shape, _) in enumerate(listed(grid))}
    assert sorted(grid.last_of_each_shape()) == sorted(last.values())


def test_time_does_not_grow_with_the_folds() -> None:
    calls = 0

    def counting(link: Link) -> int:
        nonlocal calls
        calls += 1
        return cost(link)

    huge = FoldGrid(cut(10**12 + 1, 4), cut(10**12 + 1, 4), groups=10**6, streamed=1, rows_add_up=True)
    links = list(huge.links())
    assert sum(times for times, _ in links) == huge.folds - 1
    assert len(links) <= 7  # two pairs of rows in each of two columns, two pairs of columns, one of groups
    assert huge.start_of(huge.folds - 1, counting) == sum(times * cost(link) for times, link in links)
    assert calls < 100
