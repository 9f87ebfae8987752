"""Work that takes long says so when its first seconds show it, once, and where nobody asked for silence."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.cli.progress import Estimate, LaterMemory
from simulator.foundation.callbacks import Progress
from simulator.foundation.memory_use import peak_bytes_with_workers
from simulator.register_level import GridLayer
from simulator.workload import Network
from tests.command import run


def told(capsys: pytest.CaptureFixture[str], moments: list[tuple[float, int]], total: int) -> str:
    """What is said where so much is done at these seconds."""
    now_s = 100.0
    estimate = Estimate(lambda: now_s, lambda: None)
    for moment_s, done in moments:
        now_s = 100.0 + moment_s
        estimate("points", done, total)
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("moments", "total", "expected"),
    [
        # 10 s for 100 of 2,000: 0.1 s each, 1,900 left, 190 s.
        (
            [(0, 0), (4, 40), (10, 100)],
            2000,
            "100 of 2,000 (points) are done; the rest will take about 3 min",
        ),
        # 900 were there before; 0.1 s each, 1,000 left, 100 s.
        ([(0, 900), (10, 1000)], 2000, "1,000 of 2,000 (points) are done; the rest will take about 2 min"),
        # The first took 6 s and tells nothing; 54 s for nine more, 990 left: 5,940 s, which is 99 minutes.
        ([(0, 0), (6, 1), (60, 10)], 1000, "10 of 1,000 (points) are done; the rest will take about 2 h"),
        # 90 s each, 999,999 left: 1,041.7 days.
        ([(0, 0), (90, 1)], 10**6, "1 of 1,000,000 (points) are done; the rest will take about 1,042 days"),
        # 8 s for the second, 999,998 left: 92.6 days.
        (
            [(0, 0), (8, 1), (16, 2)],
            10**6,
            "2 of 1,000,000 (points) are done; the rest will take about 93 days",
        ),
        # Workers start for 8 s; then 0.05 s each, 1,940 left: 97 s.
        (
            [(0, 0), (8, 1), (8.1, 3), (9.9, 39), (11, 61)],
            2001,
            "61 of 2,001 (points) are done; the rest will take about 2 min",
        ),
        # One that takes over a minute tells by itself: 72 s each, nine left.
        ([(0, 0), (72, 1)], 10, "1 of 10 (points) are done; the rest will take about 11 min"),
    ],
)
def test_long_work_says_how_long_once(
    moments: list[tuple[float, int]], total: int, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(capsys, moments, total) == f"systolic: {expected}\n"


@pytest.mark.parametrize(
    "moments",
    [
        [(0, 0), (1, 1), (4.9, 2)],  # too early to tell
        [(0, 0), (6, 50)],  # 6 s for half of it: 6 more
        [(0, 0), (6, 0)],  # nothing to judge by
        [(0, 0), (8, 1)],  # workers may have started all the while
        [(0, 0), (8, 1), (9.9, 2)],  # and the second may have been half done
        [(0, 0), (6, 100)],  # all done
    ],
)
def test_short_work_says_nothing(
    moments: list[tuple[float, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(capsys, moments, 100) == ""


@pytest.mark.parametrize(
    ("peaks_mib", "expected"),
    [
        # 2 MiB for each of the 99 after the first, and 1,900 more: 300 + 3,800.
        ([102, 300], "the rest will take about 3 min and 4,100 MiB of memory in all"),
        # What it had for the first it has for all.
        ([102, 102], "the rest will take about 3 min and 100 MiB of memory in all"),
    ],
)
def test_memory_is_judged_by_what_came_after_the_first(
    peaks_mib: list[int], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    now_s, peak_mib = 100.0, 80
    estimate = Estimate(lambda: now_s, lambda: peak_mib * 2**20)
    estimate("points", 0, 2000)
    now_s, peak_mib = 100.1, peaks_mib[0]
    estimate("points", 1, 2000)
    now_s, peak_mib = 110.0, peaks_mib[1]
    estimate("points", 100, 2000)
    estimate("points", 200, 2000)
    assert capsys.readouterr().err == f"systolic: 100 of 2,000 (points) are done; {expected}\n"


@pytest.mark.parametrize(
    ("count", "expected"), [(0, "100 MiB of memory in all"), (10, "110 MiB of memory in all")]
)
def test_what_is_taken_at_the_end_counts_by_layers_and_not_by_steps(
    count: int, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """1 MiB for each of 10 layers, whose 2,000 folds are stepped through."""
    now_s, later = 100.0, LaterMemory(2**20)
    estimate = Estimate(lambda: now_s, lambda: 100 * 2**20, later=later)
    later.count = count  # known once the network has been read
    for moment_s, done in ((0.0, 0), (0.1, 1), (10.0, 100)):
        now_s = 100.0 + moment_s
        estimate("folds", done, 2000)
    # 9.9 s for 99, 1,900 left: 190 s.
    told = f"100 of 2,000 (folds) are done; the rest will take about 3 min and {expected}"
    assert capsys.readouterr().err == f"systolic: {told}\n"


def test_a_larger_layer_that_is_yet_to_be_stepped_through_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Operands and results: 10 + 40 + 4, then 64 + 640 + 10, then 8 + 16 + 2; 32 bytes for each more."""
    network = tmp_path / "three.yaml"
    network.write_text(
        "name: three\nsource: written for this test\nlayers:\n  - {name: a, fc: {k: 10, n: 4}}\n"
        "  - {name: b, fc: {k: 64, n: 10}}\n  - {name: c, fc: {k: 8, n: 2}}\n"
    )
    later: list[tuple[str, int]] = []
    kept: list[LaterMemory] = []

    def noted(bytes_each: int) -> LaterMemory:
        kept.append(LaterMemory(bytes_each))
        return kept[-1]

    def stepped(_arch: object, network: Network, *, progress: Progress) -> Iterator[GridLayer]:
        for layer in network.layers:
            progress(layer.name, 1, 1)
            later.append((layer.name, kept[0].further_bytes))
            yield GridLayer(layer.name, 1, 1)

    monkeypatch.setattr("simulator.cli.simulate.LaterMemory", noted)
    monkeypatch.setattr("simulator.register_level.verify_on_grid", stepped)
    run(capsys, "simulate", network, "--engine", "grid").must_succeed()
    assert later == [("a", 32 * (714 - 54)), ("b", 0), ("c", 0)]
    assert kept[0].count == 3


