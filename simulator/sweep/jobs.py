"""A point made ready to run anywhere: its network and architecture, and a key of all that goes in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache

from simulator import __version__
from simulator.api import configure, load_workload, simulate
from simulator.arch import ArchConfig
from simulator.cost.book import PriceBook
from simulator.foundation import UserError
from simulator.result import SCHEMA_VERSION
from simulator.sweep.spec import SweepPoint
from simulator.workload import Network


@dataclass(frozen=True, slots=True)
class Job:
    """A simulation that needs no names or files of the machine it was planned on, but for price tables.

    `key` is a hash of everything that decides the result: network, resolved architecture, price tables and
    simulator version. Equal keys mean equal results.
    """

    key: str
    label: str
    network: Network
    arch: ArchConfig


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """A job's result as compact JSON, or why there is none."""

    text: str | None
    problem: str | None


def plan(points: Iterable[SweepPoint], *, skip_unsupported: bool = False) -> list[Job | UserError]:
    """The jobs of points, in order; a point whose architecture cannot be is an error in its place.

    Raises:
        UserError: a network that cannot be loaded, as every point with it would fail alike.
    """
    networks: dict[tuple[str, int | None], Network] = {}
    planned: list[Job | UserError] = []
    for point in points:
        name = (point.network, point.batch)
        if name not in networks:
            networks[name] = load_workload(
                point.network, batch=point.batch, skip_unsupported=skip_unsupported
            )
        try:
            arch = configure(point.arch, {"array.mac": point.mac, **point.overrides})
            planned.append(make_job(networks[name], arch, point.label))
        except UserError as error:
            planned.append(error)
    return planned


def make_job(network: Network, arch: ArchConfig, label: str) -> Job:
    """A job with its key. Raises UserError for price tables that cannot be read."""
    ingredients = {
        "simulator": __version__,
        "schema": SCHEMA_VERSION,
        "network": _network_hash(network),
        "arch": arch.model_dump(mode="json"),
        "tables": _table_hashes(arch.tables),
    }
    text = json.dumps(ingredients, sort_keys=True, default=str)
    return Job(hashlib.sha256(text.encode("utf-8")).hexdigest(), label, network, arch)


def run_job(job: Job) -> JobOutcome:
    """Simulate a job; whatever goes wrong comes back as text, so that other jobs are not lost."""
    try:
        return JobOutcome(simulate(job.network, job.arch).model_dump_json(), None)
    except UserError as error:
        return JobOutcome(None, str(error))
    except Exception as error:
        return JobOutcome(None, f"{type(error).__name__}: {error}")


@cache
def _network_hash(network: Network) -> str:
    text = json.dumps(asdict(network), sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


@cache
def _table_hashes(tables: tuple[str, ...]) -> dict[str, str]:
    return dict(PriceBook.load(tables).hashes)
