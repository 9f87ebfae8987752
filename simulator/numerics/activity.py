"""Switching activity: how many bits every PE register class toggles during a matrix product, counted exactly.

What is counted, on an array of R rows and C columns, all R C PEs, also those that a partial fold leaves
unused:

- Operands enter at the edges and pass through whole rows or columns, one register a PE. Before and after a
  fold's data, while the array fills and drains, zeros pass: a register starts each fold from zero's
  pattern and returns to it.
- `os`: the activations of a row of outputs move right, the weights of a column move down, sums stay and grow;
  when the fold ends they shift down and out, zeros following (`drain`).
- `ws`: a fold's weights move down into place, the lowest row's first, over the weights of the fold before
(the
  first fold's over zeros); folds run over k within columns. Activations stream to the right. Partial sums
  move down from zero at the top, through idle rows below the last weight too, and are zero again when the
  stream has passed.
- `is`: the same with activations in place (columns are output pixels) and weights streaming.

A product register is the wire between multiplier and adder: an increment in two's complement, with the fewest
bits that hold every one. Fused MACs have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil, sqrt
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from simulator.foundation import UserError
from simulator.numerics.engines.planner import checked_operands
from simulator.numerics.engines.threads import available_cores
from simulator.numerics.registers import (
    Patterns,
    differing_bits,
    hamming,
    path_toggles,
    register_bits,
    register_patterns,
    zero_pattern,
)
from simulator.numerics.switching import Codes, Counted, Counter, product_bits

if TYPE_CHECKING:
    from simulator.numerics.formats import Format
    from simulator.numerics.mac import Mac

Dataflow = Literal["os", "ws", "is"]

CONFIDENCE = 1.96
"""Standard errors on either side of a 95 % confidence interval."""

_STREAM_BLOCK = 128
"""Streamed indices in one sampling unit of a weight- or input-stationary fold."""


@dataclass(frozen=True, slots=True)
class RegisterActivity:
    """Toggles of one register class, summed over all PEs.

    `bits` is one register's width. `bit_steps` is the register bits of all PEs times the steps at which
    they take new data (K a fold for `os`, the stream for `ws` and `is`, the rows loaded for what stays in
    place). `standard_error` is that of a sampled count, 0 for an exact one.
    """

    bits: int
    toggles: float
    bit_steps: int
    standard_error: float = 0.0

    @property
    def toggle_rate(self) -> float:
        """Mean fraction of bits that toggle at a step; NaN without steps."""
        return self.toggles / self.bit_steps if self.bit_steps else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the toggles."""
        margin = CONFIDENCE * self.standard_error
        return self.toggles - margin, self.toggles + margin

    def __add__(self, other: RegisterActivity) -> RegisterActivity:
        """Toggles of both; errors are independent. Raises UserError for registers of different widths."""
        if self.bits != other.bits:
            raise UserError(
                "registers of different widths have no common activity", value=(self.bits, other.bits)
            )
        return RegisterActivity(
            self.bits,
            self.toggles + other.toggles,
            self.bit_steps + other.bit_steps,
            sqrt(self.standard_error**2 + other.standard_error**2),
        )


@dataclass(frozen=True, slots=True)
class SwitchingActivity:
    """Bits toggled by each register class of a PE array during one matrix product, or several.

    `drain` is the part of the accumulators' toggles in which results shift out (os only); it is included in
    `accumulator`. `macs` counts the useful multiply-accumulates.
    """

    dataflow: Dataflow
    rows: int
    columns: int
    macs: int
    activation: RegisterActivity
    weight: RegisterActivity
    product: RegisterActivity
    accumulator: RegisterActivity
    drain: int = 0

    @property
    def toggles(self) -> float:
        """Bits toggled by all classes."""
        return self.activation.toggles + self.weight.toggles + self.product.toggles + self.accumulator.toggles

    def toggles_per_mac(self, register: Literal["activation", "weight", "product", "accumulator"]) -> float:
        """Mean bits that a register class toggles for one useful MAC; NaN without MACs."""
        activity: RegisterActivity = getattr(self, register)
        return activity.toggles / self.macs if self.macs else float("nan")

    def __add__(self, other: SwitchingActivity) -> SwitchingActivity:
        """Activity of both products. Raises UserError for different arrays, dataflows or MACs."""
        ours, theirs = (self.dataflow, self.rows, self.columns), (other.dataflow, other.rows, other.columns)
        if ours != theirs:
            raise UserError("activity of different arrays has no sum", value=theirs, allowed=str(ours))
        return SwitchingActivity(
            *ours,
            self.macs + other.macs,
            self.activation + other.activation,
            self.weight + other.weight,
            self.product + other.product,
            self.accumulator + other.accumulator,
            self.drain + other.drain,
        )


