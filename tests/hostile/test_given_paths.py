"""No command writes over what it reads, or two things to one place: it refuses before it runs."""

from __future__ import annotations

import inspect
import os
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.cli.commands import _Imported
from simulator.cli.given_paths import READ, WRITTEN
from tests.command import run

NETWORK = """name: one
source: written for this test
layers:
  - {name: fc, fc: {k: 64, n: 10}}
"""
TOPOLOGY = (
    "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
)
TOPOLOGY += "conv, 6, 6, 3, 3, 2, 4, 1,\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a network, links to it, a topology, a sweep, an architecture."""
    (tmp_path / "net.yaml").write_text(NETWORK)
    (tmp_path / "soft.json").symlink_to("net.yaml")
    os.link(tmp_path / "net.yaml", tmp_path / "hard.csv")
    (tmp_path / "layers.csv").write_text(TOPOLOGY)
    (tmp_path / "spec.yaml").write_text("networks: [net.yaml]\ngrid: {array.rows: [4, 8]}\n")
    (tmp_path / "arch.yaml").write_text("extends: int8_32x32\ntables: [table.yaml, dram]\n")
    (tmp_path / "table.yaml").write_text("role: none\n")
    (tmp_path / "cmp").mkdir()
    (tmp_path / "cmp" / "1_int8.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def content(folder: Path) -> dict[str, str]:
    return {str(path): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "simulate net.yaml --mapping-out net.yaml",
            "--mapping-out: would overwrite net.yaml, which is read",
        ),
        ("simulate net.yaml --mapping-out ./cmp/../net.yaml", "--mapping-out: would overwrite net.yaml"),
        ("simulate net.yaml --trace soft.json", "--trace: would overwrite net.yaml"),
        ("simulate soft.json --mapping-out net.yaml", "--mapping-out: would overwrite soft.json"),
        ("simulate net.yaml --access-trace hard.csv", "--access-trace: would overwrite net.yaml"),
        ("simulate layers.csv --out .", "--out: would overwrite layers.csv"),
        ("simulate net.yaml --mapping m.yaml --mapping-out m.yaml", "--mapping-out: would overwrite m.yaml"),
        ("simulate net.yaml --arch arch.yaml --mapping-out table.yaml", "--mapping-out: would overwrite"),
        ("simulate net.yaml --set tables=[dram,table.yaml] --mapping-out table.yaml", "--mapping-out: would"),
        (
            "simulate net.yaml --trace t.json --mapping-out t.json",
            "--trace: would write to the same place as",
        ),
        ("simulate net.yaml --out o --mapping-out o/result.json", "--mapping-out: would write to the same"),
        ("simulate net.yaml --out o --trace o", "--trace: would write to the same place as --out"),
        ("infer net.yaml --data x.npy --save .", "--save: would overwrite x.npy"),
        ("infer net.yaml --save o --store o", "--store: would write to the same place as --save"),
        ("trace net.yaml --input x.npy -o .", "--out: would overwrite x.npy"),
        ("trace net.yaml --input x.csv -o .", "--out: would overwrite x.csv, which is read"),
        ("compare cmp --out cmp", "--out: would overwrite cmp/1_int8.json"),
        ("compare cmp --csv cmp/1_int8.json", "--csv: would overwrite cmp/1_int8.json"),
        ("compare cmp --out o --csv o/1_int8.json", "--out: would write to the same place as --csv"),
        ("compare cmp --out o --csv o", "--out: would write to the same place as --csv"),
        ("report cmp/1_int8.json -o cmp/1_int8.json", "--out: would overwrite cmp/1_int8.json"),
        ("report cmp -o r.html --plots r.html", "--plots: would write to the same place as --out"),
        ("sweep spec.yaml --csv spec.yaml", "--csv: would overwrite spec.yaml"),
        ("sweep spec.yaml --csv net.yaml", "--csv: would overwrite net.yaml"),
        ("sweep spec.yaml --plots d --store d", "--store: would write to the same place as --plots"),
        ("sweep spec.yaml --csv d/store.json --store d", "--store: would write to the same place as --csv"),
        ("tables new arch.yaml --arch arch.yaml", "FILE: would overwrite arch.yaml"),
        (
            "tables import table.yaml --out table.yaml --source s --status own --activity a --node-nm 28"
            " --voltage-v 1 --temperature-c 25 --clock-mhz 100",
            "--out: would overwrite table.yaml",
        ),
        ("rtl synth int8 --liberty table.yaml --report table.yaml", "--report: would overwrite table.yaml"),
        ("rtl price int8 --liberty table.yaml -o table.yaml", "--out: would overwrite table.yaml"),
        ("rtl emit int8 --arch soft.v -o .", "--out: would overwrite soft.v"),
        ("rtl price int8 --arch arch.yaml -o arch.yaml", "--out: would overwrite arch.yaml"),
        ("rtl price int8 --arch arch.yaml -o table.yaml", "--out: would overwrite table.yaml"),
        ("rtl price int8 --liberty net.yaml -o soft.json", "--out: would overwrite net.yaml"),
        ("rtl synth int8 --operands x.npy --report x.npy", "--report: would overwrite x.npy"),
        ("rtl synth int8 --liberty net.yaml --report hard.csv", "--report: would overwrite net.yaml"),
    ],
)
def test_what_is_read_is_not_written_over(
    arguments: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "m.yaml").write_text("{}")
    (folder / "x.npy").write_bytes(b"")
    (folder / "x.csv").symlink_to("trace.json")
    (folder / "trace.json").write_text("{}")
    (folder / "soft.v").symlink_to("arch.yaml")
    before = content(folder)
    stderr = run(capsys, *arguments.split()).must_refuse(f"systolic: {message}").stderr
    assert stderr.count("\n") == 1
    assert content(folder) == before


@pytest.mark.parametrize(
    "arguments",
    [
        "simulate net.yaml --trace /dev/null --mapping-out /dev/null -q",
        "simulate net.yaml --out o --mapping-out o/mapping.yaml --trace o/t.json -q",
        "simulate net.yaml --out . --mapping-out m.yaml -q",
        "compare net.yaml --mac int8 --out o --csv table.csv -q",
    ],
)
def test_what_is_apart_is_written_as_often_as_asked(
    arguments: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "layers.csv").unlink()
    for _ in range(2):
        run(capsys, *arguments.split()).must_succeed()
    assert (folder / "net.yaml").read_text() == NETWORK


def leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
    for each, below in (inner or {}).items():
        yield from leaves(f"{name} {each}", below)


def test_every_parameter_that_is_a_path_is_known_to_be_read_or_written() -> None:
    commands = _Imported()
    every = {name: command for each in commands for name, command in leaves(each, commands[each])}
    assert every.keys() >= WRITTEN.keys()
    paths = 0
    for name, command in every.items():
        parameters = {each.name for each in command.params}
        written = WRITTEN.get(name, {})
        assert written.keys() <= parameters, name
        for parameter, hint in typing.get_type_hints(inspect.unwrap(command.callback)).items():
            if Path in (hint, *typing.get_args(hint)):
                paths += 1
                assert parameter in READ or parameter in written, (name, parameter)
    assert paths >= 25
