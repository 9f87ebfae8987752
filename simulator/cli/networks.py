"""`systolic networks`: what is bundled, and what a network is made of."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from simulator.cli import completion
from simulator.cli.options import BatchAxisOption, DimOption, InputShapeOption, InputValueOption, JsonOption
from simulator.cli.terminal import page_console
from simulator.workload import Layer, Network, load_network
from simulator.workload.onnx.sizes import parse_sizes

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(help="List the bundled networks, or show the layers of one.")

_WIDTH_IN_A_PIPE = 80


@app.callback(invoke_without_command=True)
def networks(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the bundled networks: their work and weights, variant, source, and where their MACs come from.

    Examples:
        systolic networks
        systolic networks --json
        systolic networks show resnet50
    """
    if context.invoked_subcommand is not None:
        return
    from simulator.foundation.resources import bundled_names

    bundled = [load_network(name) for name in bundled_names("workloads")]
    if as_json:
        typer.echo(json.dumps([_summary(network) for network in bundled], indent=2))
        return
    _print_list(bundled)


@app.command()
def show(
    network: str = typer.Argument(
        help="A bundled name, or a .yaml, SCALE-Sim .csv or .onnx file.", autocompletion=completion.networks
    ),
    batch: int | None = typer.Option(
        None, min=1, help="Inputs computed at once; the file's own if not given."
    ),
    skip_unsupported: bool = typer.Option(
        False, "--skip-unsupported", help="Leave out ONNX operators that cannot be simulated, and list them."
    ),
    input_shapes: InputShapeOption = None,
    dims: DimOption = None,
    batch_axis: BatchAxisOption = None,
    input_values: InputValueOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the layers of a network as the matrix products that an array computes.

    Examples:
        systolic networks show resnet50
        systolic networks show mobilenet_v2 --batch 4 --json
    """
    sizes = parse_sizes(input_shapes, dims, batch_axis, input_values)
    shown = load_network(network, batch=batch, skip_unsupported=skip_unsupported, sizes=sizes)
    if as_json:
        document = _summary(shown) | {"layers": [_layer_document(layer) for layer in shown.layers]}
        typer.echo(json.dumps(document, indent=2))
        return
    rows = [
        (
            layer.name,
            layer.kind,
            f"{layer.m:,}",
            f"{layer.n:,}",
            f"{layer.k:,}",
            str(layer.groups),
            f"{layer.macs / 1e6:,.2f}",
        )
        for layer in shown.layers
    ]
    _print_table(["layer", "kind", ">M", ">N", ">K", ">groups", ">M MACs"], rows)
    typer.echo(
        f"{shown.name}, batch {shown.batch}: {len(shown.layers)} layers, {shown.macs:,} MACs, "
        f"{shown.parameters:,} weights"
    )
    for line in _about(shown, _console().width):
        typer.echo(line)
    for weights, layers in _layers_by_shared_weights(shown).items():
        typer.echo(f"weights {weights}, shared by {', '.join(layers)}, count once")
    for skipped in shown.skipped_operators:
        typer.echo(f"not simulated: {skipped}")
    width = _console().width
    for note in shown.notes:
        typer.echo(textwrap.fill(f"note: {note}", width, subsequent_indent="  ", break_on_hyphens=False))


def _layers_by_shared_weights(network: Network) -> dict[str, list[str]]:
    shared: dict[str, list[str]] = {}
    for layer in network.layers:
        if layer.weights:
            shared.setdefault(layer.weights, []).append(layer.name)
    return shared


def _summary(network: Network) -> dict[str, Any]:
    return {
        "name": network.name,
        "source": network.source,
        "variant": network.variant or None,
        "macs_source": network.macs_source or None,
        "batch": network.batch,
        "layers": len(network.layers),
        "macs": network.macs,
        "parameters": network.parameters,
        "skipped_operators": list(network.skipped_operators),
        "notes": list(network.notes),
    }


def _layer_document(layer: Layer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "kind": layer.kind,
        "m": layer.m,
        "n": layer.n,
        "k": layer.k,
        "groups": layer.groups,
        "macs": layer.macs,
        "parameters": layer.parameters,
        "weights": layer.weights or None,
        "inputs": list(layer.inputs),
        "post_operations": [
            {"kind": post.kind, "elements": post.elements, "inputs": list(post.inputs)}
            for post in layer.post_operations
        ],
    }


def _print_list(networks: Sequence[Network]) -> None:
    """A line of figures for each network, and below it what it is, in lines as wide as the terminal."""
    line_width = _console().width
    width = max(len("network"), *(len(network.name) for network in networks))
    heading = f"{'network':{width}}  layers     M MACs  M weights"
    typer.echo(heading)
    typer.echo("-" * len(heading))
    for network in networks:
        typer.echo(
            f"{network.name:{width}}  {len(network.layers):6}  {network.macs / 1e6:9,.1f}"
            f"  {network.parameters / 1e6:9,.2f}"
        )
        for line in _about(network, line_width, indent="  "):
            typer.echo(line)


def _about(network: Network, width: int, *, indent: str = "") -> list[str]:
    """Which network it is, who describes it, and what its MACs were checked against; wrapped."""
    said = {"variant": network.variant, "source": network.source, "MACs": network.macs_source}
    return [
        line
        for title, text in said.items()
        if text
        for line in textwrap.wrap(
            f"{title}: {text}",
            width,
            initial_indent=indent,
            subsequent_indent=indent + "  ",
            break_on_hyphens=False,
        )
    ]


def _console() -> Console:
    """As wide as the terminal or `COLUMNS`, or as 80 columns in a pipe."""
    return page_console(_WIDTH_IN_A_PIPE)


def _print_table(columns: list[str], rows: Sequence[tuple[str, ...]]) -> None:
    """A table on stdout; a column whose title starts with `>` is aligned right."""
    from rich import box
    from rich.table import Table

    console = _console()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        right = column.startswith(">")
        table.add_column(
            column.lstrip(">"), justify="right" if right else "left", no_wrap=right, overflow="fold"
        )
    for row in rows:
        table.add_row(*row)
    console.print(table)
