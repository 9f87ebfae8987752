"""Options that several commands share, and how they lie over an architecture file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from simulator.cli import completion
from simulator.dataflow import DATAFLOWS
from simulator.foundation import UserError
from simulator.foundation.documents import parse_yaml

NetworkArgument = Annotated[
    str,
    typer.Argument(
        metavar="NETWORK",
        help="Bundled name (`systolic networks`), SCALE-Sim topology .csv, .onnx model or .yaml of layers.",
        show_default=False,
        autocompletion=completion.networks,
    ),
]
ArchOption = Annotated[
    str,
    typer.Option(
        "--arch",
        "-a",
        metavar="ARCH",
        help="Bundled architecture or YAML file.",
        autocompletion=completion.architectures,
    ),
]
MacOption = Annotated[
    str | None,
    typer.Option(
        "--mac",
        "-m",
        help='MAC of every PE: a preset or a spec like "e4m3 x e4m3".',
        autocompletion=completion.macs,
    ),
]
DataflowOption = Annotated[
    str | None, typer.Option(help=f"{', '.join(DATAFLOWS)}: what stays in the PEs (docs/timing.md).")
]
OverlapOption = Annotated[str | None, typer.Option(help="none, drain or full: how folds follow each other.")]
TimingOption = Annotated[
    str | None, typer.Option(help="reference (the published circuit) or scalesim (its compute cycles).")
]
RowsOption = Annotated[int | None, typer.Option("--rows", help="PE rows.")]
ColumnsOption = Annotated[int | None, typer.Option("--cols", "--columns", help="PE columns.")]
ClockOption = Annotated[float | None, typer.Option("--clock-mhz", help="Clock of array and buffers.")]
BatchOption = Annotated[int | None, typer.Option(help="Inferences at once.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Any architecture field, e.g. sram.ifmap.capacity_kib=64.",
        autocompletion=completion.fields,
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        "-d",
        metavar="DATA",
        help="Data for a trained NETWORK: fashion_mnist_1000, .npz, .npy, a folder of images, or a table of"
        " images and labels; gives accuracy and exact toggles.",
    ),
]
SkipUnsupportedOption = Annotated[
    bool, typer.Option("--skip-unsupported", help="Leave out ONNX operators that cannot be simulated.")
]
InputShapeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--input-shape",
        metavar="INPUT=SIZES",
        help="Shape of an input of an ONNX model: x=1,3,320,320; again for other inputs.",
    ),
]
DimOption = Annotated[
    list[str] | None,
    typer.Option(
        "--dim", metavar="NAME=SIZE", help="Size of a dimension that an ONNX model leaves open: seq=128."
    ),
]
BatchAxisOption = Annotated[
    str | None,
    typer.Option(
        "--batch-axis",
        metavar="N|none",
        help="Dimension of an ONNX model's first input that is the batch. By default the first where it is"
        " open or the input is an image of rank 4.",
    ),
]
InputValueOption = Annotated[
    list[str] | None,
    typer.Option(
        "--input-value",
        metavar="INPUT=NUMBER",
        help="Value of an input of an ONNX model that never changes, such as a sample rate: sr=16000.",
    ),
]
JobsOption = Annotated[
    int | None, typer.Option("--jobs", "-j", min=1, help="Local processes; one a core if not given.")
]
DaskOption = Annotated[
    str | None, typer.Option("--dask", metavar="ADDRESS", help="Run on the Dask cluster of this scheduler.")
]
BlockStoreOption = Annotated[
    Path | None,
    typer.Option(
        "--store",
        "-s",
        metavar="DIR",
        help="Keep finished blocks of images there, and go on from those that it has (docs/clusters.md).",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON alone on stdout.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print no tables and no progress.")]


def parse_policies(texts: Sequence[str] | None) -> tuple[str | None, tuple[tuple[str, str], ...]]:
    """Policies from options: one for all MACs, and pairs of a MAC's name and its policy.

    `mse+smooth=0.7` starts with the name of a policy and is one for all; `elma8=drop_in` is for a MAC.

    Raises:
        UserError: more than one policy for all, or for one MAC.
    """
    from simulator.inference.policies import is_policy

    general: list[str] = []
    by_mac: dict[str, str] = {}
    for text in texts or ():
        mac, equals, policy = (part.strip() for part in text.partition("="))
        if not equals or is_policy(mac.partition("+")[0].strip()):
            general.append(text.strip())
            continue
        if mac in by_mac:
            raise UserError("two policies for one MAC", location="--policy", value=mac)
        by_mac[mac] = policy
    if len(general) > 1:
        raise UserError(
            "more than one policy for all MACs",
            location="--policy",
            value=", ".join(general),
            allowed="one, and MAC=POLICY for others",
        )
    return (general[0] if general else None), tuple(by_mac.items())


def require_data(data: str | None, options: Mapping[str, object]) -> None:
    """Refuse options, by name, for networks that run on images where there are none. Raises UserError."""
    for option, value in options.items():
        if data is None and value:
            raise UserError(f"{option} is for networks that run on images: give --data", value=value)


def arch_overrides(fields: Mapping[str, object], assignments: Sequence[str] | None) -> dict[str, Any]:
    """Overrides by dotted field, from options that were given and from `--set FIELD=VALUE`.

    Raises:
        UserError: an assignment without `=`.
    """
    overrides = {field: value for field, value in fields.items() if value is not None}
    for assignment in assignments or ():
        field, equals, text = assignment.partition("=")
        if not equals or not field.strip():
            raise UserError("must look like FIELD=VALUE", source="--set", value=assignment)
        overrides[field.strip()] = parse_yaml(text, source=f"--set {field.strip()}")
    return overrides
