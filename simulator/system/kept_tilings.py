"""Tilings that earlier processes found, kept in the user's cache folder as compiled kernels are.

A search takes tenths of a second and needs the compiler; what it finds is a few numbers. An entry is found
by a digest of everything that the search looks at, and a document by the code that searches, so that no other
search is answered. A document that is not understood counts as none: the search runs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from simulator.arch import ArchConfig
from simulator.arch.config import TilingConfig
from simulator.foundation.code_version import code_version
from simulator.foundation.kept_documents import keep_document, kept_document
from simulator.operands import OPERANDS
from simulator.system.chosen_tiling import Tiling
from simulator.system.layer_work import TOTALS, LayerWork
from simulator.system.nest import Blocking
from simulator.system.objective import Weights
from simulator.system.tiling_needs import Limits
from simulator.workload.layer import Network

_KIND: Final = "tilings"
_FIELDS: Final = ("blocking", "slots", "totals", "reason", "is_product", "turned")


@dataclass(slots=True)
class KeptTilings:
    """The tilings of one network with one batch on one architecture.

    name: of their document.
    found: what an earlier run left in it, by digest.
    used: those of this run.
    """

    name: str
    found: dict[str, object]
    used: dict[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, arch: ArchConfig, network: Network) -> KeptTilings:
        """What the last run of the network on the architecture, by the same code, left in the cache."""
        subject = (network.name, network.batch, len(network.layers), arch.model_dump_json())
        name = _digest((code_version(), *subject))
        document = kept_document(_KIND, name)
        return cls(name, document if isinstance(document, dict) else {})

    def look_up(self, key: str) -> Tiling | None:
        """The tiling that a search with this key chose; None where none is kept."""
        document = self.found.get(key)
        tiling = None if document is None else _tiling_of(document)
        if tiling is not None:
            self.used[key] = document
        return tiling

    def add(self, key: str, tiling: Tiling) -> None:
        """Take in what a search chose."""
        self.used[key] = {
            "blocking": [int(part) for part in tiling.blocking],
            "slots": [tiling.slots[operand] for operand in OPERANDS],
            "totals": tiling.totals.tolist(),
            "reason": tiling.reason,
            "is_product": tiling.is_product,
            "turned": tiling.turned,
        }

    def save(self) -> None:
        """Leave the tilings of this run for later ones, where it searched for any."""
        if any(self.found.get(key) is not document for key, document in self.used.items()):
            keep_document(_KIND, self.name, self.used)


def key_of(
    work: LayerWork, limits: Limits, fixed: TilingConfig, weights: Weights | None, *, sums_in_order: bool
) -> str:
    """A digest of all that a search looks at."""
    prices = None if weights is None else weights.tolist()
    return _digest((work, limits, fixed.model_dump_json(), prices, sums_in_order))


def _digest(subject: tuple[object, ...]) -> str:
    return hashlib.sha256(repr(subject).encode()).hexdigest()[:32]


def _tiling_of(document: object) -> Tiling | None:
    """The tiling of a document; None where it is none, such as in a file that was cut off."""
    if not isinstance(document, dict) or set(document) != set(_FIELDS):
        return None
    blocking, slots, totals = (document[name] for name in ("blocking", "slots", "totals"))
    lengths = ((blocking, len(Blocking._fields)), (slots, len(OPERANDS)), (totals, TOTALS))
    for numbers, length in lengths:
        if not isinstance(numbers, list) or len(numbers) != length:
            return None
        if not all(type(number) is int and abs(number) < 1 << 63 for number in numbers):
            return None
    reason, flags = document["reason"], (document["is_product"], document["turned"])
    if not isinstance(reason, str) or not all(isinstance(flag, bool) for flag in flags):
        return None
    return Tiling(
        blocking=Blocking(*blocking),
        slots=dict(zip(OPERANDS, slots, strict=True)),
        totals=np.array(totals, np.int64),
        reason=reason,
        is_product=flags[0],
        turned=flags[1],
    )