def test_workers_that_begin_within_a_second_are_no_growth(capsys: pytest.CaptureFixture[str]) -> None:
    """100 MiB of another worker come with its first piece; then nothing grows."""
    now_s, peak_mib = 100.0, 100
    estimate = Estimate(lambda: now_s, lambda: peak_mib * 2**20)
    estimate("points", 0, 2000)
    now_s = 105.0
    estimate("points", 1, 2000)
    now_s, peak_mib = 105.9, 200
    estimate("points", 2, 2000)
    now_s = 120.0
    estimate("points", 30, 2000)
    # 15 s for 29, 1,970 left: 1,019 s.
    told = "30 of 2,000 (points) are done; the rest will take about 17 min and 200 MiB of memory in all"
    assert capsys.readouterr().err == f"systolic: {told}\n"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_of_workers_counts() -> None:
    """A child that holds 64 MiB makes the sum grow by at least as much."""
    before = peak_bytes_with_workers()
    script = "import sys; held = bytes(1 << 26).replace(b'\\0', b'x'); print(1, flush=True); sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script], **pipes) as child:  # type: ignore[call-overload]
        child.stdout.readline()
        after = peak_bytes_with_workers()
        child.stdin.close()
    assert before is not None
    assert after is not None
    assert 2**26 <= after - before < 2**28
