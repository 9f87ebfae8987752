"""Candidate implementations of a MAC: multipliers, adders and mappings, among which area buys speed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from simulator.foundation import UserError
from simulator.foundation.defects import DefectError
from simulator.hardware.cell_library import CellLibrary
from simulator.hardware.cell_netlists import CellNetlist, read_cell_netlist
from simulator.hardware.designs import Design
from simulator.hardware.liberty_writer import liberty_text
from simulator.hardware.yosys_runs import run_yosys

Multiplier = Literal["booth", "array", "none"]
Adder = Literal["ripple", "brent-kung", "sklansky"]
Effort = Literal["small", "sized", "fast"]

_MULTIPLIERS: Final[Mapping[Multiplier, tuple[str, ...]]] = {
    "booth": ("booth", "alumacc", "maccmap -unmap"),
    "array": ("alumacc", "maccmap -unmap"),
    "none": ("alumacc", "maccmap -unmap"),
}
_ADDERS: Final[Mapping[Adder, str]] = {
    "ripple": "techmap -map ripple.v -map +/techmap.v",
    "brent-kung": "techmap",
    "sklansky": "techmap -map +/choices/sklansky.v -map +/techmap.v",
}
_MAPS: Final[Mapping[Effort, str]] = {
    "small": "strash; dc2; map -a",
    "sized": "strash; dc2; map",
    "fast": "strash; dc2; dch -f; map",
}
_RIPPLE: Final = """\
(* techmap_celltype = "$lcu" *)
module _80_ripple_carry (P, G, CI, CO);
  parameter WIDTH = 1;
  input [WIDTH-1:0] P, G;
  input CI;
  output [WIDTH-1:0] CO;
  genvar i;
  generate for (i = 0; i < WIDTH; i = i + 1) begin : bit
    if (i == 0) assign CO[0] = G[0] | (P[0] & CI);
    else assign CO[i] = G[i] | (P[i] & CO[i-1]);
  end endgenerate
endmodule
"""
_BEFORE: Final = ("proc", "opt_clean", "opt -full", "wreduce", "peepopt", "opt_clean")
_PS_PER_NS: Final = 1000
_MOST_PS: Final = 10**9
"""ABC holds a time that cells are sized for in 32 bits."""
_FEWEST_FUNCTIONS: Final = 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """How a MAC is built: its multiplier, its adders, and whether the mapping seeks area or speed."""

    multiplier: Multiplier
    adder: Adder
    effort: Effort

    @property
    def name(self) -> str:
        """In words."""
        multiplier = "" if self.multiplier == "none" else f"{self.multiplier} multiplier, "
        return f"{multiplier}{self.adder} adders, {self.effort}"


EFFORTS: Final[tuple[Effort, ...]] = ("small", "sized", "fast")


def candidates_of(design: Design, efforts: Sequence[Effort] = EFFORTS) -> tuple[Candidate, ...]:
    """Candidates of a combinational module; multipliers only differ where it multiplies."""
    multiplies = " cell $mul " in design.text
    first: Multiplier = "booth" if multiplies else "none"
    found = [Candidate(first, adder, effort) for adder in _ADDERS for effort in efforts]
    if multiplies:
        found += [Candidate("array", "sklansky", effort) for effort in efforts if effort != "sized"]
    return tuple(found)


def synthesis_script(candidates: Sequence[Candidate]) -> list[str]:
    """The Yosys script that maps one module in all these ways; files are named by the candidate's place."""
    script = ["read_rtlil design.il", *_BEFORE, "design -save read"]
    for place, candidate in enumerate(candidates):
        script += [
            "design -load read",
            *_MULTIPLIERS[candidate.multiplier],
            "opt",
            _ADDERS[candidate.adder],
            "opt -full",
            f"abc -liberty cells.lib -script {place}.abc",
            "opt_clean -purge",
            f"write_json {place}.json",
        ]
    return script


def abc_script(candidate: Candidate, logic_ns: float | None, *, has_buffer: bool = True) -> str:
    """The commands of ABC for one candidate.

    logic_ns: what cells are sized for; None: as fast as it gets, or as small.
    has_buffer: whether the library has one; without, ABC survives neither `buffer` nor sizing nor `stime`.
    """
    if not has_buffer:
        return f"{_MAPS[candidate.effort]}; topo\n"
    commands = [_MAPS[candidate.effort], "topo", "buffer -c", "topo"]
    if logic_ns is not None or candidate.effort != "small":
        target = 1 if logic_ns is None else round(min(max(logic_ns * _PS_PER_NS, 1), _MOST_PS))
        commands += [f"upsize -D {target}", f"dnsize -D {target}"]
    return "; ".join([*commands, "stime -p"]) + "\n"


def mapped_candidates(
    design: Design, library: CellLibrary, candidates: Sequence[Candidate], logic_ns: float | None
) -> list[CellNetlist]:
    """The module in a library's cells, in each of these ways.

    Raises:
        UserError: the library's cells are refused, or the extra is not installed.
    """
    single = [cell for cell in library.cells.values() if len(cell.outputs) == 1]
    if len(library.functions) < _FEWEST_FUNCTIONS:
        message = f"has cells of {len(library.functions)} functions that can be used, too few for ABC"
        raise UserError(message, location="--liberty", allowed=f"{_FEWEST_FUNCTIONS} or more")
    # ABC's formats cannot hold all names, and its words of error need not show those of a given library.
    if library.name != "generic":
        single = [cell.renamed(f"cell_{place}") for place, cell in enumerate(single)]
    cells = {cell.name: cell for cell in single}
    inputs = {
        "design.il": design.text,
        "cells.lib": liberty_text(library, single, with_flip_flop=False),
        "ripple.v": _RIPPLE,
        **{
            f"{place}.abc": abc_script(each, logic_ns, has_buffer=library.has_buffer)
            for place, each in enumerate(candidates)
        },
    }
    files = [f"{place}.json" for place in range(len(candidates))]
    try:
        run = run_yosys(synthesis_script(candidates), inputs, files)
    except DefectError as error:
        if library.name == "generic":
            raise
        message = f"ABC cannot map {design.name} onto the cells of this library: {error}"
        raise UserError(message, location="--liberty") from error
    return [read_cell_netlist(run.files[file], design.name, cells) for file in files]


def script_text() -> str:
    """All that decides how a netlist comes about but for library and clock, to be hashed."""
    every = [Candidate(m, a, e) for m in _MULTIPLIERS for a in _ADDERS for e in _MAPS]
    script = [*synthesis_script(every), *(abc_script(each, 1.0) for each in every), _RIPPLE]
    return json.dumps(script)
