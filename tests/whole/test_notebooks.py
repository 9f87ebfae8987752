"""Do the notebooks of the documentation run, and show what they were saved with?"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

from tools.notebooks import FOLDER, executed, read

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def shown(notebook: dict[str, Any]) -> list[Any]:
    """What the cells show, pictures left out: their bytes differ from one version of a library to another."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return [
        output.get("text") or {kind: text for kind, text in output["data"].items() if kind != "image/png"}
        for output in outputs
    ]


def test_there_is_a_notebook_for_each_kind_of_user() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "bring_a_model",
        "choose_a_format",
        "invent_a_format",
        "own_synthesis_numbers",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_gives_what_it_shows(path: Path, tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    saved = read(path)
    assert len(shown(saved)) >= 4
    bare = copy.deepcopy(saved)
    for cell in bare["cells"]:
        cell.pop("outputs", None)
    again = executed(bare, tmp_path)
    assert shown(again) == shown(saved), "run `python -m tools.notebooks` and look at what changed"
    plt.close("all")


def test_pictures_are_compared_by_their_presence() -> None:
    pictures = {path.stem: path.read_text(encoding="utf-8").count('"image/png"') for path in NOTEBOOKS}
    assert (pictures["choose_a_format"], pictures["bring_a_model"]) == (1, 1)


def test_a_cell_shows_what_it_prints_and_its_last_expression(tmp_path: Path) -> None:

    cells = [
        {"cell_type": "code", "source": ["x = 3\n", "print(x)\n", "x + 1"]},
        {"cell_type": "markdown", "source": ["# Text"]},
        {"cell_type": "code", "source": ["import pathlib\n", "here = str(pathlib.Path.cwd())\n", "here"]},
        {"cell_type": "code", "source": ["None"]},
    ]
    first, text, second, third = executed({"cells": cells}, tmp_path)["cells"]
    assert [output.get("text") for output in first["outputs"]] == [["3\n"], None]
    assert first["outputs"][1]["data"] == {"text/plain": ["4"]}
    assert (first["execution_count"], second["execution_count"]) == (1, 2)
    assert text == cells[1]
    assert second["outputs"][0]["data"]["text/plain"] == [repr(str(tmp_path))]
    assert third["outputs"] == []


def test_a_cell_that_fails_fails_the_run(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        executed({"cells": [{"cell_type": "code", "source": ["1 / 0"]}]}, tmp_path)
