"""Candidates around one: with one loop cut otherwise, or held another way. Compiled."""

from __future__ import annotations

from typing import NamedTuple

from simulator.numerics.engines.compiled import helper, still_kernel
from simulator.operands import FILTER, IFMAP, OFMAP
from simulator.system.footprint import Integers
from simulator.system.layer_work import LayerWork
from simulator.system.nest import NO_OPERAND
from simulator.system.ports import ceil_div
from simulator.system.tiling_candidates import (
    COLUMNS,
    IMAGES,
    NEST,
    ROWS,
    SINGLE,
    SIZES,
    WHOLE_K,
    K,
    N,
    blocking_of,
    estimate,
    write_candidate,
)
from simulator.system.tiling_needs import Limits, Needs, ifmap_sizes, needs_of, room_beside

MOST_SIZES = 48
"""Different sizes around one, at most."""
_SETS_OF_OPERANDS = 8
_MOST_RESHAPED = 10
"""Sizes around one, numbers of pieces first, beside which another size fills a buffer."""


class Around(NamedTuple):
    """What may change.

    lengths, units, is_open: by column of a candidate's sizes the loop's length, the unit of a fold, and 1
        where the size may change.
    whole_variants, variants: nests with the whole reduction in a tile, and with a part of it.
    single: operands of which the file fixes one tile at a time.
    sizes: [2, `MOST_SIZES`], to work in.
    """

    lengths: Integers
    units: Integers
    is_open: Integers
    whole_variants: Integers
    variants: Integers
    single: int
    sizes: Integers


@helper
def _add(sizes: Integers, count: int, length: int, size: int, unit: int, one: int) -> int:
    """Add a size and the whole units above it, unless they are there, too long, or the size itself."""
    for wanted in (one, ceil_div(one, unit) * unit):
        if wanted <= 0 or wanted > length or wanted == size:
            continue
        known = False
        for i in range(count):
            known = known or sizes[i] == wanted
        if not known and count < MOST_SIZES:
            sizes[count] = wanted
            count += 1
    return count


