"""`systolic simulate`: a network on an architecture, on the screen, as JSON, or into a folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from simulator.cli.network_options import ImagesOption, LabelsOption, PolicyOption, PreprocessOption
from simulator.cli.options import (
    ArchOption,
    BatchAxisOption,
    BatchOption,
    ClockOption,
    ColumnsOption,
    DataflowOption,
    DataOption,
    DimOption,
    InputShapeOption,
    InputValueOption,
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
    require_data,
)
from simulator.cli.progress import LaterMemory, progress_bar
from simulator.cli.written import require_suffix, tell_overwritten, tell_written

if TYPE_CHECKING:
    from simulator.arch import ArchConfig
    from simulator.foundation.callbacks import Progress
    from simulator.foundation.staged_outputs import StagedOutputs
    from simulator.system import MachineRun
    from simulator.workload import Network


class Engine(StrEnum):
    """What advances the array's clock."""

    event = "event"
    grid = "grid"


OutOption = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="DIR", help="Write result.json and layers.csv there.")
]
TraceOption = Annotated[
    Path | None, typer.Option("--trace", metavar="FILE", help="Timeline as Chrome/Perfetto JSON, in cycles.")
]
AccessTraceOption = Annotated[
    Path | None,
    typer.Option(
        "--access-trace", metavar="FILE", help="Every SRAM word and DRAM burst, as .csv or .parquet."
    ),
]
TraceLayersOption = Annotated[
    list[str] | None,
    typer.Option(
        "--trace-layer", metavar="LAYER", help="Layer of --access-trace and --vcd; may be repeated."
    ),
]
VcdOption = Annotated[
    Path | None, typer.Option("--vcd", metavar="FILE", help="Grid registers during one fold of one layer.")
]
FoldOption = Annotated[int, typer.Option("--fold", help="Fold of --vcd, counted from 0.")]
EngineOption = Annotated[
    Engine,
    typer.Option(help="event: machine model; grid: also step every PE register, on synthetic tensors."),
]
ScaleSimOption = Annotated[
    Path | None,
    typer.Option("--scalesim-cfg", metavar="FILE", help="A SCALE-Sim .cfg, laid over the architecture."),
]
MappingOption = Annotated[
    Path | None,
    typer.Option("--mapping", metavar="FILE", help="Dataflow and tiling of layers, from --mapping-out."),
]
MappingOutOption = Annotated[
    Path | None,
    typer.Option("--mapping-out", metavar="FILE", help="Write the layers' dataflow and tiling there."),
]
AllLayersOption = Annotated[bool, typer.Option("--layers", help="Show every layer, in execution order.")]

