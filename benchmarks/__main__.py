"""Every benchmark beside its bound or peer, measured in the same run, written into docs/performance.md.

    python -m benchmarks                       all of them, under ten minutes on a quiet machine
    python -m benchmarks --only start_up       one of them; the page keeps the others as they were
    python -m benchmarks --page                no measuring: the page from what was measured before

Each benchmark is a process of its own with one BLAS thread. What it measured is kept in
`benchmarks/measured/NAME.json` with its date, machine, versions and load. What cannot be measured here, as
without an optional library or a GPU, is named with the reason.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import time
from typing import Final

from benchmarks.figures import ONE_THREAD, ROOT, Section
from benchmarks.measured_files import keep, kept
from benchmarks.performance_page import lines_of, write_page

NAMES: Final = (
    *("start_up", "simulate_figures", "product_figures", "encode_figures", "grid_figures"),
    *("inference_figures", "scaling", "gpu_figures"),
)
"""Modules with a function `section()`, in the page's order."""


def measure(name: str) -> None:
    """Measure one benchmark in this process and keep what it found."""
    load, start = os.getloadavg()[0], time.monotonic()
    section: Section = importlib.import_module(f"benchmarks.{name}").section()
    document = section.document(time.monotonic() - start, load)
    keep(name, document)
    print("\n".join(lines_of(document)), flush=True)


def main() -> None:
    """Measure what is asked for and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--page", action="store_true", help="write the page from what was measured before")
    parser.add_argument("--here", choices=NAMES, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.here:
        measure(chosen.here)
        return
    failed = []
    for name in () if chosen.page else chosen.only or NAMES:
        command = [sys.executable, "-m", "benchmarks", "--here", name]
        environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(ROOT)}
        if subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode:
            failed.append(name)
    write_page(kept(NAMES))
    if failed:
        sys.exit(f"failed: {', '.join(failed)}; the page keeps what was measured of them before")


if __name__ == "__main__":
    main()
