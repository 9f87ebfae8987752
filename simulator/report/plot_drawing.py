"""How bars, points and heat maps are drawn on matplotlib's axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.report.figures import HeatMap, Scatter, StackedBars
from simulator.report.label_places import Box, place_labels
from simulator.report.svg import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_INK = "#3c4752"
_POINT = "#0072b2"
_LONGEST_NAME = 26
_LETTER = 0.62
"""Mean width of a letter, in heights of the font."""


def draw_bars(canvas: Canvas, axes: Axes, figure: StackedBars) -> None:
    """Bars, with a legend beside them; of many categories only so many are named as there is room for."""
    places = range(len(figure.categories))
    ends = [0.0] * len(figure.categories)
    for number, series in enumerate(figure.series):
        options: dict[str, Any] = {"color": series.colour.light, "label": series.name}
        drawn = [float(value or 0) for value in series.values]
        if figure.beside:
            wide = 0.85 / len(figure.series)
            left = [place + wide * (number - (len(figure.series) - 1) / 2) for place in places]
            axes.bar(left, drawn, width=wide, **options)
        elif figure.upright:
            axes.bar(places, drawn, bottom=ends, width=0.85, **options)
        else:
            axes.barh(places, drawn, left=ends, height=0.7, edgecolor="white", linewidth=0.6, **options)
        ends = [end + value for end, value in zip(ends, drawn, strict=True)]
    if figure.upright:
        size = _small()
        points = canvas.get_figwidth() * 72 * 0.7
        step = max(1, -int(-len(places) * size * 1.25 // points))
        names = [shortened(name, _LONGEST_NAME) for name in figure.categories[::step]]
        axes.set_xticks(places[::step], names, rotation=60, ha="right", rotation_mode="anchor", size=size)
        axes.set_ylabel(figure.axis)
        axes.yaxis.set_major_formatter("{x:,g}")
        axes.set_xlim(-0.7, len(figure.categories) - 0.3)
        axes.grid(visible=False, axis="x")
    else:
        axes.set_yticks(places, [shortened(name, _LONGEST_NAME) for name in figure.categories])
        axes.set_xlabel(figure.axis)
        axes.xaxis.set_major_formatter("{x:,g}")
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
    if figure.is_one_part_each:
        for place, end in zip(places, ends, strict=True):
            told = f"{end:.4g}" if end else ""
            axes.annotate(told, (end, place), (3, 0), textcoords="offset points", va="center", size=_small())
        axes.margins(x=0.12)
    elif len(figure.series) > 1:
        axes.legend(
            loc="upper left",
            bbox_to_anchor=(1, 1),
            fontsize=_small(),
            reverse=figure.upright and not figure.beside,
            handlelength=1,
        )


def _small() -> float:
    """Points of what is written small: names at ticks, values at bars, legends."""
    import matplotlib as mpl

    return float(mpl.rcParams["font.size"]) - 1.5


def draw_scatter(canvas: Canvas, axes: Axes, figure: Scatter) -> None:
    """Points with their intervals and lines; names stand where they cover nothing."""
    if figure.line:
        axes.plot(*zip(*figure.line, strict=True), color=_INK, linewidth=1, label=figure.line_name, zorder=1)
    for filled, name in ((True, figure.filled_name), (False, figure.open_name)):
        points = [point for point in figure.points if point.filled is filled]
        if points:
            axes.scatter(
                [point.x for point in points],
                [point.y for point in points],
                s=_small() * 4,
                label=name,
                edgecolors=_POINT,
                facecolors=_POINT if filled else "white",
                zorder=3,
            )
    for point in figure.points:
        bars: dict[str, Any] = {"color": _POINT, "linewidth": 0.6, "alpha": 0.6, "zorder": 2}
        if point.x_ends:
            axes.plot(point.x_ends, (point.y, point.y), **bars)
        if point.y_ends:
            axes.plot((point.x, point.x), point.y_ends, **bars)
    if figure.logarithmic:
        axes.set_xscale("log")
        axes.set_yscale("log")
    axes.margins(0.12)
    axes.set_xlabel(figure.x_axis)
    axes.set_ylabel(figure.y_axis)
    axes.legend(
        fontsize=_small(),
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=3,
        borderpad=0,
        handletextpad=0.4,
        columnspacing=1,
    )
    _name_points(canvas, axes, figure)


def _name_points(canvas: Canvas, axes: Axes, figure: Scatter) -> None:
    canvas.draw_without_rendering()  # lays out, so that places on the paper are known
    size, scale = _small(), canvas.dpi / 72
    names = [shortened(point.name, _LONGEST_NAME) for point in figure.points]
    corners = axes.get_window_extent()
    found = place_labels(
        [tuple(axes.transData.transform((point.x, point.y)).tolist()) for point in figure.points],
        figure.named,
        [(len(name) * size * _LETTER * scale, size * 1.2 * scale) for name in names],
        Box(corners.x0, corners.y0, corners.x1, corners.y1),
        radius=4 * scale,
    )
    for place, box in found.items():
        point = figure.points[place]
        x, y = axes.transData.transform((point.x, point.y)).tolist()
        middle = ((box.left + box.right) / 2 - x) / scale, ((box.bottom + box.top) / 2 - y) / scale
        axes.annotate(
            names[place],
            (point.x, point.y),
            middle,
            textcoords="offset points",
            ha="center",
            va="center",
            size=size,
            zorder=4,
        )


def draw_heat(canvas: Canvas, axes: Axes, figure: HeatMap) -> None:
    """A grid of shares in percent, darker for more."""
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("share", ["#f1f4f6", "#0b4f8a"])
    percent = [[100 * share for share in row] for row in figure.values]
    highest = max(max(row) for row in percent) or 1.0
    picture = axes.imshow(percent, cmap=colours, vmin=0, vmax=highest)
    axes.grid(visible=False)
    axes.set_xlabel(figure.x_axis)
    axes.set_ylabel(figure.y_axis)
    canvas.colorbar(picture, ax=axes, format="%g %%")
