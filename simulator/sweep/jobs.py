"""A point made ready to run anywhere: its network and architecture, and a key of all that goes in."""

from __future__ import annotations

import hashlib
import json
import traceback
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from functools import cache

from simulator.arch import ArchConfig
from simulator.cost.run_prices import PriceBook
from simulator.foundation import UserError
from simulator.foundation.code_version import code_version
from simulator.foundation.reading.content import sha256_of
from simulator.foundation.reading.limits import LARGEST_ARCHIVE_BYTES
from simulator.measured_runs import Tensors, tensor_files
from simulator.numerics import get_mac
from simulator.numerics.mac_setting import mac_setting
from simulator.result import SCHEMA_VERSION, Origin, Result
from simulator.simulation import configure, load_workload, origin, simulate
from simulator.sweep.spec import SweepPoint
from simulator.workload import Network
from simulator.workload.onnx.sizes import Sizes

DEFECT = "a defect of systolic"
"""How the problem of a job begins that failed by an error in this package."""


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """A network with weights and the images it runs on; both files must be where the job runs."""

    model: str
    tensors: Tensors
    batch: int | None
    sizes: Sizes | None = field(default=None, hash=False)


@dataclass(frozen=True, slots=True)
class Job:
    """A simulation that needs no names or files of the machine it was planned on, but for price tables.

    `key` is a hash of everything that decides the result: network, resolved architecture, price tables and
    the code that computes. Equal keys mean equal results. `code` is that code's version: a worker with
    another one refuses the job. `made_from` is what the point gave by name.
    """

    key: str
    label: str
    network: Network
    arch: ArchConfig
    code: str
    made_from: Origin
    trained: TrainedNetwork | None = None


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """A job's result as compact JSON, or why there is none; a defect also has its traceback."""

    text: str | None
    problem: str | None
    traceback: str | None = None


def plan(
    points: Iterable[SweepPoint],
    *,
    skip_unsupported: bool = False,
    sizes: Sizes | None = None,
    tensors: Tensors | None = None,
) -> list[Job | UserError]:
    """The jobs of points, in order; a point whose architecture cannot be is an error in its place.

    With `tensors` every network is a trained one and runs them in the point's own arithmetic.

    Raises:
        UserError: a network that cannot be loaded, as every point with it would fail alike, an unknown
            policy, or one for a MAC that no point has.
    """
    networks: dict[tuple[str, int | None], Network] = {}
    if tensors is not None:
        _require_policies(tensors)
    planned: list[Job | UserError] = []
    macs: set[str] = set()
    for point in points:
        name = (point.network, point.batch)
        if name not in networks:
            networks[name] = load_workload(
                point.network, batch=point.batch, skip_unsupported=skip_unsupported, sizes=sizes
            )
        try:
            mac = None if point.mac is None else mac_setting(point.mac)
            arch = configure(point.arch, {"array.mac": mac, **point.overrides})
            macs |= mac_names(arch)
            trained = None
            if tensors is not None:
                trained = TrainedNetwork(point.network, tensors.of_macs(mac_names(arch)), point.batch, sizes)
            tensors_here = trained.tensors if trained is not None else None
            made_from = origin(
                arch,
                point.network,
                batch=point.batch,
                skip_unsupported=skip_unsupported,
                sizes=sizes,
                tensors=tensors_here,
            )
            planned.append(make_job(networks[name], arch, point.label, made_from, trained))
        except UserError as error:
            planned.append(error)
    for name_of_mac, policy in tensors.policies if tensors is not None else ():
        if macs and name_of_mac not in macs:
            raise UserError(
                "is a policy for a MAC that no variant has",
                location="policy",
                value=f"{name_of_mac}={policy}",
                candidates=macs,
            )
    return planned


def _require_policies(tensors: Tensors) -> None:
    from simulator.inference.policies import get_policy

    for policy in (tensors.policy, *dict(tensors.policies).values()):
        if policy is not None:
            get_policy(policy)


def mac_names(arch: ArchConfig) -> set[str]:
    """Names of the MACs of an architecture, those of single layers included."""
    choices = [choice for layer in (None, *arch.layers) for choice, _ in arch.mac_choices(layer)]
    return {get_mac(choice, custom=arch.macs).name for choice in choices}


def make_job(
    network: Network, arch: ArchConfig, label: str, made_from: Origin, trained: TrainedNetwork | None = None
) -> Job:
    """A job with its key. Raises UserError for price tables or tensors that cannot be read."""
    ingredients: dict[str, object] = {
        "simulator": code_version(),
        "made_from": made_from.model_dump(mode="json"),
        "schema": SCHEMA_VERSION,
        "network": _network_hash(network),
        "arch": arch.model_dump(mode="json"),
        "tables": _table_hashes(arch.tables),
    }
    if trained is not None:
        ingredients["tensors"] = asdict(trained.tensors) | {"files": _file_hashes(trained)}
    text = json.dumps(ingredients, sort_keys=True, default=str)
    key = hashlib.sha256(text.encode("utf-8")).hexdigest()
    return Job(key, label, network, arch, code_version(), made_from, trained)


def run_job(job: Job) -> JobOutcome:
    """Simulate a job; whatever goes wrong comes back as text, so that other jobs are not lost."""
    return outcome_of(lambda: _simulated(job).model_dump_json(), code=job.code)


def outcome_of(compute: Callable[[], str], *, code: str) -> JobOutcome:
    """What `compute` gives, or what went wrong as text; `code` is the version that it was planned with."""
    if code != code_version():
        return JobOutcome(None, f"the worker runs other code: {code_version()}, planned with {code}")
    try:
        return JobOutcome(compute(), None)
    except UserError as error:
        return JobOutcome(None, str(error))
    except MemoryError:
        return JobOutcome(None, "needs more memory than there is")
    except Exception as error:
        told = "".join(traceback.format_exception(error))
        return JobOutcome(None, f"{DEFECT}: {type(error).__name__}: {error}", told)


def _simulated(job: Job) -> Result:
    trained = job.trained
    if trained is None:
        return simulate(job.network, job.arch, made_from=job.made_from)
    return simulate(
        trained.model,
        job.arch,
        tensors=trained.tensors,
        batch=trained.batch,
        sizes=trained.sizes,
        made_from=job.made_from,
    )


@cache
def _file_hashes(trained: TrainedNetwork) -> list[str]:
    files = tensor_files(trained.model, trained.tensors)
    return [sha256_of(path, most_bytes=LARGEST_ARCHIVE_BYTES) for path in files]


@cache
def _network_hash(network: Network) -> str:
    text = json.dumps(asdict(network), sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


@cache
def _table_hashes(tables: tuple[str, ...]) -> dict[str, str]:
    return dict(PriceBook.load(tables).hashes)
