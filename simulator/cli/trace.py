"""`systolic trace`: record what goes through the array."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simulator.cli.network_options import (
    ImagesOption,
    InferenceMacOption,
    LabelsOption,
    ModelArgument,
    PolicyOption,
    PreprocessOption,
)
from simulator.cli.options import BatchAxisOption, DimOption, InputShapeOption, InputValueOption, QuietOption
from simulator.cli.progress import progress_bar
from simulator.cli.written import tell_overwritten

InputOption = Annotated[
    str,
    typer.Option(
        "--input",
        "-i",
        metavar="IMAGES",
        help="Images, as --data of `systolic infer`.",
    ),
]
FolderOption = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the trace.")]
FloatsOption = Annotated[
    bool, typer.Option("--floats", help="Record real values in place of codes and accumulators.")
]


def trace_command(
    model: ModelArgument,
    out: FolderOption,
    data: InputOption = "fashion_mnist_1000",
    mac: InferenceMacOption = "int8",
    policy: PolicyOption = None,
    images: ImagesOption = 1,
    preprocess: PreprocessOption = None,
    labels: LabelsOption = None,
    floats: FloatsOption = False,
    input_shapes: InputShapeOption = None,
    dims: DimOption = None,
    batch_axis: BatchAxisOption = None,
    input_values: InputValueOption = None,
    quiet: QuietOption = False,
) -> None:
    """Record a trained network's layers with the operands and results that go through the array.

    Examples:
        systolic trace lenet5_fashion -o lenet5_trace

        systolic trace model.onnx --input images.npz --mac elma8 --images 4 -o trace
    """
    from simulator.foundation.staged_outputs import staged_folder
    from simulator.inference import load_data, load_model, plan_network, record_trace
    from simulator.workload.onnx.sizes import parse_sizes

    network = load_model(model, sizes=parse_sizes(input_shapes, dims, batch_axis, input_values))
    chosen = load_data(data, network, preprocess=preprocess, labels=labels).first(images)
    plan = plan_network(network, chosen, mac, policy)
    with progress_bar(quiet=quiet) as bar:
        advance = None if bar is None else lambda done, total: bar("images", done, total)
        with staged_folder(out) as staged:
            manifest, _ = record_trace(
                network,
                chosen,
                plan,
                staged.folder,
                encoding="floats" if floats else "codes",
                progress=advance,
            )
    tell_overwritten(staged.overwritten, quiet=quiet)
    if not quiet:
        stored = sum(tensor.bytes for layer in manifest.layers for tensor in layer.tensors.values())
        typer.echo(f"{out}: {len(manifest.layers)} layers, {manifest.images} images, {stored / 1e6:.1f} MB")
