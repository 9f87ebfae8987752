"""Does a command say below its page which files it wrote, and nothing where nobody reads a page?"""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.cli.written import tell_written
from tests.command import run

LAYER = (
    "Layer, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
    "c, 6, 6, 3, 3, 2, 4, 1,\n"
)


def test_each_file_and_the_files_of_a_folder_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    tell_written(Path("a.csv"), None, Path("b.vcd"), folder=Path("out"), names=("x.json", "y.csv"))
    assert capsys.readouterr().out == "wrote a.csv\nwrote b.vcd\nwrote out: x.json, y.csv\n"


def test_many_files_of_a_folder_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    tell_written(folder=Path("out"), names=tuple("abcdef"))
    assert capsys.readouterr().out == "wrote out: 6 files\n"


def test_commands_say_what_they_wrote(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    network, out, trace, csv = (tmp_path / name for name in ("n.csv", "out", "t.json", "c.csv"))
    network.write_text(LAYER)
    simulated = run(capsys, "simulate", network, "--out", out, "--trace", trace).must_succeed().stdout
    assert simulated.splitlines()[-2:] == [f"wrote {trace}", f"wrote {out}: result.json, layers.csv"]
    variants = tmp_path / "variants"
    compared = run(capsys, "compare", out, out, "--csv", csv, "--out", variants).must_succeed().stdout
    assert compared.splitlines()[-2].split() == ["wrote", str(csv)]
    names = compared.splitlines()[-1].removeprefix(f"wrote {variants}: ").split(", ")
    assert sorted(names) == sorted(path.name for path in variants.iterdir())
    for option in ("--quiet", "--json"):
        silent = run(capsys, "compare", out, option, "--csv", tmp_path / f"{option}.csv").must_succeed()
        assert "wrote" not in silent.stdout
