"""What a tiling needs of the memories, compiled: bytes of its tiles, tiles in sequence, slots."""

from __future__ import annotations

from math import gcd
from typing import Final, NamedTuple

from simulator.numerics.engines.compiled import helper, kernel, still_kernel
from simulator.operands import FILTER, IFMAP, OFMAP, OPERANDS
from simulator.system.footprint import Integers
from simulator.system.geometry import Axis, Geometry, input_extent, taps_of
from simulator.system.layer_work import LayerWork, Slots
from simulator.system.nest import KINDS, REDUCTION, Blocking, count_tiles, mark_turns
from simulator.system.ports import PerOperand, ceil_div
from simulator.system.tile_work import Array

OPERAND_COUNT: Final = len(OPERANDS)
_MANY_PIECES = 512
"""Different pieces of a kernel; with more of them each is taken to read what the whole kernel reads."""
_FEW_TILES = 4
"""Tiles near padding that are gone through one by one: more take longer than a closed form."""


class Limits(NamedTuple):
    """What the memories hold of each operand.

    capacity: the most bytes that its tiles may take. halves: 1 where two tiles may be held, a half for each.
    pool: operands with the same number share their capacity freely.
    """

    capacity: PerOperand
    halves: PerOperand
    pool: PerOperand


class Extents(NamedTuple):
    """Input positions along one axis, all tiles together and the largest tile."""

    total: int
    largest: int


