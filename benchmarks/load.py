"""Whole commands on much: CPU seconds and peak memory, workers included.

    python -m benchmarks.load [NAME-PART...]

Prints a row of docs/limits.md for each command. Kernels are compiled before anything is measured.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
_SMALL: Final = """name: two
source: a benchmark
layers: [{name: c, conv: {ifmap: 12, channels: 3, filters: 8, kernel: 3}}]
"""


def _small(folder: Path) -> None:
    (folder / "n.yaml").write_text(_SMALL)


def _sweep(folder: Path) -> None:
    _small(folder)
    rows, columns = list(range(4, 54)), list(range(4, 44))
    (folder / "s.yaml").write_text(
        f"networks: [n.yaml]\ngrid: {{array.rows: {rows}, array.columns: {columns}}}\n"
    )


def _fifty_results(folder: Path) -> None:
    for number in range(50):
        overrides = ("--rows", str(8 + number), "--out", f"r{number}", "-q")
        _command(folder, "simulate", "resnet50", *overrides)


def _layers(count: int, *, equal: bool) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        lines = [
            f"- {{name: l{i}, fc: {{m: 4, k: {64 if equal else 16 + i % 997},"
            f" n: {32 if equal else 16 + i // 997}}}}}"
            for i in range(count)
        ]
        (folder / "n.yaml").write_text("name: many\nsource: a benchmark\nlayers:\n" + "\n".join(lines) + "\n")

    return make


def _report_of_many(folder: Path) -> None:
    _layers(10_000, equal=True)(folder)
    _command(folder, "simulate", "n.yaml", "--out", "out", "-q")


def _fifty_megabytes(folder: Path) -> None:
    """A network file of 50 MB, most of which are the sources of its layers in comments and long names."""
    head = "name: long\nsource: a benchmark\nlayers:\n"
    line = "- {{name: {0}, fc: {{m: 4, k: 64, n: 32}}}}\n"
    count = 50_000_000 // len(line.format("n" * 900))
    (folder / "n.yaml").write_text(
        head + "".join(line.format(f"{i:06d}".ljust(900, "n")) for i in range(count))
    )


_Case = tuple[Callable[[Path], None], tuple[str, ...]]
CASES: Final[Mapping[str, _Case]] = {
    "sweep of 2,000 points of a layer, two workers": (_sweep, ("sweep", "s.yaml", "--jobs", "2", "-q")),
    "report of 50 results of ResNet-50": (
        _fifty_results, ("report", *(f"r{i}" for i in range(50)), "-o", "report.html"),
    ),
    "10,000 equal layers": (_layers(10_000, equal=True), ("simulate", "n.yaml", "--out", "out", "-q")),
    "10,000 different layers": (_layers(10_000, equal=False), ("simulate", "n.yaml", "--out", "out", "-q")),
    "report of 10,000 layers": (_report_of_many, ("report", "out", "-o", "report.html")),
    "ResNet-50, batch 4096": (_small, ("simulate", "resnet50", "--batch", "4096", "-q")),
    "network file of 50 MB": (_fifty_megabytes, ("simulate", "n.yaml", "-q")),
}  # fmt: skip


def _command(folder: Path, *arguments: str) -> int:
    command = [sys.executable, "-m", "simulator", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


def _measured(folder: Path, *arguments: str) -> tuple[int, float, float, float]:
    """Exit code, CPU seconds, seconds and MiB of a command; memory is that of its largest process."""
    process = os.fork()
    if process == 0:
        began_s = time.monotonic()
        code = _command(folder, *arguments)
        took_s, used = time.monotonic() - began_s, resource.getrusage(resource.RUSAGE_CHILDREN)
        figures = code, used.ru_utime + used.ru_stime, took_s, used.ru_maxrss / 1024
        (folder / "figures").write_text(" ".join(map(str, figures)))
        os._exit(0)
    os.waitpid(process, 0)
    written = (folder / "figures").read_text().split()
    cpu_s, took_s, peak_mib = map(float, written[1:])
    return int(written[0]), cpu_s, took_s, peak_mib


def main() -> None:
    """Measure the commands whose names hold one of the arguments, or all."""
    with tempfile.TemporaryDirectory() as scratch:
        _command(Path(scratch), "simulate", "resnet50", "-q")
    print("| what | CPU s | s | largest process, MiB |\n|---|---:|---:|---:|")
    for name, (make, arguments) in CASES.items():
        if len(sys.argv) > 1 and not any(part in name for part in sys.argv[1:]):
            continue
        with tempfile.TemporaryDirectory() as scratch:
            make(Path(scratch))
            code, cpu_s, took_s, peak_mib = _measured(Path(scratch), *arguments)
        ended = "" if code == 0 else f" (exit code {code})"
        print(f"| {name}{ended} | {cpu_s:.1f} | {took_s:.1f} | {peak_mib:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
