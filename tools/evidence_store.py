"""Finished measurements of `tools.imagenet_evidence` in a folder, one JSON file for each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.foundation import UserError
from simulator.foundation.files import prepare_folder, write_text
from simulator.inference.float32_outputs import Float32Outputs
from simulator.result_accuracy import Accuracy
from tools.evidence_points import Point


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured of a point, when, with which version and for how long."""

    accuracy: Accuracy
    warnings: tuple[str, ...]
    engines: tuple[str, ...]
    measured: str
    version: str
    wall_s: float

    def as_document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "measured": self.measured,
            "version": self.version,
            "wall_s": self.wall_s,
            "warnings": list(self.warnings),
            "engines": list(self.engines),
            "accuracy": self.accuracy.model_dump(mode="json"),
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Measurement:
        """From what `as_document` gave."""
        return cls(
            Accuracy.model_validate(document["accuracy"]),
            tuple(document["warnings"]),
            tuple(document["engines"]),
            document["measured"],
            document["version"],
            document["wall_s"],
        )


class EvidenceStore:
    """A folder of measurements of one model on one folder of images.

    Points appear whole, by a rename: a run that is killed loses only the point that it had in hand.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self.folder = prepare_folder(folder)
        marker = self.folder / "identity.json"
        if not marker.exists():
            write_text(marker, json.dumps(dict(identity), indent=1) + "\n")
            return
        stored = json.loads(marker.read_text(encoding="utf-8"))
        for field, value in identity.items():
            if stored.get(field) != value:
                raise UserError(
                    f"the store was measured with another {field}",
                    source=marker,
                    location=field,
                    value=value,
                    allowed=f"{stored.get(field)!r}, or another --store",
                )

    def path(self, point: Point) -> Path:
        """The file of a point."""
        return self.folder / f"{point.name}.json"

    def find(self, point: Point) -> Measurement | None:
        """What was measured of a point; None where nothing was. Raises UserError: damaged."""
        path = self.path(point)
        if not path.exists():
            return None
        try:
            return Measurement.of(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError("is no measurement: delete it to measure again", source=path) from error

    def float32(self, compute: Callable[[], Float32Outputs]) -> Float32Outputs:
        """The outputs in float32: those that are kept, else computed now and kept. Raises UserError: damaged.

        The store is of one model and one folder prepared in one way; a run compares the images themselves.
        """
        path = self.folder / "float32.npz"
        if path.exists():
            return Float32Outputs.load(path)
        found = compute()
        found.save(path)
        return found

    def keep(self, point: Point, measurement: Measurement) -> None:
        """Write a point, whole."""
        write_text(self.path(point), json.dumps(measurement.as_document(), indent=1) + "\n")
