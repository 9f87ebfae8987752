"""Tile sizes worth trying in each dimension: multiples of a fold, or what the architecture file fixes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import lcm

from simulator.arch.config import TilingConfig
from simulator.system.tiling_problem import Dimension, TilingProblem

_EXHAUSTIVE_MULTIPLES = 16
_EXHAUSTIVE_PIECES = 8
"""Pieces of the reduction: each size costs a search over the others; beyond these, doubling loses little."""
_SIZES_PER_OCTAVE = 4
_STREAMED_PER_FIXED_CYCLE = 4
"""Streamed vectors wanted per cycle of preload and skew, where the buffers allow it."""


def tile_sizes(problem: TilingProblem, fixed: TilingConfig) -> dict[Dimension, tuple[int, ...]]:
    """Tile sizes to try in each dimension, ascending."""
    given: dict[Dimension, int | None] = {"m": fixed.tile_m, "n": fixed.tile_n, "k": fixed.tile_k}
    convolution = problem.layer.convolution
    kernel_size = convolution.kernel[0] * convolution.kernel[1] if convolution else 1
    sizes: dict[Dimension, tuple[int, ...]] = {}
    for name, length in problem.lengths.items():
        chosen = given[name]
        if chosen is not None:
            sizes[name] = (min(chosen, length),)
        elif name == "k":
            unit = kernel_size if problem.dataflow == "os" else problem.fold["k"]
            few = problem.dataflow != "os" and length <= _EXHAUSTIVE_PIECES * unit
            sizes[name] = tuple(multiples(length, unit) if few else _doublings(length, unit))
        else:
            candidates = set(multiples(length, problem.fold[name]))
            if name == "m" and convolution is not None:
                candidates |= set(_doublings(length, lcm(problem.fold["m"], convolution.ofmap[1])))
            sizes[name] = tuple(sorted(candidates))
    return sizes


def preferred_sizes(
    problem: TilingProblem, fixed: TilingConfig, sizes: Mapping[Dimension, tuple[int, ...]]
) -> Iterator[Mapping[Dimension, tuple[int, ...]]]:
    """Sizes to try, later ones only when nothing of the earlier ones fits.

    Output stationary: the whole reduction, then one fold whose reduction comes in pieces. Weight and input
    stationary: pieces of the streamed dimension that keep a fold streaming most of the time, then any.
    """
    if problem.dataflow == "os":
        if fixed.tile_k is None:
            yield {**sizes, "k": (problem.layer.k,)}
        else:
            yield sizes
        yield _one_fold(problem, sizes)
        return
    streamed: Dimension = "m" if problem.dataflow == "ws" else "n"
    enough = _STREAMED_PER_FIXED_CYCLE * problem.fold_overhead_cycles
    long = tuple(size for size in sizes[streamed] if size >= min(enough, problem.lengths[streamed]))
    yield {**sizes, streamed: long or sizes[streamed]}
    yield sizes


def _one_fold(
    problem: TilingProblem, sizes: Mapping[Dimension, tuple[int, ...]]
) -> dict[Dimension, tuple[int, ...]]:
    """Sizes for an output-stationary fold whose reduction comes in pieces."""
    return {
        "m": tuple(size for size in sizes["m"] if size <= problem.fold["m"]) or sizes["m"][:1],
        "n": tuple(size for size in sizes["n"] if size <= problem.fold["n"]) or sizes["n"][:1],
        "k": tuple(size for size in sizes["k"] if size < problem.layer.k) or sizes["k"],
    }


def _doublings(length: int, unit: int) -> Iterator[int]:
    """`unit`, twice, four times ... below `length`, and `length` itself."""
    size = unit
    while size < length:
        yield size
        size *= 2
    yield length


def multiples(length: int, unit: int) -> Iterator[int]:
    """Multiples of `unit` below `length`, thinned out where there are many, and `length` itself."""
    count = -(-length // unit)
    step, multiple = 1, 1
    while multiple < count:
        yield multiple * unit
        if multiple >= step * 2 * _SIZES_PER_OCTAVE and count > _EXHAUSTIVE_MULTIPLES:
            step *= 2
        multiple += step
    yield length
