"""`systolic rtl`: a MAC as hardware, written out and held against its numerics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from simulator.cli.exit_codes import EXIT_FAILED_IN_PART
from simulator.cli.options import JsonOption
from simulator.cli.streams import say
from simulator.numerics import Mac, get_mac

if TYPE_CHECKING:
    from simulator.hardware.cell_library import CellLibrary
    from simulator.hardware.mac_verification import Verification
    from simulator.hardware.switching_stimuli import SwitchingStimuli

app = typer.Typer(help="Write a MAC as hardware, hold its gates against its numerics, or price it.")

_WIDTH: Final = 64

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
    if arch is None:
        return get_mac(name)
    from simulator.arch import load_arch

    return get_mac(name, custom=load_arch(arch).macs)


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
    as_json: JsonOption = False,
) -> None:
    """Synthesise a MAC: area, delay, their curve over candidates, leakage, and energy from switching gates.

    Examples:
        systolic rtl synth int8
        systolic rtl synth "e4m3 x e4m3" --liberty my.lib --clock-mhz 500
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
    typer.echo(json.dumps(synthesis_document(found), indent=2) if as_json else synthesis_text(found))


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
