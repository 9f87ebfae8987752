"""Variants of one trained network in this process: images by its threads, what is left by other processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from simulator.foundation.callbacks import Progress
from simulator.inference.quantization import NetworkPlan
from simulator.inference.run_inference import InferenceResult, run_plans
from simulator.result import Result
from simulator.result_seal import seal
from simulator.spread_inference.block_groups import most_plans
from simulator.spread_inference.opened_source import OpenedSource
from simulator.spread_inference.plan_document import plan_text
from simulator.spread_inference.planning import plan_of
from simulator.spread_inference.variant_jobs import VariantJob, run_variant_job, variant_job
from simulator.spread_inference.variants import Variants
from simulator.sweep.jobs import failed
from simulator.sweep.runner import run_locally
from simulator.sweep.side_by_side import VariantRuns

Made = TypeVar("Made")


def run_here(opened: OpenedSource, variants: Variants, progress: Progress | None) -> VariantRuns:
    """Plans of all variants, then all images through groups of plans, then what is left of each variant.

    Raises:
        UserError: a worker process that was killed. What is wrong with a variant is in its failure.
    """
    by_plan = variants.by_plan(opened)
    plans: dict[str, NetworkPlan] = {}
    for key, names in by_plan.items():
        plan = _or_failure(partial(plan_of, opened, variants.arithmetics[names[0]]), variants, names)
        if plan is not None:
            plans[key] = plan
    keys = list(plans)
    size = most_plans(opened.model)
    found: dict[str, InferenceResult] = {}
    for start in range(0, len(keys), size):
        part = {key: plans[key] for key in keys[start : start + size]}
        found |= _found(opened, part, by_plan, variants, progress)
    ready = []
    for key, result in found.items():
        text = seal(plan_text(plans[key], variants.arithmetics[by_plan[key][0]].label), key)
        ready += [(variant_job(variants.jobs[name], name, key, result), text) for name in by_plan[key]]
    return variants.runs(_finished(ready, variants, progress))


def _found(
    opened: OpenedSource,
    plans: Mapping[str, NetworkPlan],
    by_plan: Mapping[str, Sequence[str]],
    variants: Variants,
    progress: Progress | None,
) -> dict[str, InferenceResult]:
    """What all images gave, by plan. Where anything goes wrong, plans run alone, and each fails alone."""
    advance = None if progress is None else partial(progress, "images")

    def run(keys: Sequence[str]) -> list[InferenceResult]:
        return run_plans(opened.model, opened.data, [plans[key] for key in keys], progress=advance)

    try:
        return dict(zip(plans, run(list(plans)), strict=True))
    except Exception:  # told of by the plan that it belongs to, below
        alone = {key: _or_failure(partial(run, [key]), variants, by_plan[key]) for key in plans}
        return {key: each[0] for key, each in alone.items() if each is not None}


def _or_failure(make: Callable[[], Made], variants: Variants, names: Sequence[str]) -> Made | None:
    """What `make` gives; None where it fails, which the variants are told."""
    try:
        return make()
    except Exception as error:
        outcome = failed(error)
        variants.fail(names, outcome.problem or "", outcome.traceback)
    return None


def _finished(
    ready: Sequence[tuple[VariantJob, str]], variants: Variants, progress: Progress | None
) -> dict[str, Result]:
    outcomes = run_locally([partial(run_variant_job, job, plan) for job, plan in ready], None, progress)
    results = {}
    for (job, _), outcome in zip(ready, outcomes, strict=True):
        if outcome.text is None:
            variants.fail([job.label], outcome.problem or "no result", outcome.traceback)
        else:
            results[job.label] = Result.model_validate_json(outcome.text)
    return results
