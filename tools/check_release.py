"""What is published, tried as a user gets it: built, installed apart from the checkout, run from another folder.

    python -m tools.check_release dist                       # builds into dist, tries this Python
    python -m tools.check_release dist python3.12 python3.13 # and others
    python -m tools.check_release --built dist               # tries what lies in dist already

The wheel is built from the source distribution, so that this is complete too. Each interpreter gets an empty
environment with the versions of requirements-user.lock.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
DATA_FOLDERS: Final = ("arch_configs", "energy_tables", "workloads")


def run(*command: str | Path, cwd: Path) -> str:
    """What a command prints, run without this checkout on its path. Raises RuntimeError where it fails."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def build(folder: Path) -> None:
    """Write the source distribution and the wheel built from it to a folder that has no others."""
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=ROOT)


def distributions(folder: Path) -> tuple[Path, Path]:
    """The source distribution and the wheel in a folder. Raises ValueError where there is not one of each."""
    (source,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return source, wheel


def missing_files(source: Path, wheel: Path) -> list[str]:
    """Files of the package and its data that the source distribution or the wheel lacks."""
    with tarfile.open(source) as archive:
        in_source = {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
    wanted = run("git", "ls-files", "simulator", *DATA_FOLDERS, cwd=ROOT).split()
    missing = [f"{file} in {source.name}" for file in wanted if file not in in_source]
    for file in wanted:
        place = file if file.startswith("simulator/") else f"simulator/_data/{file}"
        if place not in in_wheel:
            missing.append(f"{place} in {wheel.name}")
    return missing


def tried(wheel: Path, interpreter: str) -> str:
    """What an interpreter makes of the wheel: its version and a simulated network, in one line."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(interpreter, "-m", "venv", folder / "venv", cwd=folder)
        python, systolic = (folder / "venv" / "bin" / command for command in ("python", "systolic"))
        constraint = ROOT / "requirements-user.lock"
        run(
            python, "-m", "pip", "install", "--quiet", "--constraint", constraint, wheel.resolve(), cwd=folder
        )
        version = run(python, "--version", cwd=folder).strip()
        said = run(systolic, "--version", cwd=folder).strip()
        networks = json.loads(run(systolic, "networks", "--json", cwd=folder))
        totals = json.loads(run(systolic, "simulate", "alexnet", "--json", cwd=folder))["totals"]
        return f"{version}: {said}, {len(networks)} networks, alexnet {totals['cycles']:,} cycles"


def main(arguments: list[str]) -> int:
    """Build unless that is done, compare and try; the exit code is 1 where a file is missing."""
    is_built = "--built" in arguments
    name, *interpreters = (argument for argument in arguments if argument != "--built")
    if not is_built:
        build(Path(name))
    source, wheel = distributions(Path(name))
    missing = missing_files(source, wheel)
    for file in missing:
        print(f"missing: {file}")
    for interpreter in interpreters or [sys.executable]:
        print(tried(wheel, interpreter), flush=True)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
