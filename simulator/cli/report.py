"""`systolic report`: finished results as one HTML file, and its charts as pictures."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from simulator.cli.options import QuietOption
from simulator.cli.result_files import result_files
from simulator.cli.written import tell_overwritten

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
    Path | None, typer.Option("--plots", metavar="DIR", help="Write every chart there as PNG and SVG.")
]
MixedOption = Annotated[bool, typer.Option("--mixed", help="Allow results of different networks or batches.")]


def report_command(
    results: ResultsArgument,
    out: OutOption = Path("report.html"),
    plots: PlotsOption = None,
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
    """
    from simulator.foundation.files import staged_folder, write_text
    from simulator.foundation.reading.content import exists
    from simulator.illustrations import pictures_of
    from simulator.report.html import render_html
    from simulator.result import load_result

    loaded = [load_result(file) for path in results for file in result_files(path)]
    page = render_html(
        loaded, mixed=mixed, dated=_today(), pictures=[pictures_of(result) for result in loaded]
    )
    drawn = []
    if plots is not None:
        from simulator.report.plots import write_plots

        with staged_folder(plots) as staged:
            drawn = write_plots(loaded, staged.folder, mixed=mixed)
        tell_overwritten(staged.overwritten, quiet=quiet)
    overwritten = [out] if exists(out) else []
    write_text(out, page)
    tell_overwritten(overwritten, quiet=quiet)
    if not quiet:
        typer.echo(f"{out} ({len(page.encode()) / 1e6:.1f} MB)")
        if plots is not None:
            typer.echo(f"{plots}: {len(drawn)} plots")


def _today() -> date:
    """The day, or that of SOURCE_DATE_EPOCH, so that a report can be made again byte by byte."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if epoch.isascii() and epoch.isdigit() and len(epoch) <= _DIGITS_OF_SECONDS:
        return datetime.fromtimestamp(int(epoch), tz=UTC).date()
    return datetime.now(tz=UTC).date()
