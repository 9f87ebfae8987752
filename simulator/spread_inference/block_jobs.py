"""Blocks of images as jobs: what a worker is sent, and what it does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from simulator.foundation import UserError
from simulator.foundation.code_version import code_version
from simulator.foundation.reading.content import read_text
from simulator.foundation.reading.limits import LARGEST_JSON_BYTES
from simulator.inference.blocks import Block, run_block
from simulator.inference.quantization import NetworkPlan
from simulator.result_seal import require_seal
from simulator.spread_inference.block_document import Keeps, block_text
from simulator.spread_inference.opened_source import InferenceSource, LastMade, OpenedSource
from simulator.spread_inference.plan_document import read_plan
from simulator.sweep.jobs import JobOutcome, outcome_of

DOCUMENTS: Final = 1
"""Version of what stores keep; keys have it."""


@dataclass(frozen=True, slots=True)
class BlockJob:
    """A block of images to take through a planned network.

    `key` is a hash of everything that decides its figures; `identity` and `content` are what the worker must
    find in its files.
    """

    key: str
    label: str
    code: str
    source: InferenceSource
    plan_key: str
    block: Block
    identity: str
    content: str
    keeps: Keeps


def key_of(ingredients: Mapping[str, object]) -> str:
    """A key of a store: a hash of what decides, of the code that computes and of how it is written down."""
    whole = {"documents": DOCUMENTS, "simulator": code_version(), **ingredients}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode("utf-8")).hexdigest()


def block_job(opened: OpenedSource, plan_key: str, block: Block, label: str, keeps: Keeps) -> BlockJob:
    """The job of a block. Raises UserError: a file of an image that cannot be read."""
    content = opened.content(block.start, block.stop)
    ingredients = {
        "kind": "block",
        "plan": plan_key,
        "model": opened.model_hash,
        "judged": opened.model.output,
        "block": asdict(block),
        "content": content,
        "preprocess": opened.data.facts.preprocess,
        "keeps": keeps,
    }
    where = f"images {block.start} to {block.stop - 1} in {label}"
    return BlockJob(
        key_of(ingredients),
        where,
        code_version(),
        opened.source,
        plan_key,
        block,
        opened.identity,
        content,
        keeps,
    )


_SOURCES: LastMade[tuple[InferenceSource, str], OpenedSource] = LastMade()
_PLANS: LastMade[tuple[str, ...], list[NetworkPlan]] = LastMade()
"""What a worker loads once, for all blocks that come one after the other."""


def run_block_jobs(jobs: Sequence[BlockJob], plans: Sequence[Path | str]) -> list[JobOutcome]:
    """Compute one block with several plans in a worker; each is a sealed plan, or the file that has it.

    What the plans have in common, the run in float32, is computed once. Where anything goes wrong, plans run
    by themselves, so that each has the outcome that it has alone.
    """
    if len(jobs) > 1 and jobs[0].code == code_version():
        with suppress(Exception):  # told of by the job that it belongs to, below
            return [JobOutcome(text, None) for text in _computed(jobs, plans)]
    return [
        outcome_of(partial(_computed_alone, job, plan), code=job.code)
        for job, plan in zip(jobs, plans, strict=True)
    ]


def _computed_alone(job: BlockJob, plan: Path | str) -> str:
    return _computed([job], [plan])[0]


def _computed(jobs: Sequence[BlockJob], plans: Sequence[Path | str]) -> list[str]:
    job = jobs[0]
    opened = _SOURCES.get((job.source, job.identity), lambda: _same_source(job))
    if opened.content(job.block.start, job.block.stop) != job.content:
        raise _other_files(job)
    network_plans = plans_in(plans, [each.plan_key for each in jobs])
    notes = opened.data.facts.notes
    for about in set(notes) - opened.known_notes:  # learned from the images of other blocks
        notes.pop(about, None)
    runs = run_block(opened.model, opened.data, network_plans, job.block)
    learned = {about: note for about, note in notes.items() if about not in opened.known_notes}
    return [block_text(replace(run, data_notes=learned), job.keeps) for run in runs]


def plans_in(plans: Sequence[Path | str], keys: Sequence[str]) -> list[NetworkPlan]:
    """Plans in a worker, read once. Raises UserError: one is not as it was kept."""
    return _PLANS.get(tuple(keys), lambda: [_read(plan, key) for plan, key in zip(plans, keys, strict=True)])


def _read(plan: Path | str, key: str) -> NetworkPlan:
    text = read_text(plan, most_bytes=LARGEST_JSON_BYTES) if isinstance(plan, Path) else plan
    require_seal(text, source="the plan", key=key)
    return read_plan(text, source="the plan")


def _same_source(job: BlockJob) -> OpenedSource:
    opened = OpenedSource.of(job.source)
    if opened.identity != job.identity:
        raise _other_files(job)
    return opened


def _other_files(job: BlockJob) -> UserError:
    return UserError(
        "are not, where a block was computed, the files that the run was planned with, or they changed since",
        source=f"{job.source.model} and {job.source.data}",
        allowed="the same files wherever blocks are computed",
    )
