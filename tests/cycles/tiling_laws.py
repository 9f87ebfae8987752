"""The laws that a choice of tiling must obey, each as a check of one random layer that says what it found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from random import Random
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from simulator.arch import ArchConfig, load_arch
from simulator.arch.config import Objective
from simulator.foundation import UserError
from simulator.system import LayerRun
from simulator.system.objective import MovePrices
from simulator.workload.batching import with_batch
from simulator.workload.layer import Layer, Network
from tests.cycles.random_layers import Case
from tests.cycles.tiling_player import Played, Player, cost_of, pace_of, simulate, with_tiling
from tests.reference.legal_tilings import Legal, Pace, legal_tilings
from tests.reference.tiling import Problem, is_product, problem_of, unique_bytes

TOLERANCE = 1.001
NEAR = 1.01
"""The objective `latency` takes the least traffic within 1 % of the fewest cycles."""
MOST_PLAYED_FOR_ENERGY, MOST_SINGLE_FOR_ENERGY = 1000, 50
SAMPLED = 12

PRICES = MovePrices(
    dram_pj_per_byte=40.0,
    read_pj_per_byte={"ifmap": 0.6, "filter": 0.7, "ofmap": 0.8},
    write_pj_per_byte={"ifmap": 0.9, "filter": 1.0, "ofmap": 1.1},
    cycle_pj=2.0,
)
"""Any prices do; these are about those of a small accelerator."""


class Form(NamedTuple):
    """One way to cut a layer: as a plain product, or by blocks, whose rows and columns may change places."""

    product: bool
    turned: bool = False


@dataclass(frozen=True)
class Subject:
    """A layer on an accelerator with an objective, simulated."""

    case: Case
    objective: Objective

    @cached_property
    def arch(self) -> ArchConfig:
        """The accelerator with the objective."""
        return load_arch(self.case.arch, {"tiling.objective": self.objective})

    @cached_property
    def run(self) -> LayerRun:
        """The layer with the tiling that was chosen."""
        return self.on(self.arch)

    def on(self, arch: ArchConfig, layer: Layer | None = None) -> LayerRun:
        """The layer, or another one, on an accelerator."""
        return simulate(layer or self.case.layer, arch, PRICES if self.objective == "energy" else None)

    @property
    def allowance(self) -> float:
        """How far above the least cost a choice may be."""
        return NEAR * TOLERANCE if self.objective == "latency" else TOLERANCE

    def cost(self, run: LayerRun) -> float:
        """What the objective counts."""
        cycles, moved = cost_of(run)
        if self.objective == "energy":
            return energy_of(run)
        return float(cycles if self.objective == "latency" else moved)

    @cached_property
    def forms(self) -> tuple[Form, ...]:
        """Every form of the layer: a plain product, blocks of a convolution in both orders of its image."""
        layer = self.case.layer
        if layer.convolution is None:
            return (Form(product=True),)
        blocks, turned = Form(product=False), Form(product=False, turned=True)
        if is_product(layer):
            return Form(product=True), blocks
        problem = self.problem(blocks)
        return (blocks,) if problem.rows == problem.columns else (blocks, turned)

    def problem(self, form: Form) -> Problem:
        """What the reference takes."""
        problem = problem_of(self.case.layer, self.arch, product=form.product)
        return replace(problem, rows=problem.columns, columns=problem.rows) if form.turned else problem

    @cached_property
    def legal(self) -> tuple[Legal, ...]:
        """Every legal tiling, form by form."""
        pace = pace_of(self.arch)
        return tuple(legal_tilings(self.problem(form), pace) for form in self.forms)

    def player(self, legal: Legal, form: Form) -> Player:
        """The machine for one form of the layer."""
        if form.product or not is_product(self.case.layer):
            return Player.of(self.run, turned=form.turned)
        first = legal.tiling(0)
        return Player.of(self.on(with_tiling(self.arch, first, blocks=True)), turned=form.turned)


def energy_of(run: LayerRun) -> float:
    """Picojoules of what depends on the tiling."""
    return float(run.tiling.totals @ PRICES.weights(run.played.work))


def no_legal_tiling_is_better(subject: Subject, rnd: Random) -> Iterator[str]:
    """(a) Every legal tiling, left out only where its bounds say that it cannot be better."""
    pace = pace_of(subject.arch)
    for form, legal in zip(subject.forms, subject.legal, strict=True):
        problem = subject.problem(form)
        if not len(legal.rows):
            continue
        places = np.nonzero(_may_be_better(subject, legal, rnd))[0]
        sample = np.array(rnd.sample(range(len(legal.rows)), min(SAMPLED, len(legal.rows))))
        chosen = legal.at(np.union1d(places, sample))
        player = subject.player(legal, form)
        for single in range(8):
            some = chosen.with_single(single, problem) if single else chosen
            if single and subject.objective == "energy":
                some = some.at(np.arange(min(MOST_SINGLE_FOR_ENERGY, len(some.rows))))
            elif single:
                some = some.at(np.nonzero(_may_be_better(subject, some, rnd))[0])
            if not len(some.rows):
                continue
            played = player.play(some.rows, single)
            yield from _not_as_defined(some, played, pace, problem)
            for said, place in beaten(subject, played, player):
                yield f"(a) {said} with {some.tiling(int(played.rows[place]))}, single {single}, {form}"


def _not_as_defined(legal: Legal, played: Played, pace: Pace, problem: Problem) -> Iterator[str]:
    """Legal tilings that were refused, move other bytes, or take fewer cycles than possible: one of each."""
    missing = np.setdiff1d(np.arange(len(legal.rows)), played.rows)
    yield from (f"(a) refused: {legal.tiling(place)} of {problem}" for place in missing[:1])
    legal = legal.at(played.rows)
    wrong = np.nonzero((played.streams != legal.traffic).any(axis=1))[0]
    yield from (f"(a) bytes are not those of {legal.tiling(place)} of {problem}" for place in wrong[:1])
    wrong = np.nonzero(played.cycles + 1 < legal.cycles(pace))[0]
    yield from (f"(a) bound broken by {legal.tiling(place)} of {problem}" for place in wrong[:1])


def beaten(subject: Subject, played: Played, player: Player) -> Iterator[tuple[str, int]]:
    """What a played tiling is better in, and the place of the one that is most."""
    cycles, moved = cost_of(subject.run)
    for what, excess in _better(subject, played, player, cycles, moved):
        if len(excess) and excess.max() > 0:
            best = int(np.argmax(excess))
            yield (
                f"{what} by {excess[best]:.2%}: {cycles} cycles, {moved} bytes, "
                f"chosen {tuple(subject.run.tiling.blocking)}; "
                f"{played.cycles[best]}, {played.moved[best]}",
                best,
            )


def _may_be_better(subject: Subject, legal: Legal, rnd: Random) -> npt.NDArray[np.bool_]:
    """Tilings that their bounds do not rule out; for the objective `energy`, which has none, random ones."""
    cycles, moved = cost_of(subject.run)
    least_bytes, least_cycles = legal.traffic.sum(axis=1), legal.cycles(pace_of(subject.arch))
    if subject.objective == "energy":
        share = MOST_PLAYED_FOR_ENERGY / max(1, len(least_bytes))
        return np.random.default_rng(rnd.randrange(2**32)).random(len(least_bytes)) < share
    faster: npt.NDArray[np.bool_] = (least_bytes <= moved) & (least_cycles * TOLERANCE < cycles)
    if subject.objective == "traffic":
        smaller: npt.NDArray[np.bool_] = least_bytes * TOLERANCE < moved
        return faster | smaller
    lighter: npt.NDArray[np.bool_] = (least_bytes * TOLERANCE < moved) & (least_cycles <= cycles)
    return np.logical_or(faster | lighter, least_cycles * TOLERANCE * NEAR < cycles)


def _better(
    subject: Subject, played: Played, player: Player, cycles: int, moved: int
) -> Iterator[tuple[str, npt.NDArray[np.float64]]]:
    """What is beaten, and by how much by each tiling (0: not, or within the tolerance)."""

    def excess(
        ratio: npt.NDArray[np.float64], allowed: float, among: npt.NDArray[np.bool_] | bool = True
    ) -> npt.NDArray[np.float64]:
        return np.where((ratio > allowed) & among, ratio - 1, 0.0)

    if subject.objective == "energy":
        energy = played.totals @ PRICES.weights(player.work)
        yield "energy beaten", excess(energy_of(subject.run) / energy, TOLERANCE)
        return
    faster, lighter = cycles / played.cycles, moved / played.moved
    yield "cycles beaten at as few bytes", excess(faster, TOLERANCE, played.moved <= moved)
    yield "bytes beaten at as few cycles", excess(lighter, TOLERANCE, played.cycles <= cycles)
    if subject.objective == "latency":
        yield "not within 1 % of the fewest cycles", excess(faster, TOLERANCE * NEAR)
    else:
        yield "not the least traffic", excess(lighter, TOLERANCE)


def a_batch_costs_no_more_than_its_parts(subject: Subject, rnd: Random) -> Iterator[str]:
    """(b) Batch N costs at most N times batch 1."""
    times = rnd.choice([2, 3, 5])
    single = Network("n", (subject.case.layer,))
    batched = subject.on(subject.arch, with_batch(single, times).layers[0])
    once, together = subject.cost(subject.run), subject.cost(batched)
    if together > times * once * subject.allowance:
        yield f"(b) batch {times} costs {together}, {together / times / once - 1:.2%} above {times} x {once}"


def more_room_costs_no_more(subject: Subject, rnd: Random) -> Iterator[str]:
    """(c) A larger buffer never costs more."""
    every = tuple(memory.name for memory in subject.arch.sram.memories)
    names = rnd.choice([*((name,) for name in every), every])
    factor = rnd.choice([1.25, 1.5, 2, 3, 8])
    fields: dict[str, object] = {}
    for name in names:
        config = subject.arch.sram[name]
        fields[f"sram.{name}.capacity_kib"] = config.capacity_kib * factor
        for operand, share_kib in config.shares_kib.items():
            fields[f"sram.{name}.shares_kib.{operand}"] = share_kib * factor
    before, after = subject.cost(subject.run), subject.cost(subject.on(load_arch(subject.arch, fields)))
    if after > before * subject.allowance:
        yield f"(c) {factor} times the {names} buffer costs {after}, {after / before - 1:.2%} above {before}"


def more_bandwidth_takes_no_longer(subject: Subject, rnd: Random) -> Iterator[str]:
    """(d) For one fixed tiling, and for `latency`, time never grows with bandwidth."""
    factor = rnd.choice([1.1, 1.5, 2, 10])
    field = {"dram.bandwidth_gbyte_per_s": round(subject.arch.dram.bandwidth_gbyte_per_s * factor, 3)}
    faster = subject.on(load_arch(subject.arch, field))
    if subject.objective == "latency":
        before, after = subject.cost(subject.run), subject.cost(faster)
        if after > before * subject.allowance:
            yield f"(d) {factor} times the bandwidth takes {after}, {after / before - 1:.2%} above {before}"
    legal = subject.legal[0]
    rows = legal.rows[rnd.sample(range(len(legal.rows)), min(SAMPLED, len(legal.rows)))]
    slow = Player.of(subject.run, turned=False).play(rows)
    fast = Player.of(faster, turned=False).play(rows)
    for place in np.nonzero(fast.cycles > slow.cycles)[0][:1]:
        before, after = slow.cycles[place], fast.cycles[place]
        yield f"(d) {factor} times the bandwidth: {before} become {after} of {rows[place]}"


def no_byte_fewer_than_there_are(subject: Subject, _: Random) -> Iterator[str]:
    """(e) Bytes are never below the unique ones."""
    moved, unique = cost_of(subject.run)[1], unique_bytes(subject.problem(subject.forms[-1]))
    if moved < unique:
        yield f"(e) {moved} bytes move, {unique} are needed"


LAWS: tuple[Callable[[Subject, Random], Iterator[str]], ...] = (
    no_legal_tiling_is_better,
    a_batch_costs_no_more_than_its_parts,
    more_room_costs_no_more,
    more_bandwidth_takes_no_longer,
    no_byte_fewer_than_there_are,
)


def violations(case: Case, objective: Objective, rnd: Random) -> list[str]:
    """Everything in which the choice for one layer breaks a law."""
    subject = Subject(case, objective)
    try:
        chosen = subject.run
    except UserError as error:
        fits = max(len(legal.rows) for legal in subject.legal)
        return [f"(a) refused though {fits} tilings are legal: {error}"] if fits else []
    assert chosen.layer == case.layer
    return [found for law in LAWS for found in law(subject, rnd)]
