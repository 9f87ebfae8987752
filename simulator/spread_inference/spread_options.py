"""Where the images of a run are computed, as options give it; light to import."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Spread:
    """Where blocks of images are computed and kept.

    Attributes:
        jobs: processes of this machine; None: one a core, or the workers of `dask`.
        dask: address of the scheduler of a Dask cluster; None: processes of this machine.
        store: a folder for finished blocks, from which a later run goes on; None: they are kept for this
            run alone.
    """

    jobs: int | None = None
    dask: str | None = None
    store: Path | None = None

    @property
    def is_asked(self) -> bool:
        """Whether anything is given."""
        return self != Spread()
