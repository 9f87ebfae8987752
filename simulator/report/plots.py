"""The report's charts as PNG or SVG files, drawn by matplotlib; the same figures give the same bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from simulator.foundation.files import prepare_folder, safe_name, write_bytes
from simulator.report.comparison import compare_results
from simulator.report.comparison_figures import comparison_figures
from simulator.report.figures import Figure, HeatMap, Scatter, StackedBars
from simulator.report.result_figures import result_figures
from simulator.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

PlotFormat = Literal["png", "svg"]

_INK = "#3c4752"
_POINT = "#0072b2"
_STYLE: Any = {
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
    "figure.dpi": 150,
}
_METADATA: dict[str, dict[str, str | None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
}


def write_plots(
    results: Sequence[Result],
    folder: Path,
    formats: Sequence[PlotFormat] = ("png", "svg"),
    *,
    mixed: bool = False,
) -> list[Path]:
    """Write every chart of a report to a folder, and return the files in the order of the report.

    Charts of one result among several lie in a folder of the variant's number and name.

    Raises:
        UserError: no results, different networks without `mixed`, or a folder that cannot be written.
    """
    comparison = compare_results(results, mixed=mixed)
    prepare_folder(folder)
    files: list[Path] = []
    if len(results) > 1:
        files += write_figures(comparison_figures(comparison), folder, formats)
    for number, variant in enumerate(comparison.variants, 1):
        place = (
            folder if len(results) == 1 else prepare_folder(folder / f"{number}_{safe_name(variant.name)}")
        )
        files += write_figures(result_figures(variant.result), place, formats)
    return files


def draw(figure: Figure) -> Canvas:
    """One chart as a matplotlib figure, for notebooks and for `write_plots`."""
    import matplotlib as mpl

    from simulator.report.shown_figure import ShownFigure

    with mpl.rc_context(_STYLE):
        canvas = ShownFigure(figsize=_size(figure), layout="constrained")
        axes = canvas.add_subplot()
        match figure:
            case StackedBars():
                _draw_bars(axes, figure)
            case Scatter():
                _draw_scatter(axes, figure)
            case HeatMap():
                _draw_heat(canvas, axes, figure)
        axes.set_title(figure.title, color="#16202a")
        return canvas


def write_figures(figures: Sequence[Figure], folder: Path, formats: Sequence[PlotFormat]) -> list[Path]:
    """Write charts to a folder that exists, each under its key, and return the files."""
    import matplotlib as mpl

    files = []
    for figure in figures:
        canvas = draw(figure)
        for file_format in formats:
            picture = io.BytesIO()
            with mpl.rc_context(_STYLE):
                canvas.savefig(picture, format=file_format, metadata=_METADATA[file_format])
            file = folder / f"{figure.key}.{file_format}"
            write_bytes(file, picture.getvalue())
            files.append(file)
    return files


def _size(figure: Figure) -> tuple[float, float]:
    match figure:
        case StackedBars(upright=True):
            return max(7.0, 0.17 * len(figure.categories) + 2.5), 4.2
        case StackedBars():
            legend = 0 if figure.is_one_part_each else len(figure.series)
            return 7.0, max(1.4 + 0.32 * len(figure.categories), 0.5 + 0.19 * legend)
        case _:
            return 6.0, 4.5


def _draw_bars(axes: Axes, figure: StackedBars) -> None:
    places = range(len(figure.categories))
    ends = [0.0] * len(figure.categories)
    for series in figure.series:
        options: dict[str, Any] = {"color": series.colour.light, "label": series.name}
        drawn = [float(value or 0) for value in series.values]
        if figure.upright:
            axes.bar(places, drawn, bottom=ends, width=0.85, **options)
        else:
            axes.barh(places, drawn, left=ends, height=0.7, edgecolor="white", linewidth=0.6, **options)
        ends = [end + value for end, value in zip(ends, drawn, strict=True)]
    if figure.upright:
        axes.set_xticks(places, figure.categories, rotation=60, ha="right", rotation_mode="anchor", size=7)
        axes.set_ylabel(figure.axis)
        axes.yaxis.set_major_formatter("{x:,g}")
        axes.set_xlim(-0.7, len(figure.categories) - 0.3)
        axes.grid(visible=False, axis="x")
    else:
        axes.set_yticks(places, figure.categories)
        axes.set_xlabel(figure.axis)
        axes.xaxis.set_major_formatter("{x:,g}")
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
    if figure.is_one_part_each:
        for place, end in zip(places, ends, strict=True):
            told = f"{end:.4g}" if end else ""
            axes.annotate(told, (end, place), (3, 0), textcoords="offset points", va="center", size=8)
        axes.margins(x=0.12)
    elif len(figure.series) > 1:
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8, reverse=figure.upright)


def _draw_scatter(axes: Axes, figure: Scatter) -> None:
    if figure.line:
        axes.plot(*zip(*figure.line, strict=True), color=_INK, linewidth=1.2, label=figure.line_name)
    for filled, name in ((True, figure.filled_name), (False, figure.open_name)):
        points = [point for point in figure.points if point.filled is filled]
        if points:
            axes.scatter(
                [point.x for point in points],
                [point.y for point in points],
                s=36,
                label=name,
                edgecolors=_POINT,
                facecolors=_POINT if filled else "none",
            )
    if figure.logarithmic:
        axes.set_xscale("log")
        axes.set_yscale("log")
    else:
        for point in figure.points:
            axes.annotate(
                point.name, (point.x, point.y), (0, 6), textcoords="offset points", ha="center", size=7
            )
        axes.margins(0.15)
    axes.set_xlabel(figure.x_axis)
    axes.set_ylabel(figure.y_axis)
    axes.legend(fontsize=8)


def _draw_heat(canvas: Canvas, axes: Axes, figure: HeatMap) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("share", ["#f1f4f6", "#0b4f8a"])
    percent = [[100 * share for share in row] for row in figure.values]
    highest = max(max(row) for row in percent) or 1.0
    picture = axes.imshow(percent, cmap=colours, vmin=0, vmax=highest)
    axes.grid(visible=False)
    axes.set_xlabel(figure.x_axis)
    axes.set_ylabel(figure.y_axis)
    canvas.colorbar(picture, ax=axes, format="%g %%")
