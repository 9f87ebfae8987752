"""Does `systolic macs` list and show every MAC?"""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from simulator.cli.macs import app
from simulator.foundation import UserError
from simulator.numerics import preset_names


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_the_list_names_every_mac_within_eighty_columns() -> None:
    lines = run().splitlines()
    assert [line.split()[0] for line in lines[1 : 1 + len(preset_names())]] == list(preset_names())
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("name", [*preset_names(), "e2m3 x e2m3", "fp16 x fp16"])
def test_a_mac_is_shown_within_eighty_columns(name: str) -> None:
    page = run("show", name)
    assert page.startswith(name)
    assert max(map(len, page.splitlines())) <= 80


def test_elma8_as_johnson_describes_it() -> None:
    page = " ".join(run("show", "elma8").split())
    assert "38-bit two's complement, lowest bit 2^-24" in page
    assert "12 + 12 operand bits, 38 accumulator bits" in page
    assert "up to 500 MHz" in page


def test_the_width_that_aggarwal_derives_for_e2m3() -> None:
    document = json.loads(run("show", "e2m3 x e2m3", "--json"))
    assert document["accumulator"] == {"kind": "fixed", "bits": 26, "lsb": -6, "overflow": "wrap"}
    assert document["longest_safe_reduction"] >= document["reduction_length"] == 4608


def test_the_list_as_json() -> None:
    assert [document["name"] for document in json.loads(run("--json"))] == list(preset_names())


def test_an_unknown_mac_is_a_user_error() -> None:
    with pytest.raises(UserError, match="did you mean 'elma8'"):
        CliRunner().invoke(app, ["show", "elma88"], catch_exceptions=False)