@helper
def sizes_around(length: int, size: int, unit: int, sizes: Integers) -> int:
    """Write sizes around one: pieces more or less, fractions and multiples of it, a few more or less."""
    count, pieces = 0, ceil_div(length, size)
    for number in range(max(1, pieces - 2), pieces + 3):
        count = _add(sizes, count, length, size, unit, ceil_div(length, number))
    for part in (2, 3, 4, 8):
        count = _add(sizes, count, length, size, unit, size // part)
    for more in (size // 4, size // 8, unit, 1, 2, 4, 8):
        count = _add(sizes, count, length, size, unit, size + more)
        count = _add(sizes, count, length, size, unit, size - more)
    count = _add(sizes, count, length, size, unit, 2 * size)
    count = _add(sizes, count, length, size, unit, 3 * size)
    # As many pieces with a short last one, whose results leave sooner.
    return _add(sizes, count, length, size, unit, ceil_div(length, max(1, pieces - 1)) - 1)


@helper
def _try(
    work: LayerWork,
    limits: Limits,
    around: Around,
    row: Integers,
    found: Integers,
    count: int,
    needs: Integers,
) -> int:
    """Write the sizes of a row with every nest that differs, where they fit; how many there are then."""
    g = work.geometry
    whole = row[K] >= g.k
    variants = around.whole_variants if whole else around.variants
    last_held = -2
    held = ifmap_sizes(g, row[ROWS], row[COLUMNS], g.k)
    for variant in range(len(variants)):
        row[NEST], row[WHOLE_K] = variants[variant, 0], variants[variant, 1]
        if whole and row[WHOLE_K] != NO_OPERAND:
            continue
        k = g.k if row[WHOLE_K] == IFMAP else row[K]
        if k != last_held:
            held = ifmap_sizes(g, row[ROWS], row[COLUMNS], k)
            last_held = k
        b = blocking_of(row)
        one = estimate(work, b, limits, held, needs)
        if one.fits and count < len(found):
            write_candidate(found[count], b, one)
            count += 1
    return count


@still_kernel
def list_neighbours(
    work: LayerWork, limits: Limits, start: Integers, around: Around, found: Integers, needs: Integers
) -> int:
    """Write the neighbours of a candidate that fit into `found` [rows, `CANDIDATE`]; how many there are.

    found: its last row is worked in.
    needs: as for `estimate`.
    """
    g = work.geometry
    room, row = found[: len(found) - 1], found[len(found) - 1]
    sizes, others = around.sizes[0], around.sizes[1]
    count = 0
    for place in range(SINGLE + 1):
        row[place] = start[place]
    whole_image = start[ROWS] == g.rows.outputs and start[COLUMNS] == g.columns.outputs
    for column in range(SIZES):
        if not around.is_open[column] or (column == IMAGES and not whole_image):
            continue
        number = sizes_around(around.lengths[column], start[column], around.units[column], sizes)
        for i in range(number):
            row[column] = sizes[i]
            if column in (ROWS, COLUMNS):
                row[IMAGES] = 1
            count = _try(work, limits, around, row, room, count, needs)
        row[column], row[IMAGES] = start[column], start[IMAGES]
    if around.is_open[ROWS] and around.is_open[COLUMNS] and around.lengths[ROWS] > 1:
        number = sizes_around(around.lengths[ROWS], start[ROWS], around.units[ROWS], sizes)
        beside = sizes_around(around.lengths[COLUMNS], start[COLUMNS], around.units[COLUMNS], others)
        row[IMAGES] = 1
        for i in range(number):
            for j in range(beside):
                row[ROWS], row[COLUMNS] = sizes[i], others[j]
                count = _try(work, limits, around, row, room, count, needs)
    # The same sizes with one tile of an operand at a time, for every set of operands.
    for place in range(SINGLE + 1):
        row[place] = start[place]
    held = ifmap_sizes(g, row[ROWS], row[COLUMNS], g.k if row[WHOLE_K] == IFMAP else row[K])
    for operands in range(_SETS_OF_OPERANDS):
        row[SINGLE] = operands | around.single
        b = blocking_of(row)
        one = estimate(work, b, limits, held, needs)
        if one.fits and count < len(room):
            write_candidate(room[count], b, one)
            count += 1
    return count


@helper
def _take_whole_reduction(row: Integers, around: Around) -> None:
    """Write the nest for tiles with the whole reduction whose innermost other loop is the row's own."""
    inner, variants = row[NEST] % 2, around.whole_variants
    row[NEST], row[WHOLE_K] = variants[0, 0], variants[0, 1]
    for variant in range(len(variants)):
        if variants[variant, 0] % 2 == inner:
            row[NEST], row[WHOLE_K] = variants[variant, 0], variants[variant, 1]


@helper
def _needs_of(work: LayerWork, limits: Limits, row: Integers, needs: Integers) -> Needs:
    b = blocking_of(row)
    k = work.geometry.k if b.whole_k == IFMAP else b.k
    return needs_of(work, b, limits, ifmap_sizes(work.geometry, b.rows, b.columns, k), needs)


@helper
def _write_filling(
    work: LayerWork,
    limits: Limits,
    around: Around,
    row: Integers,
    column: int,
    found: Integers,
    count: int,
    needs: Integers,
) -> int:
    """Write a row with the sizes of one column that fill a buffer, or half of it; how many there are then."""
    size, length, unit = row[column], around.lengths[column], around.units[column]
    wants = _needs_of(work, limits, row, needs)
    operand = FILTER if column == N else IFMAP
    tile = wants.filter_tile if column == N else wants.ifmap_tile
    tiles, slots = (wants.ifmap_tile, wants.filter_tile, wants.ofmap_tile), wants.slots
    room = room_beside(limits, tiles, slots, operand)
    results_room = room_beside(limits, tiles, slots, OFMAP)
    for part in range(1, 2 + max(limits.halves[operand], limits.halves[OFMAP])):
        for bytes_in_all, bytes_of_tile in ((room, tile), (results_room, wants.ofmap_tile)):
            filling = min(length, size * (bytes_in_all // part) // max(1, bytes_of_tile))
            if filling <= 0:
                continue
            equal = ceil_div(length, ceil_div(length, filling))
            last = 0
            for wanted in (filling, equal, filling // unit * unit):
                if wanted <= 0 or wanted == last:
                    continue
                last = wanted
                row[column] = wanted
                nest, held_operand = row[NEST], row[WHOLE_K]
                count = _try(work, limits, around, row, found, count, needs)
                row[NEST], row[WHOLE_K] = nest, held_operand
    row[column] = size
    return count


@still_kernel
def list_filling(
    work: LayerWork, limits: Limits, start: Integers, around: Around, found: Integers, needs: Integers
) -> int:
    """Write candidates with one size changed and another that then fills a buffer; how many there are.

    A single change often does not fit, or leaves a buffer half empty, where two together move less.
    found, needs: as for `list_neighbours`.
    """
    room, row = found[: len(found) - 1], found[len(found) - 1]
    sizes = around.sizes[0]
    count = 0
    for column in (COLUMNS, N, K):
        if not around.is_open[column]:
            continue
        for place in range(SINGLE + 1):
            row[place] = start[place]
        number = sizes_around(around.lengths[column], start[column], around.units[column], sizes)
        for i in range(min(number, _MOST_RESHAPED)):
            row[column] = sizes[i]
            row[NEST], row[WHOLE_K] = start[NEST], start[WHOLE_K]
            if column == K and sizes[i] >= work.geometry.k:
                _take_whole_reduction(row, around)
            if column == COLUMNS and sizes[i] < around.lengths[COLUMNS]:
                row[IMAGES] = 1
            for other in (COLUMNS, N):
                if other == column or not around.is_open[other]:
                    continue
                if other == COLUMNS and row[IMAGES] > 1:
                    continue
                count = _write_filling(work, limits, around, row, other, room, count, needs)
            row[IMAGES] = start[IMAGES]
    return count
