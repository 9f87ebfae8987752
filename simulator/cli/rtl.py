"""`systolic rtl`: a MAC as hardware, written out and held against its numerics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from simulator.cli.exit_codes import EXIT_FAILED_IN_PART
from simulator.cli.options import JsonOption
from simulator.cli.streams import say
from simulator.foundation import UserError
from simulator.numerics import Mac, get_mac

if TYPE_CHECKING:
    from simulator.hardware.cell_library import CellLibrary
    from simulator.hardware.mac_synthesis import MacSynthesis
    from simulator.hardware.mac_verification import Verification
    from simulator.hardware.switching_stimuli import SwitchingStimuli

app = typer.Typer(help="Write a MAC as hardware, hold its gates against its numerics, or price it.")

_WIDTH: Final = 64
_LARGEST_NODE_NM: Final = 10_000
_COLDEST_C: Final = -55
_HOTTEST_C: Final = 150

MacArgument = Annotated[
    str,
    typer.Argument(
        metavar="MAC", help='A MAC\'s name, or two formats as activation x weight: "e4m3 x e4m3".'
    ),
]
CustomOption = Annotated[
    str | None, typer.Option("--arch", "-a", metavar="ARCH", help="Architecture whose `macs` may be named.")
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of random operands and sums.")]


def _mac(name: str, arch: str | None) -> Mac:
    from simulator.arch import load_arch

    mac = get_mac(name, custom={} if arch is None else load_arch(arch).macs)
    mac.require_no_blocks("RTL")
    return mac


@app.command()
def emit(
    mac: MacArgument,
    folder: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the files.")],
    rows: Annotated[int, typer.Option("--rows", help="PE rows of the array.")] = 4,
    columns: Annotated[int, typer.Option("--columns", help="PE columns of the array.")] = 4,
    dataflow: Annotated[str, typer.Option("--dataflow", "-d", help="os, ws, is or wst.")] = "os",
    arch: CustomOption = None,
    seed: SeedOption = 0,
) -> None:
    """Write a MAC's PE and array as Verilog and Amaranth, with self-checking testbenches.

    Examples:
        systolic rtl emit int8 -o rtl
        systolic rtl emit "e4m3 x e4m3" -o rtl --rows 8 --columns 8 --dataflow ws
    """
    from simulator.hardware import ArrayShape, emit, require_wheels

    unit = _mac(mac, arch)
    require_wheels()
    written = emit(unit, ArrayShape.of(rows, columns, dataflow), folder, seed=seed)
    for path in written:
        typer.echo(f"wrote {path}")


@app.command()
def verify(
    mac: MacArgument,
    arch: CustomOption = None,
    dataflow: Annotated[
        list[str] | None,
        typer.Option("--dataflow", "-d", help="Arrays to run; again for more. All of them by default."),
    ] = None,
    steps: Annotated[
        int, typer.Option("--steps", min=1, help="Steps where codes have more than 16 bits together.")
    ] = 100_000,
    limit_s: Annotated[
        int,
        typer.Option(
            "--proof-seconds", min=0, help="Limit of each formal proof in seconds; 0 proves nothing."
        ),
    ] = 60,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Map a MAC's hardware onto gates and hold the gates against numerics and register-level grid.

    Prints how much was compared; exit code 1 where something differs.

    Examples:
        systolic rtl verify elma8
        systolic rtl verify "fp16 x fp16" --dataflow os --json
    """
    from simulator.dataflow import DATAFLOWS, get_dataflow
    from simulator.hardware import VerificationSettings, require_wheels, verify_mac

    unit = _mac(mac, arch)
    require_wheels()
    flows = tuple(get_dataflow(name).name for name in dataflow) if dataflow else tuple(DATAFLOWS)
    settings = VerificationSettings(dataflows=flows, steps=steps, seed=seed, limit_s=limit_s)
    verification = verify_mac(unit, settings)
    typer.echo(json.dumps(_document(verification), indent=2) if as_json else _text(verification, limit_s))
    if not verification.passed:
        differing = [each.what for each in verification.comparisons if not each.is_equal]
        differing += [each.module for each in verification.equivalences if each.verdict == "not equivalent"]
        say(f"the hardware of {unit.name} differs: {'; '.join(differing)}")
        raise typer.Exit(EXIT_FAILED_IN_PART)


LibertyOption = Annotated[
    Path | None,
    typer.Option("--liberty", metavar="LIB", help="Your cell library; without it the bundled generic one."),
]
OperandsOption = Annotated[
    Path | None,
    typer.Option(
        "--operands",
        metavar="NPZ",
        help="A layer to switch on: arrays activations [M, K] and weights [K, N]; the published bench "
        "without it.",
    ),
]


def _library(liberty: Path | None) -> CellLibrary:
    from simulator.hardware.generic_library import generic_library
    from simulator.hardware.liberty_reader import read_library

    return generic_library() if liberty is None else read_library(liberty)


def _stimuli(mac: Mac, operands: Path | None, seed: int) -> SwitchingStimuli:
    from simulator.hardware.switching_stimuli import bench_stimuli, layer_stimuli

    return bench_stimuli(mac, seed) if operands is None else layer_stimuli(mac, operands, seed)


