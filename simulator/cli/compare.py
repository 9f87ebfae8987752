"""`systolic compare`: MACs, architectures or finished results side by side."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.cli import completion
from simulator.cli.defect_report import told_of_workers
from simulator.cli.exit_codes import EXIT_DEFECT, EXIT_FAILED_IN_PART
from simulator.cli.network_options import ImagesOption, LabelsOption, PoliciesOption, PreprocessOption
from simulator.cli.options import (
    BatchAxisOption,
    BatchOption,
    BlockStoreOption,
    DaskOption,
    DataOption,
    DimOption,
    InputShapeOption,
    InputValueOption,
    JobsOption,
    JsonOption,
    QuietOption,
    SetOption,
    SkipUnsupportedOption,
    arch_overrides,
    parse_policies,
    require_data,
)
from simulator.cli.progress import progress_bar
from simulator.cli.result_files import result_files
from simulator.cli.streams import say
from simulator.cli.written import tell_overwritten, tell_written
from simulator.foundation import UserError
from simulator.foundation.reading.content import is_file

if TYPE_CHECKING:
    from simulator.measured_runs import Tensors
    from simulator.report.comparison import Comparison
    from simulator.result import Result
    from simulator.spread_inference.spread_options import Spread
    from simulator.sweep.side_by_side import VariantRuns
    from simulator.workload.onnx.sizes import Sizes


TargetsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="NETWORK | RESULT...",
        help="A network to simulate, or results of `systolic simulate --out` or `compare --out`.",
        show_default=False,
        autocompletion=completion.networks,
    ),
]
MacsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--mac",
        "-m",
        help='A MAC, again for each: a preset or a spec like "e4m3 x e4m3".',
        autocompletion=completion.macs,
    ),
]
ArchsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--arch",
        "-a",
        metavar="ARCH",
        help="An architecture, again for each: bundled or a file.",
        autocompletion=completion.architectures,
    ),
]
CsvOption = Annotated[
    Path | None, typer.Option("--csv", metavar="FILE", help="Write the table there as CSV.")
]
OutOption = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="DIR", help="Write every variant's result there.")
]
MixedOption = Annotated[
    bool, typer.Option("--mixed", help="Allow results of different networks or batches in one table.")
]


def compare_command(
    targets: TargetsArgument,
    macs: MacsOption = None,
    archs: ArchsOption = None,
    batch: BatchOption = None,
    data: DataOption = None,
    policies: PoliciesOption = None,
    images: ImagesOption = None,
    preprocess: PreprocessOption = None,
    labels: LabelsOption = None,
    assignments: SetOption = None,
    skip_unsupported: SkipUnsupportedOption = False,
    input_shapes: InputShapeOption = None,
    dims: DimOption = None,
    batch_axis: BatchAxisOption = None,
    input_values: InputValueOption = None,
    mixed: MixedOption = False,
    csv: CsvOption = None,
    out: OutOption = None,
    jobs: JobsOption = None,
    dask: DaskOption = None,
    store: BlockStoreOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Put variants side by side, each relative to the first, the best of each column marked.

    Without --mac and --arch, NETWORK runs with every MAC preset. Accuracies are compared by points, with
    the 95 % interval on the same images. A variant that cannot be simulated is reported; the others are
    shown, and the exit code is 1.

    Examples:
        systolic compare resnet50

        systolic compare resnet50 --mac int8 --mac elma8 --mac "e4m3 x e4m3"

        systolic compare vgg16 --arch int8_32x32 --arch elma8_32x32 --csv vgg16.csv

        systolic compare lenet5_fashion --data fashion_mnist_1000 --mac int8 --mac elma8

        systolic compare lenet5_fashion --data fashion_mnist_1000 -p int8=mse -p elma8=drop_in

        systolic compare model.onnx --data photos --mac int8 --mac elma8 --jobs 8 --store photos.store

        systolic compare results/int8 results/elma8/result.json --json
    """
    from simulator.measured_runs import Tensors
    from simulator.report.comparison import compare_results
    from simulator.spread_inference.spread_options import Spread
    from simulator.sweep.side_by_side import VariantRuns
    from simulator.workload.onnx.sizes import parse_sizes

    if all(map(_is_result, targets)):
        if any((macs, archs, batch, assignments, data, policies, images, preprocess, labels, dask, store)):
            raise UserError(
                "finished results cannot be given --mac, --arch, --batch, --data, --policy, --images,"
                " --preprocess, --labels, --set, --dask or --store"
            )
        runs = VariantRuns(tuple(_load(targets)), {})
    else:
        needed = {"--policy": policies, "--images": images, "--preprocess": preprocess, "--labels": labels}
        require_data(data, needed | {"--dask": dask, "--store": store})
        policy, by_mac = parse_policies(policies)
        runs = _simulate(
            targets,
            macs=macs or (),
            archs=archs or (),
            batch=batch,
            assignments=assignments,
            skip_unsupported=skip_unsupported,
            sizes=parse_sizes(input_shapes, dims, batch_axis, input_values),
            tensors=None if data is None else Tensors(data, policy, images, by_mac, preprocess, labels),
            spread=Spread(jobs, dask, store),
            quiet=quiet,
            shows_progress=not (quiet or as_json),
        )
    if runs.tracebacks:
        say(told_of_workers(runs.tracebacks))
    if not runs.results:
        if runs.tracebacks:
            raise typer.Exit(EXIT_DEFECT)
        raise UserError("; ".join(f"{name}: {problem}" for name, problem in runs.failures.items()))
    comparison = compare_results(runs.results, mixed=mixed)
    _write(comparison, csv, out, quiet=quiet)
    _show(comparison, runs, mixed=mixed, as_json=as_json, quiet=quiet)
    if not (as_json or quiet):
        tell_written(csv, folder=out, names=_result_names(comparison))
    for name, problem in runs.failures.items():
        say(f"{name}: {problem}")
    if runs.failures:
        raise typer.Exit(EXIT_DEFECT if runs.tracebacks else EXIT_FAILED_IN_PART)