_RESULT_BYTES_OF_LAYER: Final = 56 * 1024
"""What a layer's result takes once all are summed up and written: (766 - 230) MiB for 10,000, measured."""


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
    input_shapes: InputShapeOption = None,
    dims: DimOption = None,
    batch_axis: BatchAxisOption = None,
    input_values: InputValueOption = None,
    out: OutOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    layers: AllLayersOption = False,
    engine: EngineOption = Engine.event,
    scalesim_cfg: ScaleSimOption = None,
    mapping: MappingOption = None,
    mapping_out: MappingOutOption = None,
    trace: TraceOption = None,
    access_trace: AccessTraceOption = None,
    trace_layers: TraceLayersOption = None,
    vcd: VcdOption = None,
    fold: FoldOption = 0,
    data: DataOption = None,
    policy: PolicyOption = None,
    images: ImagesOption = None,
    preprocess: PreprocessOption = None,
    labels: LabelsOption = None,
) -> None:
    """Simulate NETWORK on an architecture: cycles, energy, power, area.

    Examples:
        systolic simulate resnet50

        systolic simulate vgg16 --arch elma8_32x32 --batch 4 --out results

        systolic simulate model.onnx --mac "e4m3 x e4m3" --json

        systolic simulate lenet5_fashion --data fashion_mnist_1000 --mac elma8
    """
    from simulator.foundation.reading.content import is_folder
    from simulator.foundation.staged_outputs import staged_outputs
    from simulator.measured_runs import Tensors
    from simulator.measurements import MeasuredRun
    from simulator.result_assembly import assemble
    from simulator.simulation import configure, load_workload, origin, run_machine
    from simulator.workload.onnx.sizes import parse_sizes

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
    require_data(
        data, {"--policy": policy, "--images": images, "--preprocess": preprocess, "--labels": labels}
    )
    tensors = None if data is None else Tensors(data, policy, images, (), preprocess, labels)
    scalesim = None
    if scalesim_cfg is not None:
        from simulator.arch.scalesim_cfg import read_scalesim_cfg

        scalesim = read_scalesim_cfg(scalesim_cfg)
    configured = configure(arch, overrides, scalesim=scalesim, mapping=mapping)
    require_suffix(trace, (".json",), option="--trace")
    require_suffix(access_trace, (".csv", ".parquet"), option="--access-trace")
    require_suffix(vcd, (".vcd",), option="--vcd")
    sizes = parse_sizes(input_shapes, dims, batch_axis, input_values)
    with staged_outputs() as staged:
        folder = None if out is None else staged.folder(out)
        places = Places.of(staged, mapping=mapping_out, trace=trace, access_trace=access_trace, vcd=vcd)
        later = LaterMemory(_RESULT_BYTES_OF_LAYER)
        with progress_bar(quiet=quiet, later=later) as progress:
            if is_folder(Path(network)):
                from simulator.measured_runs import measure_recorded

                ready = measure_recorded(
                    configured, network, mac=mac, outputs=folder and folder / "outputs", progress=progress
                )
            elif tensors is not None:
                from simulator.measured_runs import measure_on_images

                ready = measure_on_images(
                    configured, network, tensors, batch=batch, sizes=sizes, progress=progress
                )
            else:
                workload = load_workload(network, batch=batch, skip_unsupported=skip_unsupported, sizes=sizes)
                ready = MeasuredRun(configured, workload)
            later.count = len(ready.network.layers)
            run = run_machine(
                ready.arch, ready.network, scalesim=scalesim, progress=progress, keep_tilings=True
            )
            if engine is Engine.grid:
                _verify_on_grid(ready.arch, ready.network, progress, later)
        made_from = origin(
            configured,
            network,
            batch=batch,
            skip_unsupported=skip_unsupported,
            sizes=sizes,
            tensors=tensors,
            scalesim_cfg=scalesim_cfg,
        )
        result = assemble(ready.arch, run, ready.measured, made_from=made_from)
        _write_files(run, places, trace_layers or ())
        if places.vcd is not None:
            _dump_fold(ready.arch, ready.network, trace_layers or [], places.vcd, fold)
        if folder is not None:
            from simulator.foundation.files import write_text
            from simulator.report.tabular import layers_csv

            write_text(folder / "layers.csv", layers_csv(result))
            write_text(folder / "result.json", result.to_json())
    tell_overwritten(staged.overwritten, quiet=quiet)
    if as_json:
        sys.stdout.write(result.to_json())
    elif not quiet:
        from simulator.cli.terminal import page_console
        from simulator.report.console import render_result

        render_result(result, page_console(), full=layers)
        tell_written(mapping_out, trace, access_trace, vcd, folder=out, names=("result.json", "layers.csv"))


@dataclass(frozen=True, slots=True)
class Places:
    """Where files are written before they take their places; None: not asked for."""

    mapping: Path | None
    trace: Path | None
    access_trace: Path | None
    vcd: Path | None

    @staticmethod
    def of(staged: StagedOutputs, **paths: Path | None) -> Places:
        """Of the paths that the user gave, by the names above. Raises UserError: they cannot be written."""
        return Places(**{name: None if path is None else staged.file(path) for name, path in paths.items()})


def _write_files(run: MachineRun, places: Places, trace_layers: Sequence[str]) -> None:
    if places.mapping is not None:
        from simulator.foundation.documents import dump_yaml
        from simulator.foundation.files import write_text
        from simulator.system.mapping import mapping_of

        write_text(places.mapping, dump_yaml(mapping_of(run)))
    if places.trace is not None:
        from simulator.system.chrome_trace import write_trace

        write_trace(run, places.trace)
    if places.access_trace is not None:
        from simulator.system.access_trace import write_access_trace

        write_access_trace(run, places.access_trace, trace_layers)


def _verify_on_grid(
    arch: ArchConfig, network: Network, progress: Progress | None, later: LaterMemory
) -> None:
    from simulator.register_level import BYTES_OF_VALUE, values_of, verify_on_grid

    largest = accumulate(map(values_of, network.layers), max)
    so_far = {layer.name: values for layer, values in zip(network.layers, largest, strict=True)}
    most = max(so_far.values())

    def advance(name: str, done: int, total: int) -> None:
        later.further_bytes = BYTES_OF_VALUE * (most - so_far[name])
        if progress is not None:
            progress(name, done, total)

    layers = list(verify_on_grid(arch, network, progress=advance))
    cycles = sum(layer.cycles for layer in layers)
    outputs = sum(layer.outputs for layer in layers)
    sys.stderr.write(
        f"register-level grid: {len(layers)} layers, {cycles:,} cycles as in the closed form, "
        f"{outputs:,} sums as in the matrix product\n"
    )


def _dump_fold(arch: ArchConfig, network: Network, names: list[str], path: Path, fold: int) -> None:
    from simulator.foundation import UserError
    from simulator.register_level import dump_fold

    by_name = {layer.name: layer for layer in network.layers}
    name = names[0] if names else network.layers[0].name
    if name not in by_name:
        raise UserError(f"network {network.name!r} has no such layer", value=name, candidates=by_name)
    dump_fold(arch, by_name[name], path, fold=fold)
