"""Importers of network files that other packages add (entry points `systolic.importers`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from simulator.foundation import UserError
from simulator.foundation.plugins import Plugin, blaming, plugins
from simulator.workload.layer import Network

GROUP: Final = "systolic.importers"


@dataclass(frozen=True, slots=True)
class Importer:
    """A kind of network file: how its names end, and how one is read.

    suffixes: in small letters, with the dot (`.tflite`).
    read: the network of a file; raises UserError for a file that cannot be used.
    """

    suffixes: tuple[str, ...]
    read: Callable[[Path], Network]


def added_importers() -> tuple[Plugin[Importer], ...]:
    """Importers of other packages, by name. Raises UserError where one cannot be loaded."""
    return plugins(GROUP, Importer)


def read_with(importer: Plugin[Importer], path: Path) -> Network:
    """The network of a file. Raises UserError as the importer, and naming its package where it fails."""
    network: object
    with blaming(importer):
        network = importer.value.read(path)
    if not isinstance(network, Network):
        raise UserError(
            "reads no network", source=importer.source, value=type(network).__name__, allowed="Network"
        )
    return network