@app.command()
def synth(
    mac: MacArgument,
    arch: CustomOption = None,
    liberty: LibertyOption = None,
    clock_mhz: Annotated[
        float | None,
        typer.Option("--clock-mhz", help="Clock to meet; without it the smallest candidate is chosen."),
    ] = None,
    operands: OperandsOption = None,
    seed: SeedOption = 1,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="HTML", help="Write a page with the PE and the curve to this file."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Synthesise a MAC: area, delay, their curve over candidates, leakage, and energy from switching gates.

    Examples:
        systolic rtl synth int8
        systolic rtl synth "e4m3 x e4m3" --liberty my.lib --clock-mhz 500
        systolic rtl synth elma8 --report elma8.html
    """
    from simulator.cli.rtl_synthesis import synthesis_document, synthesis_text
    from simulator.hardware import require_wheels

    unit = _mac(mac, arch)
    require_wheels()
    from simulator.hardware.mac_synthesis import synthesise
    from simulator.hardware.step_circuit import check_has_hardware

    check_has_hardware(unit)
    library = _library(liberty)
    stimuli = _stimuli(unit, operands, seed)
    found = synthesise(unit, library, stimuli, clock_mhz=clock_mhz, must_meet=True)
    if report is not None:
        _write_page(report, found)
    typer.echo(json.dumps(synthesis_document(found), indent=2) if as_json else synthesis_text(found))


def _write_page(path: Path, synthesis: MacSynthesis) -> None:
    from simulator.cli.rtl_synthesis import page_of
    from simulator.cli.written import tell_overwritten
    from simulator.foundation.files import write_text
    from simulator.foundation.reading.content import exists
    from simulator.report.synthesis_page import synthesis_page

    overwritten = [path] if exists(path) else []
    write_text(path, synthesis_page(page_of(synthesis)))
    tell_overwritten(overwritten, quiet=False)
    say(f"wrote {path}")


@app.command()
def price(
    mac: MacArgument,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="TABLE", help="The price table to write.")],
    arch: CustomOption = None,
    liberty: LibertyOption = None,
    clock_mhz: Annotated[
        float | None, typer.Option("--clock-mhz", help="Clock to meet; needed with --liberty.")
    ] = None,
    node_nm: Annotated[float | None, typer.Option("--node-nm", help="Node of your library.")] = None,
    temperature_c: Annotated[
        float | None, typer.Option("--temperature-c", help="Of your library, where it states none.")
    ] = None,
    corner: Annotated[str | None, typer.Option("--corner", help="Of your library: TT, SS or FF.")] = None,
    operands: OperandsOption = None,
    seed: SeedOption = 1,
) -> None:
    """Write a price table of a MAC from its own gates, with intervals and provenance.

    Rows rank below composed prices; `macs.NAME.price: synthesised` selects them.

    Examples:
        systolic rtl price "e4m3 x e4m3" -o e4m3.yaml
        systolic rtl price int8 -o int8.yaml --liberty my.lib --node-nm 28 --clock-mhz 500 --corner TT
    """
    from simulator.cli.rtl_synthesis import price_text
    from simulator.cli.written import require_suffix, tell_overwritten
    from simulator.foundation.files import write_text
    from simulator.foundation.reading.content import exists
    from simulator.hardware import require_wheels

    require_suffix(out, (".yaml", ".yml"), option="--out")
    unit = _mac(mac, arch)
    require_wheels()
    from simulator.hardware.step_circuit import check_has_hardware
    from simulator.hardware.synthesised_prices import PriceConditions, synthesised_price

    check_has_hardware(unit)
    if corner not in (None, "TT", "SS", "FF"):
        raise UserError("unknown corner", location="--corner", value=corner, allowed="TT, SS or FF")
    if node_nm is not None and not 0 < node_nm < _LARGEST_NODE_NM:
        raise UserError("must be a positive number", location="--node-nm", value=node_nm)
    if temperature_c is not None and not _COLDEST_C <= temperature_c <= _HOTTEST_C:
        allowed = f"{_COLDEST_C} to {_HOTTEST_C}, as in architectures"
        raise UserError(
            "is no junction temperature", location="--temperature-c", value=temperature_c, allowed=allowed
        )
    library = _library(liberty)
    conditions = PriceConditions(node_nm, temperature_c, corner)
    found = synthesised_price(
        unit,
        library,
        _stimuli(unit, operands, seed),
        name=out.stem,
        clock_mhz=clock_mhz,
        conditions=conditions,
    )
    overwritten = [out] if exists(out) else []
    write_text(out, found.text)
    tell_overwritten(overwritten, quiet=False)
    typer.echo(price_text(found))
    typer.echo(f"wrote {out}")


def _text(verification: Verification, limit_s: int) -> str:
    mac = verification.mac
    lines = [
        f"{mac.name}: {mac.pair.specs}, {mac.accumulator.summary}",
        f"{verification.gates:,} gates of one MAC",
        "",
    ]
    for each in verification.comparisons:
        verdict = "equal" if each.is_equal else f"{each.differing:,} differ"
        lines.append(f"{each.what:<{_WIDTH}}  {each.compared:>9,} compared, {verdict}")
        if each.first is not None:
            lines.append(f"  first: {each.first}")
    for proof in verification.equivalences:
        text = f"no answer in {proof.limit_s} s" if proof.verdict == "undecided" else proof.verdict
        lines.append(f"{'RTL and gates of ' + proof.module + ', for all inputs':<{_WIDTH}}  {text}")
    if not limit_s:
        lines.append("RTL and gates: not proven (--proof-seconds 0)")
    return "\n".join(lines)


def _document(verification: Verification) -> dict[str, object]:
    return {
        "mac": verification.mac.name,
        "gates": verification.gates,
        "passed": verification.passed,
        "comparisons": [
            {"what": each.what, "compared": each.compared, "differing": each.differing, "first": each.first}
            for each in verification.comparisons
        ],
        "equivalences": [
            {"module": proof.module, "verdict": proof.verdict, "limit_s": proof.limit_s}
            for proof in verification.equivalences
        ],
    }
