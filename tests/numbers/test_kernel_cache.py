"""Is a kernel compiled anew when anything that was compiled into it changes?"""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent
from time import monotonic, time_ns
from typing import Any

import pytest

from simulator.cli.progress import KERNEL_LOG, compilation_announced
from simulator.numerics.engines.compiled import kernel
from simulator.numerics.engines.kernel_cache import LOG
from simulator.numerics.engines.turn import Turn

HELPERS = """
from typing import NamedTuple
import numpy as np
from simulator.numerics.engines.compiled import helper

STEP = 3
TABLE = np.array([5, 6])

class Pair(NamedTuple):
    low: int
    high: int

@helper
def inner(x):
    return x * 10 + STEP + TABLE[1]

@helper
def outer(x):
    return inner(x) + Pair(1, 2).low
"""
KERNEL = """
from simulator.numerics.engines.compiled import kernel
from cached_helpers import outer

@kernel
def work(x):
    return later(x)

from simulator.numerics.engines.compiled import helper

@helper
def later(x):
    return outer(x) + 0

if __name__ == "__main__":
    import cached_kernel
    print(cached_kernel.work(2), cached_kernel.work.stats.cache_hits.total() if hasattr(
        cached_kernel.work.stats.cache_hits, "total") else sum(cached_kernel.work.stats.cache_hits.values()))
"""

CLOSURES = """
import numpy as np
from simulator.numerics.engines.compiled import helper, kernel

def made(whole):
    @helper
    def cut(x):
        return whole(x)

    @kernel
    def work(x):
        return cut(x) + 0.5

    return work

narrow, wide = made(np.int8), made(np.int16)

if __name__ == "__main__":
    import closures
    print(closures.narrow(300), closures.wide(300), sum(
        sum(found.stats.cache_hits.values()) for found in (closures.narrow, closures.wide)))
"""


def run(folder: Path) -> tuple[int, int]:
    """The kernel's value at 2, and whether it came from the cache (1)."""
    done = subprocess.run(
        [sys.executable, str(folder / "cached_kernel.py")],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": f"{folder}:{Path(__file__).parents[2]}", "PATH": "/usr/bin:/bin"},
    )
    value, hits = done.stdout.split()
    return int(value), int(hits)


@pytest.mark.slow
def test_processes_that_start_together_compile_a_kernel_once(tmp_path: Path) -> None:
    """Of four, one compiles and three load what it compiled."""
    (tmp_path / "cached_kernel.py").write_text(dedent(KERNEL))
    (tmp_path / "cached_helpers.py").write_text(dedent(HELPERS))
    with ThreadPoolExecutor(4) as at_once:
        outcomes = list(at_once.map(lambda _: run(tmp_path), range(4)))
    assert [value for value, _ in outcomes] == [30] * 4
    assert sorted(hits for _, hits in outcomes) == [0, 1, 1, 1]


def test_a_turn_is_had_by_one_at_a_time(tmp_path: Path) -> None:
    """A file lock belongs to an open file, so that two turns of one process are like two processes."""
    first, second, third = Turn(), Turn(), Turn()
    assert first.take(tmp_path, "work")
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(second.take, tmp_path, "work")
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.3)
        assert third.take(tmp_path, "another kernel")
        first.give_back()
        assert waiting.result(timeout=10)
    second.give_back()
    assert first.take(tmp_path, "work")
    for turn in (first, third):
        turn.give_back()


def test_without_a_folder_to_write_nobody_waits(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert not Turn().take(tmp_path / "file", "work")


@pytest.mark.slow
def test_a_changed_helper_constant_or_table_of_another_module_is_compiled_in(tmp_path: Path) -> None:
    (tmp_path / "cached_kernel.py").write_text(dedent(KERNEL))
    helpers = tmp_path / "cached_helpers.py"
    helpers.write_text(dedent(HELPERS))
    assert run(tmp_path) == (2 * 10 + 3 + 6 + 1, 0)
    assert run(tmp_path) == (30, 1)
    for old, new, value in (
        ("STEP = 3", "STEP = 4", 31),
        ("x * 10", "x * 20", 51),
        ("[5, 6]", "[5, 9]", 54),
        ("Pair(1, 2)", "Pair(7, 2)", 60),
        ("low: int\n    high: int", "high: int\n    low: int", 55),
    ):
        helpers.write_text(helpers.read_text().replace(old, new))
        assert run(tmp_path) == (value, 0), new
        assert run(tmp_path) == (value, 1), new


def test_kernels_made_by_one_function_are_told_apart_and_found_again(tmp_path: Path) -> None:
    """They differ only in a type that a helper in their closure closes over: 300 is 44 in 8 bits."""
    (tmp_path / "closures.py").write_text(dedent(CLOSURES))
    for hits in (0, 2):
        found = subprocess.run(
            [sys.executable, "closures.py"], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert found.stdout.split() == ["44.5", "300.5", str(hits)]


def test_compiling_is_said_once() -> None:
    said: list[str] = []
    with compilation_announced(said.append):
        assert said == []
        LOG.info("compiling %s", "play_nest")
        LOG.info("compiling %s", "try_candidates")
    LOG.info("compiling %s", "later")
    assert said == ["Compiling kernels: once after an installation or an update, for up to a minute."]


def test_a_new_kernel_is_named_as_it_is_compiled(caplog: pytest.LogCaptureFixture) -> None:
    offset = time_ns()  # not in the cache of an earlier run

    def later_by_offset(x: int) -> int:
        return x + offset

    caplog.set_level("INFO", logger=KERNEL_LOG)
    compiled = kernel(later_by_offset)
    assert compiled(2) == 2 + offset
    assert [record.getMessage() for record in caplog.records] == ["compiling later_by_offset"]


def test_an_interrupted_compilation_ends_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook goes on after it is interrupted; other processes must not wait for it."""
    offset = time_ns()

    def interrupted_by_offset(x: int) -> int:
        return x + offset

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    compiled: Any = kernel(interrupted_by_offset)
    with monkeypatch.context() as while_compiling:
        while_compiling.setattr(compiled.dispatcher._compiler, "compile", interrupt)
        with pytest.raises(KeyboardInterrupt):
            compiled(2)
    other, folder = Turn(), compiled.dispatcher._cache.cache_path
    began = monotonic()
    assert other.take(folder, interrupted_by_offset.__qualname__)
    assert monotonic() - began < 1
    other.give_back()
    assert compiled(2) == 2 + offset
