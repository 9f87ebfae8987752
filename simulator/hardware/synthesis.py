"""RTL to gates: the Yosys scripts that map modules onto plain gates and D flip-flops."""

from __future__ import annotations

from typing import Final

GATES: Final = "AND,NAND,OR,NOR,XOR,XNOR,ANDNOT,ORNOT,MUX,AOI3,OAI3"
"""What combinational logic is mapped onto."""

MAPPING: Final = (
    "proc",
    "opt_clean",
    "opt -full",
    "wreduce",
    "peepopt",
    "opt_clean",
    "booth",
    "alumacc",
    "maccmap -unmap",
    "opt",
    "techmap",
    "opt -full",
    "setattr -unset init",
    "dfflegalize -cell $_DFF_P_ x",
    "simplemap",
    "opt_expr",
    "opt_merge",
    "opt_clean",
    # The default script of abc sweeps equal nodes, which takes minutes on wide multipliers.
    f"abc -script +strash;dc2;map -g {GATES}",
    "opt_clean -purge",
)
"""Passes from RTL to gates."""


def mapping_script(source: str, target: str) -> list[str]:
    """Map every module of an RTLIL file onto gates and flip-flops, and write a JSON netlist.

    Modules stay apart. A synchronous reset or enable becomes logic before a plain flip-flop.
    """
    return [f"read_rtlil {source}", *MAPPING, f"write_json {target}"]
