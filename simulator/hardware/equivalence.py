"""Formal equivalence of RTL and gates: the combinational equivalence check of ABC."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

from simulator.foundation.defects import DefectError
from simulator.foundation.files import write_text
from simulator.hardware.synthesized_macs import NETLIST_FILE, RTL_FILE, SynthesizedMac, rtl_text
from simulator.hardware.yosys_runs import abc_program, run_yosys

Verdict = Literal["equivalent", "not equivalent", "undecided"]

_PLAIN_RULES: Final = ("proc", "flatten", "wreduce", "booth", "alumacc", "maccmap -unmap", "techmap")
_RTL: Final = "rtl.blif"
_GATES: Final = "gates.blif"


@dataclass(frozen=True, slots=True)
class Equivalence:
    """What a proof of one module came to, and the limit it had; `undecided` says nothing either way."""

    module: str
    verdict: Verdict
    limit_s: int


def prove_equivalence(synthesized: SynthesizedMac, role: str, *, limit_s: int) -> Equivalence:
    """Whether a combinational module's gates compute what its RTL says, for every input there is.

    The RTL is made into gates by Yosys's plain rules, with the same kind of multiplier (Booth) as the mapped
    netlist: another kind is not proven in reasonable time. Raises DefectError where the check itself fails.
    """
    name = synthesized.designs[role].name
    rtl = _network(
        [f"read_rtlil {RTL_FILE}", f"hierarchy -top {name}", *_PLAIN_RULES],
        {RTL_FILE: rtl_text(synthesized.designs)},
        _RTL,
    )
    gates = _network(
        [f"read_json {NETLIST_FILE}", f"hierarchy -top {name}", "flatten"],
        {NETLIST_FILE: synthesized.netlist_text},
        _GATES,
    )
    with TemporaryDirectory(prefix="systolic-cec-") as folder:
        for file, text in ((_RTL, rtl), (_GATES, gates)):
            write_text(Path(folder) / file, text)
        command = f"cec -T {limit_s} {_RTL} {_GATES}"  # ABC looks at its limit now and then
        try:
            done = subprocess.run(  # noqa: S603 - the package's own program
                [str(abc_program()), "-c", command],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
                timeout=limit_s,
            )
        except subprocess.TimeoutExpired:
            return Equivalence(name, "undecided", limit_s)
    return Equivalence(name, _verdict(done.stdout, name), limit_s)


def _network(script: list[str], inputs: dict[str, str], output: str) -> str:
    tail = ["opt_clean", "aigmap", "opt_clean", f"write_blif {output}"]
    return run_yosys([*script, *tail], inputs, [output]).files[output]


def _verdict(log: str, name: str) -> Verdict:
    if "Networks are equivalent" in log:
        return "equivalent"
    if "NOT EQUIVALENT" in log:
        return "not equivalent"
    if "UNDECIDED" in log:
        return "undecided"
    message = f"the equivalence check of {name!r} ended without a verdict: {log.strip()[-300:]}"
    raise DefectError(message)
