"""Tile sizes worth trying in each loop: equal pieces of whole folds, or what the architecture file fixes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np

from simulator.arch.config import TilingConfig
from simulator.system.footprint import Integers
from simulator.system.geometry import Geometry
from simulator.system.tile_work import CHANNELS, PIXELS, REDUCTION, Array

DENSE = 24
"""Lengths up to which every size is tried where the array is small."""
_DENSE_IMAGE = 150
SMALL_ARRAY, SMALL_LAYER = 16, 2_000_000
"""PEs of a small array, and multiply-accumulates of a layer that takes few steps on it."""

Sizes = tuple[int, ...]
Block = tuple[int, int, int]
"""Images, output rows and output columns of a tile."""


@lru_cache(maxsize=4096)
def sizes_of_length(length: int, unit: int, *, dense: bool, fine: bool = False) -> Sizes:
    """Sizes that cut `length` into 1, 2, 4 ... equal pieces of whole units, ascending.

    dense: every size of a short length, more of a long one.
    fine: a half, a quarter ... of a unit too.
    """
    if dense and length <= DENSE:
        return tuple(range(1, length + 1))
    units = -(-length // unit)
    sizes = {length, min(unit, length)}
    number = 2
    while number < units:
        sizes.add(-(-units // number) * unit)
        number *= 2
    if dense:
        sizes |= set(range(1, 9)) | {-(-length // pieces) for pieces in range(2, 13)}
    while fine and unit > 1:
        unit = -(-unit // 2)
        sizes.add(unit)
    return tuple(sorted(size for size in sizes if size <= length))


def with_folds(sizes: Sizes, length: int, fold: int) -> Sizes:
    """The sizes, and one, two and three folds."""
    return tuple(sorted({*sizes, *(size for size in (fold, 2 * fold, 3 * fold) if size < length)}))


def is_small(g: Geometry, array: Array) -> bool:
    """Whether every size of short loops is tried."""
    return array.timing.rows * array.timing.columns <= SMALL_ARRAY and g.macs <= SMALL_LAYER


def thinned(sizes: Integers) -> Integers:
    """Every second size, the largest one included."""
    return sizes[::-1][::2][::-1]


def unit_of_pixels(array: Array) -> int:
    """Output pixels of a fold; 1 where they stream."""
    return array.fold_pixels


def _unit(array: Array, dimension: int, *, streaming: int) -> int:
    """Elements of a dimension in a fold, or so many where it streams."""
    rows, columns, streamed = array.laid
    return {rows: array.timing.rows, columns: array.timing.columns, streamed: streaming}[dimension]


def unit_of_channels(array: Array) -> int:
    """Output channels of a fold; 1 where they stream."""
    return array.fold_channels


def unit_of_reduction(g: Geometry, array: Array) -> int:
    """Reduction of a fold where it lies along the rows; whole channels where it streams."""
    return _unit(array, REDUCTION, streaming=g.rows.kernel * g.columns.kernel)


def fold_of_pixels(array: Array) -> int:
    """Output pixels of a fold; where they stream, as many as hide the loading of the next fold's operands."""
    return _unit(array, PIXELS, streaming=array.timing.rows)


def blocks_of(g: Geometry, fixed: TilingConfig, array: Array, *, fine: bool = False) -> Integers:
    """Blocks of output pixels to try: [count, 3], images, rows and columns.

    A block of several images holds whole images; one of whole rows or whole columns may have any number of
    them; blocks that cut both are fewer.
    """
    height, width, per_image = g.rows.outputs, g.columns.outputs, g.rows.outputs * g.columns.outputs
    dense = is_small(g, array)
    if fixed.tile_m is not None:
        return _array([_block_of_pixels(g, fixed.tile_m)])
    if per_image == width and g.images == 1:
        sizes = _given(fixed.tile_columns, width) or with_folds(
            sizes_of_length(width, unit_of_pixels(array), dense=dense, fine=fine),
            width,
            fold_of_pixels(array),
        )
        return _array((1, 1, size) for size in sizes)
    all_rows = sizes_of_length(height, 1, dense=dense)
    all_columns = sizes_of_length(width, 1, dense=dense)
    rows, columns = _given(fixed.tile_rows, height), _given(fixed.tile_columns, width)
    if rows or columns or per_image <= DENSE or (dense and per_image <= _DENSE_IMAGE):
        blocks = {(1, r, c) for r in rows or all_rows for c in columns or all_columns}
    else:
        blocks = {(1, r, width) for r in all_rows} | {(1, height, c) for c in all_columns}
        blocks |= {(1, r, c) for r in all_rows[1:-1] for c in all_columns[1:-1]}
        blocks |= set(_whole_folds(height, width, fold_of_pixels(array)))
    whole = not (rows and rows[0] < height) and not (columns and columns[0] < width)
    if whole:
        images = _given(fixed.tile_images, g.images) or sizes_of_length(g.images, 1, dense=dense)
        blocks |= {(count, height, width) for count in images}
    if fixed.tile_images is not None:
        blocks = {block for block in blocks if block[0] == min(fixed.tile_images, g.images)} or {
            (1, r, c) for _, r, c in blocks
        }
    return _array(sorted(blocks))


