"""Variants of one trained network: what each computes, and why some have no result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from simulator.foundation import UserError
from simulator.inference import Model
from simulator.measured_runs import layer_arithmetic
from simulator.result import Result
from simulator.spread_inference.opened_source import OpenedSource
from simulator.spread_inference.planning import Arithmetic, plan_key
from simulator.sweep.jobs import Job
from simulator.sweep.side_by_side import VariantRuns


@dataclass(slots=True)
class Variants:
    """Variants by name, in the order asked for.

    Attributes:
        names: of all.
        jobs: of those that can be simulated.
        arithmetics: how each of those gets its formats.
        failures: by name, why others have no result.
        tracebacks: of those that failed by a defect of this package.
    """

    names: Sequence[str]
    jobs: dict[str, Job] = field(default_factory=dict)
    arithmetics: dict[str, Arithmetic] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    tracebacks: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Model, names: Sequence[str], planned: Sequence[Job | UserError]) -> Variants:
        """Variants as `simulator.sweep.jobs.plan` has them."""
        variants = cls(names)
        for name, job in zip(names, planned, strict=True):
            try:
                variants._add(model, name, job)
            except UserError as error:
                variants.fail([name], str(error))
        return variants

    def _add(self, model: Model, name: str, job: Job | UserError) -> None:
        if isinstance(job, UserError):
            raise job
        assert job.trained is not None
        chosen = layer_arithmetic(job.arch, model, job.trained.tensors)
        self.arithmetics[name] = Arithmetic(chosen.mac, chosen.policy, chosen.layer_macs)
        self.jobs[name] = job

    def by_plan(self, opened: OpenedSource) -> dict[str, list[str]]:
        """Names of the variants with the same formats, by the key of their plan."""
        shared: dict[str, list[str]] = {}
        for name, arithmetic in self.arithmetics.items():
            shared.setdefault(plan_key(opened, arithmetic), []).append(name)
        return shared

    def fail(self, names: Iterable[str], problem: str, traceback: str | None = None) -> None:
        """Note why variants have no result."""
        for name in names:
            self.failures[name] = problem
            if traceback is not None:
                self.tracebacks[name] = traceback

    def runs(self, results: Mapping[str, Result]) -> VariantRuns:
        """Results and failures, in the order asked for."""
        found = tuple(results[name] for name in self.names if name in results)
        failed = {name: self.failures[name] for name in self.names if name in self.failures}
        told = {name: self.tracebacks[name] for name in failed if name in self.tracebacks}
        return VariantRuns(found, failed, told)