def total_activity(parts: Sequence[SwitchingActivity]) -> SwitchingActivity:
    """Activity of a network from its layers (the strata of a sampled count). Raises UserError when empty."""
    if not parts:
        raise UserError("there is no activity to add up")
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def switching_activity(
    mac: Mac,
    a_codes: npt.ArrayLike,
    w_codes: npt.ArrayLike,
    dataflow: Dataflow,
    *,
    rows: int = 32,
    columns: int = 32,
    sampled_units: int | None = None,
    seed: int = 0,
    threads: int | None = None,
) -> SwitchingActivity:
    """Toggles of activations [M, K] times weights [K, N] on an array of `rows` x `columns` PEs.

    Args:
        mac: the MAC of every PE.
        a_codes: activation codes [M, K].
        w_codes: weight codes [K, N].
        dataflow: what stays in the PEs: `os` outputs, `ws` weights, `is` inputs (activations).
        rows: PE rows.
        columns: PE columns.
        sampled_units: count accumulators and products on this many folds (or blocks of a fold's stream)
            drawn without replacement, scale up and give a standard error; at least 2. Operands are always
            exact. None: count all.
        seed: of the draw.
        threads: at most this many; all cores by default. The counts do not depend on it.

    Raises:
        UserError: shapes that do not match, codes outside their formats, an unknown dataflow, too few units.
    """
    a, w = checked_operands(mac, a_codes, w_codes)
    if dataflow not in ("os", "ws", "is"):
        raise UserError("unknown dataflow", value=dataflow, candidates=("os", "ws", "is"))
    if min(rows, columns) < 1:
        raise UserError("the array needs at least one row and one column", value=(rows, columns))
    if sampled_units is not None and sampled_units < 2:
        raise UserError("a standard error needs at least 2 sampled units", value=sampled_units)
    sample = None if sampled_units is None else Sample(sampled_units, seed)
    threads = threads or available_cores()
    if dataflow == "os":
        return _output_stationary(mac, a, w, rows, columns, sample, threads)
    return _stationary(mac, a, w, dataflow, rows, columns, sample, threads)


@dataclass(frozen=True, slots=True)
class Sample:
    """How many units to draw, and the seed of the draw."""

    units: int
    seed: int

    def draw(self, population: int) -> list[int]:
        """Indices of the units drawn without replacement, sorted."""
        size = min(self.units, population)
        return sorted(np.random.default_rng(self.seed).choice(population, size, replace=False).tolist())


@dataclass(frozen=True, slots=True)
class Estimate:
    """A total over all units and its standard error."""

    total: float
    standard_error: float

    @classmethod
    def of(
        cls, counts: Sequence[int], weights: Sequence[int], population_weight: int, population: int
    ) -> Estimate:
        """The ratio estimator: counts per weight (MACs), scaled to the population's; exact if all are in."""
        n = len(counts)
        if n == population:
            return cls(sum(counts), 0.0)
        ratio = sum(counts) / sum(weights)
        residuals = sum((count - ratio * weight) ** 2 for count, weight in zip(counts, weights, strict=True))
        variance = population**2 * (1 - n / population) * residuals / (n - 1) / n
        return cls(ratio * population_weight, sqrt(variance))


def _blocks(size: int, step: int) -> list[slice]:
    return [slice(start, min(start + step, size)) for start in range(0, size, step)]


def _length(part: slice) -> int:
    return int(part.stop - part.start)


def _operand(fmt: Format, codes: Codes) -> tuple[Patterns, int, int]:
    """Register patterns, the pattern of zero and the register's width."""
    return register_patterns(fmt, codes), zero_pattern(fmt), register_bits(fmt)


