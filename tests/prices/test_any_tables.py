"""Whatever tables meet: no component is negative, and every own row is used or named as unused."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.arch.config import ArchConfig
from simulator.cost.mac_parts import structure_of
from simulator.cost.price_tables import load_table, parse_table
from simulator.cost.pricing import ArchitecturePricing
from simulator.cost.register_toggles import SwitchingActivity
from simulator.cost.run_prices import PriceBook
from simulator.foundation import UserError
from simulator.numerics import get_mac
from simulator.operands import OPERANDS
from simulator.simulation import simulate
from simulator.system.counts import ActionCounts, CycleBreakdown, PECycles, Traffic
from tests.prices.own_table import BUNDLED, document, row

LOGIC = ("pe", "pe_combinational", "pe_multiply", "pe_table", "pe_shift", "pe_add", "pe_registers")
PARTS = ("flip_flop", "multiplier_cell", "shifter_bit")
VARIANTS = ("mine", "int8", "elma8", "fp16")
MACS = {
    "mine": {"activation": "int8", "weight": "int4"},
    "other": {"activation": "e4m3", "weight": "e4m3"},
}
WORK = ActionCounts(
    macs=1000,
    cycles=CycleBreakdown(compute=100, fill=20, drain=10),
    pe_cycles=PECycles(useful=1000, idle=2000, shifting=100, holding=50),
    activation_codes=40,
    weight_codes=30,
    converter_operations=80,
    output_path_operations={"relu": 90, "bias": 90},
    sram={operand: Traffic(2000, 1000, 2048, 1024) for operand in OPERANDS},
    dram={operand: Traffic(3000, 500, 3008, 512) for operand in OPERANDS},
    array_bytes=dict.fromkeys(OPERANDS, 2000),
    hidden_shifts=60,
    handovers=40,
)
ACTIVITY = SwitchingActivity(3000, 2500, 4000, 200, zero_operand_macs=400)

amounts = st.sampled_from([1e-6, 0.01, 0.2, 0.3, 2.0, 1000.0])
actions = st.sampled_from(["operate", "operate", "area", "clock"])
part_rows = st.lists(
    st.tuples(
        st.sampled_from(PARTS),
        st.just("28nm"),
        st.sampled_from(["operate", "area", "clock", "toggle"]),
        amounts,
    ),
    max_size=3,
)
variants = st.sampled_from([*VARIANTS, *["mine"] * 8])
other_rows = st.lists(st.tuples(st.sampled_from(LOGIC), variants, actions, amounts), max_size=6)
usual_rows = st.builds(
    lambda whole, registers, clock, area, inside: [
        ("pe", "mine", "operate", whole),
        *([("pe_registers", "mine", "operate", whole * registers)] if registers else []),
        *([("pe_registers", "mine", "clock", whole * registers * clock)] if registers and clock else []),
        *([("pe_multiply", "mine", "operate", whole * inside)] if inside else []),
        ("pe", "mine", "area", area),
    ],
    amounts,
    st.sampled_from([0, 0.3, 0.5]),
    st.sampled_from([0, 0.5, 1]),
    amounts,
    st.sampled_from([0, 0.2, 0.5]),
)
edge_rows = st.lists(
    st.tuples(
        st.sampled_from(["decoder", "converter"]),
        st.sampled_from(["posit8.1", "posit8", "log8.1", "elma8", "int8"]),
        st.sampled_from(["operate", "area"]),
        amounts,
    ),
    max_size=3,
)
drawn_rows = st.tuples(st.one_of(other_rows, usual_rows), part_rows, edge_rows).map(
    lambda each: [*each[0], *each[1], *each[2]]
)
bundled_tables = st.one_of(
    st.just(list(BUNDLED)), st.permutations(BUNDLED), st.lists(st.sampled_from(BUNDLED), unique=True)
)
prices = st.sampled_from([None, None, None, None, *VARIANTS, "composed", "nothing"])
macs_drawn = st.sampled_from(["mine", "mine", "mine", "other", "int8", "elma8", "fp16", "posit8"])


def own_rows(drawn: list[tuple[str, str, str, float]]) -> list[dict[str, Any]]:
    """The drawn rows that exist, each once."""
    fields = {}
    for component, variant, action, value in drawn:
        key = f"{component}/{variant}/{action}"
        clocked = component in ("pe_registers", "flip_flop")
        if (action == "clock" and not clocked) or (action == "toggle" and component != "flip_flop"):
            continue
        if component == "flip_flop" and action == "operate":
            continue
        fields[key] = row(key, value * (100 if action == "area" else 1))
    return list(fields.values())


def own_table(drawn: list[tuple[str, str, str, float]], voltage_v: float) -> Any:
    """The drawn rows as a table; None where there are none or the reader refuses them."""
    rows = own_rows(drawn)
    if not rows:
        return None
    try:
        return parse_table(
            yaml.safe_dump(document(*rows, conditions={"voltage_v": voltage_v})), source="mine.yaml"
        )
    except UserError:
        return None


@settings(max_examples=600, deadline=None)
@given(
    drawn=drawn_rows,
    bundled=bundled_tables,
    place=st.integers(0, 5),
    mac=macs_drawn,
    energy=prices,
    area=prices,
    voltage_v=st.sampled_from([0.81, 1.0]),
    dataflow=st.sampled_from(["os", "ws", "is"]),
    overlap=st.sampled_from(["none", "drain", "full"]),
    node_nm=st.sampled_from([28, 28, 32]),
    gating=st.booleans(),
    seen=st.booleans(),
)
def test_no_component_is_negative_in_any_combination_of_tables(
    drawn: list[tuple[str, str, str, float]],
    bundled: list[str],
    place: int,
    mac: str,
    energy: str | None,
    area: str | None,
    voltage_v: float,
    dataflow: Any,
    overlap: str,
    node_nm: float,
    gating: bool,
    seen: bool,
) -> None:
    own = own_table(drawn, voltage_v)
    tables = [load_table(name) for name in bundled]
    if own is not None:
        tables.insert(place, own)
    if not tables:
        return
    fields_of: dict[str, dict[str, str]] = {**MACS, "int8": {}, "elma8": {}, "fp16": {}, "posit8": {}}
    price = {"energy": energy, "area": area}
    macs = {name: {**fields, "price": price} for name, fields in fields_of.items()}
    arch = ArchConfig.model_validate(
        {
            "tables": [table.name for table in tables],
            "macs": macs,
            "array": {
                "zero_gating": gating,
                "clock_gating": gating,
                "dataflow": dataflow,
                "overlap": overlap,
            },
            "process": {"node_nm": node_nm},
            "scaling": {"voltage": True, "node": True},
        }
    )
    pricing = ArchitecturePricing(arch, structure_of(get_mac(mac, custom=macs)), PriceBook(tables))
    layer = pricing.layer(replace(WORK, dataflow=dataflow), ACTIVITY if seen else None)
    for component, energy_fj in layer.parts_fj.items():
        assert energy_fj is None or energy_fj >= 0, (component, energy_fj)
    for component, area_um2 in pricing.area.parts_um2.items():
        assert area_um2 is None or area_um2 >= 0, (component, area_um2)
    (pe,) = pricing.pes
    for cost in (*pe.combinational, pe.registers.characterised, pe.registers.clock):
        assert cost.energy_pj is None or cost.energy_pj >= cost.leakage_share_pj - 1e-12


@settings(max_examples=60, deadline=None)
@given(
    drawn=drawn_rows,
    bundled=bundled_tables,
    place=st.integers(0, 5),
    mac=st.sampled_from(["mine", "other", "int8", "elma8", "posit8"]),
    energy=prices,
    area=prices,
)
def test_every_own_row_is_used_or_named_as_unused_and_never_both(
    drawn: list[tuple[str, str, str, float]],
    bundled: list[str],
    place: int,
    mac: str,
    energy: str | None,
    area: str | None,
) -> None:
    if own_table(drawn, 0.81) is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mine.yaml"
        file.write_text(yaml.safe_dump(document(*own_rows(drawn))))
        network = Path(folder) / "g.csv"
        network.write_text("Layer,M,N,K,\ng,40,30,20,\n")
        tables = list(bundled)
        tables.insert(place, str(file))
        macs = {name: {**fields, "price": {"energy": energy, "area": area}} for name, fields in MACS.items()}
        overrides = {"tables": tables, "macs": macs, "array.mac": mac}
        result = simulate(network, overrides=overrides)
    used = {price.row for price in result.sources.prices if price.table == "mine"}
    named = [key for unused in result.sources.unused for key in unused.rows]
    assert sorted(used | set(named)) == sorted(
        f"{each['component']}/{each['variant']}/{each['action']}" for each in own_rows(drawn)
    )
    assert len(used) + len(named) == len(own_rows(drawn))
    assert all(unused.reason for unused in result.sources.unused)
