"""Does the console page say what the result says, at every width, without colour and without Unicode?"""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from simulator.foundation import UserError
from simulator.report import units
from simulator.report.comparison import compare_results, variant_names
from simulator.report.components import colours, family_of, in_order
from simulator.report.console import render_comparison, render_result
from simulator.report.console_parts import Page
from simulator.result import priced
from tests.report_fixtures import COMPONENTS, make_result


def _console(width: int, *, encoding: str = "utf-8") -> tuple[Console, io.TextIOWrapper]:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    return Console(file=file, width=width, color_system=None), file


def _text(file: io.TextIOWrapper) -> str:
    file.seek(0)
    return file.read()


@pytest.mark.parametrize("width", [32, 40, 60, 72, 80, 100, 120, 1000])
def test_no_line_is_wider_than_the_console_and_nothing_is_cut_short(width: int) -> None:
    console, file = _console(width)
    render_result(make_result(layers=14, accuracy=True, estimated=True), console)
    render_comparison(
        [make_result(), make_result(mac="elma8", accuracy=True), make_result(mac="e4m3 x e4m3")], console
    )
    lines = _text(file).splitlines()
    assert max(map(len, lines)) <= width
    assert not [line for line in lines if "…" in line]


@pytest.mark.parametrize("unpriced", [False, True])
@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_every_figure_of_a_wide_page_stands_on_a_narrow_one(width: int, unpriced: bool) -> None:
    without = {"dram": "no table"} if unpriced else None
    results = [
        make_result(layers=12, accuracy=True, without_energy=without, without_area=without),
        make_result(layers=12, mac="elma8", accuracy=True, without_energy=without),
        make_result(layers=12, mac="e4m3 x e4m3", accuracy=True),
    ]

    def figures(columns: int) -> set[str]:
        console, file = _console(columns)
        for result in results:
            render_result(result, console, full=True)
        render_comparison(results, console)
        # What has a digit; words may be folded, and the axes of the drawing follow its width.
        drawn = re.sub(r"(?m)^( *[\d.]+)? *[|+].*$", "", _text(file))
        return set(re.findall(r"[~*×+-]?\d[\d,.]*", drawn))

    missing = figures(1000) - figures(width)
    assert not missing


def test_a_table_too_wide_for_the_page_repeats_its_first_column() -> None:
    console, file = _console(25)
    page = Page(console)
    table = page.table([("name", "left"), *((f"column {i}", "right") for i in range(4))])
    table.add_row("alpha", "1,111,111", "2", "3", "4,444,444")
    page.line(table)
    lines = [line.rstrip() for line in _text(file).splitlines()]
    assert [line for line in lines if "─" not in line] == [
        "name    column 0",
        "alpha  1,111,111",
        "name   column 1  column 2",
        "alpha         2         3",
        "name    column 3",
        "alpha  4,444,444",
    ]


def test_a_pipe_that_takes_only_ascii_gets_only_ascii() -> None:
    console, file = _console(80, encoding="ascii")
    render_result(make_result(accuracy=True), console)
    render_comparison([make_result(), make_result(mac="elma8")], console)
    assert "uJ" in _text(file)


def test_text_from_a_result_is_never_read_as_markup() -> None:
    console, file = _console(100)
    result = make_result()
    render_result(result.model_copy(update={"warnings": ["[bold]tile[/bold] does not fit [/]"]}), console)
    assert "! [bold]tile[/bold] does not fit [/]" in _text(file)


def test_headline_figures_stand_on_the_page() -> None:
    result = make_result()
    console, file = _console(80)
    render_result(result, console)
    page = _text(file)
    assert f"{result.totals.cycles:,}" in page
    for component, energy_pj in result.totals.energy_by_component_pj.items():
        share = f"{100 * priced(energy_pj) / priced(result.totals.energy_pj):.1f} %"
        assert energy_pj == 0 or share in page, component


