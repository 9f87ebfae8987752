"""`systolic simulate`: a network on an architecture, on the screen, as JSON, or into a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from simulator.cli.options import (
    ArchOption,
    BatchOption,
    ClockOption,
    ColumnsOption,
    DataflowOption,
    JsonOption,
    MacOption,
    NetworkArgument,
    OverlapOption,
    QuietOption,
    RowsOption,
    SetOption,
    SkipUnsupportedOption,
    TimingOption,
    arch_overrides,
)
from simulator.cli.progress import progress_bar

OutOption = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="DIR", help="Write result.json and layers.csv there.")
]
AllLayersOption = Annotated[bool, typer.Option("--layers", help="Show every layer, in execution order.")]


def simulate_command(
    network: NetworkArgument,
    arch: ArchOption = "int8_32x32",
    mac: MacOption = None,
    dataflow: DataflowOption = None,
    overlap: OverlapOption = None,
    timing: TimingOption = None,
    rows: RowsOption = None,
    columns: ColumnsOption = None,
    clock_mhz: ClockOption = None,
    batch: BatchOption = None,
    assignments: SetOption = None,
    skip_unsupported: SkipUnsupportedOption = False,
    out: OutOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    layers: AllLayersOption = False,
) -> None:
    """Simulate NETWORK on an architecture: cycles, energy, power, area.

    Examples:
        systolic simulate resnet50

        systolic simulate vgg16 --arch elma8_32x32 --batch 4 --out results

        systolic simulate model.onnx --mac "e4m3 x e4m3" --json
    """
    from simulator.api import configure, load_workload, run_machine
    from simulator.assembly import assemble
    from simulator.foundation.files import prepare_folder

    overrides = arch_overrides(
        {
            "array.mac": mac,
            "array.dataflow": dataflow,
            "array.overlap": overlap,
            "array.timing": timing,
            "array.rows": rows,
            "array.columns": columns,
            "clock_mhz": clock_mhz,
        },
        assignments,
    )
    configured = configure(arch, overrides)
    workload = load_workload(network, batch=batch, skip_unsupported=skip_unsupported)
    folder = prepare_folder(out) if out is not None else None
    with progress_bar(quiet=quiet) as progress:
        run = run_machine(configured, workload, progress=progress)
    result = assemble(configured, run)
    if folder is not None:
        from simulator.foundation.files import write_text
        from simulator.report.tabular import layers_csv

        write_text(folder / "layers.csv", layers_csv(result))
        write_text(folder / "result.json", result.to_json())
    if as_json:
        sys.stdout.write(result.to_json())
    elif not quiet:
        from rich.console import Console

        from simulator.report.console import render_result

        render_result(result, Console(), full=layers)
