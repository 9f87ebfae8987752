"""Are the source distribution and the wheel complete, and is a missing file noticed?"""

from __future__ import annotations

import tarfile
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

from tests.command import ROOT
from tools.check_release import build, distributions, missing_files, run


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("dist")
    build(folder)
    return distributions(folder)


@pytest.mark.slow
def test_both_distributions_have_every_file_of_the_package_and_its_data(dist: tuple[Path, Path]) -> None:
    assert missing_files(*dist) == []
    with tarfile.open(dist[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "CITATION.cff",
        "docs/front.svg",
        "pyproject.toml",
    } <= names
    with zipfile.ZipFile(dist[1]) as archive:
        assert not [name for name in archive.namelist() if name.startswith(("tests/", "tools/"))]


@pytest.mark.slow
def test_the_metadata_are_those_of_the_project(dist: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(dist[1]) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        head, _, page = archive.read(name).decode().partition("\n\n")
    metadata = message_from_string(head)
    assert metadata["Name"] == "systolic-simulator"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert page == (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_file_that_a_distribution_lacks_is_named(dist: tuple[Path, Path], tmp_path: Path) -> None:
    short = tmp_path / "short.whl"
    with zipfile.ZipFile(dist[1]) as whole, zipfile.ZipFile(short, "w") as cut:
        for name in whole.namelist():
            if name != "simulator/_data/workloads/resnet50.yaml":
                cut.writestr(name, whole.read(name))
    assert missing_files(dist[0], short) == ["simulator/_data/workloads/resnet50.yaml in short.whl"]


def test_a_command_that_fails_is_told_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no such thing"):
        run("python3", "-c", "raise SystemExit('no such thing')", cwd=tmp_path)
