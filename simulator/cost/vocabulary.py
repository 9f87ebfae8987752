"""The words a price table may use: components with their actions, and values with the unit in their name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

BaseUnit = Literal["pJ", "pJ/byte", "pJ/bit", "pJ/bit/mm", "um2", "mW", "mW/um2", "ns"]


@dataclass(frozen=True, slots=True)
class ValueField:
    """A field that holds a value: its base unit, its size in it, and whether a clock makes it energy."""

    unit: BaseUnit
    factor: float
    is_power: bool = False


VALUE_FIELDS: Final[Mapping[str, ValueField]] = MappingProxyType(
    {
        "energy_pj": ValueField("pJ", 1.0),
        "energy_fj": ValueField("pJ", 1e-3),
        "power_uw": ValueField("pJ", 1.0, is_power=True),  # divided by the row's own clock: uW / MHz = pJ
        "energy_pj_per_byte": ValueField("pJ/byte", 1.0),
        "energy_pj_per_bit": ValueField("pJ/bit", 1.0),
        "energy_fj_per_bit_mm": ValueField("pJ/bit/mm", 1e-3),
        "area_um2": ValueField("um2", 1.0),
        "area_mm2": ValueField("um2", 1e6),
        "leakage_mw": ValueField("mW", 1.0),
        "leakage_nw_per_um2": ValueField("mW/um2", 1e-6),
        "time_ns": ValueField("ns", 1.0),
    }
)

SYNTHESISED: Final = "synthesised"
"""Status of rows that were synthesised from a MAC's own hardware, and the `price` that selects them."""

_LOGIC = frozenset({"operate", "area"})

PE_PARTS: Final = ("pe_multiply", "pe_table", "pe_shift", "pe_add")
"""Components that the logic of a PE may be split into."""

PE_ROWS: Final = frozenset({"pe", "pe_combinational", "pe_registers", *PE_PARTS})
"""Components of the rows that price a PE: one table prices all of them for a variant."""

PART_ROWS: Final = frozenset(
    {
        "multiplier_cell",
        "accumulate_adder_bit",
        "kulisch_adder_bit",
        "small_adder_bit",
        "shifter_bit",
        "table_cell",
        "flip_flop",
    }
)
"""Components of the parts that any other PE is made of: one table prices all of them."""

EDGE_ROWS: Final = frozenset({"decoder", "converter"})
"""Circuits at the array's edges: a decoder's variant is the format of its codes, a converter's the MAC."""

PARTS_VARIANT: Final = "28nm"
"""The variant of parts that MACs are composed of."""


def source_group(component: str) -> frozenset[str]:
    """The components that one table prices together for a variant."""
    return next((group for group in (PE_ROWS, PART_ROWS) if component in group), frozenset({component}))


COMPONENTS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        # a published processing element, whole and by component
        "pe": _LOGIC,
        "pe_multiply": _LOGIC,
        "pe_table": _LOGIC,
        "pe_shift": _LOGIC,
        "pe_add": _LOGIC,
        "pe_combinational": _LOGIC,
        "pe_registers": frozenset({"operate", "clock", "area"}),
        # the parts that any other one is made of
        "multiplier_cell": _LOGIC,
        "accumulate_adder_bit": _LOGIC,
        "kulisch_adder_bit": _LOGIC,
        "small_adder_bit": _LOGIC,
        "shifter_bit": _LOGIC,
        "table_cell": _LOGIC,
        "flip_flop": frozenset({"clock", "toggle", "area"}),
        # circuits at the array's edges
        "decoder": _LOGIC,
        "converter": _LOGIC,
        # memories, wires, leakage
        "sram": frozenset({"read", "write", "leakage", "area", "access"}),
        "dram": frozenset({"transfer"}),
        "wire": frozenset({"transfer"}),
        "logic": frozenset({"leakage"}),
        # only ever compared with
        "array": _LOGIC,
        "multiplier": _LOGIC,
    }
)
"""Known components and the actions each may have a price for."""
