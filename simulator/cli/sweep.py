"""`systolic sweep`: a grid of simulations, resumed where it stopped."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.cli.exit_codes import EXIT_DEFECT, EXIT_FAILED_IN_PART
from simulator.cli.options import DaskOption, JobsOption, JsonOption, QuietOption, SkipUnsupportedOption
from simulator.cli.progress import LaterMemory, progress_bar
from simulator.cli.streams import say
from simulator.cli.written import tell_written

if TYPE_CHECKING:
    from simulator.report.sweep_summary import SweepSummary
    from simulator.sweep.store import SweepStore

SpecArgument = Annotated[
    Path, typer.Argument(metavar="SPEC.yaml", help="What to go through (docs/sweeps.md).", show_default=False)
]
_MOST_TOLD = 20
"""Lines of points without results."""

_SHOWN_BYTES_OF_POINT = 1024
"""What the summary keeps of a point, read back once all have run."""

StoreOption = Annotated[
    Path | None,
    typer.Option(
        "--store",
        "-s",
        metavar="DIR",
        help="Where finished points are kept; SPEC.yaml with .store if not given.",
    ),
]
ObjectiveOption = Annotated[
    list[str] | None,
    typer.Option(
        "--objective", metavar="METRIC", help="What the Pareto front is over, again for each: latency_ms, ..."
    ),
]
CsvOption = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write every point as CSV.")]
PlotsOption = Annotated[
    Path | None, typer.Option("--plots", metavar="DIR", help="Write Pareto plots there as PNG and SVG.")
]


def sweep_command(
    spec: SpecArgument,
    store: StoreOption = None,
    jobs: JobsOption = None,
    dask: DaskOption = None,
    objectives: ObjectiveOption = None,
    csv: CsvOption = None,
    plots: PlotsOption = None,
    skip_unsupported: SkipUnsupportedOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Simulate every point of SPEC.yaml and show the Pareto front.

    Finished points are kept in the store and never computed again: run the same command again after
    whatever stopped it. Points that cannot be simulated are reported; the exit code is then 1.

    Examples:
        systolic sweep sizes.yaml

        systolic sweep sizes.yaml --store /data/sizes --jobs 2 --csv sizes.csv --plots plots

        systolic sweep sizes.yaml --dask tcp://scheduler:8786
    """
    from simulator.report.sweep_summary import find_metrics
    from simulator.sweep.executors import workers_at
    from simulator.sweep.jobs import DEFECT, KeyedPoint, plan_keys
    from simulator.sweep.runner import run_stored
    from simulator.sweep.spec import load_spec, sweep_points
    from simulator.sweep.store import SweepStore
    from simulator.sweep.summary import DEFAULT_OBJECTIVES, StoredFigures, summarize

    wanted = load_spec(spec)
    chosen = tuple(objectives or DEFAULT_OBJECTIVES)
    find_metrics(chosen)
    points = sweep_points(wanted)
    with progress_bar(quiet=quiet or as_json) as progress:
        planned = plan_keys(
            points,
            skip_unsupported=skip_unsupported,
            tensors=wanted.tensors,
            progress=progress,
            total=len(points),
        )
    with SweepStore(store or spec.with_suffix(".store")) as kept:
        figures = StoredFigures(points, planned, kept)
        figures.read_before()
        later = LaterMemory(_SHOWN_BYTES_OF_POINT, len(points))
        bar = progress_bar(quiet=quiet or as_json, later=later)
        with workers_at(jobs, dask) as workers, bar as progress:
            ready = [point for point in planned if isinstance(point, KeyedPoint)]
            failures = run_stored(ready, kept, workers, sound=figures.read, progress=progress)
        defects = [problem for problem in failures.values() if problem.startswith(DEFECT)]
        if not quiet:
            _tell_others(kept, {job.key for job in ready})
        summary = summarize(points, planned, kept, failures, chosen, figures=figures)
    _write(summary, csv, plots)
    if as_json:
        sys.stdout.writelines(summary.json_pieces(wanted.name))
    elif not quiet:
        from simulator.cli.terminal import page_console
        from simulator.report.sweep_console import render_summary

        render_summary(summary, wanted.name, page_console())
        tell_written(csv, plots, store or spec.with_suffix(".store"))
    for entry in summary.failures[:_MOST_TOLD]:
        say(f"{entry.point.label}: {entry.problem}")
    if len(summary.failures) > _MOST_TOLD:
        say(f"and {len(summary.failures) - _MOST_TOLD:,} more points (--json and --csv have all)")
    if defects:
        say(
            f"{len(defects)} points failed by defects of systolic, not of your input: report them as"
            f" SECURITY.md and README.md say, with the tracebacks in {kept.defects}"
        )
        raise typer.Exit(EXIT_DEFECT)
    if summary.failures:
        raise typer.Exit(EXIT_FAILED_IN_PART)


def _tell_others(store: SweepStore, keys: set[str]) -> None:
    """Say which points of the store are not of this sweep: of another one, or of other code."""
    others = [key for key in store.keys() if key not in keys]  # noqa: SIM118 - a store is no mapping
    if others:
        say(
            f"{store.folder}: {len(others)} points are not of this sweep and stay unused, such as {others[0]}"
        )


def _write(summary: SweepSummary, csv: Path | None, plots: Path | None) -> None:
    from simulator.foundation.files import prepare_folder, safe_name, write_text
    from simulator.foundation.staged_outputs import staged_outputs
    from simulator.report.tabular import rows_csv_of

    with staged_outputs() as staged:
        if csv is not None:
            write_text(staged.file(csv), rows_csv_of(summary.columns, summary.rows()))
        if plots is not None:
            from simulator.report.plots import write_figures

            below = staged.folder(plots)
            for network, figures in summary.figures().items():
                folder = below / safe_name(Path(network).stem)
                write_figures(figures, prepare_folder(folder), ("png", "svg"))
