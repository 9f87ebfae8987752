"""The picture of the README: accuracy against energy of formats on a trained network, from measured results.

`systolic compare NETWORK --data DATA --mac ... --out results/front` measures, and

    python -m tools.front_picture results/front docs/front

writes docs/front.csv, the points with their intervals, and docs/front.svg, drawn from them.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from simulator.cli.result_files import result_files
from simulator.foundation.files import write_bytes, write_text
from simulator.report.comparison import compare_results
from simulator.report.console_front import front_points
from simulator.report.intervals import difference
from simulator.report.label_places import Box
from simulator.result import load_result

_INK, _FRONT, _OTHER, _PAPER = "#16202a", "#0b4f8a", "#8a949e", "#ffffff"
_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "svg.hashsalt": "systolic",
    "axes.edgecolor": "#c9ced3",
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_OFFSETS: Final = (
    (8, 6),
    (-8, 6),
    (8, -13),
    (-8, -13),
    (8, 20),
    (-8, 20),
    (8, -27),
    (-8, -27),
)
"""Where a label may stand beside its point, in points of type; the first free place is taken."""


class Measured(NamedTuple):
    """A row of the CSV file: a format's energy and accuracy with what is known of them.

    energy_half_width_uj: of the 90 % interval of its difference from the first format.
    top1_low, top1_high: the 95 % interval on so many images.
    """

    variant: str
    policy: str
    images: int
    energy_uj: float
    energy_half_width_uj: float
    top1: float
    top1_low: float
    top1_high: float
    on_front: bool


def measured(folder: Path) -> list[Measured]:
    """The points of results with accuracies, the first of them what energies are compared with."""
    results = [load_result(file) for file in result_files(folder)]
    comparison = compare_results(results)
    rows = []
    for point, variant in zip(front_points(comparison), comparison.variants, strict=True):
        accuracy = variant.result.accuracy
        assert accuracy is not None
        apart = difference(variant.result, results[0], "energy")
        half_width = 0.0 if apart is None else apart.half_width * (results[0].totals.energy_pj or 0.0) / 1e6
        low, high = point.accuracy_ends
        energy_uj = point.energy_pj / 1e6
        rows.append(
            Measured(
                variant.name,
                accuracy.policy,
                accuracy.images,
                round(energy_uj, 6),
                round(half_width, 6),
                round(point.accuracy, 6),
                round(low, 6),
                round(high, 6),
                point.on_front,
            )
        )
    return rows


def read_rows(text: str) -> list[Measured]:
    """The rows of the CSV file."""
    return [
        Measured(
            row["variant"],
            row["policy"],
            int(row["images"]),
            float(row["energy_uj"]),
            float(row["energy_half_width_uj"]),
            float(row["top1"]),
            float(row["top1_low"]),
            float(row["top1_high"]),
            row["on_front"] == "True",
        )
        for row in csv.DictReader(io.StringIO(text))
    ]


def written_rows(rows: Sequence[Measured]) -> str:
    """The text of the CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([Measured._fields, *rows])
    return text.getvalue()


def picture(rows: Sequence[Measured], title: str) -> bytes:
    """The drawing as SVG, on white paper so that dark pages show it too."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        canvas = Figure(figsize=(8.2, 5.0), layout="constrained", facecolor=_PAPER)
        axes = canvas.add_subplot(facecolor=_PAPER)
        front = sorted((row for row in rows if row.on_front), key=lambda row: row.energy_uj)
        axes.step(
            [row.energy_uj for row in front],
            [100 * row.top1 for row in front],
            where="post",
            color=_FRONT,
            linewidth=1,
            alpha=0.5,
        )
        for row in rows:
            colour = _FRONT if row.on_front else _OTHER
            axes.errorbar(
                row.energy_uj,
                100 * row.top1,
                xerr=row.energy_half_width_uj or None,
                yerr=[[100 * (row.top1 - row.top1_low)], [100 * (row.top1_high - row.top1)]],
                fmt="o",
                color=colour,
                ecolor=colour,
                elinewidth=0.8 if row.on_front else 0.5,
                markersize=6,
            )
        axes.set_xlabel("energy of one inference, DRAM included (µJ)")
        axes.set_ylabel("top-1 accuracy (%)")
        axes.set_title(title, loc="left", color=_INK, size=11, weight="bold")
        axes.margins(0.08)
        canvas.draw_without_rendering()
        _label(axes, rows)
        drawing = io.BytesIO()
        canvas.savefig(drawing, format="svg", facecolor=_PAPER, metadata={"Date": None, "Creator": None})
    lines = drawing.getvalue().decode().splitlines()
    return ("\n".join(line.rstrip() for line in lines) + "\n").encode()


def _label(axes: Any, rows: Sequence[Measured]) -> None:
    """Name every point where its name covers neither another point nor another name."""
    from matplotlib.patheffects import withStroke

    scale = 72 / axes.figure.dpi
    points = [scale * axes.transData.transform((row.energy_uj, 100 * row.top1)) for row in rows]
    taken = [Box(x - 4, y - 4, x + 4, y + 4) for x, y in points]
    for row, (x, y) in zip(rows, points, strict=True):
        name = _short(row.variant)
        width = 5.8 * len(name)
        places = {}
        for dx, dy in _OFFSETS:
            left = x + dx if dx > 0 else x + dx - width
            places[dx, dy] = Box(left, y + dy, left + width, y + dy + 9)
        free = (offset for offset, box in places.items() if not any(box.hits(other) for other in taken))
        offset = next(free, _OFFSETS[0])
        taken.append(places[offset])
        axes.annotate(
            name,
            (row.energy_uj, 100 * row.top1),
            offset,
            textcoords="offset points",
            ha="left" if offset[0] > 0 else "right",
            size=9,
            color=_FRONT if row.on_front else "#4a545e",
            gid=f"format_{name.replace(' ', '_')}",
            path_effects=[withStroke(linewidth=3, foreground=_PAPER)],
        )


def _short(variant: str) -> str:
    """One name where activations and weights have the same format."""
    activation, _, weight = variant.partition(" x ")
    return activation if activation == weight else variant


def main(folder: Path, target: Path) -> None:
    """Write `target`.csv and `target`.svg from the results in a folder."""
    rows = measured(folder)
    network = load_result(result_files(folder)[0]).network.name
    title = f"{len(rows)} number formats on {network}, a 32×32 array; {rows[0].images:,} labelled images"
    write_text(target.with_suffix(".csv"), written_rows(rows))
    write_bytes(target.with_suffix(".svg"), picture(rows, title))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
