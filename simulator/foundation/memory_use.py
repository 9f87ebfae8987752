"""The most memory that this process and its workers have had so far."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_PEAK: Final = re.compile(rb"^VmHWM:\s+(\d+) kB", re.MULTILINE)


def peak_bytes_with_workers() -> int | None:
    """Peaks of this process and of the processes that it started, added; None where the system has no /proc.

    Pages that processes share count for each of them.
    """
    own = _peak_bytes(Path("/proc/self/status"))
    if own is None:
        return None
    peaks = [_peak_bytes(Path(f"/proc/{process}/status")) for process in _children()]
    return own + sum(peak for peak in peaks if peak is not None)


def _children() -> list[str]:
    """Process numbers of what any thread of this process started."""
    found: list[str] = []
    for thread in Path("/proc/self/task").glob("*/children"):
        try:
            found += thread.read_text().split()
        except OSError:
            continue
    return found


def _peak_bytes(status: Path) -> int | None:
    try:
        peak = _PEAK.search(status.read_bytes())
    except OSError:
        return None
    return None if peak is None else int(peak.group(1)) * 1024
