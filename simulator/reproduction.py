"""A result run again from what it says it was made from, and whatever differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from simulator.arch import ArchConfig
from simulator.arch.scalesim_cfg import read_scalesim_cfg
from simulator.foundation import UserError
from simulator.foundation.callbacks import Progress
from simulator.foundation.documents import validate
from simulator.foundation.reading.content import is_folder
from simulator.measured_runs import Tensors, measure_on_images, measure_recorded
from simulator.measurements import MeasuredRun
from simulator.result import Origin, Result
from simulator.simulation import finish, load_workload
from simulator.workload.onnx.sizes import parse_sizes

_CAUSES: Final = ("simulator_version", "sources", "arch", "made_from")
"""Fields that say what a result was made from, not what came out."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of a result with its value then and now; None where it has no value or is not there."""

    field: str
    before: object
    after: object


@dataclass(frozen=True, slots=True)
class Reproduction:
    """A result beside the same run made again.

    causes: what it was made from that is another now: code, tables, network, architecture. figures: what
    came out differently. compared: how many figures there are.
    """

    again: Result
    causes: tuple[Difference, ...]
    figures: tuple[Difference, ...]
    compared: int

    @property
    def is_same(self) -> bool:
        """Whether every figure came out as the result has it."""
        return not self.figures


def reproduce(result: Result, *, source: object = None, progress: Progress | None = None) -> Reproduction:
    """Run a result again with the code, tables and network that are here now.

    Args:
        result: as it was written.
        source: names it in errors.
        progress: called after every layer.

    Raises:
        UserError: a result that does not say what it was made from, or files that are not there any more.
    """
    made_from = result.made_from
    if made_from is None:
        raise UserError(
            "does not say what it was made from, so it cannot be run again",
            source=source,
            location="made_from",
            allowed="a result of `systolic simulate`, or of `simulate` given a network's name or file",
        )
    arch = validate(ArchConfig, made_from.arch or result.arch, source=source)
    again = _run(arch, made_from, progress)
    before, after = (dict(_leaves(each.model_dump(mode="json"))) for each in (result, again))
    figures = {field for field in before.keys() | after.keys() if field.partition(".")[0] not in _CAUSES}
    return Reproduction(
        again,
        tuple(_causes(result, again)),
        tuple(
            Difference(field, before.get(field), after.get(field))
            for field in sorted(figures, key=_place(before, after))
            if before.get(field) != after.get(field)
        ),
        len(figures),
    )


def _run(arch: ArchConfig, made_from: Origin, progress: Progress | None) -> Result:
    scalesim = None if made_from.scalesim_cfg is None else read_scalesim_cfg(made_from.scalesim_cfg)
    sizes = replace(
        parse_sizes(None, None, made_from.batch_axis),
        input_shapes={name: tuple(shape) for name, shape in made_from.input_shapes.items()},
        dims=made_from.dims,
        values=made_from.input_values,
    )
    if made_from.data is not None:
        policies = tuple(made_from.policies.items())
        tensors = Tensors(
            made_from.data,
            made_from.policy,
            made_from.images,
            policies,
            made_from.preprocess,
            made_from.labels,
        )
        ready = measure_on_images(
            arch, made_from.network, tensors, batch=made_from.batch, sizes=sizes, progress=progress
        )
    elif is_folder(Path(made_from.network)):
        ready = measure_recorded(arch, made_from.network, progress=progress)
    else:
        ready = MeasuredRun(
            arch,
            load_workload(
                made_from.network,
                batch=made_from.batch,
                skip_unsupported=made_from.skip_unsupported,
                sizes=sizes,
            ),
        )
    return finish(ready, scalesim=scalesim, made_from=made_from, progress=progress)


def _causes(before: Result, after: Result) -> Iterator[Difference]:
    pairs = [
        ("code", before.simulator_version, after.simulator_version),
        ("network", before.sources.network_hash, after.sources.network_hash),
        ("architecture", before.sources.arch_hash, after.sources.arch_hash),
    ]
    tables = before.sources.table_hashes, after.sources.table_hashes
    names = dict.fromkeys([*tables[0], *tables[1]])
    pairs += [
        (f"table {name}", tables[0].get(name, "absent"), tables[1].get(name, "absent")) for name in names
    ]
    return (Difference(what, was, now) for what, was, now in pairs if was != now)


def _leaves(value: object, field: str = "") -> Iterator[tuple[str, object]]:
    """Every scalar with its dotted field; parts of lists by name where they have one."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _leaves(part, f"{field}.{name}" if field else str(name))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            name = part.get("name", index) if isinstance(part, Mapping) else index
            yield from _leaves(part, f"{field}[{name}]")
    else:
        yield field, value


def _place(before: Mapping[str, object], after: Mapping[str, object]) -> Callable[[str], int]:
    order = {field: place for place, field in enumerate(dict.fromkeys([*before, *after]))}
    return order.__getitem__
