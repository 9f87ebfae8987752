"""The built wheel, installed in an empty environment away from the checkout, works like the checkout."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, cwd: Path) -> str:
    finished = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.mark.slow
def test_the_wheel_simulates_resnet50_away_from_the_checkout(tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path / "dist", cwd=ROOT)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", wheel, cwd=tmp_path)

    systolic = tmp_path / "venv" / "bin" / "systolic"
    result = json.loads(run(systolic, "simulate", "resnet50", "--json", cwd=tmp_path))
    assert result["totals"]["macs"] == 4_089_184_256
    elma = json.loads(run(systolic, "simulate", "resnet50", "--arch", "elma8_32x32", "--json", cwd=tmp_path))
    assert elma["totals"]["cycles"] == result["totals"]["cycles"]