def _whole_folds(height: int, width: int, unit: int) -> Iterator[Block]:
    """Blocks of whole folds of pixels, upright and lying: one side a power of two or a divisor of a fold."""
    sides = {1 << power for power in range(unit.bit_length())} | {n for n in range(1, 33) if unit % n == 0}
    for side in sides:
        other = max(1, unit // side)
        while other <= max(height, width):
            if side <= height and other <= width:
                yield 1, side, other
            if other <= height and side <= width:
                yield 1, other, side
            other *= 2


def _block_of_pixels(g: Geometry, pixels: int) -> Block:
    """Whole images, else whole rows, else part of a row: at most `pixels` output pixels, at least one."""
    height, width = g.rows.outputs, g.columns.outputs
    if pixels >= height * width:
        return min(g.images, pixels // (height * width)), height, width
    if pixels >= width:
        return 1, pixels // width, width
    return 1, 1, pixels


def _array(blocks: Iterable[Block]) -> Integers:
    return np.array(list(blocks), dtype=np.int64).reshape(-1, 3)


def filling_sizes(length: int, capacity_bytes: int, halves: int, bytes_each: float) -> Sizes:
    """The largest sizes that fill a buffer, or half of it, where one element takes so many bytes.

    With each goes the size that cuts the length into as many equal pieces.
    """
    rooms = (capacity_bytes, capacity_bytes // 2) if halves else (capacity_bytes,)
    largest = {size for size in (int(room / bytes_each) for room in rooms) if 0 < size < length}
    equal = {-(-length // -(-length // size)) for size in largest}
    return tuple(sorted(largest | equal))


def _given(size: int | None, length: int) -> Sizes:
    return () if size is None else (min(size, length),)


def channel_sizes(g: Geometry, fixed: TilingConfig, array: Array, *, fine: bool = False) -> Integers:
    """Sizes of output channels to try."""
    dense, unit = is_small(g, array), unit_of_channels(array)
    sizes = _given(fixed.tile_n, g.n) or with_folds(
        sizes_of_length(g.n, unit, dense=dense, fine=fine),
        g.n,
        _unit(array, CHANNELS, streaming=array.timing.rows),
    )
    return np.array(sizes, np.int64)


def reduction_sizes(g: Geometry, fixed: TilingConfig, array: Array, *, fine: bool = False) -> Integers:
    """Sizes of the reduction to try, the whole one last."""
    if fixed.tile_k is not None:
        return np.array(_given(fixed.tile_k, g.k), np.int64)
    kernel, dense = g.rows.kernel * g.columns.kernel, is_small(g, array)
    if dense and g.k <= DENSE:
        return np.arange(1, g.k + 1, dtype=np.int64)
    if array.timing.outputs_stay:
        sizes = (
            set(sizes_of_length(g.k, 1, dense=dense))
            if kernel == 1
            else _channels_and_taps(g, dense=dense, fine=fine)
        )
    else:
        sizes = set(sizes_of_length(g.k, array.timing.rows, dense=dense, fine=fine))
        if kernel > 1:
            sizes |= _channels_and_taps(g, dense=dense, fine=fine)
    return np.array(sorted(sizes), np.int64)


def _channels_and_taps(g: Geometry, *, dense: bool, fine: bool) -> set[int]:
    """Pieces of whole channels, and of one channel's whole kernel rows, and of parts of a kernel row."""
    kernel = g.rows.kernel * g.columns.kernel
    sizes = {size * kernel for size in sizes_of_length(g.channels, 1, dense=dense)}
    if fine or g.channels <= 4:
        sizes |= {size * g.columns.kernel for size in sizes_of_length(g.rows.kernel, 1, dense=dense)}
        sizes |= set(sizes_of_length(g.columns.kernel, 1, dense=dense))
    return sizes | {g.k}


def group_sizes(g: Geometry, fixed: TilingConfig, array: Array) -> Integers:
    """Numbers of groups to try."""
    dense = is_small(g, array)
    return np.array(
        _given(fixed.tile_groups, g.groups) or sizes_of_length(g.groups, 1, dense=dense), np.int64
    )
