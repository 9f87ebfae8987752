"""Outputs of published tools and circuits, which stand beside the repository and are never part of it."""

from __future__ import annotations

from pathlib import Path

import pytest

_GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden"


def golden_file(name: str) -> Path:
    """The golden file `name` in `../shared/golden`; the test that asks is skipped where there is none."""
    path = _GOLDEN / name
    if not path.is_file():
        pytest.skip(f"../shared/golden/{name} is not present")
    return path
