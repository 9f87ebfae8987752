"""`systolic infer`: accuracy of a trained network through a MAC's own arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simulator.cli.network_options import (
    ImagesOption,
    InferenceMacOption,
    LabelsOption,
    ModelArgument,
    PolicyOption,
    PreprocessOption,
)
from simulator.cli.options import (
    BatchAxisOption,
    BlockStoreOption,
    DaskOption,
    DimOption,
    InputShapeOption,
    InputValueOption,
    JobsOption,
    JsonOption,
    QuietOption,
)
from simulator.cli.progress import progress_bar
from simulator.cli.streams import say
from simulator.foundation import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from simulator.foundation.callbacks import Progress
    from simulator.inference import InferenceResult, Model
    from simulator.inference.coverage import Coverage
    from simulator.inference.output_sink import OutputSink
    from simulator.report.console_parts import Justify, Page
    from simulator.spread_inference.opened_source import InferenceSource
    from simulator.spread_inference.spread_options import Spread

DataOption = Annotated[
    str,
    typer.Option(
        "--data",
        "-d",
        metavar="DATA",
        help="fashion_mnist_1000, a folder of images or class folders, a table of files and classes (.csv),"
        " an .npz file with images (and labels), or an .npy file.",
    ),
]
LayersOption = Annotated[bool, typer.Option("--layers", help="Show every layer.")]
OutputOption = Annotated[
    str | None,
    typer.Option(
        "--output",
        metavar="NAME",
        help="The tensor that is judged: an output, or any tensor inside the network. By default the first"
        " output.",
    ),
]
SaveOption = Annotated[
    Path | None,
    typer.Option("--save", metavar="DIR", help="Write each output of the MACs' run as DIR/NAME.npy."),
]
CheckOption = Annotated[
    bool,
    typer.Option("--check", help="Check every layer against exact arithmetic and the register-level grid."),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        help="Where the network runs: cpu or gpu (docs/gpu.md). Every bit of the result is the same.",
    ),
]


def infer_command(
    model: ModelArgument,
    data: DataOption = "fashion_mnist_1000",
    mac: InferenceMacOption = "int8",
    policy: PolicyOption = None,
    images: ImagesOption = None,
    preprocess: PreprocessOption = None,
    labels: LabelsOption = None,
    layers: LayersOption = False,
    check: CheckOption = False,
    output: OutputOption = None,
    save: SaveOption = None,
    input_shapes: InputShapeOption = None,
    dims: DimOption = None,
    batch_axis: BatchAxisOption = None,
    input_values: InputValueOption = None,
    device: DeviceOption = "cpu",
    jobs: JobsOption = None,
    dask: DaskOption = None,
    store: BlockStoreOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run a trained network on images through a MAC's arithmetic, beside float32.

    Examples:
        systolic infer lenet5_fashion --mac elma8

        systolic infer vit_fashion --mac "int4 x int4" --policy mse+gptq --layers

        systolic infer model.onnx --data photos --preprocess imagenet --mac fp8 --json

        systolic infer lenet5_fashion --mac elma8 --images 10 --save outputs

        systolic infer resnet8_fashion --mac fp16 --device gpu

        systolic infer model.onnx --data photos --preprocess imagenet --mac fp8 --jobs 8 --store photos.store
    """
    from simulator.inference import FunctionalCheck, load_data, load_model, plan_network, run_plan
    from simulator.inference.coverage import coverage
    from simulator.inference.output_sink import Unsaved, saved_outputs
    from simulator.numerics.gpu import chosen_device
    from simulator.spread_inference.opened_source import InferenceSource
    from simulator.spread_inference.spread_options import Spread
    from simulator.workload.onnx.sizes import parse_sizes

    where = chosen_device(device)
    spread = Spread(jobs, dask, store)
    sizes = parse_sizes(input_shapes, dims, batch_axis, input_values)
    checker: FunctionalCheck | None = None
    files: Mapping[str, Path] = {}
    with (
        progress_bar(quiet=quiet or as_json) as bar,
        nullcontext(Unsaved()) if save is None else saved_outputs(save) as sink,
    ):
        if spread.is_asked:
            _require_alone(spread, check=check, device=device)
            source = InferenceSource(model, data, images, output, preprocess, labels, sizes)
            network, result = _infer_spread(
                source, mac, policy, spread, saves=save is not None, sink=sink, progress=bar, quiet=quiet
            )
        else:
            network = load_model(model, sizes=sizes)
            if output is not None:
                network = network.judged_by(output)
            chosen = load_data(data, network, preprocess=preprocess, labels=labels).first(images)
            plan = plan_network(network, chosen, mac, policy)
            checker = FunctionalCheck(plan) if check else None
            advance = None if bar is None else lambda done, total: bar("images", done, total)
            result = run_plan(
                network, chosen, plan, observer=checker, progress=advance, sink=sink, device=where
            )
        files = sink.finish()
    if as_json:
        _print_json(network.name, mac, result, files, coverage(network))
    elif not quiet:
        _print_tables(network.name, mac, result, coverage(network), layers=layers)
        for name, path in files.items():
            typer.echo(f"{name}: {path}")
        if checker is not None:
            _print_checks(checker.checked)


def _require_alone(spread: Spread, *, check: bool, device: str) -> None:
    """Refuse what runs in one process, by name, where several are asked for. Raises UserError."""
    options = {"--jobs": spread.jobs, "--dask": spread.dask, "--store": spread.store}
    given = " and ".join(name for name, value in options.items() if value is not None)
    for option, is_given in (("--check", check), (f"--device {device}", device != "cpu")):
        if is_given:
            raise UserError(f"{option} runs in one process: leave out {given}")