def test_the_long_table_holds_every_layer_and_the_short_one_the_ten_dearest() -> None:
    result = make_result(layers=14)
    dearest = sorted(result.layers, key=lambda layer: priced(layer.energy_pj["total"]))[-10:]
    for full, expected in ((True, result.layers), (False, dearest)):
        console, file = _console(80)
        render_result(result.model_copy(update={"warnings": []}), console, full=full)
        shown = set(re.findall(r"^conv_\d+", _text(file), flags=re.MULTILINE))
        assert shown == {layer.name for layer in expected}


def test_each_variant_is_told_relative_to_the_first_and_the_best_is_marked() -> None:
    first, second = make_result(), make_result(mac="elma8", energy_scale=0.5)
    comparison = compare_results([first, second])
    energy = [metric.key for metric in comparison.metrics].index("energy_pj")
    cells = [variant.cells[energy] for variant in comparison.variants]
    assert cells[0].relative == 1.0
    assert cells[1].relative == priced(second.totals.energy_pj) / priced(first.totals.energy_pj)
    assert [cell.best for cell in cells] == [False, True]


def test_a_column_in_which_all_are_equal_has_no_best() -> None:
    comparison = compare_results([make_result(), make_result(arch_name="the same again")])
    assert not [cell for variant in comparison.variants for cell in variant.cells if cell.best]


def test_estimates_are_told_apart_from_published_prices() -> None:
    console, file = _console(80)
    render_comparison([make_result(), make_result(mac="elma8", estimated=True)], console)
    page = _text(file)
    assert "~elma8_32x32" in page
    assert "~int8_32x32" not in page
    assert "~ MAC without a published price" in page


def test_results_of_different_networks_are_refused_unless_asked_for() -> None:
    results = [make_result("alexnet"), make_result("vgg16")]
    with pytest.raises(UserError, match=r"different networks: alexnet .* and vgg16"):
        compare_results(results)
    assert compare_results(results, mixed=True).networks == ("alexnet", "vgg16")


def test_variants_have_different_names_even_when_made_alike() -> None:
    names = variant_names([make_result(), make_result(), make_result(mac="elma8")])
    assert len(set(names)) == 3


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (units.energy(0), "0 pJ"),
        (units.energy(0.2254), "225.4 fJ"),
        (units.energy(999.96), "1.000 nJ"),
        (units.energy(27_380_000_000), "27.38 mJ"),
        (units.power(226), "226.0 mW"),
        (units.duration(0.00045), "450.0 ns"),
        (units.area(348231), "0.3482 mm²"),
        (units.area(336.672), "336.7 µm²"),
        (units.quantity(4_089_184_256), "4.089 G"),
        (units.whole(1234567), "1,234,567"),
        (units.ratio(0.8650), "×0.865"),
        (units.ratio(None), "–"),
        (units.energy_scale([1.5e9, 3.0]).show(3.0), "<0.001"),
    ],
)
def test_units(shown: str, expected: str) -> None:
    assert shown == expected


@given(st.floats(1e-4, 1e18))
def test_an_energy_read_back_from_its_text_is_the_same_to_four_digits(energy_pj: float) -> None:
    factors = {"fJ": 1e-3, "pJ": 1.0, "nJ": 1e3, "µJ": 1e6, "mJ": 1e9, "J": 1e12}
    figure, unit = units.energy(energy_pj).split()
    read_back_pj = float(figure.replace(",", "")) * factors[unit]
    assert read_back_pj == pytest.approx(energy_pj, rel=5.1e-4)


def test_components_keep_their_place_and_no_two_share_a_colour() -> None:
    assert in_order(reversed(COMPONENTS))[0] == "multiply"
    assert in_order(COMPONENTS)[-1] == "leakage"
    assert len(set(colours(COMPONENTS).values())) == len(COMPONENTS)
    assert family_of("sram_leakage").name == "leakage"


def test_one_memory_for_all_tensors_beside_one_for_each_has_a_colour_of_its_own() -> None:
    memories = ["sram_unified", "sram_ifmap", "sram_filter", "sram_ofmap"]
    assert len(set(colours(memories).values())) == 4
