"""`systolic macs`: the multiply-accumulate units there are, and what one of them does."""

from __future__ import annotations

import json
from textwrap import fill
from typing import Any

import typer

from simulator.cli.options import JsonOption
from simulator.cli.terminal import TEXT_MARGIN, text_columns
from simulator.numerics import Mac, get_mac, preset_names
from simulator.numerics.overflow_bounds import overflow_bound

app = typer.Typer(help="List the multiply-accumulate units, or show one of them.")

_WHOLE_LIST = 78
"""Columns that a line of the list takes."""
_PRODUCTS = {
    "exact": "exact; bits below the accumulator's lowest are cut off towards minus infinity",
    "log": "logarithms added, fraction through the pow2 table, shifted into the accumulator",
    "fused": "fused: product and sum are rounded together, once",
}
_BLOCK_PRODUCT = "exact within a block, whose sum both scales multiply"
_OUTPUT = {
    "nearest": "the real value, rounded once to the nearest code",
    "log": "the published log converter, which rounds three times",
    "posit": "the published posit converter",
}


@app.callback(invoke_without_command=True)
def macs(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the bundled multiply-accumulate units.

    Examples:
        systolic macs
        systolic macs --json
        systolic macs show elma8
    """
    if context.invoked_subcommand is not None:
        return
    listed = [get_mac(name) for name in preset_names()]
    if as_json:
        typer.echo(json.dumps([describe(mac) for mac in listed], indent=2))
        return
    columns = text_columns()
    for line in (("MAC", "activation x weight", "product", "accumulator", "max MHz"), *map(_line, listed)):
        typer.echo(_laid_out(line, columns))
    typer.echo()
    typer.echo(fill('Any other pair of formats is a MAC too: systolic macs show "e2m3 x e2m3"', columns))


@app.command()
def show(
    mac: str = typer.Argument(help='A MAC\'s name, or two formats as activation x weight: "e4m3 x e4m3".'),
    as_json: JsonOption = False,
) -> None:
    """Show the operands, product rule, accumulator and hardware of a multiply-accumulate unit.

    Examples:
        systolic macs show elma8
        systolic macs show "e2m3 x e2m3"
        systolic macs show fp16 --json
    """
    unit = get_mac(mac)
    if as_json:
        typer.echo(json.dumps(describe(unit), indent=2))
        return
    columns = text_columns() - TEXT_MARGIN
    about = unit.spec.description
    typer.echo(_hanging(f"{unit.name}: ", about, columns) if about else unit.name)
    typer.echo("")
    for name, text in _facts(unit):
        typer.echo(_hanging(f"  {name:<16}", text, columns))


def describe(mac: Mac) -> dict[str, Any]:
    """A MAC as a JSON document: its data, and what follows from them."""
    document = mac.spec.document()
    document["max_clock_mhz"] = _max_clock_mhz(mac)
    activation, weight = (float(bits) for bits in mac.stored_bits)
    document |= {"stored_activation_bits": activation, "stored_weight_bits": weight}
    bound = overflow_bound(mac, mac.spec.reduction_length)
    return document | {
        "accumulator_bits": mac.accumulator_bits,
        "accumulator_lsb": mac.accumulator_lsb,
        "activation_register_bits": mac.activation.register_bits,
        "weight_register_bits": mac.weight.register_bits,
        "longest_safe_reduction": bound.longest_safe_reduction,
    }


def _line(mac: Mac) -> tuple[str, str, str, str, str]:
    """What the list says of a MAC."""
    limit_mhz = _max_clock_mhz(mac)
    operands = f"{mac.activation.spec} x {mac.weight.spec}"
    clock = f"{limit_mhz:g}" if limit_mhz else "-"
    return mac.name, operands, mac.spec.product, mac.accumulator.summary, clock


def _laid_out(line: tuple[str, str, str, str, str], columns: int) -> str:
    """A line of the list, or two where it would not fit."""
    name, operands, product, accumulator, clock = line
    beside = f"{accumulator:<27}{clock:>8}"
    if columns >= _WHOLE_LIST:
        return f"{name:<12}{operands:<22}{product:<9}{beside}"
    return f"{name:<12}{operands:<22}{product}\n{'':<12}{beside}"


def _max_clock_mhz(mac: Mac) -> float | None:
    """The clock up to which a MAC meets timing, by itself and by the rows that price it unless others do."""
    from simulator.arch.config import ArchConfig
    from simulator.cost.mac_parts import structure_of
    from simulator.cost.mac_rows import MacRows, rows_of
    from simulator.cost.run_prices import PriceBook

    structure = structure_of(mac)
    rows = rows_of(structure, structure.price.energy, PriceBook.load(ArchConfig().tables))
    limits = [mac.spec.max_clock_mhz, rows.max_clock_mhz if isinstance(rows, MacRows) else None]
    return min((limit for limit in limits if limit is not None), default=None)


def _facts(mac: Mac) -> list[tuple[str, str]]:
    spec = mac.spec
    bound = overflow_bound(mac, spec.reduction_length)
    registers = f"{mac.activation.register_bits} + {mac.weight.register_bits} operand bits"
    limit_mhz = _max_clock_mhz(mac)
    clock = f"up to {limit_mhz:g} MHz" if limit_mhz else "no published clock"
    return [
        ("activation", repr(mac.activation).strip("<>").removeprefix("Format ")),
        ("weight", repr(mac.weight).strip("<>").removeprefix("Format ")),
        *_block_facts(mac),
        ("product", _PRODUCTS[spec.product] if spec.blocks is None else _BLOCK_PRODUCT),
        *mac.accumulator.facts,
        *mac.accumulator.safe_length_facts(bound.longest_safe_reduction),
        ("output", _OUTPUT[spec.output]),
        ("registers", f"{registers}, {mac.accumulator_bits} accumulator bits"),
        (
            "pipeline",
            f"depth {spec.pipeline_depth}, accumulation interval {spec.accumulation_interval}, {clock}",
        ),
        *([("source", spec.source)] if spec.source else []),
    ]


def _block_facts(mac: Mac) -> list[tuple[str, str]]:
    """Scales, and what an element takes with its share of one."""
    blocks = mac.spec.blocks
    if blocks is None:
        return []
    tensor = ", and a float32 scale for the tensor" if blocks.tensor_scale else ""
    activation, weight = (float(bits) for bits in mac.stored_bits)
    return [
        (
            "block scales",
            f"{blocks.scale} for every {blocks.block} along input channels, rule {blocks.rule}{tensor}",
        ),
        ("stored bits", f"{activation:g} an activation, {weight:g} a weight, scales included"),
    ]


def _hanging(head: str, text: str, columns: int) -> str:
    return fill(text, columns, initial_indent=head, subsequent_indent=" " * max(len(head), 2))
