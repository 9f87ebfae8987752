"""Yosys in a process of its own: scripts in, files out; what it refuses becomes one sentence."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from simulator.foundation import UserError
from simulator.foundation.defects import DefectError
from simulator.foundation.files import write_text
from simulator.foundation.reading.content import exists, read_text
from simulator.foundation.reading.limits import LARGEST_JSON_BYTES

_RUNNER: Final = """
import sys
from pyosys import libyosys as ys
design = ys.Design()
for line in open(sys.argv[1]).read().splitlines():
    ys.run_pass(line, design)
"""
_EXTRA: Final = "pip install 'systolic-simulator[rtl]'"
_LONGEST_S: Final = 540


def require_wheels() -> None:
    """Refuse to go on without the extra's packages. Raises UserError, which says how to install them."""
    for package in ("amaranth", "pyosys"):
        if find_spec(package) is None:
            raise UserError(f"hardware needs the package {package!r}, which is not installed", allowed=_EXTRA)


@dataclass(frozen=True, slots=True)
class YosysRun:
    """What a script wrote, by file name, and its log."""

    files: Mapping[str, str]
    log: str


def run_yosys(script: Sequence[str], inputs: Mapping[str, str], outputs: Sequence[str]) -> YosysRun:
    """Run a script, a command a line, on text files by name, in a temporary folder.

    Raises:
        UserError: the package is missing, or Yosys takes too long.
        DefectError: Yosys refused the script; its last words are in the message.
    """
    require_wheels()
    with TemporaryDirectory(prefix="systolic-rtl-") as name:
        folder = Path(name)
        for file, text in inputs.items():
            write_text(folder / file, text)
        write_text(folder / "script.ys", "\n".join(script))
        try:
            done = subprocess.run(  # noqa: S603 - our own script
                [sys.executable, "-c", _RUNNER, "script.ys"],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
                timeout=_LONGEST_S,
            )
        except subprocess.TimeoutExpired as error:
            message = f"Yosys has not finished in {_LONGEST_S} s: the MAC is too large for it"
            raise UserError(message) from error
        missing = [file for file in outputs if not exists(folder / file)]
        if done.returncode or missing:
            last = " | ".join((done.stdout + done.stderr).strip().splitlines()[-4:])
            message = f"yosys failed: {last}"
            raise DefectError(message)
        written = {file: read_text(folder / file, most_bytes=LARGEST_JSON_BYTES) for file in outputs}
        return YosysRun(written, done.stdout)


def abc_program() -> Path:
    """The `yosys-abc` that the package brings. Raises UserError where it is not there."""
    require_wheels()
    found = find_spec("pyosys")
    folders = [] if found is None else list(found.submodule_search_locations or ())
    for folder in folders:
        program = Path(folder) / "yosys-abc"
        if exists(program):
            return program
    raise UserError("the package 'pyosys' has no program yosys-abc", allowed=_EXTRA)