def _output_stationary(
    mac: Mac, a: Codes, w: Codes, R: int, C: int, sample: Sample | None, threads: int
) -> SwitchingActivity:
    (M, K), N = a.shape, w.shape[1]
    row_blocks, column_blocks = _blocks(M, R), _blocks(N, C)
    folds = len(row_blocks) * len(column_blocks)
    a_patterns, a_zero, a_bits = _operand(mac.activation, a)
    w_patterns, w_zero, w_bits = _operand(mac.weight, w)
    a_toggles = path_toggles(a_patterns, a_zero, a_bits, axis=1) * C * len(column_blocks)
    w_toggles = path_toggles(w_patterns, w_zero, w_bits) * R * len(row_blocks)
    counter = Counter(mac, a, w)

    def count(rows: slice, columns: slice) -> tuple[Counted, int]:
        counted = counter.still(rows, columns)
        assert counted.sums is not None
        drain = sum(
            _drain_toggles(counted.sums[block.start : block.stop], mac.accumulator_bits, R)
            for block in _blocks(_length(rows), R)
        )
        return counted, drain

    if sample is None:  # whole rows of folds at a time: the lanes of the kernels run along n
        units = [(rows, slice(0, N)) for rows in row_blocks] if N else []
        population = len(units)
    else:
        every = [(rows, columns) for rows in row_blocks for columns in column_blocks]
        units, population = [every[i] for i in sample.draw(len(every))], len(every)
    results = _map(lambda unit: count(*unit), units, threads)
    sizes = [_length(rows) * _length(columns) * K for rows, columns in units]
    estimates = [
        Estimate.of(values, sizes, M * N * K, population)
        for values in (
            [counted.accumulator + drain for counted, drain in results],
            [counted.product for counted, _ in results],
            [drain for _, drain in results],
        )
    ]
    pe_steps = folds * R * C * K
    return SwitchingActivity(
        "os",
        R,
        C,
        M * N * K,
        RegisterActivity(a_bits, a_toggles, a_bits * pe_steps),
        RegisterActivity(w_bits, w_toggles, w_bits * pe_steps),
        _estimated(product_bits(mac), estimates[1], pe_steps),
        _estimated(mac.accumulator_bits, estimates[0], pe_steps),
        round(estimates[2].total),
    )


def _drain_toggles(sums: npt.NDArray[Any], bits: int, R: int) -> int:
    """Results [rows, N] of one row of folds shift down R rows, zeros following."""
    held = np.zeros((R, sums.shape[1]), sums.dtype)
    held[: sums.shape[0]] = sums
    # Row i takes held[i - 1] .. held[0], then zero: rows r .. R - 1 see the step from held[r] to held[r - 1].
    steps = differing_bits(held[1:], held[:-1], bits).sum(axis=1, dtype=np.int64)
    return R * hamming(held[0], np.zeros_like(held[0]), bits) + int(steps @ np.arange(R - 1, 0, -1))


def _stationary(
    mac: Mac,
    a: Codes,
    w: Codes,
    dataflow: Literal["ws", "is"],
    R: int,
    C: int,
    sample: Sample | None,
    threads: int,
) -> SwitchingActivity:
    (M, K), N = a.shape, w.shape[1]
    if dataflow == "ws":
        streamed_format, streamed, placed_format, placed = mac.activation, a, mac.weight, w
        counter = Counter(mac, a, w)
    else:
        streamed_format, streamed, placed_format, placed = mac.weight, w.T, mac.activation, a.T
        counter = Counter(_swapped(mac), w.T, a.T)
    T, lanes = streamed.shape[0], placed.shape[1]
    reductions, columns = _blocks(K, R), _blocks(lanes, C)
    s_patterns, s_zero, s_bits = _operand(streamed_format, streamed)
    p_patterns, p_zero, p_bits = _operand(placed_format, placed)
    s_toggles = path_toggles(s_patterns, s_zero, s_bits) * C * len(columns)
    p_toggles = _loading_toggles(p_patterns, p_zero, p_bits, R, C)

    if sample is None:
        units = [(slice(0, T), part, slice(0, lanes)) for part in reductions] if T and lanes else []
        population = len(units)
    else:
        every = [
            (block, part, cut)
            for part in reductions
            for cut in columns
            for block in _blocks(T, _STREAM_BLOCK)
        ]
        units, population = [every[i] for i in sample.draw(len(every))], len(every)

    def count(unit: tuple[slice, slice, slice]) -> Counted:
        return _moving_block(counter, *unit, T, passed_on=R - _length(unit[1]))

    results = _map(count, units, threads)
    sizes = [_length(block) * _length(part) * _length(cut) for block, part, cut in units]
    accumulator, product = (
        Estimate.of(values, sizes, T * K * lanes, population)
        for values in ([one.accumulator for one in results], [one.product for one in results])
    )
    folds = len(reductions) * len(columns)
    stream_steps = folds * R * C * T
    streamed_activity = RegisterActivity(s_bits, s_toggles, s_bits * stream_steps)
    placed_activity = RegisterActivity(p_bits, p_toggles, p_bits * folds * R * C * R)
    ws = dataflow == "ws"
    return SwitchingActivity(
        dataflow,
        R,
        C,
        M * N * K,
        streamed_activity if ws else placed_activity,
        placed_activity if ws else streamed_activity,
        _estimated(product_bits(mac), product, stream_steps),
        _estimated(mac.accumulator_bits, accumulator, stream_steps),
    )


