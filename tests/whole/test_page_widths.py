"""Is every figure of a page there at every width, and is nothing cut without being printed elsewhere?"""

from __future__ import annotations

import re

import pytest

from tests.command import run

COMMANDS = [
    ("networks",),
    ("networks", "show", "resnet50"),
    ("networks", "show", "bert_base"),
    ("formats",),
    ("formats", "show", "e4m3"),
    ("macs",),
    ("macs", "show", "elma8"),
    ("tables", "list"),
    ("tables", "show", "johnson2018_28nm"),
    ("tables", "check", "--arch", "int8_32x32"),
    ("validate",),
]


FIGURE = re.compile(r"(?<![\w.,])\d+(?:[.,]\d+)*(?![\w.])")
"""A figure that is no part of a name, which may be folded anywhere."""


def words(text: str) -> str:
    """All that a page says, without lines, rules, spaces and bars, which follow its width."""
    return re.sub(r"[\s─━▁-█-]+", "", text)


def figures(text: str) -> set[str]:
    """All figures but the highest bar of a number line, whose columns follow the width."""
    return set(FIGURE.findall(re.sub(r"up to [\d,]+ in a column", "", text)))


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_narrow_page_says_what_a_wide_one_says(
    command: tuple[str, ...], width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    piped = run(capsys, *command).must_succeed().stdout
    monkeypatch.setenv("COLUMNS", str(width))
    narrow = run(capsys, *command).must_succeed().stdout
    assert len(figures(piped)) >= 5
    assert figures(piped) <= figures(narrow)
    assert "…" not in narrow
    assert len(words(narrow)) >= len(words(piped))
    if command[0] in ("formats", "macs", "tables", "validate"):
        assert max(map(len, narrow.splitlines())) <= width


@pytest.mark.parametrize(("said", "taken"), [("0", "80"), ("1", "20"), ("19", "20")])
def test_widths_that_no_text_fits_are_not_taken(
    said: str, taken: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A serial console says 0 columns; in fewer than 20 the terminal folds what was meant for 20."""
    monkeypatch.setenv("COLUMNS", said)
    text = run(capsys, "networks").must_succeed().stdout
    monkeypatch.setenv("COLUMNS", taken)
    assert text == run(capsys, "networks").must_succeed().stdout
    assert "resnet50" in text


def test_what_goes_through_the_mac_is_folded_at_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    arguments = ("lenet5_fashion", "--data", "fashion_mnist_1000", "--mac", "int8", "--images", "2")
    lines = run(capsys, "infer", *arguments).must_succeed().stdout.splitlines()
    assert max(len(line) for line in lines) <= 60
    assert "go through the MAC; in float32: 4 Relu, 2 MaxPool, 1 Flatten" in " ".join(lines).replace(
        "  ", " "
    )
