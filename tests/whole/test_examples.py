"""Do the scripts in `examples/` run, and does what they print hold?"""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from simulator.workload import load_network
from tests.command import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def same_work_in_every_shape(text: str, _folder: Path) -> None:
    """Cycles x 1,024 PEs x utilization are the network's multiply-accumulates, to the digits shown."""
    lines = re.findall(r"(\d+) x (\d+) +([\d,]+) cycles, utilization ([\d.]+)%", text)
    macs = sum(layer.macs for layer in load_network("mobilenet_v1").layers)
    assert len(lines) == 5
    for rows, columns, cycles, utilization in lines:
        assert int(rows) * int(columns) == 1024
        share = macs / (int(cycles.replace(",", "")) * 1024)
        assert abs(share * 100 - float(utilization)) <= 0.05 + 1e-9


def longest_first(text: str, folder: Path) -> None:
    cycles = [int(line.split()[5]) for line in text.splitlines()[1:6]]
    assert cycles == sorted(cycles, reverse=True)
    assert (folder / "roofline.png").read_bytes().startswith(b"\x89PNG")


def kept_are_those_above_minus_two(text: str, folder: Path) -> None:
    points = {
        match[1].strip(): float(match[2])
        for match in re.finditer(r"^(\S+(?: x \S+)?) +[\d.]+ +(-?[\d.]+) ", text, re.MULTILINE)
    }
    assert set(points) == {"int8", "e4m3 x e4m3", "e2m1 x e2m1"}
    kept = [mac for mac, value in points.items() if value > -2]
    assert text.splitlines()[-1] == f"loses less than two points: {kept}"
    assert {path.name for path in folder.iterdir()} == {"formats.csv", "formats.html"}


def narrower_loses_more(text: str, _folder: Path) -> None:
    """30 bits reach 2^23; products of e3m4 are below 2^10, and no layer of LeNet-5 adds more than 2^9."""
    lost = [int(count.replace(",", "")) for count in re.findall(r"([\d,]+) sums left", text)]
    assert len(lost) == 4
    assert lost == sorted(lost)
    assert lost[0] == 0 < lost[-1]


HOLDS: dict[str, Callable[[str, Path], None]] = {
    "array_shapes": same_work_in_every_shape,
    "busiest_layers": longest_first,
    "compare_formats": kept_are_those_above_minus_two,
    "own_mac": narrower_loses_more,
}


def test_every_example_has_its_check() -> None:
    assert {path.stem for path in EXAMPLES} == set(HOLDS)


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_what_it_prints_holds(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path), run_name="__main__")
    HOLDS[path.stem](capsys.readouterr().out, tmp_path)
    plt.close("all")
