"""Does the README show what commands print, the picture what was measured, do its links lead anywhere?"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from simulator.foundation.proportion import wilson_interval
from tests.command import ROOT
from tests.documented_pages import commands
from tools.front_picture import Measured, picture, read_rows, written_rows
from tools.index_readme import relative_links, with_addresses

README = (ROOT / "README.md").read_text(encoding="utf-8")
POINTS = (ROOT / "docs" / "front.csv").read_text(encoding="utf-8")


def test_the_readme_shows_the_output_of_a_command() -> None:
    """`test_documented_commands.py` compares it with what the command prints, and measures the points."""
    (shown,) = (command for command in commands(ROOT / "README.md") if command.shown)
    assert shown.line.startswith("systolic compare ")
    assert shown.shown[-1] == "..."
    assert len(shown.shown) > 20


def test_the_front_of_the_picture_is_that_of_its_points() -> None:
    rows = read_rows(POINTS)
    assert written_rows(rows) == POINTS
    assert len(rows) == 12
    for row in rows:
        beaten = any(
            (other.energy_uj <= row.energy_uj and other.top1 > row.top1)
            or (other.energy_uj < row.energy_uj and other.top1 >= row.top1)
            for other in rows
        )
        assert row.on_front is not beaten, row.variant
        assert (row.top1_low, row.top1_high) == pytest.approx(wilson_interval(row.top1, row.images), abs=1e-6)


def test_the_picture_is_drawn_from_its_points() -> None:
    drawn = ET.parse(ROOT / "docs" / "front.svg").getroot()
    title = "12 number formats on resnet8_fashion, a 32×32 array; 1,000 labelled images"
    anew = ET.fromstring(picture(read_rows(POINTS), title))
    for tag in ("path", "use"):
        name = f"{{http://www.w3.org/2000/svg}}{tag}"
        places = [[(each.get("x"), each.get("y")) for each in root.iter(name)] for root in (drawn, anew)]
        assert places[0] == places[1]
    text = (ROOT / "docs" / "front.svg").read_text(encoding="utf-8")
    assert title in text
    for row in read_rows(POINTS):
        activation, _, weight = row.variant.partition(" x ")
        name = activation if activation == weight else row.variant.replace(" ", "_")
        assert f'<g id="format_{name}"' in text


def test_a_picture_of_other_points_is_another() -> None:
    rows = read_rows(POINTS)
    moved = [rows[0]._replace(top1=0.5, top1_low=0.4, top1_high=0.6), *rows[1:]]
    assert picture(moved, "") != picture(rows, "")


def test_every_link_of_the_readme_leads_to_a_file() -> None:
    links = relative_links(README)
    assert {"docs/front.svg", "docs/tutorial.md", "CONTRIBUTING.md"} <= set(links)
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_a_package_index_gets_addresses_only() -> None:
    page = with_addresses(README, "https://forge.example/owner/name", "v1.2.3")
    assert relative_links(page) == []
    assert "](https://forge.example/owner/name/raw/v1.2.3/docs/front.svg)" in page
    assert "](https://forge.example/owner/name/blob/v1.2.3/docs/tutorial.md)" in page
    assert page.count("](") == README.count("](")


@pytest.mark.parametrize(
    ("link", "led"),
    [
        ("[a](b.md#c)", "[a](R/blob/v1/b.md#c)"),
        ("![a](b/c.svg)", "![a](R/raw/v1/b/c.svg)"),
        ("[a](https://x/y)", "[a](https://x/y)"),
        ("[a](#b)", "[a](#b)"),
    ],
)
def test_links_of_every_kind(link: str, led: str) -> None:
    assert with_addresses(f"x {link} y", "R/", "v1") == f"x {led} y"


def test_a_row_reads_back_as_it_was_written(tmp_path: Path) -> None:
    row = Measured("a x b", "mse", 7, 1.5, 0.25, 0.5, 0.25, 0.75, on_front=False)
    assert read_rows(written_rows([row])) == [row]
