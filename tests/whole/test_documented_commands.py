"""Every command that the README and the docs show is run, as written, beside the files they name."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from simulator import api
from simulator.measured_runs import Tensors
from tests.command import ROOT, run
from tests.image_data import save_channel_network, save_image
from tools.gallery import FIGURES

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

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


def documented_commands(page: Path) -> Iterator[str]:
    """Every `$ systolic ...` line of a page's console blocks, without comments and pipes."""
    for block in re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("$ systolic "):
                yield line.removeprefix("$ ").split("  #")[0].split(" | ")[0].strip()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with the files that the pages speak of."""
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
    return tmp_path


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

NEEDS = {"hardware.md": ("amaranth", "pyosys")}
"""Packages of an extra that a page's commands need."""

WITH_COMMANDS = [page for page in PAGES if list(documented_commands(page))]


def test_the_pages_show_commands() -> None:
    assert {"README.md", "reports.md", "sweeps.md"} | TUTORIALS <= {page.name for page in WITH_COMMANDS}


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.name)
def test_the_commands_of_a_page_run_one_after_the_other(
    page: Path, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in NEEDS.get(page.name, ()):
        pytest.importorskip(package, reason=f"{page.name} needs {package}")
    monkeypatch.chdir(folder)
    for command in documented_commands(page):
        outcome = run(capsys, *shlex.split(command)[1:])
        assert outcome.exit_code == 0, f"{command}: {outcome.stderr}"
        if page.name in TUTORIALS:
            assert "overwrote" not in outcome.stderr, f"{command}: {outcome.stderr}"
    if page.name == "gallery.md":
        assert [plot for plot in FIGURES.values() if not (folder / plot).is_file()] == []


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