def _moving_block(
    counter: Counter, block: slice, reduction: slice, cut: slice, T: int, *, passed_on: int
) -> Counted:
    """Toggles of the steps into a block of the stream of T, and of the return to zero behind the last one."""
    before = block.start - 1 if block.start else 0
    whole = counter.moving(slice(before, block.stop), reduction, cut, passed_on)
    accumulator, product = whole.accumulator, whole.product
    # The kernels come from zero and return to it; alone, one streamed index toggles the same bits on and off.
    borders = ([before] if block.start else []) + ([block.stop - 1] if block.stop < T else [])
    for m in borders:
        alone = counter.moving(slice(m, m + 1), reduction, cut, passed_on)
        accumulator -= alone.accumulator // 2
        product -= alone.product // 2
    return Counted(accumulator, product)


def _swapped(mac: Mac) -> Mac:
    """The same MAC with its operands exchanged: products and sums are symmetrical."""
    from dataclasses import replace

    from simulator.numerics.mac import get_mac

    spec = mac.spec
    return get_mac(replace(spec, activation=spec.weight, weight=spec.activation, output="nearest"))


def _loading_toggles(patterns: Patterns, zero: int, bits: int, R: int, C: int) -> int:
    """Operands [K, lanes] that stay: each fold shifts down from the top and pushes out the one before."""
    K, lanes = patterns.shape
    k_folds, cuts = ceil(K / R), ceil(lanes / C)
    padded = np.full((k_folds * R, cuts * C), zero, patterns.dtype)
    padded[:K, :lanes] = patterns
    folds = padded.reshape(k_folds, R, cuts, C).transpose(2, 0, 1, 3).reshape(-1, R, C)
    folds = np.concatenate([np.full((1, R, C), zero, patterns.dtype), folds])
    # Row i of a fold holds before[i], before[i - 1] .. before[0], then after[R - 1] .. after[i].
    steps = differing_bits(folds[:, 1:], folds[:, :-1], bits).sum(axis=2, dtype=np.int64)  # [folds, R - 1]
    times = np.arange(1, R)
    shifted = int((steps[:-1] @ times[::-1]).sum() + (steps[1:] @ times).sum())
    return R * hamming(folds[:-1, 0], folds[1:, -1], bits) + shifted


def _estimated(bits: int, estimate: Estimate, pe_steps: int) -> RegisterActivity:
    return RegisterActivity(bits, estimate.total, bits * pe_steps, estimate.standard_error)


def _map(work: Any, units: Sequence[Any], threads: int) -> list[Any]:
    if threads <= 1 or len(units) <= 1:
        return [work(unit) for unit in units]
    with ThreadPoolExecutor(min(threads, len(units))) as pool:
        return list(pool.map(work, units))


def expected_units(M: int, N: int, K: int, dataflow: Dataflow, *, rows: int = 32, columns: int = 32) -> int:
    """How many units a sampled count of an M x K times K x N product draws from."""
    if dataflow == "os":
        return ceil(M / rows) * ceil(N / columns)
    streamed, lanes = (M, N) if dataflow == "ws" else (N, M)
    return ceil(K / rows) * ceil(lanes / columns) * ceil(streamed / _STREAM_BLOCK)
