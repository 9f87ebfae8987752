"""`systolic formats`: the number formats there are, and what one of them holds."""

from __future__ import annotations

import json
from math import frexp
from textwrap import fill

import typer

from simulator.cli.options import JsonOption
from simulator.cli.terminal import TEXT_MARGIN, text_columns
from simulator.numerics import Format, get_format
from simulator.numerics.formats import TABLE_BITS, example_specs, families, family_of

app = typer.Typer(help="List the number formats, or show one of them.")

_WHOLE_LIST = 70
"""Columns that a line of the list takes."""


@app.callback(invoke_without_command=True)
def formats(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the families of number formats, how their specs are written, and formats of each.

    Examples:
        systolic formats
        systolic formats --json
        systolic formats show ue4m4b9
    """
    if context.invoked_subcommand is not None:
        return
    listed = [get_format(spec) for spec in example_specs()]
    if as_json:
        typer.echo(json.dumps([fmt.describe() for fmt in listed], indent=2))
        return
    columns = text_columns()
    for family in families():
        typer.echo(fill(f"{family.name}: {family.syntax}", columns - TEXT_MARGIN, subsequent_indent="    "))
        typer.echo(_indented(family.summary, columns))
    typer.echo()
    typer.echo(
        _listed(f"{'format':<15}{'bits':>5}{'smallest':>13}{'largest':>13}{'decades':>9}", "family", columns)
    )
    for fmt in listed:
        ends = f"{fmt.smallest_positive:>13.5g}{fmt.largest:>13.5g}"
        typer.echo(_listed(f"{fmt.spec:<15}{fmt.bits:>5}{ends}{fmt.decades:>9.1f}", fmt.family, columns))


@app.command()
def show(
    spec: str = typer.Argument(help="A format spec such as int8, e4m3, ue4m4b9, fix8.5, log8.1 or posit8.1."),
    as_json: JsonOption = False,
) -> None:
    """Show the bits, range, smallest step and decades of a format, and draw its number line.

    Examples:
        systolic formats show ue4m4b9
        systolic formats show log8.1 --json
    """
    fmt = get_format(spec)
    if as_json:
        typer.echo(json.dumps(fmt.describe(), indent=2))
        return
    typer.echo("\n".join(_page(fmt, text_columns())))


def _listed(figures: str, family: str, columns: int) -> str:
    """A line of the list, or two where it would not fit."""
    return f"{figures}  {family}" if columns >= _WHOLE_LIST else f"{figures}\n{'':<15}{family}"


def _page(fmt: Format, columns: int) -> list[str]:
    from simulator.cli.number_line import draw_line, draw_octaves

    summary = family_of(fmt).summary
    lines = [f"{fmt.spec}: {fmt.family}, {fmt.bits} bits", _indented(summary, columns), ""]
    for name, text in _facts(fmt):
        lines.append(fill(text, columns, initial_indent=f"  {name:<18}", subsequent_indent=" " * 20))
    if fmt.bits > TABLE_BITS:
        return [*lines, "", f"  (number lines are drawn for formats of up to {TABLE_BITS} bits)"]
    for draw in (draw_octaves, draw_line):
        caption, *drawing = draw(fmt, columns - TEXT_MARGIN)
        lines += ["", _indented(caption, columns), *(f"  {line}".rstrip() for line in drawing)]
    return lines


def _indented(sentence: str, columns: int) -> str:
    return fill(sentence, columns, initial_indent="  ", subsequent_indent="  ")


def _number(value: float) -> str:
    """A value, and the power of two that it is."""
    fraction, exponent = frexp(value)
    return f"{value:.8g} = 2^{exponent - 1}" if fraction == 0.5 and value != 1 else f"{value:.8g}"


def _facts(fmt: Format) -> list[tuple[str, str]]:
    least, greatest = fmt.exponent_range
    specials = [
        name
        for name, present in (
            ("infinity", fmt.has_infinity),
            ("NaN", fmt.has_nan),
            ("minus zero", fmt.has_negative_zero),
        )
        if present
    ]
    return [
        ("range", f"{fmt.lowest:.8g} to {fmt.largest:.8g}"),
        ("smallest positive", _number(fmt.smallest_positive)),
        ("smallest normal", _number(fmt.smallest_normal)),
        ("smallest step", _number(fmt.smallest_step)),
        ("dynamic range", f"{fmt.decades:.1f} decades, exponents 2^{least} to 2^{greatest}"),
        ("grid", f"every value is a multiple of 2^{fmt.lsb}"),
        ("multiplier sees", f"{fmt.significand_bits} significand bits, {fmt.exponent_bits} exponent bits"),
        ("special values", ", ".join(specials) or "none"),
    ]
