"""Are the plot files there, of their kind, and the same at every run?"""

from __future__ import annotations

import hashlib
import random
import re
from pathlib import Path

import pytest

from simulator.foundation import UserError
from simulator.report.label_places import Box, place_labels
from simulator.report.plot_choices import PlotFormat
from simulator.report.plots import PlotStyle, write_figures, write_plots
from simulator.report.result_figures import result_figures
from tests.report_fixtures import make_result


def _digests(files: list[Path]) -> list[str]:
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


def test_every_figure_is_drawn_in_both_formats(tmp_path: Path) -> None:
    results = [make_result(layers=3, accuracy=True), make_result(mac="e4m3 x e4m3", layers=3)]
    files = write_plots(results, tmp_path / "one", ("svg",))
    assert (tmp_path / "one" / "compare_energy.svg").read_text().startswith("<?xml")
    assert (tmp_path / "one" / "1_int8_32x32" / "accuracy_by_layer.svg").is_file()
    assert (tmp_path / "one" / "2_e4m3_x_e4m3_32x32" / "roofline.svg").is_file()
    assert len(files) == len(set(files))


@pytest.mark.parametrize("file_format", ["png", "svg", "pdf"])
def test_a_figure_has_the_same_bytes_at_every_run(tmp_path: Path, file_format: PlotFormat) -> None:
    figures = [f for f in result_figures(make_result(layers=3)) if f.key in ("energy_by_layer", "roofline")]
    once = _digests(write_figures(figures, tmp_path, [file_format]))
    assert len(once) == 2
    assert _digests(write_figures(figures, tmp_path, [file_format])) == once


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match="output directory"):
        write_plots([make_result()], tmp_path / "taken")


def test_figures_for_papers_have_the_width_of_a_column_and_no_title_where_none_is_wanted(
    tmp_path: Path,
) -> None:
    result = make_result(layers=30)
    style = PlotStyle("column", has_title=False)
    only = ["energy_by_place", "roofline", "energy_by_layer"]
    files = write_plots([result], tmp_path / "bare", ("pdf", "svg"), only=only, style=style)
    assert [file.name for file in files] == [f"{name}.{kind}" for name in only for kind in ("pdf", "svg")]
    for file in files:
        if file.suffix == ".pdf":
            # 3.5 inches of 72 points.
            assert re.search(rb"/MediaBox \[ ?0 0 252 ", file.read_bytes())
        else:
            assert 'width="252pt"' in file.read_text(encoding="utf-8")
            assert "Roofline" not in file.read_text(encoding="utf-8")
    with_title = write_plots([result], tmp_path / "titled", ("svg",), only=["roofline"])
    assert "Roofline" in with_title[0].read_text(encoding="utf-8")


def test_a_chart_that_there_is_not_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'roofline'"):
        write_plots([make_result()], tmp_path / "none", only=["rooflin"])
    assert not (tmp_path / "none").exists()


def test_a_chart_of_many_layers_stays_of_a_size_that_can_be_opened(tmp_path: Path) -> None:
    figure = next(f for f in result_figures(make_result(layers=400)) if f.key == "energy_by_layer")
    text = write_figures([figure], tmp_path, ["svg"])[0].read_text(encoding="utf-8")
    assert 'width="1728pt"' in text  # 24 inches
    assert 20 < len(re.findall(r">conv_\d+<", text)) < 200


@pytest.mark.parametrize("seed", range(5))
def test_no_name_of_a_point_covers_another_name_or_a_point(seed: int) -> None:
    draw = random.Random(seed)
    points = [(draw.uniform(0, 300), draw.uniform(0, 200)) for _ in range(40)]
    sizes = [(draw.uniform(20, 70), 9.0) for _ in points]
    room = Box(0, 0, 300, 200)
    found = place_labels(points, range(40), sizes, room, radius=3)
    assert 5 < len(found) < 40
    boxes = list(found.values())
    for index, box in enumerate(boxes):
        assert 0 <= box.left < box.right <= 300
        assert 0 <= box.bottom < box.top <= 200
        for other in boxes[:index]:
            apart = box.right < other.left or other.right < box.left
            assert apart or box.top < other.bottom or other.top < box.bottom
        for x, y in points:
            assert not (box.left < x < box.right and box.bottom < y < box.top)


def test_points_at_one_place_have_one_name_and_a_lone_point_has_its_own() -> None:
    found = place_labels([(50, 50), (50, 50), (150, 50)], range(3), [(30, 9)] * 3, Box(0, 0, 200, 100))
    assert sorted(found) == [0, 2]
