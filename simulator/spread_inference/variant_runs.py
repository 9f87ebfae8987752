"""Variants of one trained network side by side; all of them share the run of the images in float32."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from simulator.foundation import UserError
from simulator.foundation.callbacks import Progress
from simulator.foundation.defects import DefectError
from simulator.foundation.given_values import override_values
from simulator.inference.output_sink import Unsaved
from simulator.measured_runs import Tensors
from simulator.numerics.mac_setting import MacChoice
from simulator.spread_inference.opened_source import InferenceSource, OpenedSource
from simulator.spread_inference.spread_options import Spread
from simulator.spread_inference.spread_run import PlannedBlocks, Shares, SpreadRun, spread_run
from simulator.spread_inference.variant_jobs import VariantJob, run_variant_jobs, variant_job
from simulator.spread_inference.variants import Variants
from simulator.spread_inference.variants_here import run_here
from simulator.sweep.jobs import DEFECT, plan
from simulator.sweep.side_by_side import DEFAULT_ARCHS, VariantRuns, variant_name
from simulator.sweep.spec import SweepPoint
from simulator.workload.onnx.sizes import Sizes


def compare_on_images(
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
) -> tuple[VariantRuns, Shares | None]:
    """Simulate a trained network on images on every architecture with every MAC.

    Results are those of `simulator.simulation.simulate` with the same tensors, bit for bit. Variants with the
    same formats share their run; all variants share the run in float32.

    Args:
        network: a bundled name or a file.
        tensors: the images, and how the network gets its formats.
        spread: where blocks of images are computed and kept; where nothing is asked for, threads of this
            process share the images, and processes the rest.
        macs: MACs of every PE; empty: each architecture's own.
        archs: bundled names or files.
        batch: inferences at once, in place of the network's own.
        overrides: architecture fields by dotted name, laid over every architecture.
        skip_unsupported: leave out ONNX operators that cannot be simulated instead of refusing.
        sizes: of the inputs of an ONNX file, where it leaves them open.
        progress: called after every chunk or block of images, and after every variant.

    Returns:
        The variants, and how blocks were shared out where they were.

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
    if not spread.is_asked:
        opened = OpenedSource.of(source)
        return run_here(opened, Variants.of(opened.model, names, planned), progress), None
    with spread_run(source, spread) as run:
        return _spread(run, Variants.of(run.opened.model, names, planned), progress)


def _spread(run: SpreadRun, variants: Variants, progress: Progress | None) -> tuple[VariantRuns, Shares]:
    """Blocks first, then whatever is left of each variant."""
    by_plan = variants.by_plan(run.opened)
    distinct = [variants.arithmetics[names[0]] for names in by_plan.values()]
    computed, shares = run.compute(distinct, keeps="figures", after_failure="go on", progress=progress)
    ready: list[VariantJob] = []
    for blocks in computed:
        ready += _variant_jobs(run, variants, by_plan[blocks.plan_key], blocks)
    ran = run.run_jobs([[job] for job in ready], run_variant_jobs, what="variants", progress=progress)
    results = {}
    for job in ready:
        if job.key in ran.failures:
            _fail(run, variants, [job.label], ran.failures[job.key])
        else:
            results[job.label] = run.store.result(job.key)
    return variants.runs(results), replace(shares, unused=shares.unused - ran.resumed)


def _variant_jobs(
    run: SpreadRun, variants: Variants, names: Sequence[str], blocks: PlannedBlocks
) -> list[VariantJob]:
    """What is left of the variants that share these blocks, which are read and added up once."""
    try:
        found = run.result(blocks, sink=Unsaved())
    except (UserError, DefectError) as error:
        _fail(run, variants, names, str(error) if isinstance(error, UserError) else f"{DEFECT}: {error}")
        return []
    return [variant_job(variants.jobs[name], name, blocks.plan_key, found) for name in names]


def _fail(run: SpreadRun, variants: Variants, names: Sequence[str], problem: str) -> None:
    variants.fail(names, problem, run.tracebacks if problem.startswith(DEFECT) else None)
