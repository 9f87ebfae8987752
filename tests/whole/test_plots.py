"""Are the plot files there, of their kind, and the same at every run?"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from simulator.foundation import UserError
from simulator.report.plots import PlotFormat, write_figures, write_plots
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


@pytest.mark.parametrize("file_format", ["png", "svg"])
def test_a_figure_has_the_same_bytes_at_every_run(tmp_path: Path, file_format: PlotFormat) -> None:
    figures = [f for f in result_figures(make_result(layers=3)) if f.key in ("energy_by_layer", "roofline")]
    once = _digests(write_figures(figures, tmp_path, [file_format]))
    assert len(once) == 2
    assert _digests(write_figures(figures, tmp_path, [file_format])) == once


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match="output directory"):
        write_plots([make_result()], tmp_path / "taken")