def _simulate(
    targets: Sequence[str],
    *,
    macs: Sequence[str],
    archs: Sequence[str],
    batch: int | None,
    assignments: Sequence[str] | None,
    skip_unsupported: bool,
    sizes: Sizes,
    tensors: Tensors | None,
    spread: Spread,
    quiet: bool,
    shows_progress: bool,
) -> VariantRuns:
    from simulator.numerics import preset_names
    from simulator.sweep.side_by_side import DEFAULT_ARCHS, compare

    if len(targets) != 1:
        raise UserError("give one network, or results only", value=" ".join(targets))
    wanted = macs if macs or archs else preset_names()
    overrides = arch_overrides({}, assignments)
    with progress_bar(quiet=not shows_progress) as progress:
        if tensors is None:
            return compare(
                targets[0],
                macs=wanted,
                archs=archs or DEFAULT_ARCHS,
                batch=batch,
                overrides=overrides,
                skip_unsupported=skip_unsupported,
                sizes=sizes,
                jobs=spread.jobs,
                progress=progress,
            )
        from simulator.spread_inference.variant_runs import compare_on_images

        runs, shares = compare_on_images(
            targets[0],
            tensors,
            spread,
            macs=wanted,
            archs=archs or DEFAULT_ARCHS,
            batch=batch,
            overrides=overrides,
            skip_unsupported=skip_unsupported,
            sizes=sizes,
            progress=progress,
        )
    if shares is not None and not quiet:
        say(shares.describe())
    return runs


def _is_result(target: str) -> bool:
    path = Path(target)
    return path.suffix == ".json" or is_file(path / "result.json") or result_files(path) != [path]


def _load(targets: Sequence[str]) -> list[Result]:
    from simulator.result import load_result

    return [load_result(file) for target in targets for file in result_files(Path(target))]


def _write(comparison: Comparison, csv: Path | None, out: Path | None, *, quiet: bool) -> None:
    from simulator.foundation.files import write_text
    from simulator.foundation.staged_outputs import staged_outputs
    from simulator.report.tabular import comparison_rows, rows_csv

    with staged_outputs() as staged:
        if out is not None:
            folder = staged.folder(out)
            for name, variant in zip(_result_names(comparison), comparison.variants, strict=True):
                write_text(folder / name, variant.result.to_json())
        if csv is not None:
            write_text(staged.file(csv), rows_csv(comparison_rows(comparison)))
    tell_overwritten(staged.overwritten, quiet=quiet)


def _result_names(comparison: Comparison) -> list[str]:
    """The files of the variants in the folder of `--out`."""
    from simulator.foundation.files import safe_name

    return [
        f"{number}_{safe_name(variant.name)}.json" for number, variant in enumerate(comparison.variants, 1)
    ]


def _show(comparison: Comparison, runs: VariantRuns, *, mixed: bool, as_json: bool, quiet: bool) -> None:
    if as_json:
        from simulator.report.tabular import comparison_json

        sys.stdout.write(comparison_json(comparison, runs.failures))
    elif not quiet:
        from simulator.cli.terminal import page_console
        from simulator.report.console import render_comparison

        render_comparison(runs.results, page_console(), mixed=mixed)
