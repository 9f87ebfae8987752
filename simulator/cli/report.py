"""`systolic report`: finished results as one HTML file, and its charts as pictures."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from simulator.cli.options import QuietOption
from simulator.cli.result_files import result_files
from simulator.cli.written import require_suffix, tell_overwritten
from simulator.foundation import UserError
from simulator.report.plot_choices import PlotWidth, plot_formats

_DIGITS_OF_SECONDS = 11
"""Of SOURCE_DATE_EPOCH up to the year 5138."""

ResultsArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="RESULT...",
        help="Results of `systolic simulate --out` and `systolic compare --out`: files, or their folders.",
        show_default=False,
    ),
]
OutOption = Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The HTML file to write.")]
PlotsOption = Annotated[
    Path | None,
    typer.Option("--plots", metavar="DIR", help="Write charts there, by default all as PNG and SVG."),
]
FigureOption = Annotated[
    list[str] | None,
    typer.Option("--figure", metavar="NAME", help="Only this chart, such as roofline; may be repeated."),
]
FormatOption = Annotated[
    list[str] | None,
    typer.Option("--format", metavar="png|svg|pdf", help="File format of charts; may be repeated."),
]
WidthOption = Annotated[
    PlotWidth,
    typer.Option("--width", help="Of charts: for a screen, or a column or both columns of a paper."),
]
TitlesOption = Annotated[bool, typer.Option("--titles/--no-titles", help="Whether charts have titles.")]
MixedOption = Annotated[bool, typer.Option("--mixed", help="Allow results of different networks or batches.")]


def report_command(
    results: ResultsArgument,
    out: OutOption = Path("report.html"),
    plots: PlotsOption = None,
    figure: FigureOption = None,
    file_format: FormatOption = None,
    width: WidthOption = "screen",
    titles: TitlesOption = True,
    mixed: MixedOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write one HTML file that shows results to somebody who was not there.

    The file holds all it needs: it opens from disk, asks nothing of the network, prints, and reads on a
    phone. Several results get a comparison in front.

    Examples:
        systolic simulate resnet50 --out results/int8

        systolic simulate resnet50 --mac elma8 --out results/elma8

        systolic report results/int8 results/elma8 -o resnet50.html --plots plots

        systolic report results/int8 --plots figs --figure roofline --format pdf --width column --no-titles
    """
    if plots is None and (figure or file_format or width != "screen" or not titles):
        raise UserError(
            "choose how charts are written, and need --plots DIR",
            source="--figure, --format, --width or --no-titles",
        )
    require_suffix(out, (".html",), option="--out")
    from simulator.foundation.files import write_text
    from simulator.foundation.staged_outputs import staged_outputs
    from simulator.illustrations import pictures_of
    from simulator.report.html import render_html
    from simulator.result import load_result

    formats = plot_formats(file_format or (), source="--format")
    loaded = [load_result(file) for path in results for file in result_files(path)]
    page = render_html(
        loaded, mixed=mixed, dated=_today(), pictures=[pictures_of(result) for result in loaded]
    )
    drawn = []
    with staged_outputs() as staged:
        if plots is not None:
            from simulator.report.plots import PlotStyle, write_plots

            drawn = write_plots(
                loaded,
                staged.folder(plots),
                formats,
                mixed=mixed,
                only=figure or (),
                style=PlotStyle(width, titles),
            )
        write_text(staged.file(out), page)
    tell_overwritten(staged.overwritten, quiet=quiet)
    if not quiet:
        typer.echo(f"{out} ({len(page.encode()) / 1e6:.1f} MB)")
        if plots is not None:
            typer.echo(f"{plots}: {len(drawn)} plot{'s' * (len(drawn) != 1)}")


def _today() -> date:
    """The day, or that of SOURCE_DATE_EPOCH, so that a report can be made again byte by byte."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if epoch.isascii() and epoch.isdigit() and len(epoch) <= _DIGITS_OF_SECONDS:
        return datetime.fromtimestamp(int(epoch), tz=UTC).date()
    return datetime.now(tz=UTC).date()
