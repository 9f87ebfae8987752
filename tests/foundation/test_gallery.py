"""Does the gallery show what its commands make?"""

from __future__ import annotations

import re

from tools.gallery import DOCS, FIGURES, PAGE, commands


def test_every_figure_of_the_page_is_there_and_known() -> None:
    shown = re.findall(r"!\[[^\]]+\]\(gallery/([^)]+)\)", PAGE.read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(FIGURES) == sorted(path.name for path in (DOCS / "gallery").iterdir())
    for name in shown:
        assert "<svg" in (DOCS / "gallery" / name).read_text(encoding="utf-8")[:500]


def test_the_commands_write_the_folders_that_the_figures_are_from() -> None:
    folders = {re.search(r"--plots (\S+)", command)[1] for command in commands() if "--plots" in command}  # type: ignore[index]
    assert {"/".join(plot.split("/")[:2]) for plot in FIGURES.values()} == folders
