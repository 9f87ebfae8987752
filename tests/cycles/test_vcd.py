"""Does the dump of a fold show the registers of the grid, and only while the fold is there?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simulator.array import ArrayTiming
from simulator.array.vcd import write_fold_vcd
from simulator.foundation import UserError

Changes = dict[str, list[tuple[int, int]]]


def read_vcd(path: Path) -> Changes:
    """Full variable name -> [(time, value)], read without the library that wrote it."""
    names: dict[str, list[str]] = {}
    scope: list[str] = []
    changes: Changes = {}
    time = 0
    for line in path.read_text().splitlines():
        words = line.split()
        if line.startswith("$scope"):
            scope.append(words[2])
        elif line.startswith("$upscope"):
            scope.pop()
        elif line.startswith("$var"):
            names.setdefault(words[3], []).append(".".join([*scope, words[4]]))
        elif line.startswith("#"):
            time = int(line[1:])
        elif words and line[0] in "01" and len(words) == 1:
            for name in names[line[1:]]:
                changes.setdefault(name, []).append((time, int(line[0])))
        elif words and line[0] == "b":
            for name in names[words[1]]:
                changes.setdefault(name, []).append((time, int(words[0][1:], 2)))
    return changes


def test_sums_of_the_last_pe_can_be_followed(tmp_path: Path) -> None:
    a, w = np.arange(1, 7).reshape(2, 3), np.arange(2, 8).reshape(3, 2)
    path = tmp_path / "fold.vcd"
    cycles = write_fold_vcd(path, ArrayTiming(2, 2), "int8", a, w, fold=0, clock_mhz=500)
    assert cycles == (0, 3 + 2 * 2 + 2 - 2 - 1)
    changes = read_vcd(path)
    # PE(1, 1) multiplies A[1, k] and B[k, 1] at edge 2 + k; at edge 5 the sum of PE(0, 1) comes down.
    period_ps = 2000
    sums = [(time // period_ps, value) for time, value in changes["grid.pe_1_1.sum"] if value]
    assert sums == [(2, 4 * 3), (3, 12 + 5 * 5), (4, 37 + 6 * 7), (5, 1 * 3 + 2 * 5 + 3 * 7)]
    rising = [time for time, value in changes["grid.clock"] if value]
    assert rising == [cycle * period_ps for cycle in range(cycles[1] + 1)]


def test_only_the_chosen_fold_is_dumped(tmp_path: Path) -> None:
    path = tmp_path / "fold.vcd"
    a, w = np.ones((4, 3), int), np.ones((3, 2), int)
    for overlap in ("none", "full"):
        first, last = write_fold_vcd(
            path,
            ArrayTiming(2, 2, "os", overlap),
            "int8",
            a,
            w,
            fold=1,
        )
        times = [time // 1000 for values in read_vcd(path).values() for time, _ in values]
        assert (min(times), max(times)) == (first, last)
    assert "grid.pe_0_0.drain" in read_vcd(path)


def test_a_fold_that_does_not_exist_is_told_with_their_number(tmp_path: Path) -> None:
    path = tmp_path / "fold.vcd"
    with pytest.raises(UserError, match=r"has 2 folds .*0 to 1"):
        write_fold_vcd(path, ArrayTiming(2, 2), "int8", np.ones((4, 3), int), np.ones((3, 2), int), fold=2)
    assert not path.exists()
