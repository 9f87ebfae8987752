"""What a layer's chosen tiling does, and what given ones do on the same machine, many at once."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

from simulator.arch import ArchConfig, load_arch
from simulator.system import LayerRun, simulate_network
from simulator.system.chosen_tiling import in_image_order
from simulator.system.dram import exact
from simulator.system.layer_work import BYTES, END, TOTALS, LayerWork
from simulator.system.nest_state import new_scratch
from simulator.system.objective import MovePrices
from simulator.system.tiling_candidates import CANDIDATE, SINGLE, estimate_rows
from simulator.system.tiling_needs import Limits
from simulator.system.tiling_trials import play_candidates
from simulator.workload.layer import Layer, Network
from tests.reference.legal_tilings import Pace
from tests.reference.tiling import Tiling

Integers = npt.NDArray[np.int64]


def simulate(layer: Layer, arch: ArchConfig, prices: MovePrices | None = None) -> LayerRun:
    """One layer on its own."""
    return simulate_network(arch, Network("n", (layer,)), move_prices=prices).layers[0]


def cost_of(run: LayerRun) -> tuple[int, int]:
    """Cycles and useful DRAM bytes of a layer."""
    moved = sum(traffic.total_bytes for traffic in run.counts.dram.values())
    return run.counts.cycles.total, moved


def with_tiling(
    arch: ArchConfig, tiling: Tiling, *, blocks: bool, single: tuple[str, ...] = ()
) -> ArchConfig:
    """The architecture with a tiling fixed; `blocks`: by images, rows and columns, else by pixels."""
    pixels = {
        "tiling.tile_images": tiling.images,
        "tiling.tile_rows": tiling.rows,
        "tiling.tile_columns": tiling.columns,
    }
    fields = {
        **(pixels if blocks else {"tiling.tile_m": tiling.columns}),
        "tiling.tile_n": tiling.n,
        "tiling.tile_k": tiling.k,
        "tiling.tile_groups": tiling.groups,
        "tiling.loops": tiling.loops,
        "tiling.whole_reduction": tiling.whole,
        "tiling.single_buffered": single,
    }
    return load_arch(arch, fields)


def pace_of(arch: ArchConfig) -> Pace:
    """The architecture's rates in clock cycles, for bounds."""
    cycle_ns = 1000 / exact(arch.clock_mhz)
    return Pace(
        bytes_per_cycle=float(exact(arch.dram.bandwidth_gbyte_per_s) * cycle_ns),
        latency=ceil(exact(arch.dram.latency_ns) / cycle_ns),
        output_latency=arch.output_path.latency_cycles,
        overlap=arch.array.overlap,
        trimmed=arch.array.partial_folds == "trimmed",
    )


@dataclass(frozen=True)
class Played:
    """Tilings that were played: their places among those given, and the machine's totals of each."""

    rows: Integers
    totals: Integers

    @property
    def cycles(self) -> Integers:
        """Cycles of each."""
        return self.totals[:, END]

    @property
    def streams(self) -> Integers:
        """Bytes of each in the four streams."""
        return self.totals[:, BYTES : BYTES + 4]

    @property
    def moved(self) -> Integers:
        """Bytes of each in all streams together."""
        return np.asarray(self.streams.sum(axis=1))


@dataclass(frozen=True)
class Player:
    """The machine that a layer is simulated on, ready to play tilings of it."""

    work: LayerWork
    limits: Limits

    @classmethod
    def of(cls, run: LayerRun, *, turned: bool) -> Player:
        """The machine of a simulated layer; `turned`: with blocks whose rows are columns of the image."""
        work = in_image_order(run.played.work, turned=run.tiling.turned != turned)
        return cls(work, run.played.limits)

    def play(self, rows: Integers, single: int = 0) -> Played:
        """Play tilings given as rows of `legal_tilings.Legal`; those that the machine refuses are left out.

        single: operands with one tile at a time, as in `Legal.with_single`.
        """
        candidates = np.zeros((len(rows), CANDIDATE), np.int64)
        candidates[:, :8] = rows
        candidates[:, 7] -= 1  # neither, ifmap, filter are -1, 0, 1
        candidates[:, SINGLE] = single
        wanted = {row.tobytes(): number for number, row in enumerate(candidates[:, :8])}
        scratch = new_scratch()
        kept = candidates[: estimate_rows(self.work, self.limits, candidates, scratch.needs)]
        numbers = np.array([wanted[row.tobytes()] for row in kept[:, :8]], np.int64)
        totals = np.empty((len(kept), TOTALS), np.int64)
        play_candidates(self.work, self.limits, kept, totals, scratch)
        return Played(numbers, totals)
