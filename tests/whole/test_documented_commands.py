"""Every command that the README and the docs show is run, as written, beside the files they name."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from tests.command import ROOT, run

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


def documented_commands() -> Iterator[tuple[str, str]]:
    """Page and command of every `$ systolic ...` line of a console block, without comments and pipes."""
    for page in PAGES:
        for block in re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("$ systolic "):
                    command = line.removeprefix("$ ").split("  #")[0].split(" | ")[0]
                    yield page.name, command.strip()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with the files that the pages speak of; later commands build on earlier ones."""
    path = tmp_path_factory.mktemp("documented")
    (path / "topology.csv").write_text(TOPOLOGY)
    (path / "my_arch.yaml").write_text(ARCHITECTURE)
    (path / "sizes.yaml").write_text(documented_file("sweeps.md", "sizes.yaml"))
    onnx.save(small_model(), path / "model.onnx")
    return path


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


def test_the_pages_show_commands() -> None:
    assert {page for page, _ in documented_commands()} >= {"README.md"}


@pytest.mark.slow
@pytest.mark.xdist_group("documented-commands")
@pytest.mark.parametrize(("page", "command"), list(documented_commands()))
def test_a_documented_command_runs(
    page: str,
    command: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    run(capsys, *shlex.split(command)[1:]).must_succeed()
