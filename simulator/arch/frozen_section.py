"""What every section of an architecture file is: frozen, checked, without unknown keys."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of an architecture."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
