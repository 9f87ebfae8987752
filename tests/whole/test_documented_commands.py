"""Every command that the README and the docs show is run, as written, beside the files they name."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from simulator import api
from simulator.cli.commands import COMMANDS
from simulator.measured_runs import Tensors
from tests.command import ROOT, Outcome, run
from tests.documented_pages import FENCE, PAGES, Command, commands, fences
from tests.image_data import save_channel_network, save_image
from tools.gallery import FIGURES

TOPOLOGY = """\
Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,
Conv1, 32, 32, 3, 3, 3, 16, 1,
Conv2, 30, 30, 3, 3, 16, 32, 2,
"""

ARCHITECTURE = """\
description: sixteen rows of log float
array: {rows: 16, columns: 16, mac: elma8, overlap: drain}
sram: {ifmap: {capacity_kib: 64}, filter: {capacity_kib: 64}, ofmap: {capacity_kib: 32}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with the files that the pages speak of."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "topology.csv").write_text(TOPOLOGY)
    (tmp_path / "my_arch.yaml").write_text(ARCHITECTURE)
    (tmp_path / "sizes.yaml").write_text(documented_file("sweeps.md", "sizes.yaml"))
    for name in ("accelerator.yaml", "my_28nm.yaml"):
        (tmp_path / name).write_text(documented_file("own_prices.md", name))
    (tmp_path / "narrow.yaml").write_text(documented_file("own_format.md", "narrow.yaml"))
    onnx.save(small_model(), tmp_path / "model.onnx")
    save_channel_network(tmp_path).rename(tmp_path / "classifier.onnx")
    for place, colour in enumerate(((200, 20, 10), (10, 210, 30), (30, 20, 190)) * 4):
        save_image(tmp_path / "photos" / f"{place % 3}_{place}.png", colour)
    rows = [f"{path.name},{path.name[0]}" for path in sorted((tmp_path / "photos").iterdir())]
    (tmp_path / "photos" / "labels.csv").write_text("\n".join(rows) + "\n")
    images = np.random.default_rng(1).random((8, 3, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "images.npz", images=images, labels=np.arange(8) % 3)
    operands = np.random.default_rng(2).integers(-128, 128, (2, 64, 64))
    np.savez(tmp_path / "layer.npz", activations=operands[0], weights=operands[1])
    save_cell_library(tmp_path / "my.lib")
    return tmp_path


def save_cell_library(path: Path) -> None:
    """The generic library as a user's own, where the extra that reads it is installed."""
    if all(find_spec(package) for package in NEEDS["hardware.md"]):
        from simulator.hardware.generic_library import generic_library
        from simulator.hardware.liberty_writer import liberty_text

        library = generic_library()
        path.write_text(liberty_text(library, library.cells.values()), encoding="utf-8")


def documented_file(page: str, name: str) -> str:
    """The file that a page shows in a block whose first line is its name in a comment."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.search(rf"```yaml\n# {re.escape(name)}\n(.*?)```", text, re.DOTALL)
    assert found, f"{page} shows no {name}"
    return found[1]


def small_model() -> onnx.ModelProto:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 16, 16])
    weights = helper.make_tensor_value_info("weights", TensorProto.FLOAT, [8, 3, 3, 3])
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, 8, 16, 16])
    node = helper.make_node("Conv", ["image", "weights"], ["features"], pads=[1, 1, 1, 1])
    return helper.make_model(helper.make_graph([node], "small", [image, weights], [features]))


TUTORIALS = {"tutorial.md", "own_prices.md", "own_format.md", "own_model.md"}
"""Pages on which no step may overwrite what an earlier one has written."""

NEEDS = {
    "hardware.md": ("amaranth", "pyosys"),
    "sweeps.md": ("distributed",),
    "clusters.md": ("distributed",),
}
"""Packages of an extra that a page's commands need."""

ELSEWHERE = {"extending.md": "tests/whole/test_plugins.py"}
"""Pages whose commands need a package that another test installs and then runs them."""

WITH_COMMANDS = [page for page in PAGES if any(command.unrun is None for command in commands(page))]

UNRUN = [(page.name, command) for page in PAGES for command in commands(page) if command.unrun]

EXTRAS = set(
    tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
)

TARGETS = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def test_the_pages_show_commands() -> None:
    assert {"README.md", "reports.md", "sweeps.md"} | TUTORIALS <= {page.name for page in WITH_COMMANDS}
    assert 2 * len(UNRUN) < sum(len(commands(page)) for page in WITH_COMMANDS)


def test_every_command_stands_in_a_console_block() -> None:
    """In a block of another language no test would find it."""
    command = re.compile(r"^(?:\$ |(?:systolic|make|pip|python) [a-z-])", re.MULTILINE)
    for page in PAGES:
        for fence in fences(page):
            if fence.language != "console":
                assert not command.search(fence.text), f"{page.name}: {fence.text}"
            if fence.unrun is not None:
                assert fence.language == "console", f"{page.name}: a reason not to run what is no command"
        text = page.read_text(encoding="utf-8")
        indented = re.compile(r"^(?: {4,}|\t)(?:\$ |(?:systolic|make|pip|python) [a-z-])", re.MULTILINE)
        if page.name != "command_line.md":  # how every command is called, with placeholders
            assert not indented.search(FENCE.sub("", text)), f"{page.name}: a command in an indented block"
        reasons = re.findall(r"^<!-- not run by a test", text, re.MULTILINE)
        assert len(reasons) == sum(fence.unrun is not None for fence in fences(page)), page.name


def test_commands_in_a_sentence_exist() -> None:
    """`make docs` and `systolic sweep ...` in running text: the target, the command."""
    for page in PAGES:
        text = FENCE.sub("", page.read_text(encoding="utf-8"))
        named = {*re.findall(r"`make ([a-z-]+)", text)}
        assert named <= TARGETS, f"{page.name}: no target {named - TARGETS}"
        named = {*re.findall(r"`systolic ([a-z]+)", text)}
        assert named <= {*COMMANDS}, f"{page.name}: no command {named - {*COMMANDS}}"
    assert {"demo", "test", "docs"} <= TARGETS


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.name)
def test_the_commands_of_a_page_run_one_after_the_other(
    page: Path, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if page.name in ELSEWHERE:
        pytest.skip(f"{ELSEWHERE[page.name]} runs the commands of {page.name}")
    for package in NEEDS.get(page.name, ()):
        pytest.importorskip(package, reason=f"{page.name} needs {package}")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "80")
    with cluster(page) as address:
        for command in commands(page):
            if command.unrun is None:
                printed = perform(command, address, capsys)
                require_shown(command, printed.stdout)
                if page.name in TUTORIALS:
                    assert "overwrote" not in printed.stderr, f"{command.line}: {printed.stderr}"
    if page.name == "gallery.md":
        assert [plot for plot in FIGURES.values() if not (folder / plot).is_file()] == []
    if page.name == "README.md":
        assert (folder / "docs" / "front.csv").read_bytes() == (ROOT / "docs" / "front.csv").read_bytes()


def perform(command: Command, address: str, capsys: pytest.CaptureFixture[str]) -> Outcome:
    """Run a command as it is written, `systolic` and modules in this process."""
    program, *arguments = shlex.split(command.line.replace(SCHEDULER, address))
    if program == "systolic":
        outcome = run(capsys, *arguments)
    elif program == "python":
        outcome = process(sys.executable, *arguments)
    else:
        assert program == "make", f"nothing is known of {program}"
        outcome = make(Path.cwd(), *arguments)
    assert outcome.exit_code == 0, f"{command.line}: {outcome.stderr}"
    if command.piped_to is not None:
        field = command.piped_to.removeprefix("jq .")
        assert json.loads(outcome.stdout)[field], f"{command.line} prints no {field}"
    return outcome


def require_shown(command: Command, stdout: str) -> None:
    """A page shows what the command prints, or how it begins."""
    printed = [line.rstrip() for line in stdout.splitlines()]
    if command.shown[-1:] == ("...",):
        assert printed[: len(command.shown) - 1] == [*command.shown[:-1]], command.line
        assert len(printed) >= len(command.shown), f"{command.line}: nothing follows"
    elif command.shown:
        assert printed == [*command.shown], command.line


def make(folder: Path, *arguments: str) -> Outcome:
    """A target of the Makefile where all that it installs is there: the interpreter that runs the tests."""
    programs = folder / "venv" / "bin"
    programs.mkdir(parents=True)
    for name, module in (("systolic", "-m simulator"), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n', encoding="utf-8")
        (programs / name).chmod(0o755)
    (folder / "venv" / ".user-installed").touch()
    return process("make", "-C", ROOT, f"VENV={folder / 'venv'}", *arguments)


def process(*command: str | Path) -> Outcome:
    """A program of its own, which finds the modules of this checkout."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr)


@contextmanager
def cluster(page: Path) -> Iterator[str]:
    """A scheduler with a worker, if the page's commands name one."""
    if not any(SCHEDULER in command.line for command in commands(page)):
        yield SCHEDULER
        return
    from distributed import LocalCluster

    settings = {"protocol": "tcp", "host": "127.0.0.1", "dashboard_address": ":0", "silence_logs": 50}
    local = LocalCluster(n_workers=1, threads_per_worker=1, processes=False, **settings)  # type: ignore[no-untyped-call]
    with local:
        yield local.scheduler_address


SCHEDULER = "tcp://scheduler:8786"
"""The address that pages name, of which each reader has another."""


@pytest.mark.parametrize(("page", "reason"), sorted({(page, each.unrun) for page, each in UNRUN}))
def test_what_is_not_run_exists_and_says_why(page: str, reason: str) -> None:
    lines = [each.line for name, each in UNRUN if (name, each.unrun) == (page, reason)]
    for line in lines:
        program, *arguments = shlex.split(line)
        if program == "make":
            assert arguments[0] in TARGETS
        elif program == "pip":
            assert set(re.findall(r"systolic-simulator\[(\w+)\]", line)) <= EXTRAS
        elif program == "python":
            assert find_spec(arguments[1]) is not None
        else:
            assert (program, arguments[0] in COMMANDS) == ("systolic", True)
    pytest.skip(f"not run: {reason}: {', '.join(lines)}")


def test_other_output_than_that_shown_is_noticed() -> None:
    shown = Command("systolic x", None, ("a", "b"), None)
    begun = Command("systolic x", None, ("a", "..."), None)
    require_shown(shown, "a\nb  \n")
    require_shown(begun, "a\nc\n")
    for command, printed in ((shown, "a\n"), (shown, "a\nb\nc\n"), (begun, "b\nc\n"), (begun, "a\n")):
        with pytest.raises(AssertionError):
            require_shown(command, printed)


def table_rows(page: str, first: str) -> list[list[str]]:
    """The cells of the table of a page whose first column has this name."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.search(rf"^\| {first} \|.*\n\|[-:| ]+\|\n((?:\|.*\|\n)+)", text, re.MULTILINE)
    assert found, f"{page} has no table of {first}"
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in found[1].splitlines()]


@pytest.mark.slow
def test_the_accumulators_of_the_page_of_formats_are_what_runs_give(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    narrow = (folder / "narrow.yaml").read_text(encoding="utf-8")
    rows = table_rows("own_format.md", "accumulator")
    images = ("lenet5_fashion", "--data", "fashion_mnist_1000", "--images", "200")
    for place, row in enumerate(rows):
        (folder / "tried.yaml").write_text(narrow.replace("bits: 18", f"bits: {row[0].split()[0]}"))
        chosen = ("--arch", "tried.yaml") if place else ("--mac", "e3m4 x e3m4")
        outcome = run(capsys, "simulate", *images, *chosen, "--out", str(place))
        outcome.must_succeed()
        printed = " ".join((outcome.stdout + outcome.stderr).split())
        left = re.search(r"([\d,]+) of [\d,]+ sums left the accumulator", printed)
        assert row[5] == (left[1] if left else "0")
    outcome = run(capsys, "compare", *map(str, range(len(rows))), "--json")
    for place, (row, found) in enumerate(zip(rows, json.loads(outcome.stdout)["variants"], strict=True)):
        half = (found["top1_points_high"] - found["top1_points_low"]) / 2
        assert row[1:5] == [
            f"{found['energy_pj_relative']:.3f}",
            f"{found['area_um2_relative']:.3f}",
            f"{found['top1'] * 100:.1f} %",
            f"{found['top1_points']:+.1f} ± {half:.1f}" if place else "",
        ]


@pytest.mark.slow
def test_the_comparison_of_the_page_of_prices_is_what_runs_give(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    rows = table_rows("own_prices.md", "MAC")
    names = [row[0].strip("`") for row in rows]
    read = []
    for name in names:
        chosen = ("--arch", "accelerator.yaml", "--mac", name)
        run(capsys, "simulate", "resnet18", *chosen, "--out", name).must_succeed()
        with (folder / name / "layers.csv").open(encoding="utf-8") as file:
            read.append(sum(float(layer["dram_filter_read_bytes"]) for layer in csv.DictReader(file)))
    outcome = run(capsys, "compare", *names, "--json")
    for row, found, size in zip(rows, json.loads(outcome.stdout)["variants"], read, strict=True):
        ratios = [
            f"{found[name]:.2f}" for name in ("cycles_relative", "energy_pj_relative", "area_um2_relative")
        ]
        assert row[1:] == [*ratios, f"{size / 1e6:.1f} MB"]


TABLE_ROW = re.compile(
    r"^\| `(?P<mac>[^`]+)` \| (?P<energy>[\d.]+) \| (?P<area>[\d.]+) \| (?P<top1>[\d.]+) %"
    r" \| ?(?P<points>[^|]*)\|$",
    re.MULTILINE,
)


@pytest.mark.slow
def test_the_tables_of_the_tutorial_are_what_its_comparisons_give(tmp_path: Path) -> None:
    """Two tables: the formats as they are, and those of 4 bits with a better policy."""
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    rows = [match.groupdict() for match in TABLE_ROW.finditer(text)]
    assert len(rows) == 5 + 3
    policies = (None, "mse+gptq+bias_correction")
    for policy, part in zip(policies, (rows[:5], rows[5:]), strict=True):
        tensors = Tensors("fashion_mnist_1000", policy)
        frame = api.compare(
            "lenet5_fashion", macs=[row["mac"] for row in part], tensors=tensors
        ).to_dataframe()
        for row, (_, found) in zip(part, frame.iterrows(), strict=True):
            assert row["energy"] == f"{found['energy_pj_relative']:.3f}"
            assert row["area"] == f"{found['area_um2_relative']:.3f}"
            assert row["top1"] == f"{found['top1'] * 100:.1f}"
            half = (found["top1_points_high"] - found["top1_points_low"]) / 2
            points = f"{found['top1_points']:+.1f} ± {half:.1f}"
            assert row["points"].strip() == ("" if row is part[0] else points)
