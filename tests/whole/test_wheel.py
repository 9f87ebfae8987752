"""The built wheel, installed in an empty environment away from the checkout, works like the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, cwd: Path, path: Path | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    finished = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env=environment)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def simulate(*command: str | Path, cwd: Path, path: Path | None = None) -> Any:
    return json.loads(run(*command, "--json", cwd=cwd, path=path))


def lend_kernels(checkout: Path, installed: Path) -> None:
    """Kernels that the checkout has compiled are valid where the files are the same, so compile them once.

    numba goes by the size and the time of a file.
    """
    for file in checkout.rglob("*.py"):
        twin = installed / file.relative_to(checkout)
        assert twin.read_bytes() == file.read_bytes()
        os.utime(twin, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    for kernel in checkout.rglob("*.nb[ic]"):
        twin = installed / kernel.relative_to(checkout)
        twin.parent.mkdir(exist_ok=True)
        shutil.copy2(kernel, twin)


@pytest.mark.slow
def test_the_wheel_simulates_resnet50_away_from_the_checkout(tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path / "dist", cwd=ROOT)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", wheel, cwd=tmp_path)
    (installed,) = (tmp_path / "venv").glob("lib/python*/site-packages/simulator")

    systolic = tmp_path / "venv" / "bin" / "systolic"
    for arch in ("int8_32x32", "elma8_32x32"):
        arguments = ("simulate", "resnet50", "--arch", arch)
        here = simulate(sys.executable, "-m", "simulator", *arguments, cwd=ROOT, path=ROOT)
        assert here["totals"]["macs"] == 4_089_184_256
        lend_kernels(ROOT / "simulator", installed)
        assert simulate(systolic, *arguments, cwd=tmp_path) == here
    assert not list(installed.rglob("*.lock")), "a kernel was compiled again"
