"""Variants of one trained network side by side, the images of each spread over all workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from simulator.foundation import UserError
from simulator.foundation.callbacks import Progress
from simulator.foundation.code_version import code_version
from simulator.foundation.defects import DefectError
from simulator.foundation.given_values import override_values
from simulator.inference.overflow_counts import SumsOutside
from simulator.inference.run_inference import InferenceResult
from simulator.measured_runs import Tensors, layer_arithmetic, measure_on_images
from simulator.numerics.array_types import Tensor
from simulator.numerics.engines.threads import one_thread
from simulator.numerics.mac_setting import MacChoice
from simulator.result import Result
from simulator.result_accuracy import Accuracy, LayerAccuracy
from simulator.simulation import finish
from simulator.spread_inference.block_jobs import key_of, plan_in
from simulator.spread_inference.opened_source import InferenceSource
from simulator.spread_inference.planning import Arithmetic, plan_key
from simulator.spread_inference.spread_options import Spread
from simulator.spread_inference.spread_run import PlannedBlocks, Shares, SpreadRun, spread_run
from simulator.sweep.jobs import DEFECT, Job, JobOutcome, outcome_of, plan
from simulator.sweep.side_by_side import DEFAULT_ARCHS, VariantRuns, variant_name
from simulator.sweep.spec import SweepPoint
from simulator.workload.onnx.sizes import Sizes


@dataclass(frozen=True, slots=True)
class VariantJob:
    """A variant whose accuracy is known: toggles of the first batches, the machine and the result are left.

    Attributes:
        key: a hash of everything that decides the result.
        label: the variant, for people.
        code: version of the code that the job was planned with.
        job: the simulation.
        plan_key: of the plan that its images ran through.
        accuracy: of all images, as JSON.
        layers: accuracies by layer, as JSON.
        sums: by layer, those that left their accumulator and all.
        notes: on the data and the network.
    """

    key: str
    label: str
    code: str
    job: Job
    plan_key: str
    accuracy: str
    layers: Mapping[str, str]
    sums: Mapping[str, tuple[int, int]]
    notes: tuple[str, ...]


def compare_spread(
    network: str,
    tensors: Tensors,
    spread: Spread,
    *,
    macs: Sequence[MacChoice] = (),
    archs: Sequence[str] = DEFAULT_ARCHS,
    batch: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    skip_unsupported: bool = False,
    sizes: Sizes | None = None,
    progress: Progress | None = None,
) -> tuple[VariantRuns, Shares]:
    """Simulate a trained network on images on every architecture with every MAC, by several workers.

    Results are those of `simulator.sweep.side_by_side.compare`, bit for bit. Variants with the same formats
    share their blocks of images.

    Args:
        network: a bundled name or a file.
        tensors: the images, and how the network gets its formats.
        spread: where blocks of images are computed and kept.
        macs: MACs of every PE; empty: each architecture's own.
        archs: bundled names or files.
        batch: inferences at once, in place of the network's own.
        overrides: architecture fields by dotted name, laid over every architecture.
        skip_unsupported: leave out ONNX operators that cannot be simulated instead of refusing.
        sizes: of the inputs of an ONNX file, where it leaves them open.
        progress: called after every block, and after every variant.

    Raises:
        UserError: a network or data that cannot be loaded, workers that cannot be had or are lost, or a store
            that cannot be used. What is wrong with a single variant is told in `failures` instead.
    """
    choices: Sequence[MacChoice | None] = macs or (None,)
    given = override_values(overrides)
    points = [SweepPoint(network, arch, mac, batch, given) for arch in archs for mac in choices]
    planned = plan(points, skip_unsupported=skip_unsupported, sizes=sizes, tensors=tensors)
    names = [variant_name(point) for point in points]
    source = InferenceSource(
        network,
        tensors.data,
        tensors.images,
        preprocess=tensors.preprocess,
        labels=tensors.labels,
        sizes=sizes,
    )
    with spread_run(source, spread) as run:
        return _Variants(run, names, planned).results(progress)


class _Variants:
    """Variants by name, each a job or the reason why there is none."""

    def __init__(self, run: SpreadRun, names: Sequence[str], planned: Sequence[Job | UserError]) -> None:
        self._run = run
        self._names = names
        self._jobs: dict[str, Job] = {}
        self._arithmetics: dict[str, Arithmetic] = {}
        self._failures: dict[str, str] = {}
        self._tracebacks: dict[str, str] = {}
        for name, job in zip(names, planned, strict=True):
            try:
                self._add(name, job)
            except UserError as error:
                self._failures[name] = str(error)

    def _add(self, name: str, job: Job | UserError) -> None:
        if isinstance(job, UserError):
            raise job
        assert job.trained is not None
        chosen = layer_arithmetic(job.arch, self._run.opened.model, job.trained.tensors)
        self._arithmetics[name] = Arithmetic(chosen.mac, chosen.policy, chosen.layer_macs)
        self._jobs[name] = job

    def results(self, progress: Progress | None) -> tuple[VariantRuns, Shares]:
        """Blocks first, then whatever is left of each variant."""
        run = self._run
        keys = {name: plan_key(run.opened, each) for name, each in self._arithmetics.items()}
        distinct = {keys[name]: each for name, each in self._arithmetics.items()}
        computed, shares = run.compute(
            list(distinct.values()), keeps="figures", after_failure="go on", progress=progress
        )
        ready: list[VariantJob] = []
        for blocks in computed:
            ready += self._variant_jobs([name for name in keys if keys[name] == blocks.plan_key], blocks)
        ran = run.run_jobs(ready, run_variant_job, what="variants", progress=progress)
        results = {}
        for job in ready:
            if job.key in ran.failures:
                self._fail(job.label, ran.failures[job.key])
            else:
                results[job.label] = run.store.result(job.key)
        order = [name for name in self._names if name in results]
        failed = {name: self._failures[name] for name in self._names if name in self._failures}
        told = {name: self._tracebacks[name] for name in failed if name in self._tracebacks}
        runs = VariantRuns(tuple(results[name] for name in order), failed, told)
        return runs, replace(shares, unused=shares.unused - ran.resumed)

    def _variant_jobs(self, names: Sequence[str], blocks: PlannedBlocks) -> list[VariantJob]:
        """What is left of the variants that share these blocks, which are read and added up once."""
        try:
            found = self._run.result(blocks, sink=_NoOutputs())
        except (UserError, DefectError) as error:
            problem = str(error) if isinstance(error, UserError) else f"{DEFECT}: {error}"
            for name in names:
                self._fail(name, problem)
            return []
        return [variant_job(self._jobs[name], name, blocks.plan_key, found) for name in names]

    def _fail(self, name: str, problem: str) -> None:
        self._failures[name] = problem
        if problem.startswith(DEFECT):
            self._tracebacks[name] = self._run.tracebacks


class _NoOutputs:
    """Takes outputs that blocks do not have."""

    def take(self, outputs: Mapping[str, Tensor]) -> None:
        """Do nothing."""


def variant_job(job: Job, name: str, key: str, found: InferenceResult) -> VariantJob:
    """What is left of a variant, once all its images have run; `key` is that of its plan."""
    accuracy = found.accuracy.model_dump_json()
    layers = {layer: each.model_dump_json() for layer, each in found.layers.items()}
    sums = {layer: (each.outside, each.sums) for layer, each in found.sums.items()}
    ingredients = {
        "kind": "variant",
        "job": job.key,
        "plan": key,
        "accuracy": accuracy,
        "layers": layers,
        "sums": sums,
        "notes": found.notes,
    }
    return VariantJob(
        key_of(ingredients), name, code_version(), job, key, accuracy, layers, sums, found.notes
    )


def run_variant_job(job: VariantJob, plan: Path | str) -> JobOutcome:
    """Finish a variant in a worker; `plan` is a sealed plan, or the file that has it."""
    return outcome_of(lambda: _finished(job, plan).model_dump_json(), code=job.code)


def _finished(job: VariantJob, plan: Path | str) -> Result:
    trained = job.job.trained
    assert trained is not None
    nothing = np.zeros(0, np.float32)
    known = InferenceResult(
        Accuracy.model_validate_json(job.accuracy),
        {name: LayerAccuracy.model_validate_json(text) for name, text in job.layers.items()},
        nothing,
        nothing,
        plan_in(plan, job.plan_key),
        {},
        {name: SumsOutside(*each) for name, each in job.sums.items()},
        job.notes,
    )
    with one_thread():
        ready = measure_on_images(
            job.job.arch,
            trained.model,
            trained.tensors,
            batch=trained.batch,
            sizes=trained.sizes,
            known=known,
        )
    return finish(ready, made_from=job.job.made_from)
