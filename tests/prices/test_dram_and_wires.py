"""Do DRAM and wires cost what their sources say, and is it said how well that is known?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from simulator.arch.config import ArchConfig
from simulator.cost.memory_lines import Memories
from simulator.cost.price_tables import load_table
from simulator.cost.run_prices import Prices
from simulator.foundation import UserError
from simulator.result import priced

DRAM = {row.variant: row for row in load_table("dram").rows.values()}


def pj_per_byte(**overrides: Any) -> float:
    arch = ArchConfig.model_validate(overrides)
    return priced(Memories(arch, Prices.of(arch)).dram_pj_per_byte)


@pytest.mark.parametrize(
    ("kind", "pj_per_bit"),
    [
        ("lpddr4", 8), ("lpddr5", 5.6), ("ddr3", 70), ("ddr4", 18.75), ("ddr5", 10.4), ("gddr5", 14),
        ("gddr6", 7.5), ("hbm2", 3.9), ("hbm2e", 6), ("hbm3", 5.04),
    ],
)  # fmt: skip
def test_a_byte_costs_eight_bits_of_its_type(kind: str, pj_per_bit: float) -> None:
    assert pj_per_byte(dram={"type": kind}) == pytest.approx(8 * pj_per_bit)


def test_constants_of_tools_say_so_and_have_an_uncertainty_and_a_second_source() -> None:
    tools = {kind for kind, row in DRAM.items() if row.status == "tool_default"}
    assert tools == {"lpddr4", "ddr3", "ddr4", "gddr5", "hbm2"}
    for kind, row in DRAM.items():
        assert row.uncertainty, kind
        assert "Interface:" in row.note, kind
        assert ("econd source" in row.note) == (kind in tools), kind


def test_second_sources_lie_inside_the_uncertainty() -> None:
    """pJ/bit: LPDDR4 5.03 to 8.47, DDR3 9, DDR4 4.59 to 17.97, GDDR5 7.5, HBM2 3.59 to 5.26."""
    others = {
        "lpddr4": (5.03, 8.47),
        "ddr3": (9.0,),
        "ddr4": (5.44, 17.97),
        "gddr5": (7.5,),
        "hbm2": (3.59, 5.26),
    }
    for kind, values in others.items():
        row = DRAM[kind]
        for value in values:
            assert abs(value / row.value - 1) <= priced(row.uncertainty) + 0.005, (kind, value)


def test_derived_rows_follow_from_their_figures() -> None:
    burst_ns = 16 / 4.8
    reading, writing = (1.1 * (milliampere - 142) * burst_ns / 128 for milliampere in (530, 479))
    assert DRAM["ddr5"].value == pytest.approx((reading + writing) / 2, abs=0.02)
    assert DRAM["lpddr5"].value == pytest.approx(0.7 * DRAM["lpddr4"].value)
    assert DRAM["hbm3"].value == pytest.approx(DRAM["hbm2e"].value * (1.1 / 1.2) ** 2, abs=0.005)


def test_an_unknown_type_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"dram\.type.*'lpdr5'.*did you mean 'lpddr5'"):
        pj_per_byte(dram={"type": "lpdr5"})


def test_any_type_is_a_row_of_a_table(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    row = {
        "component": "dram", "variant": "board7", "action": "transfer", "energy_pj_per_bit": 3,
        "source": "us", "conditions": "device", "status": "published",
    }  # fmt: skip
    document = {
        "table": "mine",
        "description": "one DRAM",
        "sources": {"us": "measured"},
        "conditions": {"device": {"scope": "external", "activity": "streams"}},
        "rows": [row],
    }
    file.write_text(yaml.safe_dump(document))
    mine = {"dram": {"type": "board7"}, "tables": [*ArchConfig().tables, str(file)]}
    assert pj_per_byte(**mine) == 24
    with pytest.raises(UserError, match="no table has a DRAM of this type"):
        pj_per_byte(dram={"type": "board7"})


def wire_cap_ff_per_mm(half_pitch_um: float, ild_um: float, dielectric: float) -> float:
    """Two plates above and below, two neighbours at a Miller factor of 1.5, and 115 fF/mm of fringe."""
    width = spacing = 4 * half_pitch_um / 2
    permittivity = 8.854e-18
    plates = 2 * permittivity * 3.9 * width / ild_um
    neighbours = 2 * permittivity * 1.5 * dielectric * (2 * width) / spacing
    return (plates + neighbours + 1.15e-16) * 1e18


def test_the_wire_has_the_capacitance_of_its_source() -> None:
    at_32, at_22 = wire_cap_ff_per_mm(0.032, 0.21, 2.214), wire_cap_ff_per_mm(0.022, 0.15, 2.104)
    assert (round(at_32), round(at_22)) == (254, 247)
    at_28 = 0.6 * at_32 + 0.4 * at_22
    assert at_28 == pytest.approx(251, abs=0.5)
    (wire,) = [row for row in load_table("interconnect_28nm").rows.values() if row.component == "wire"]
    assert wire.value * 1e3 == pytest.approx(250 * 0.81**2 / 2, abs=0.05)
    keckler = 240 * (0.81 / 0.9) ** 2
    assert keckler / 2 / (wire.value * 1e3) - 1 <= priced(wire.uncertainty)
