"""Mapping files: dataflow and tiling of single layers, laid over an architecture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from simulator.arch.config import ArchConfig
from simulator.arch.load import load_arch
from simulator.foundation import UserError
from simulator.foundation.documents import load_yaml

_FIELDS = ("dataflow", "tiling")


def with_mapping(arch: ArchConfig, path: str | Path) -> ArchConfig:
    """The architecture with the dataflows and tilings of a mapping file; a layer's own MAC stays.

    Raises:
        UserError: the file cannot be read, holds anything but `layers`, or a field that no mapping has.
    """
    document = load_yaml(Path(path))
    if (
        not isinstance(document, dict)
        or set(document) != {"layers"}
        or not isinstance(document["layers"], dict)
    ):
        raise UserError("must hold the section `layers` and nothing else", source=path)
    layers: dict[str, Any] = {
        name: config.model_dump(exclude_unset=True) for name, config in arch.layers.items()
    }
    for name, entry in document["layers"].items():
        fields = entry if isinstance(entry, dict) else {"": entry}
        for field in fields:
            if field not in _FIELDS:
                raise UserError(
                    "is no field of a mapping",
                    source=path,
                    location=f"layers.{name}",
                    value=field,
                    candidates=_FIELDS,
                )
        layers[str(name)] = layers.get(str(name), {}) | fields
    try:
        return load_arch(arch, {"layers": layers})
    except UserError as error:
        raise UserError(str(error), source=path) from error
