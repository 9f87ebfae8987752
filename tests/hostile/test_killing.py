"""A few trials of each module that disturbs commands; run the modules by hand for a hundred."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.command import ROOT
from tests.hostile import killing


@pytest.mark.slow
@pytest.mark.parametrize(("module", "count"), [("killing", 7), ("interrupting", 4), ("killing_clusters", 3)])
def test_nothing_is_lost_at_a_few_random_moments(module: str, count: int) -> None:
    if module == "killing_clusters":
        pytest.importorskip("distributed")
    command = [sys.executable, "-m", f"tests.hostile.{module}", str(count), "7"]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_every_command_gets_its_turn() -> None:
    assert set(killing.ORDER) == set(killing.COMMANDS)