def _infer_spread(
    source: InferenceSource,
    mac: str,
    policy: str | None,
    spread: Spread,
    *,
    saves: bool,
    sink: OutputSink,
    progress: Progress | None,
    quiet: bool,
) -> tuple[Model, InferenceResult]:
    from simulator.spread_inference.planning import Arithmetic
    from simulator.spread_inference.spread_run import infer_spread

    opened, result, shares = infer_spread(
        source,
        Arithmetic.of(mac, policy),
        spread,
        keeps="outputs" if saves else "figures",
        sink=sink,
        progress=progress,
    )
    if not quiet:
        say(shares.describe())
    return opened.model, result


def _print_json(
    network: str, mac: str, result: InferenceResult, files: Mapping[str, Path], covered: Coverage
) -> None:
    import json

    document = {
        "network": network,
        "mac": mac,
        "accuracy": result.accuracy.model_dump(mode="json"),
        "layers": {name: layer.model_dump(mode="json") for name, layer in result.layers.items()},
        "sums": {name: {"outside": s.outside, "sums": s.sums} for name, s in result.sums.items()},
        "engines": dict(result.engines),
        "coverage": covered.as_document(),
        "warnings": list(result.warnings),
        "saved": {name: str(path) for name, path in files.items()},
    }
    typer.echo(json.dumps(document, indent=1))


def _print_tables(
    network: str, mac: str, result: InferenceResult, covered: Coverage, *, layers: bool
) -> None:
    from simulator.cli.terminal import page_console
    from simulator.report.console_parts import Page

    accuracy = result.accuracy
    console = page_console()
    page = Page(console)
    console.print(
        f"[bold]{network} with {mac}[/bold], policy {accuracy.policy}, {accuracy.images:,} images",
        highlight=False,
    )
    if accuracy.preprocess:
        console.print(f"preprocess: {accuracy.preprocess}", highlight=False, soft_wrap=True)
    if accuracy.labels_from:
        console.print(f"labels: {accuracy.labels_from}", highlight=False, soft_wrap=True)
    table = page.table([("", "left"), (mac, "right"), ("float32", "right")])
    table.add_row("top-1", _percent(accuracy.top1), _percent(accuracy.top1_float32))
    table.add_row("top-5", _percent(accuracy.top5), _percent(accuracy.top5_float32))
    table.add_row("agreement with float32", _percent(accuracy.agreement_with_float32), "")
    if accuracy.predicted_tokens:
        pair = (accuracy.perplexity, accuracy.perplexity_float32)
        table.add_row("perplexity", *("not finite" if each is None else f"{each:.4g}" for each in pair))
    above = accuracy.above_float32
    if above is not None:
        table.add_row("points above float32", f"{above.points:+.2f} ±{above.margin:.2f}", "")
    page.line(table)
    widths = accuracy.choices.get("widths")
    if widths is not None:
        _print_widths(console, widths)
    for warning in result.warnings:
        console.print(f"! {warning}", style="yellow", highlight=False, markup=False)
    if layers:
        _print_layers(page, result)
    console.print(covered.describe(), highlight=False, markup=False)


def _print_widths(console: Console, widths: Mapping[str, Any]) -> None:
    points, low, high = widths["above_float32_points"]
    saved = _percent(widths["weight_storage_saved_against_8_bits"])
    for line in (
        f"chosen: activations {widths['activation']}, weights {widths['weight']}; "
        f"weight storage saved against 8 bits: {saved}",
        f"on {widths['calibration_images']} calibration images: {points:+.2f} points above float32 "
        f"({low:+.2f} to {high:+.2f}), standard error {widths['standard_error_points']} points",
        f"search: {widths['search']}",
    ):
        console.print(line, highlight=False, soft_wrap=True)


def _print_layers(page: Page, result: InferenceResult) -> None:
    """A line a layer; the formats stand in the heading where all layers have the same."""
    pairs = [_formats(result, name) for name in result.layers]
    differ = len(set(pairs)) > 1
    page.heading("Layers against float32", "" if differ or not pairs else pairs[0])
    titles = ("SQNR\ndB", "cosine", "largest\nerror", "saturated", "to zero")
    columns: list[tuple[str, Justify]] = [("layer", "left")]
    if differ:
        columns.append(("formats", "left"))
    columns += [(title, "right") for title in titles]
    table = page.table(columns)
    for (name, layer), formats in zip(result.layers.items(), pairs, strict=True):
        cells = [
            name,
            *([formats] if differ else []),
            "equal" if layer.sqnr_db is None else f"{layer.sqnr_db:.1f}",
            "-" if layer.cosine is None else f"{layer.cosine:.6f}",
            "-" if layer.largest_error is None else f"{layer.largest_error:.3g}",
            _share(layer.saturated, layer.elements),
            _share(layer.underflowed, layer.elements),
        ]
        table.add_row(*map(page.text, cells))
    page.line(table)


def _formats(result: InferenceResult, layer: str) -> str:
    mac = result.plan.layers[layer].mac
    return f"{mac.activation.spec} x {mac.weight.spec}"


def _print_checks(checked: dict[str, dict[str, int]]) -> None:
    total = {
        kind: sum(counts[kind] for counts in checked.values()) for kind in ("closeness", "exact", "grid")
    }
    typer.echo(
        f"checked {len(checked)} layers: {total['closeness']} outputs close to float64 products, "
        f"{total['exact']} equal to exact arithmetic, {total['grid']} equal to the register-level grid"
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"


def _share(count: int, elements: int) -> str:
    return f"{100 * count / elements:.2f} %" if count else "0"
