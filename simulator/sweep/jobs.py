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
from simulator.foundation.callbacks import Progress
from simulator.foundation.code_version import code_version
from simulator.foundation.reading.content import sha256_of
from simulator.foundation.reading.limits import LARGEST_ARCHIVE_BYTES
from simulator.foundation.whole_numbers import is_whole
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
    planner = Planner(skip_unsupported=skip_unsupported, sizes=sizes, tensors=tensors)
    planned: list[Job | UserError] = []
    for point in points:
        network = planner.network_of(point)
        try:
            planned.append(planner.job(point, network))
        except UserError as error:
            planned.append(error)
    planner.require_policies_used()
    return planned


def plan_keys(
    points: Iterable[SweepPoint],
    *,
    skip_unsupported: bool = False,
    tensors: Tensors | None = None,
    progress: Progress | None = None,
    total: int = 0,
) -> list[KeyedPoint | UserError]:
    """As `plan`, for any number of points: their jobs are not kept, but made again when they run.

    `progress` is called after every point with how many of `total` are planned. Raises as `plan`.
    """
    planner = Planner(skip_unsupported=skip_unsupported, sizes=None, tensors=tensors)
    planned: list[KeyedPoint | UserError] = []
    for number, point in enumerate(points, 1):
        network = planner.network_of(point)
        try:
            planned.append(KeyedPoint(planner.job(point, network).key, point, planner))
        except UserError as error:
            planned.append(error.alone())
        if progress is not None:
            progress("points to plan", number, total)
    planner.require_policies_used()
    return planned


class Planner:
    """Makes the jobs of points; every network is loaded once.

    Raises:
        UserError: an unknown policy.
    """

    def __init__(self, *, skip_unsupported: bool, sizes: Sizes | None, tensors: Tensors | None) -> None:
        self._skip_unsupported, self._sizes, self._tensors = skip_unsupported, sizes, tensors
        self._networks: dict[tuple[str, int | None], Network] = {}
        self._macs: set[str] = set()
        if tensors is not None:
            _require_policies(tensors)

    def network_of(self, point: SweepPoint) -> Network:
        """The network of a point. Raises UserError where it cannot be loaded."""
        if point.batch is not None and not is_whole(point.batch):
            raise UserError("must be a whole number", location="batch", value=point.batch)
        name = (point.network, point.batch)
        if name not in self._networks:
            self._networks[name] = load_workload(
                point.network,
                batch=point.batch,
                skip_unsupported=self._skip_unsupported,
                sizes=self._sizes,
            )
        return self._networks[name]

    def job(self, point: SweepPoint, network: Network) -> Job:
        """The job of a point with its network. Raises UserError for an architecture that cannot be."""
        mac = None if point.mac is None else mac_setting(point.mac)
        arch = configure(point.arch, {"array.mac": mac, **point.overrides})
        self._macs |= mac_names(arch)
        trained = None
        if self._tensors is not None:
            tensors = self._tensors.of_macs(mac_names(arch))
            trained = TrainedNetwork(point.network, tensors, point.batch, self._sizes)
        made_from = origin(
            arch,
            point.network,
            batch=point.batch,
            skip_unsupported=self._skip_unsupported,
            sizes=self._sizes,
            tensors=None if trained is None else trained.tensors,
        )
        return make_job(network, arch, point.label, made_from, trained)

    def require_policies_used(self) -> None:
        """Refuse a policy for a MAC that no point has. Raises UserError."""
        for name, policy in self._tensors.policies if self._tensors is not None else ():
            if self._macs and name not in self._macs:
                raise UserError(
                    "is a policy for a MAC that no variant has",
                    location="policy",
                    value=f"{name}={policy}",
                    candidates=self._macs,
                )


@dataclass(frozen=True, slots=True)
class KeyedPoint:
    """A planned point of which the key is kept: its job is made again when it runs."""

    key: str
    point: SweepPoint
    planner: Planner

    @property
    def label(self) -> str:
        """The point in one line."""
        return self.point.label

    def job(self) -> Job:
        """The job. Raises UserError where it cannot be made any more, or is another one by now."""
        job = self.planner.job(self.point, self.planner.network_of(self.point))
        if job.key != self.key:
            raise UserError("a file of this point has changed since the sweep began", source=self.label)
        return job


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
    except Exception as error:
        return failed(error)


def failed(error: Exception) -> JobOutcome:
    """What went wrong as an outcome; a defect has its traceback."""
    if isinstance(error, UserError):
        return JobOutcome(None, str(error))
    if isinstance(error, MemoryError):
        return JobOutcome(None, "needs more memory than there is")
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
