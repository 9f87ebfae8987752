"""The report's charts as PNG, SVG or PDF files, drawn by matplotlib; the same figures give the same bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.foundation import UserError
from simulator.foundation.files import prepare_folder, safe_name, write_bytes
from simulator.report.comparison import compare_results
from simulator.report.comparison_figures import comparison_figures
from simulator.report.figures import Figure, HeatMap, Scatter, StackedBars
from simulator.report.matplotlib_settings import matplotlib_settings
from simulator.report.plot_choices import WIDTHS_IN, PlotFormat, PlotWidth
from simulator.report.plot_drawing import draw_bars, draw_heat, draw_scatter
from simulator.report.result_figures import result_figures
from simulator.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_WIDEST_IN = 24.0


@dataclass(frozen=True, slots=True)
class PlotStyle:
    """How charts are drawn: for a screen or at a width of a paper, with or without their titles."""

    width: PlotWidth = "screen"
    has_title: bool = True


_SCREEN = PlotStyle()
_INK = "#3c4752"
_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # carried by matplotlib itself, so that every machine draws the same
    "font.size": 9,
    "axes.edgecolor": "#c9ced3",
    "axes.labelcolor": _INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e3e5e3",
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "svg.hashsalt": "systolic",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,  # fonts whole, so that publishers and editors can read the words
    "figure.dpi": 150,
}
_PAPER: dict[str, Any] = {
    "font.size": 7,
    "axes.titlesize": 8,
    "axes.linewidth": 0.6,
    "xtick.labelsize": 6,
    "ytick.labelsize": 6,
    "figure.dpi": 300,
}
_METADATA: dict[str, dict[str, str | None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def write_plots(
    results: Sequence[Result],
    folder: Path,
    formats: Sequence[PlotFormat] = ("png", "svg"),
    *,
    mixed: bool = False,
    only: Sequence[str] = (),
    style: PlotStyle = _SCREEN,
) -> list[Path]:
    """Write charts of a report to a folder, and return the files in the order of the report.

    Charts of one result among several lie in a folder of the variant's number and name.

    Args:
        results: one or more.
        folder: made where it is not there.
        formats: each chart is written in each.
        mixed: allow different networks or batches.
        only: names of charts (`plot_names`); empty: all that a report shows.
        style: width and title.

    Raises:
        UserError: no results, different networks without `mixed`, a name of `only` without a chart, or a
            folder that cannot be written.
    """
    comparison = compare_results(results, mixed=mixed)
    of_all = comparison_figures(comparison) if len(results) > 1 else []
    of_each = [result_figures(variant.result) for variant in comparison.variants]
    _require_known(only, [of_all, *of_each])
    prepare_folder(folder)
    files = write_figures(_chosen(of_all, only), folder, formats, style)
    for number, (variant, figures) in enumerate(zip(comparison.variants, of_each, strict=True), 1):
        chosen = _chosen(figures, only)
        if not chosen:
            continue
        several = len(results) > 1
        place = prepare_folder(folder / f"{number}_{safe_name(variant.name)}") if several else folder
        files += write_figures(chosen, place, formats, style)
    return files


def plot_names(figures: Sequence[Figure]) -> dict[str, Figure]:
    """Charts by name, those by place beside those by component."""
    named: dict[str, Figure] = {}
    for figure in figures:
        named[figure.key] = figure
        if isinstance(figure, StackedBars) and figure.gathered is not None:
            named[figure.gathered.key] = figure.gathered
    return named


def _chosen(figures: Sequence[Figure], only: Sequence[str]) -> list[Figure]:
    if not only:
        return list(figures)
    named = plot_names(figures)
    return [named[name] for name in dict.fromkeys(only) if name in named]


def _require_known(only: Sequence[str], groups: Sequence[Sequence[Figure]]) -> None:
    known = [name for figures in groups for name in plot_names(figures)]
    for name in only:
        if name not in known:
            raise UserError(
                "there is no such plot", source="--figure", value=name, candidates=dict.fromkeys(known)
            )


def draw(figure: Figure, style: PlotStyle = _SCREEN) -> Canvas:
    """One chart as a matplotlib figure, for notebooks and for `write_plots`."""
    with matplotlib_settings(_settings(style)):
        from simulator.report.shown_figure import ShownFigure

        canvas = ShownFigure(figsize=_size(figure, style), layout="constrained")
        axes = canvas.add_subplot()
        match figure:
            case StackedBars():
                draw_bars(canvas, axes, figure)
            case Scatter():
                draw_scatter(canvas, axes, figure)
            case HeatMap():
                draw_heat(canvas, axes, figure)
        if style.has_title:
            axes.set_title(figure.title, color="#16202a")
        return canvas


def write_figures(
    figures: Sequence[Figure], folder: Path, formats: Sequence[PlotFormat], style: PlotStyle = _SCREEN
) -> list[Path]:
    """Write charts to a folder that exists, each under its key, and return the files."""
    files = []
    for figure in figures:
        canvas = draw(figure, style)
        for file_format in formats:
            picture = io.BytesIO()
            with matplotlib_settings(_settings(style)):
                canvas.savefig(picture, format=file_format, metadata=_METADATA[file_format])
            file = folder / f"{figure.key}.{file_format}"
            write_bytes(file, picture.getvalue())
            files.append(file)
    return files


def _settings(style: PlotStyle) -> dict[str, Any]:
    return _STYLE if WIDTHS_IN[style.width] is None else {**_STYLE, **_PAPER}


def _size(figure: Figure, style: PlotStyle) -> tuple[float, float]:
    """Inches of a chart, wide and high."""
    width, height = _size_on_screen(figure)
    paper = WIDTHS_IN[style.width]
    return (width, height) if paper is None else (paper, min(height, 0.62 * paper + 0.3))


def _size_on_screen(figure: Figure) -> tuple[float, float]:
    match figure:
        case StackedBars(upright=True):
            return min(max(7.0, 0.17 * len(figure.categories) + 2.5), _WIDEST_IN), 4.2
        case StackedBars():
            legend = 0 if figure.is_one_part_each else len(figure.series)
            high = max(1.4 + 0.32 * len(figure.categories), 0.5 + 0.19 * legend)
            return 7.0, min(high, _WIDEST_IN)
        case _:
            return 6.0, 4.5
