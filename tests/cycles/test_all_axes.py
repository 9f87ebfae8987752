"""Is a dataflow that is added as one line of data one everywhere? The two that are not bundled, tried."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_other_two_ways_to_lay_a_product_over_an_array() -> None:
    """Products on the grid, toggles, layers on the machine, priced networks; see the script."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.reference.all_axes"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["60", "18", "60", "4"]
