"""What is left of a variant once its images have run: toggles of the first batches, and the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simulator.foundation.code_version import code_version
from simulator.inference.overflow_counts import SumsOutside
from simulator.inference.run_inference import InferenceResult
from simulator.measured_runs import measure_on_images
from simulator.numerics.engines.threads import one_thread
from simulator.result import Result
from simulator.result_accuracy import Accuracy, LayerAccuracy
from simulator.simulation import finish
from simulator.spread_inference.block_jobs import key_of, plans_in
from simulator.sweep.jobs import Job, JobOutcome, outcome_of


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


def run_variant_jobs(jobs: Sequence[VariantJob], plans: Sequence[Path | str]) -> list[JobOutcome]:
    """Finish variants in a worker; plans as `run_variant_job` has them."""
    return [run_variant_job(job, plan) for job, plan in zip(jobs, plans, strict=True)]


def run_variant_job(job: VariantJob, plan: Path | str) -> JobOutcome:
    """Finish a variant; `plan` is a sealed one, or the file that has it."""
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
        plans_in([plan], [job.plan_key])[0],
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
