"""Does `systolic formats` list and show every format?"""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from simulator.cli.formats import app
from simulator.foundation import UserError
from simulator.numerics import get_format
from simulator.numerics.formats import example_specs


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_the_list_names_every_family_and_example() -> None:
    lines = run().splitlines()
    for spec in example_specs():
        assert any(line.split()[:2] == [spec, str(get_format(spec).bits)] for line in lines), spec
    assert max(map(len, lines)) <= 80


def test_the_list_as_json() -> None:
    documents = json.loads(run("--json"))
    assert [document["spec"] for document in documents] == list(example_specs())


def test_ue4m4b9_as_ffp8_defines_it() -> None:
    page = run("show", "ue4m4b9")
    # 4 exponent bits with bias 9: the top binade is 2**(15 - 9), the finest step 2**(1 - 9 - 4).
    assert "ue4m4b9: minifloat, 8 bits" in page
    assert "0 to 124" in page
    assert "smallest step     0.00024414062 = 2^-12" in page
    assert "5.7 decades, exponents 2^-12 to 2^6" in page
    document = json.loads(run("show", "ue4m4b9", "--json"))
    assert document["largest"] == 2**6 * (1 + 15 / 16)
    assert document["smallest_step"] == 2**-12
    assert not document["signed"]


@pytest.mark.parametrize(
    "spec", [*example_specs(), "uint2", "e1m1", "e1m14", "ue10m0", "posit3.0", "log16(9,8,10)"]
)
def test_every_page_fits_a_terminal_of_80_columns(spec: str) -> None:
    page = run("show", spec)
    assert page.startswith(f"{spec}: ")
    assert max(map(len, page.splitlines())) <= 80
    if get_format(spec).bits <= 16:
        assert page.count("█") >= 2  # the fullest column of both drawings


def test_evenly_spaced_values_make_an_even_line() -> None:
    drawing = run("show", "int8").split("values along the number line")[1].splitlines()
    bars = [line.strip() for line in drawing[1:5]]
    assert bars == ["█" * 64] * 4
    assert drawing[0].endswith("up to 4 in a column (height: log2)")


def test_an_unknown_format_is_the_users_error() -> None:
    with pytest.raises(UserError, match="did you mean 'e4m3fn'"):
        run("show", "e4m3f")
