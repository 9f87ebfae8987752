"""Variants of one network run side by side: some MACs, some architectures, on all cores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from simulator.foundation import UserError
from simulator.foundation.callbacks import Progress
from simulator.foundation.given_values import override_values
from simulator.numerics.mac_setting import MacChoice, mac_label
from simulator.result import Result
from simulator.simulation import DEFAULT_ARCH
from simulator.sweep.jobs import Job, JobOutcome, plan, run_job
from simulator.sweep.runner import run_locally
from simulator.sweep.spec import SweepPoint
from simulator.workload.onnx.sizes import Sizes

DEFAULT_ARCHS = (DEFAULT_ARCH,)


@dataclass(frozen=True, slots=True)
class VariantRuns:
    """Results in the order asked for, and by variant why the others have none."""

    results: tuple[Result, ...]
    failures: Mapping[str, str]
    tracebacks: Mapping[str, str] = field(default_factory=dict)
    """Of those variants that failed by a defect of this package."""


def compare(
    network: str,
    *,
    macs: Sequence[MacChoice] = (),
    archs: Sequence[str] = DEFAULT_ARCHS,
    batch: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    skip_unsupported: bool = False,
    sizes: Sizes | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> VariantRuns:
    """Simulate a network on every architecture with every MAC.

    Args:
        network: a bundled name or a file.
        macs: MACs of every PE; empty: each architecture's own.
        archs: bundled names or files.
        batch: inferences at once, in place of the network's own.
        overrides: architecture fields by dotted name, laid over every architecture.
        skip_unsupported: leave out ONNX operators that cannot be simulated instead of refusing.
        sizes: of the inputs of an ONNX file, where it leaves them open.
        jobs: processes to run on; None: one a core.
        progress: called after every variant.

    Raises:
        UserError: a network that cannot be loaded, or a worker process that was killed. What is wrong with
            a single variant is told in `failures` instead.
    """
    choices: Sequence[MacChoice | None] = macs or (None,)
    given = override_values(overrides)
    points = [SweepPoint(network, arch, mac, batch, given) for arch in archs for mac in choices]
    planned = plan(points, skip_unsupported=skip_unsupported, sizes=sizes)
    ready = [job for job in planned if isinstance(job, Job)]
    ran = run_locally([partial(run_job, job) for job in ready], jobs, progress)
    outcomes = dict(zip((job.key for job in ready), ran, strict=True))
    results: list[Result] = []
    failures: dict[str, str] = {}
    tracebacks: dict[str, str] = {}
    for point, job in zip(points, planned, strict=True):
        outcome = JobOutcome(None, str(job)) if isinstance(job, UserError) else outcomes[job.key]
        if outcome.text is not None:
            results.append(Result.model_validate_json(outcome.text))
        else:
            failures[variant_name(point)] = outcome.problem or "no result"
            if outcome.traceback is not None:
                tracebacks[variant_name(point)] = outcome.traceback
    return VariantRuns(tuple(results), failures, tracebacks)


def variant_name(point: SweepPoint) -> str:
    """A variant as messages name it."""
    return point.arch if point.mac is None else f"{point.arch} · {mac_label(point.mac)}"
