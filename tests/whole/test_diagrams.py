"""Do drawings show what was recorded and counted: sums, skew, bits of codes, bytes, cycles?"""

from __future__ import annotations

import re

import pytest

from simulator.dataflow import DATAFLOWS
from simulator.illustrations import bit_fields, picture_of, pictures_of, record
from simulator.numerics import get_format, get_mac
from simulator.numerics.formats import example_specs
from simulator.report.array_diagram import array_diagram, frames_of
from simulator.report.comparison import compare_results
from simulator.report.diagrams import diagrams_of
from simulator.report.format_diagram import format_diagram
from simulator.report.html import render_html
from simulator.report.layer_differences import layer_differences
from simulator.report.machine_diagrams import fold_diagram, memory_diagram
from simulator.report.pictures import GridRecording, Pictures
from simulator.result_layer import LayerCycles
from tests.report_fixtures import make_result


def _recorded(dataflow: str) -> GridRecording:
    recording = record(get_mac("int8"), dataflow)
    assert recording is not None
    return recording


def test_operands_enter_each_row_and_column_one_cycle_later() -> None:
    recording = _recorded("os")
    for row in range(4):
        entering = [frame.cycle for frame in recording.frames if frame.left[row]]
        assert entering == list(range(row, row + 5))
        assert [frame.cycle for frame in recording.frames if frame.top[row]] == entering
    # R + C - 2 cycles of skew, K products, R shifts out.
    assert len(recording.frames) == 6 + 5 + 4
    assert [frame.phase for frame in recording.frames] == ["fill"] * 6 + ["compute"] * 5 + ["drain"] * 4


def test_sums_are_those_of_the_operands_that_entered() -> None:
    recording = _recorded("os")
    rows = [[int(frame.left[row]) for frame in recording.frames if frame.left[row]] for row in range(4)]
    columns = [[int(frame.top[col]) for frame in recording.frames if frame.top[col]] for col in range(4)]
    expected = [[sum(a * w for a, w in zip(row, column, strict=True)) for column in columns] for row in rows]
    before_drain = next(frame for frame in reversed(recording.frames) if frame.phase == "compute")
    assert [[int(value) for value in row] for row in before_drain.sums] == expected
    assert any(value for row in expected for value in row)


@pytest.mark.parametrize("dataflow", sorted(DATAFLOWS))
def test_every_dataflow_is_recorded_with_all_its_products(dataflow: str) -> None:
    recording = _recorded(dataflow)
    m, n, k = recording.shape
    assert sum(sum(map(sum, frame.busy)) for frame in recording.frames) == m * n * k
    states = frames_of(recording)
    assert len(states) == len(recording.frames)
    drawn = set(re.findall(r'data-key="([^"]+)"', array_diagram(recording)))
    assert all(set(state) <= drawn for state in states)


@pytest.mark.parametrize("spec", example_specs())
def test_fields_are_all_bits_of_a_code(spec: str) -> None:
    fmt = get_format(spec)
    assert sum(field.bits for field in bit_fields(fmt)) == fmt.bits
    assert format_diagram(picture_of(fmt, "weights")).startswith("<svg ")


def test_fields_and_octaves_of_e4m3_are_those_of_its_definition() -> None:
    picture = picture_of(get_format("e4m3"), "weights")
    assert [(field.name, field.bits) for field in picture.fields] == [
        ("sign", 1),
        ("exponent", 4),
        ("fraction", 3),
    ]
    # Subnormals of 2^-9 steps: 1, 2 and 4 of them from 2^-9, 2^-8 and 2^-7; then 8 in each of 15 exponents.
    assert picture.octaves == ((-9, 1), (-8, 2), (-7, 4), *((exponent, 8) for exponent in range(-6, 9)))
    assert len(picture.values) == 255
    assert (picture.values[0], picture.values[-1]) == (-480.0, 480.0)


def test_bytes_on_arrows_are_those_of_all_layers() -> None:
    result = make_result(layers=2)
    one, two = result.layers
    moved = one.dram_bytes.filter.read + two.dram_bytes.filter.read
    assert moved == one.n * one.k + two.n * two.k
    drawn = memory_diagram(result)
    assert drawn.count("<polygon") == 3 + 3  # DRAM to ifmap and filter, from ofmap; likewise SRAM and array
    assert f">{moved / 1000:.0f} kB<" in drawn or f">{moved / 1000:.1f} kB<" in drawn


def test_the_timeline_fills_all_cycles_and_says_what_a_fold_takes() -> None:
    result = make_result(layers=5)
    drawn = fold_diagram(result)
    widths = [float(w) for w in re.findall(r'width="([0-9.]+)" height="34.00"', drawn)]
    # The strip of all layers and that of the longest one's mean fold, 480 wide each.
    assert sum(widths) == pytest.approx(2 * 480, abs=0.3)
    longest = max(result.layers, key=lambda layer: layer.cycles.total)
    assert f"mean of the {longest.folds:,} folds of {longest.name}" in drawn


def test_differences_are_those_of_each_layer() -> None:
    results = [make_result(layers=3), make_result(mac="elma8", layers=3, energy_scale=0.5)]
    figure = layer_differences(compare_results(results))
    assert figure is not None
    assert figure.axis == "energy above int8_32x32 [µJ]"
    for place, (one, two) in enumerate(zip(results[1].layers, results[0].layers, strict=True)):
        expected = (one.energy_fj["total"] - two.energy_fj["total"]) / 1e9  # type: ignore[operator]
        assert figure.series[0].values[place] == pytest.approx(expected, rel=1e-9)
    assert layer_differences(compare_results(results[:1])) is None


def test_a_report_holds_the_drawings_of_each_result() -> None:
    result = make_result()
    page = render_html([result], pictures=[pictures_of(result)])
    for key in ("memories", "folds", "array", "formats"):
        assert f'id="v0-{key}"' in page
    assert 'id="v0-array"' not in render_html([result])
    unknown = result.model_copy(update={"arch": result.arch | {"array": {"mac": "no_such_mac"}}})
    assert pictures_of(unknown).recording is None


def test_the_caption_of_the_fold_timeline_says_that_it_shows_a_mean() -> None:
    """1,000 cycles in 8 folds are 125 cycles a fold, whatever each of them takes."""
    result = make_result(layers=1)
    (layer,) = result.layers
    cycles = LayerCycles(compute=700, fill=200, drain=100, stall=0, total=1000)
    layer = layer.model_copy(update={"cycles": cycles, "stalls": {}, "folds": 8})
    totals = result.totals.model_copy(update={"cycles": 1000})
    shown = result.model_copy(update={"layers": [layer], "totals": totals})
    (folds,) = (diagram for diagram in diagrams_of(shown, Pictures()) if diagram.key == "folds")
    assert (
        "the mean fold of the layer that takes most of them: the cycles of the layer divided by its folds"
        in folds.text
    )
    assert "single folds may take more or fewer cycles than the mean" in folds.text
    assert f"mean of the 8 folds of {layer.name}: 125.0 cycles" in folds.drawings[0]
