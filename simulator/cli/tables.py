"""`systolic tables`: price tables listed, shown, begun and checked, and exchanged with Accelergy."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.cli.options import ArchOption, ClockOption, JsonOption, MacOption, SetOption, arch_overrides
from simulator.cli.terminal import page_console
from simulator.cli.written import tell_overwritten

if TYPE_CHECKING:
    from simulator.cost.table_check import TableCheck
    from simulator.cost.table_schema import Conditions
    from simulator.result import PriceSource

app = typer.Typer(
    help="List, show, begin and check price tables; bring them to Accelergy and back.",
    no_args_is_help=True,
    add_completion=False,
)


@app.command("list")
def list_command(
    as_json: JsonOption = False,
) -> None:
    """List the bundled price tables with their rows and what they are for.

    Examples:
        systolic tables list
        systolic tables list --json
    """
    from simulator.cost.price_tables import load_table
    from simulator.foundation.resources import bundled_names

    tables = [load_table(name) for name in bundled_names("energy_tables")]
    if as_json:
        summary = [
            {
                "name": t.name,
                "role": t.role,
                "rows": len(t.rows),
                "description": t.description,
                "sha256": t.sha256,
            }
            for t in tables
        ]
        typer.echo(json.dumps(summary, indent=1))
        return
    for table in tables:
        _say(f"{table.name:20}{table.role:13}{len(table.rows):4} rows  {table.description}")


@app.command("new")
def new_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The table to begin, NAME.yaml.")],
    arch: ArchOption = "int8_32x32",
    mac: MacOption = None,
    clock_mhz: ClockOption = None,
    assignments: SetOption = None,
) -> None:
    """Begin a table of your own: a commented file with the rows that an architecture needs, to be filled in.

    Examples:
        systolic tables new my_28nm.yaml --mac int8
        systolic tables new my_28nm.yaml --arch my_arch.yaml
    """
    from simulator.arch import load_arch
    from simulator.cost.table_template import table_template
    from simulator.foundation import UserError
    from simulator.foundation.files import write_text
    from simulator.foundation.reading.content import exists

    overrides = arch_overrides({"array.mac": mac, "clock_mhz": clock_mhz}, assignments)
    if file.suffix not in (".yaml", ".yml"):
        raise UserError("a price table is a YAML file", source=file, allowed="a name that ends in .yaml")
    text = table_template(file.stem, load_arch(arch, overrides))
    if exists(file):
        raise UserError("exists already, and `tables new` never writes over a file", source=file)
    write_text(file, text)
    typer.echo(
        f"wrote {file}: fill in its figures, name it first under `tables` of your architecture, and run"
    )
    typer.echo("systolic tables check --arch ARCH")


@app.command("show")
def show_command(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="Bundled name or YAML file.")],
    as_json: JsonOption = False,
) -> None:
    """Print a table: every row with its value, status, conditions and source.

    Examples:
        systolic tables show johnson2018_28nm
        systolic tables show my_28nm.yaml --json
    """
    from dataclasses import asdict

    from simulator.cost.price_tables import load_table

    loaded = load_table(table)
    if as_json:
        rows = [
            asdict(row) | {"conditions": row.conditions.model_dump(mode="json", exclude_none=True)}
            for row in loaded.rows.values()
        ]
        document = {
            "table": loaded.name,
            "description": loaded.description,
            "role": loaded.role,
            "sha256": loaded.sha256,
            "macs": {name: mac.model_dump(mode="json") for name, mac in loaded.macs.items()},
            "rows": rows,
        }
        typer.echo(json.dumps(document, indent=1))
        return
    _say(f"{loaded.name} ({loaded.role}): {loaded.description}")
    for conditions in dict.fromkeys(row.conditions for row in loaded.rows.values()):
        rows_there = [row for row in loaded.rows.values() if row.conditions == conditions]
        typer.echo("")
        _say(f"at {_shown(conditions)}")
        for row in rows_there:
            more = f", up to {row.max_clock_mhz:g} MHz" if row.max_clock_mhz is not None else ""
            more += f", ±{row.uncertainty:.0%}" if row.uncertainty is not None else ""
            _say(f"  {row.key:42} {row.value:>12.6g} {row.unit:10} {row.status}{more}")
    typer.echo("")
    for source in dict.fromkeys(row.source for row in loaded.rows.values()):
        _say(f"source: {source}")


@app.command("check")
def check_command(
    arch: ArchOption = "int8_32x32",
    mac: MacOption = None,
    clock_mhz: ClockOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what an architecture would use from each of its tables, what has no price, and what is never used.

    Examples:
        systolic tables check --arch int8_32x32
        systolic tables check --arch my_arch.yaml --json
    """
    from dataclasses import asdict

    from simulator.arch import load_arch
    from simulator.cost.table_check import check_tables

    configured = load_arch(arch, arch_overrides({"array.mac": mac, "clock_mhz": clock_mhz}, assignments))
    check = check_tables(configured)
    if as_json:
        document = {
            name: [part if isinstance(part, str) else part.model_dump(mode="json") for part in parts]
            for name, parts in asdict(check, dict_factory=dict).items()
        }
        typer.echo(json.dumps(document, indent=1))
        return
    _print_check(configured.name, check)


