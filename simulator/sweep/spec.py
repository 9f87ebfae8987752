"""SPEC.yaml: the networks, architectures, MACs and architecture fields of a sweep (docs/sweeps.md)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from simulator.foundation.documents import load_yaml, validate
from simulator.foundation.given_values import path_text
from simulator.foundation.resources import relative_to
from simulator.measured_runs import Tensors
from simulator.numerics.mac_setting import MacChoice, mac_label

MAX_POINTS = 1_000_000
_TABLES = "tables"

Coordinates = Mapping[str, Any]
"""What tells a point from the others: `network`, `arch`, `mac`, `batch` and dotted architecture fields."""


class SweepSpec(BaseModel):
    """A sweep: every network on every architecture with every MAC, batch and setting of fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field("sweep", description="Shown in tables and plots.")
    networks: tuple[str, ...] = Field(min_length=1, description="Bundled names or files.")
    archs: tuple[str, ...] = Field(
        ("int8_32x32",), min_length=1, description="Bundled architectures or files that fields are laid over."
    )
    macs: tuple[str, ...] = Field((), description="MACs of every PE; empty: the architecture's own.")
    batches: tuple[int, ...] = Field((), description="Inferences at once; empty: the network's own.")
    grid: dict[str, list[Any]] = Field(
        default_factory=dict,
        description="Architecture field by dotted name to its values; every combination is a point.",
    )
    points: tuple[dict[str, Any], ...] = Field(
        (), description="Settings of fields that belong together; each is a point beside those of the grid."
    )

    data: str | None = Field(
        None, description="Images for trained networks: adds accuracy and measured toggles to every point."
    )
    policy: str | dict[str, str] | None = Field(
        None,
        description="How networks get their formats (docs/inference.md): a policy for all MACs, or by MAC.",
    )
    images: int | None = Field(None, ge=1, description="Only the first so many images.")
    preprocess: str | None = Field(None, description="What is done to pixels (docs/data.md).")
    labels: str | None = Field(None, description="Where classes of images in files come from (docs/data.md).")

    @model_validator(mode="after")
    def _has_values_and_an_end(self) -> SweepSpec:
        for field, values in self.grid.items():
            if not values:
                message = f"grid.{field} has no values"
                raise ValueError(message)
        if any(batch < 1 for batch in self.batches):
            message = "batches must be positive"
            raise ValueError(message)
        about_data = (self.policy, self.images, self.preprocess, self.labels)
        if self.data is None and any(each is not None for each in about_data):
            message = (
                "policy, images, preprocess and labels are for networks that run on data, and there is none"
            )
            raise ValueError(message)
        if self.size > MAX_POINTS:
            message = f"the sweep has {self.size} points, more than {MAX_POINTS}"
            raise ValueError(message)
        return self

    @property
    def tensors(self) -> Tensors | None:
        """What every point's trained network runs on, where the sweep has data."""
        if self.data is None:
            return None
        by_mac = tuple(self.policy.items()) if isinstance(self.policy, dict) else ()
        policy = None if isinstance(self.policy, dict) else self.policy
        return Tensors(self.data, policy, self.images, by_mac, self.preprocess, self.labels)

    @property
    def size(self) -> int:
        """Number of points."""
        grid = math.prod(len(values) for values in self.grid.values())
        settings = (grid if self.grid or not self.points else 0) + len(self.points)
        machines = len(self.archs) * max(len(self.macs), 1)
        return len(self.networks) * machines * max(len(self.batches), 1) * settings

    def settings(self) -> Iterator[dict[str, Any]]:
        """Architecture fields of each point: the grid's combinations, then the points written out."""
        if self.grid or not self.points:
            for values in itertools.product(*self.grid.values()):
                yield dict(zip(self.grid, values, strict=True))
        yield from self.points


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """One simulation of a sweep, by name; `overrides` are architecture fields by dotted name."""

    network: str
    arch: str
    mac: MacChoice | None
    batch: int | None
    overrides: Coordinates

    @property
    def coordinates(self) -> dict[str, Any]:
        """What tells the point from the others, by column name."""
        given: dict[str, Any] = {"network": self.network, "arch": self.arch}
        if self.mac is not None:
            given["mac"] = mac_label(self.mac)
        if self.batch is not None:
            given["batch"] = self.batch
        return given | dict(self.overrides)

    @property
    def label(self) -> str:
        """The point in one line."""
        return ", ".join(f"{name}={value}" for name, value in self.coordinates.items())

    @property
    def short_label(self) -> str:
        """The point without its network: fields by their whole path, or the architecture alone."""
        return (
            ", ".join(
                f"{name}={value}"
                for name, value in self.coordinates.items()
                if name not in ("network", "arch")
            )
            or self.arch
        )


def load_spec(path: str | Path) -> SweepSpec:
    """The sweep that a YAML file describes; paths of price tables are relative to it.

    Raises:
        UserError: unreadable, an unknown key, a field without values, or more points than `MAX_POINTS`.
    """
    path = Path(path_text(path, what="the description of a sweep"))
    spec = validate(SweepSpec, load_yaml(path), source=path)
    grid = dict(spec.grid)
    if _TABLES in grid:
        grid[_TABLES] = [_beside(path, tables) for tables in grid[_TABLES]]
    points = tuple(
        {**point, _TABLES: _beside(path, point[_TABLES])} if _TABLES in point else point
        for point in spec.points
    )
    return spec.model_copy(update={"grid": grid, "points": points})


def _beside(path: Path, tables: object) -> object:
    """Tables of one point, paths taken relative to the sweep's file; what is no list is refused later."""
    if not isinstance(tables, list):
        return tables
    return [relative_to(path, table) if isinstance(table, str) else table for table in tables]


def sweep_points(spec: SweepSpec) -> list[SweepPoint]:
    """Every point of a sweep, always in the same order."""
    macs: tuple[str | None, ...] = spec.macs or (None,)
    batches: tuple[int | None, ...] = spec.batches or (None,)
    return [
        SweepPoint(network, arch, mac, batch, overrides)
        for network in spec.networks
        for arch in spec.archs
        for mac in macs
        for batch in batches
        for overrides in spec.settings()
    ]
