"""The outer tiling of a layer: which tiles are in the buffers, in which order, so that nothing beats it.

Candidates are estimated in closed form, the best are played by the machine, and the neighbours of the best
are played until none is better.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from simulator.arch.config import TilingConfig
from simulator.arch.memories import SramsConfig
from simulator.foundation import UserError
from simulator.operands import OPERANDS, Operand
from simulator.system.chosen_tiling import WHOLE_REDUCTION, Tiling, in_image_order, moved_bytes
from simulator.system.footprint import packed_bytes
from simulator.system.geometry import Geometry
from simulator.system.layer_work import END, LayerWork
from simulator.system.nest import NEST_NAMES, NO_OPERAND, Blocking
from simulator.system.nest_machine import MOST_PLAYED
from simulator.system.tile_sizes import (
    blocks_of,
    channel_sizes,
    group_sizes,
    reduction_sizes,
)
from simulator.system.tiling_candidates import (
    GROUPS,
    NEST,
    SINGLE,
    WHOLE_K,
    K,
    N,
)
from simulator.system.tiling_needs import Limits, ifmap_sizes, output_bytes, slots_of
from simulator.system.tiling_search import Search, too_many_steps
from simulator.system.tiling_trials import MOST_OF_ONE, MOST_SEARCHED, Weights, best_of, play_candidates
from simulator.system.whole_blocks import reductions_in_whole_blocks


def choose_tiling(
    name: str,
    work: LayerWork,
    limits: Limits,
    fixed: TilingConfig,
    weights: Weights | None = None,
    *,
    memories: SramsConfig,
    sums_in_order: bool = False,
    block: int = 0,
) -> Tiling:
    """The best tiling among those that the architecture file leaves open.

    Args:
        name: the layer, for messages.
        work: the layer on its accelerator.
        limits: what the memories hold.
        fixed: sizes and order that are given, and the objective.
        weights: prices of the machine's totals, for the objective `energy`.
        memories: the same memories, for messages.
        sums_in_order: whether the order of the reduction can change a result, so that taps come row by row.
        block: elements along input channels that share a scale, which no tile cuts; 0 without scales.

    Raises:
        UserError: not even the smallest tile fits, or a fixed tile cannot work; names the memory; or the
            layer takes more steps that differ than are played.
    """
    searches: list[_Searched] = []
    orders = _image_orders(name, work.geometry, fixed, sums_in_order=sums_in_order)
    pieces = reductions_in_whole_blocks(name, work.geometry, fixed, block) if block else (fixed,)
    for turned, sizes in product(orders, pieces):
        searched = _Searched(name, work, limits, sizes, weights, turned=turned)
        if searched.search.run():
            searches.append(searched)
            if searched.search.leaves_nothing:
                break
    if not searches:
        raise _does_not_fit(name, work, limits, fixed, memories)
    best, row = best_of([searched.search.trials for searched in searches])
    return searches[best].tiling(row)


def _image_orders(name: str, g: Geometry, fixed: TilingConfig, *, sums_in_order: bool) -> tuple[bool, ...]:
    """Whether rows and columns change places, in the orders to try.

    Raises:
        UserError: columns first for a MAC whose sums depend on the order of the taps.
    """
    if g.is_product:
        return (False,)
    if fixed.image_order == "columns":
        if sums_in_order and g.kernel_size > 1:
            raise UserError(
                f"layer {name!r} has a MAC whose sums depend on their order, which is row by row",
                location="tiling.image_order",
                value="columns",
                allowed="rows, auto, or a MAC with an accumulator that wraps",
            )
        return (True,)
    given = (fixed.tile_m, fixed.tile_images, fixed.tile_rows, fixed.tile_columns, fixed.tile_k)
    is_open = fixed.image_order == "auto" and all(size is None for size in given) and g != g.turned
    return (False, True) if is_open and not sums_in_order else (False,)


class _Searched:
    """A search with blocks in one order of the image."""

    def __init__(
        self,
        name: str,
        work: LayerWork,
        limits: Limits,
        fixed: TilingConfig,
        weights: Weights | None,
        *,
        turned: bool,
    ) -> None:
        self.turned = turned
        self.work = in_image_order(work, turned=turned)
        # Refresh takes the same share of every tiling's transfers, but its phase hides repetitions.
        calm = self.work._replace(memory=work.memory._replace(refresh_interval=0, refresh_duration=0))
        sides = {"tile_rows": fixed.tile_columns, "tile_columns": fixed.tile_rows} if turned else {}
        self.search = Search(name, calm, limits, fixed.model_copy(update=sides), weights)

    def tiling(self, row: int) -> Tiling:
        """What a row of the search does."""
        search = self.search
        b = Blocking(*(int(part) for part in search.rows[row, : SINGLE + 1]))
        slots = slots_of(search.work, b, search.limits, search.scratch.needs)
        totals = search.totals[row].copy()
        if self.work.memory != search.work.memory:
            rows = search.rows[row : row + 1]
            if not play_candidates(self.work, search.limits, rows, totals[None], search.scratch):
                raise too_many_steps(search.name, MOST_PLAYED)
        return Tiling(
            blocking=b,
            slots=dict(zip(OPERANDS, (int(count) for count in slots), strict=True)),
            totals=totals,
            reason=_reason(search, row),
            is_product=search.work.geometry.is_product,
            turned=self.turned,
        )


def _reason(search: Search, chosen: int) -> str:
    b, totals = search.rows[chosen], search.totals[chosen]
    order, loops = NEST_NAMES[int(b[NEST])]
    sizes = f"{int(b[:3].prod())} x {int(b[N])} x {int(b[K])}"
    reason = f"{order} ({loops}) with tiles of {sizes} (m x n x k)"
    if b[GROUPS] > 1:
        reason += f" in {int(b[GROUPS])} groups"
    if b[WHOLE_K] != NO_OPERAND:
        reason += f", the whole reduction of the {WHOLE_REDUCTION[int(b[WHOLE_K])]} kept"
    reason += f" takes {int(totals[END]):,} cycles and moves {moved_bytes(totals):,} bytes"
    if search.trials.is_cut_short:
        reason += f"; the search for a better one ended after {MOST_SEARCHED:,} steps"
    if search.trials.left_out:
        reason += f"; {search.trials.left_out:,} others that take over {MOST_OF_ONE:,} steps were not tried"
    others = search.rows[:, NEST] != b[NEST]
    if not others.any():
        return reason
    other = search.totals[others][np.argmin(search.totals[others][:, END])]
    name = NEST_NAMES[int(search.rows[others][np.argmin(search.totals[others][:, END]), NEST])][0]
    return f"{reason}; {name} would take {int(other[END]):,} and move {moved_bytes(other):,}"


def _does_not_fit(
    name: str, work: LayerWork, limits: Limits, fixed: TilingConfig, memories: SramsConfig
) -> UserError:
    g, array, edges = work.geometry, work.array, work.array.edges
    blocks = blocks_of(g, fixed, array, fine=True)
    images, rows, columns = (int(size) for size in blocks[np.argmin(blocks.prod(axis=1))])
    n, k, groups = (
        int(sizes.min())
        for sizes in (
            channel_sizes(g, fixed, array, fine=True),
            reduction_sizes(g, fixed, array, fine=True),
            group_sizes(g, fixed, array),
        )
    )
    pixels = images * rows * columns
    needed: dict[Operand, int] = {
        "ifmap": packed_bytes(
            int(ifmap_sizes(g, rows, columns, k).largest) * images * groups, edges.ifmap_bits
        ),
        "filter": packed_bytes(n * k * groups, edges.filter_bits),
        "ofmap": int(output_bytes(array, pixels * n * groups, k)),
    }
    tile = f"{pixels} x {n} x {k}"
    available = dict(zip(OPERANDS, limits.capacity, strict=True))
    for memory in memories.memories:
        pools = [memory.holds] if memory.is_split_freely else [(operand,) for operand in memory.holds]
        for pool in pools:
            wanted, there = sum(needed[operand] for operand in pool), available[pool[0]]
            if wanted > there:
                each = ", ".join(f"{needed[operand]} of {operand}" for operand in pool)
                apart = f" ({each})" if len(pool) > 1 else ""
                what = "buffer" if memory.holds == (memory.name,) else "memory"
                share = f"'s share of {pool[0]}" if len(memory.holds) > len(pool) else ""
                return UserError(
                    f"the {memory.name} {what}{share} is too small for layer {name!r}: its smallest tile "
                    f"({tile} of m x n x k) needs {wanted} bytes{apart}, it holds {there}; {wanted - there} "
                    "bytes are missing",
                    location=memory.capacity_field(pool[0]),
                )
    return UserError(
        f"layer {name!r} cannot be tiled as fixed: output stationary partial sums stay in the PEs, "
        "so a tile shorter than the reduction must be one fold (tile_m <= rows, tile_n <= columns) under "
        "loop_order ofmap_resident or auto",
        location="tiling",
        value=tile,
    )
