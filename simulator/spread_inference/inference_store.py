"""Where plans and finished blocks are kept: a store for one network on one set of data, in any MACs."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from simulator.foundation import UserError
from simulator.foundation.reading.content import opened
from simulator.foundation.reading.limits import LARGEST_JSON_BYTES
from simulator.inference.blocks import BlockRun
from simulator.inference.quantization import NetworkPlan
from simulator.spread_inference.block_document import read_block
from simulator.spread_inference.opened_source import OpenedSource
from simulator.spread_inference.plan_document import read_plan
from simulator.sweep.store import PointStore, StoreKind

INFERENCE_STORE: Final = StoreKind(
    "systolic inference store", 1, name="store of inference", piece="part", whole="an inference"
)

_PLAN: Final = re.compile(r'\{"kind":"plan","label":"([^"\\]*)"')
_HEAD_BYTES: Final = 1000

_FACTS: Final[Mapping[str, tuple[str, str]]] = {
    "network_sha256": ("another network", "network"),
    "data": ("other data", "data"),
    "arrays_sha256": ("other data", "data"),
    "preprocess": ("images that were prepared in another way", "preprocess"),
    "labels": ("images with labels from elsewhere", "labels"),
}
"""What the marker says that all runs on a store must share: what differs, and which fact names it."""


class InferenceStore(PointStore):
    """A folder of plans and finished blocks.

    Raises:
        UserError: as `PointStore`, or the store is of another network or of other data.
    """

    def __init__(self, folder: Path, source: OpenedSource) -> None:
        facts = {
            "network": source.model.name,
            "network_sha256": source.model_hash,
            "data": source.data.source,
            "arrays_sha256": source.arrays_hash,
            "preprocess": source.data.facts.preprocess,
            "labels": "" if source.data.labels is None else source.data.facts.labels_from,
        }
        super().__init__(folder, INFERENCE_STORE, facts)
        for fact, (what, named_by) in _FACTS.items():
            if self.facts.get(fact) != facts[fact]:
                self.close()
                raise UserError(
                    f"is the store of {what}",
                    source=folder,
                    location=named_by,
                    value=facts[named_by],
                    allowed=f"{self.facts.get(named_by) or 'none'}, as it was, or another folder",
                )

    def require_plans(self, wanted: Mapping[str, str]) -> None:
        """Refuse a store whose plans are all of other MACs or policies than the wanted ones.

        Args:
            wanted: labels of plans by key.

        Raises:
            UserError: naming those that the store has. A run that shares one of them may add others.
        """
        if any(self.finished(key) for key in wanted):
            return
        known = sorted({label for key in self.keys() if (label := self._label(key))})
        if known and not set(known) & set(wanted.values()):
            raise UserError(
                "is the store of other MACs or policies",
                source=self.folder,
                value=", ".join(wanted.values()),
                allowed=f"{', '.join(known)}, others beside one of them, or another folder",
            )

    def unused(self, wanted: Collection[str]) -> int:
        """How many parts are not among the wanted keys."""
        return len(set(self.keys()) - set(wanted))

    def plan(self, key: str) -> NetworkPlan:
        """A finished plan. Raises UserError: the file is corrupted."""
        return read_plan(self.text(key), source=self.path(key))

    def block(self, key: str) -> BlockRun:
        """A finished block. Raises UserError: the file is corrupted."""
        return read_block(self.text(key), source=self.path(key))

    def _label(self, key: str) -> str | None:
        """The label of a plan; None for a block."""
        with opened(self.path(key), most_bytes=LARGEST_JSON_BYTES) as stream:
            head = stream.read(_HEAD_BYTES).decode("utf-8", errors="replace")
        found = _PLAN.match(head)
        return found[1] if found else None
