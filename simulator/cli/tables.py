"""`systolic tables`: the bundled price tables, and exchange with Accelergy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="List price tables; bring them to Accelergy and back.", no_args_is_help=True, add_completion=False
)


@app.command("list")
def list_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON alone on stdout.")] = False,
) -> None:
    """List the bundled price tables with their rows and what they are for.

    Examples:
        systolic tables list
        systolic tables list --json
    """
    from simulator.cost.tables import load_table
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
        typer.echo(f"{table.name:20}{table.role:13}{len(table.rows):4} rows  {table.description}")


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
    from simulator.cost.tables import load_table
    from simulator.foundation.files import prepare_folder, write_text

    loaded = load_table(table)
    folder = prepare_folder(out)
    for suffix, text in (("ert", export_ert(loaded)), ("art", export_art(loaded))):
        path = folder / f"{loaded.name}.{suffix}.yaml"
        write_text(path, text)
        typer.echo(f"wrote {path}")


@app.command("import")
def import_command(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="ERT and ART files.")],
    out: Annotated[Path, typer.Option("--out", help="The price table to write, NAME.yaml.")],
    source: Annotated[str, typer.Option(help="Who says so: paper, report, tool and version.")],
    status: Annotated[str, typer.Option(help="published, derived, model or ratio.")],
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
    write_text(out, text)
    typer.echo(f"wrote {out}")