def _print_check(arch: str, check: TableCheck) -> None:
    for table in check.tables:
        used = [price for price in check.used if price.table == table]
        _say(f"{table}: {len(used) or 'no'} price{'s' if len(used) != 1 else ''} of it used by {arch}")
        for price in used:
            _say(f"  {price.row:42} {_value(price):>20}  {price.status:12} {', '.join(price.used_for)}")
            for step in price.scaling:
                _say(f"      scaled: {step}")
        for unused in (unused for unused in check.unused if unused.table == table):
            _say(
                f"  {'never used' if unused.never else 'not used'}: {', '.join(unused.rows)}: {unused.reason}"
            )
    for missing in check.not_priced:
        _say(f"not priced: {missing.figure} of {missing.component}: {missing.reason}")
    for warning in check.warnings:
        _say(f"warning: {warning}")


def _say(line: str) -> None:
    """Print a line, folded at words where the terminal is narrower; what follows stands further in."""
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    width = page_console().width
    typer.echo(fill(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False))


def _value(price: PriceSource) -> str:
    return f"{price.value:.6g} {price.unit}"


def _shown(conditions: Conditions) -> str:
    """Conditions in one line."""
    from simulator.result_sources import silicon_text

    stated = [silicon_text(conditions), conditions.scope]
    return f"{', '.join(part for part in stated if part)}: {conditions.activity}"


@app.command("export")
def export_command(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="Bundled name or YAML file.")],
    out: Annotated[
        Path, typer.Option("--out", help="Folder for TABLE.ert.yaml and TABLE.art.yaml.")
    ] = Path(),
) -> None:
    """Write a table as Accelergy ERT and ART; its provenance goes into comments.

    Examples:
        systolic tables export johnson2018_28nm --out accelergy
    """
    from simulator.cost.accelergy import export_art, export_ert
    from simulator.cost.price_tables import load_table
    from simulator.foundation.files import safe_name, write_text
    from simulator.foundation.staged_outputs import staged_folder

    loaded = load_table(table)
    names = []
    with staged_folder(out) as staged:
        for suffix, text in (("ert", export_ert(loaded)), ("art", export_art(loaded))):
            names.append(f"{safe_name(loaded.name)}.{suffix}.yaml")
            write_text(staged.folder / names[-1], text)
    tell_overwritten(staged.overwritten, quiet=False)
    for name in names:
        typer.echo(f"wrote {out / name}")


@app.command("import")
def import_command(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="ERT and ART files.")],
    out: Annotated[Path, typer.Option("--out", help="The price table to write, NAME.yaml.")],
    source: Annotated[str, typer.Option(help="Who says so: paper, report, tool and version.")],
    status: Annotated[str, typer.Option(help="published, derived, model, tool_default, ratio or own.")],
    activity: Annotated[str, typer.Option(help="The stimulus or assumption behind the energies.")],
    node_nm: Annotated[float, typer.Option(help="Technology node.")],
    voltage_v: Annotated[float, typer.Option(help="Supply.")],
    temperature_c: Annotated[float, typer.Option(help="Temperature.")],
    clock_mhz: Annotated[float, typer.Option(help="Clock the energies were taken at.")],
    corner: Annotated[str | None, typer.Option(help="TT, SS or FF.")] = None,
) -> None:
    """Turn Accelergy reference tables into a price table; its provenance has to be given.

    Examples:
        systolic tables import my.ert.yaml my.art.yaml --out my_28nm.yaml
        --source "synthesis, 2024" --status model --activity "random data"
        --node-nm 28 --voltage-v 0.9 --temperature-c 25 --clock-mhz 500 --corner TT
    """
    from simulator.cost.accelergy import import_reference_tables
    from simulator.foundation.documents import read_text
    from simulator.foundation.files import write_text
    from simulator.foundation.reading.content import exists

    conditions = {
        "node_nm": node_nm,
        "voltage_v": voltage_v,
        "temperature_c": temperature_c,
        "clock_mhz": clock_mhz,
        "activity": activity,
        **({"corner": corner} if corner else {}),
    }
    text = import_reference_tables(
        [read_text(path) for path in files],
        name=out.stem,
        provenance={"source": source, "status": status, "conditions": conditions},
        source=", ".join(str(path) for path in files),
    )
    overwritten = [out] if exists(out) else []
    write_text(out, text)
    tell_overwritten(overwritten, quiet=False)
    typer.echo(f"wrote {out}")