@helper
def _bounded_positions(axis: Axis, position: int, step: int, first: int, stop: int) -> int:
    """The sum of position + i step over i from `first` to `stop` - 1, each kept inside of the input.

    It may pass 64 bits and wrap around; differences of two that do not are right.
    """
    inside = min(stop, max(first, -position // step + 1))
    behind = min(stop, max(inside, -((position - axis.inputs) // step)))
    count, twice = behind - inside, inside + behind - 1
    pairs = count // 2 * twice if count % 2 == 0 else twice // 2 * count  # one of them is even
    return count * position + step * pairs + (stop - behind) * axis.inputs


@helper
def _extents_near_padding(
    axis: Axis, size: int, first: int, stop: int, first_tap: int, stop_tap: int, largest: int
) -> Extents:
    """Extents of whole tiles `first` to `stop`, which padding may clip; the largest, and no less than given.

    A larger one is looked for only where `largest` is 0: else a tile that nothing clips has it.
    """
    reach, total = stop_tap - first_tap, 0
    is_dilated = axis.dilation > 1 and reach > 1
    if is_dilated or stop - first <= _FEW_TILES:
        for tile in range(first, stop):
            extent = input_extent(axis, tile * size, (tile + 1) * size, first_tap, stop_tap)
            total, largest = total + extent, max(largest, extent)
        return Extents(total, largest)
    step, begin = size * axis.stride, first_tap * axis.dilation - axis.padding
    end = begin + (size - 1) * axis.stride + reach
    if axis.stride > reach:  # no input is read twice
        total = input_extent(axis, first * size, stop * size, first_tap, stop_tap)
    else:
        # Before the input, or behind it, both ends of a window are kept at the same place.
        total = _bounded_positions(axis, end, step, first, stop)
        total -= _bounded_positions(axis, begin, step, first, stop)
    if not largest:
        # Extents rise to a level and fall again: it begins or ends beside a tile that just fits.
        for fitting in (-begin // step, (axis.inputs - end) // step):
            for near in range(fitting - 1, fitting + 3):
                tile = min(stop - 1, max(first, near))
                extent = input_extent(axis, tile * size, (tile + 1) * size, first_tap, stop_tap)
                largest = max(largest, extent)
    return Extents(total, largest)


@helper
def extents_of(axis: Axis, size: int, first_tap: int, stop_tap: int) -> Extents:
    """Input extents of an axis cut into tiles of `size` outputs; dilated ones near padding one by one."""
    tiles = (axis.outputs + size - 1) // size
    whole = axis.outputs // size
    step = size * axis.stride
    reach = axis.dilation * (axis.kernel - 1) + 1
    first = min(whole, (axis.padding + step - 1) // step)
    room = axis.inputs + axis.padding - reach + axis.stride
    stop = max(first, min(whole, room // step))
    inner = 0
    if stop > first:
        inner = input_extent(axis, first * size, (first + 1) * size, first_tap, stop_tap)
    below = _extents_near_padding(axis, size, 0, first, first_tap, stop_tap, inner)
    above = _extents_near_padding(axis, size, stop, whole, first_tap, stop_tap, inner)
    total = inner * (stop - first) + below.total + above.total
    largest = max(below.largest, above.largest)
    if tiles > whole:
        extent = input_extent(axis, whole * size, axis.outputs, first_tap, stop_tap)
        total, largest = total + extent, max(largest, extent)
    return Extents(total, largest)


@helper
def _extents_of_piece(g: Geometry, rows: int, columns: int, first: int, stop: int) -> Extents:
    """Input elements of an image and group that a piece of the reduction reads: all blocks, the largest."""
    taps = taps_of(g, first, stop)
    down = extents_of(g.rows, rows, taps.first_row, taps.stop_row)
    across = extents_of(g.columns, columns, taps.first_column, taps.stop_column)
    total = down.total * across.total * taps.channels
    return Extents(total, down.largest * across.largest * taps.channels)


@kernel
def ifmap_sizes(g: Geometry, rows: int, columns: int, k: int) -> Extents:
    """Input elements of one image and group: all blocks and pieces of the reduction, and the largest one."""
    size = g.rows.kernel * g.columns.kernel
    pieces = (g.k + k - 1) // k
    period = size // gcd(k, size)  # behind so many pieces a cut goes through the same tap again
    if k >= size or k >= g.k or min(pieces, period) > _MANY_PIECES:
        down = extents_of(g.rows, rows, 0, g.rows.kernel)
        across = extents_of(g.columns, columns, 0, g.columns.kernel)
        channels, touched = g.channels, g.channels
        if k < g.k:
            # A channel that a cut goes through is fetched for both pieces.
            touched += (pieces - 1) - (pieces - 1) // period
            channels = 0
            for piece in range(min(pieces, period)):
                last = min(g.k, (piece + 1) * k) - 1
                channels = max(channels, last // size - piece * k // size + 1)
        total = down.total * across.total * touched
        left = g.k - (pieces - 1) * k
        if left < size:
            # The last piece is the end of one kernel, which reads a part of the channel.
            total += _extents_of_piece(g, rows, columns, g.k - left, g.k).total - down.total * across.total
        return Extents(total, down.largest * across.largest * channels)
    whole, total, largest = g.k // k, 0, 0
    for piece in range(min(whole, period)):
        one = _extents_of_piece(g, rows, columns, piece * k, (piece + 1) * k)
        total += one.total * ((whole - piece + period - 1) // period)
        largest = max(largest, one.largest)
    if whole < pieces:
        rest = _extents_of_piece(g, rows, columns, whole * k, g.k)
        total, largest = total + rest.total, max(largest, rest.largest)
    return Extents(total, largest)


@helper
def bytes_of(elements: int, bits: float) -> int:
    """Whole bytes of packed codes."""
    return ceil_div(elements * bits, 8)


@helper
def slots_for(size: int, loads: int, single: int, capacity: int, halves: int) -> int:
    """Tiles that a capacity holds: a single one may fill it; two where halves are enough; 0: no room."""
    if loads == 1 or single:
        return 1 if size <= capacity else 0
    if halves and 2 * size <= capacity:
        return 2
    return 1 if size <= capacity else 0


@helper
def room_beside(limits: Limits, tiles: PerOperand, slots: PerOperand, operand: int) -> int:
    """Bytes that the other tiles of a shared capacity leave to an operand."""
    room = limits.capacity[operand]
    for other in range(OPERAND_COUNT):
        if other != operand and limits.pool[other] == limits.pool[operand]:
            room -= tiles[other] * slots[other]
    return room


@helper
def _overfull(limits: Limits, tiles: PerOperand, slots: PerOperand, operand: int) -> bool:
    """Whether the tiles that share an operand's capacity are more than that."""
    return room_beside(limits, tiles, slots, operand) < tiles[operand] * slots[operand]


@helper
def slots_in_pools(limits: Limits, tiles: PerOperand, wanted: PerOperand) -> PerOperand:
    """Slots where operands share a capacity: second tiles are given up while all together are too many.

    First the second ofmap tile goes, then that of the filter, then that of the ifmap. Other choices are those
    of `Blocking.single`. An operand has no slot where not even one tile of each fits.
    """
    ifmap, weights, ofmap = wanted
    if ofmap == 2 and _overfull(limits, tiles, (ifmap, weights, ofmap), OFMAP):
        ofmap = 1
    if weights == 2 and _overfull(limits, tiles, (ifmap, weights, ofmap), FILTER):
        weights = 1
    if ifmap == 2 and _overfull(limits, tiles, (ifmap, weights, ofmap), IFMAP):
        ifmap = 1
    held = (ifmap, weights, ofmap)
    if _overfull(limits, tiles, held, IFMAP):
        ifmap = 0
    if _overfull(limits, tiles, held, FILTER):
        weights = 0
    if _overfull(limits, tiles, held, OFMAP):
        ofmap = 0
    return ifmap, weights, ofmap


@helper
def _times(counts: Integers, turns: Integers) -> int:
    """Tiles in an operand's sequence."""
    total = 1
    for kind in range(KINDS):
        if turns[kind]:
            total *= counts[kind]
    return total


class Needs(NamedTuple):
    """What a blocking needs of the memories: bytes of its largest tiles, tiles in sequence, slots (0: none).

    spills: 1 where partial sums leave with their tile and come back.
    """

    ifmap_tile: int
    filter_tile: int
    ofmap_tile: int
    ifmap_loads: int
    filter_loads: int
    visits: int
    slots: Slots
    spills: int


@kernel
def partial_sums_pass(array: Array, k: int) -> bool:
    """Whether partial sums pass the ofmap buffer when the reduction is cut into pieces of `k`."""
    return array.timing.outputs_stay == 0 and (array.k > array.timing.rows or k < array.k)


@kernel
def output_bytes(array: Array, outputs: int, k: int) -> int:
    """Bytes that outputs need in the ofmap buffer when the reduction is cut into pieces of `k`.

    A result takes the place of its partial sum, or of what is added to it; but where partial sums pass the
    buffer, what is added waits there beside them.
    """
    edges = array.edges
    if partial_sums_pass(array, k):
        sums = outputs * max(edges.sum_bits, edges.result_bits)
        return ceil_div(sums, 8) + ceil_div(outputs * edges.residual_bits, 8)
    return ceil_div(outputs * max(edges.result_bits, edges.residual_bits), 8)


@helper
def needs_of(work: LayerWork, b: Blocking, limits: Limits, ifmap: Extents, scratch: Integers) -> Needs:
    """What a blocking needs of the buffers; arguments as for `estimate`, which it prepares `scratch` for."""
    g, array, edges = work.geometry, work.array, work.array.edges
    counts = scratch[0]
    count_tiles(g, b, counts)
    for operand in range(3):
        mark_turns(b, counts, operand, scratch[1 + operand])
    filter_k = g.k if b.whole_k == FILTER else b.k
    ifmap_tile = bytes_of(ifmap.largest * b.images * b.groups, edges.ifmap_bits)
    filter_tile = bytes_of(filter_k * b.n * b.groups, edges.filter_bits)
    ofmap_tile = output_bytes(array, b.images * b.rows * b.columns * b.n * b.groups, b.k)
    ifmap_loads = _times(counts, scratch[1 + IFMAP])
    filter_loads = _times(counts, scratch[1 + FILTER])
    visits = _times(counts, scratch[1 + OFMAP])
    capacity, halves = limits.capacity, limits.halves
    wanted = (
        slots_for(ifmap_tile, ifmap_loads, b.single & 1, capacity[IFMAP], halves[IFMAP]),
        slots_for(filter_tile, filter_loads, b.single & 2, capacity[FILTER], halves[FILTER]),
        slots_for(ofmap_tile, visits, b.single & 4, capacity[OFMAP], halves[OFMAP]),
    )
    held = slots_in_pools(limits, (ifmap_tile, filter_tile, ofmap_tile), wanted)
    slots = Slots(held[0], held[1], held[2])
    spills = scratch[1 + OFMAP][REDUCTION]
    return Needs(ifmap_tile, filter_tile, ofmap_tile, ifmap_loads, filter_loads, visits, slots, spills)


@helper
def is_possible(work: LayerWork, b: Blocking, needs: Needs) -> bool:
    """Whether a blocking fits the buffers and leaves partial sums only where the dataflow lets them go."""
    array, pieces = work.array, b.k < work.geometry.k
    if needs.slots.ifmap == 0 or needs.slots.filter == 0 or needs.slots.ofmap == 0:
        return False
    if array.timing.outputs_stay:
        one_fold = b.images * b.rows * b.columns <= array.fold_pixels and b.n <= array.fold_channels
        return not pieces or (one_fold and b.groups == 1 and needs.spills == 0)
    return not work.ofmap_stays or (not pieces and work.geometry.k <= array.timing.rows)


@still_kernel
def slots_of(work: LayerWork, b: Blocking, limits: Limits, scratch: Integers) -> Slots:
    """Slots of a blocking; a zero where it does not fit. scratch: 4 x `KINDS` places to work in."""
    held = ifmap_sizes(work.geometry, b.rows, b.columns, work.geometry.k if b.whole_k == IFMAP else b.k)
    return needs_of(work, b, limits, held, scratch).slots
