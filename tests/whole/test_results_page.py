"""docs/results.md holds what is measured: rows of its accuracy part, measured anew."""

from __future__ import annotations

import re

import pytest

from simulator.inference import infer, load_images, load_model
from tools.accuracy_table import DATA, HEADING, INTRODUCTION, PAGE, SECTIONS, replaced


def row(network: str, mac: str) -> list[str]:
    """The cells of a MAC's row in a network's table."""
    page = PAGE.read_text(encoding="utf-8")
    table = page.split(f"#### {network}: ")[1].split("#### ")[0]
    found = re.search(rf"^\| {re.escape(mac)} \|.*$", table, re.MULTILINE)
    assert found is not None
    return [cell.strip().strip("*") for cell in found[0].strip("|").split("|")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "mac"),
    [("lenet5_fashion", "elma8"), ("lenet5_fashion", "fp8"), ("resnet8_fashion", "int8")],
)
def test_a_published_row_is_what_a_run_gives(network: str, mac: str) -> None:
    accuracy = infer(load_model(network), load_images(DATA), mac).accuracy
    above = accuracy.above_float32
    assert accuracy.top1 is not None
    assert accuracy.top5 is not None
    assert above is not None
    assert accuracy.agreement_with_float32 is not None
    assert row(network, mac) == [
        mac,
        accuracy.policy,
        f"{accuracy.images:,}",
        f"{100 * accuracy.top1:.1f} %",
        f"{above.points:+.1f} ({above.low:+.1f} to {above.high:+.1f})",
        f"{100 * accuracy.top5:.1f} %",
        f"{100 * accuracy.agreement_with_float32:.1f} %",
    ]


def test_every_section_is_on_the_page_once() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert INTRODUCTION in page
    measured = page.partition(HEADING)[2]
    wanted = [title for title, _, _ in SECTIONS.values()]
    assert re.findall(r"^### (.*)$", measured, re.MULTILINE) == wanted


def test_a_section_is_exchanged_and_the_others_stay() -> None:
    titles = [title for title, _, _ in SECTIONS.values()][:3]
    page = f"# Results\n\ncosts\n\n{HEADING}\n\nold introduction\n"
    for key, title in zip(list(SECTIONS)[:3], titles, strict=True):
        page = replaced(page, key, f"### {title}\n\nfirst\n")
    again = replaced(page, list(SECTIONS)[1], f"### {titles[1]}\n\nsecond\n")
    assert again == (
        f"# Results\n\ncosts\n\n{HEADING}\n\n{INTRODUCTION}\n\n### {titles[0]}\n\nfirst\n\n"
        f"### {titles[1]}\n\nsecond\n\n### {titles[2]}\n\nfirst\n"
    )
