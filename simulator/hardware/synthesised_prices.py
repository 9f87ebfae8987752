"""Price tables of synthesised MACs: calibrated on a published PE, or absolute from a user's library."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from simulator.cost.mac_parts import structure_of
from simulator.cost.price_tables import load_table, parse_table
from simulator.cost.table_schema import PriceRow
from simulator.foundation import UserError
from simulator.foundation.defects import DefectError
from simulator.foundation.documents import dump_yaml
from simulator.hardware.candidates import EFFORTS, Effort, script_text
from simulator.hardware.cell_library import CellLibrary
from simulator.hardware.designs import identifier
from simulator.hardware.mac_synthesis import MacSynthesis, synthesise
from simulator.hardware.switching_stimuli import SwitchingStimuli, bench_stimuli
from simulator.numerics import Mac, get_mac
from simulator.numerics.accumulators import FixedAccumulator

CALIBRATING_TABLE: Final = "johnson2018_28nm"
_SLOW: Final = 1.5
"""Past so many periods of the calibrating PE, or of its clock, published PEs took larger gates."""

INTERVALS: Final = {
    ("area", False): (0.8, 1.25),
    ("operate", False): (0.8, 1.25),
    ("area", True): (0.95, 1.3),
    ("operate", True): (0.95, 1.9),
}
"""Ends over the value, by figure and whether it is `at least`: all PEs of `systolic validate` lie inside."""


@dataclass(frozen=True, slots=True)
class PriceConditions:
    """Silicon that a user's library does not state; none of it is used with the generic one."""

    node_nm: float | None = None
    temperature_c: float | None = None
    corner: str | None = None


@dataclass(frozen=True, eq=False)
class SynthesisedPrice:
    """A table's text, the synthesis that it is of, and what calibrated it (`none` for absolute figures)."""

    text: str
    synthesis: MacSynthesis
    calibration: str
    at_least: bool


def calibrating_variant(mac: Mac) -> str:
    """The published PE that a MAC is calibrated on; never the MAC itself."""
    own = structure_of(mac).identity
    usual, other = ("int8", "elma8") if isinstance(mac.accumulator, FixedAccumulator) else ("fp16", "int8")
    return other if own == structure_of(get_mac(usual)).identity else usual


def synthesised_price(
    mac: Mac,
    library: CellLibrary,
    stimuli: SwitchingStimuli,
    *,
    name: str,
    clock_mhz: float | None,
    conditions: PriceConditions,
    tell: Callable[[str], None] = lambda _: None,
) -> SynthesisedPrice:
    """The price table `name` of one MAC.

    Args:
        mac: the MAC.
        library: the generic one, whose figures a published PE calibrates, or a user's, whose are absolute.
        stimuli: what it switches on; the calibrating PE switches on the published bench.
        name: of the table.
        clock_mhz: the clock to meet; needed with a user's library.
        conditions: what a user's library does not state.
        tell: is given a sentence about what comes next.

    Raises:
        UserError: as `synthesise`, or a condition that is missing.
    """
    is_own = library.name != "generic"
    if is_own:
        stated = _own_conditions(library, clock_mhz, conditions)
    elif conditions != PriceConditions():
        raise UserError(
            "--node-nm, --temperature-c and --corner are of a library of your own; the generic one is "
            "calibrated on a published PE and its conditions",
            allowed="with --liberty",
        )
    efforts: tuple[Effort, ...] = ("small",) if clock_mhz is None else EFFORTS
    synthesis = synthesise(
        mac, library, stimuli, clock_mhz=clock_mhz, must_meet=True, efforts=efforts, tell=tell
    )
    if is_own:
        leakage_fj = (synthesis.leakage_nw or 0.0) / (clock_mhz or 1.0)  # nW / MHz
        return _table(name, synthesis, stated, "none", (1.0, 1e-3), leakage_fj, at_least=False)
    variant = calibrating_variant(mac)
    published = {action: _published(variant, action) for action in ("operate", "area")}
    tell(f"synthesising {variant}, which calibrates")
    reference_mac = get_mac(variant)
    reference = synthesise(
        reference_mac,
        library,
        bench_stimuli(reference_mac, stimuli.seed),
        clock_mhz=clock_mhz,
        must_meet=clock_mhz is not None,
        efforts=efforts,
        tell=tell,
    )
    factors = (
        published["area"].value / reference.chosen.area,
        published["operate"].value / reference.energy.whole,
    )
    given = published["operate"].conditions
    stated = {
        "node_nm": given.node_nm,
        "voltage_v": given.voltage_v,
        "temperature_c": given.temperature_c,
        "corner": given.corner,
        "clock_mhz": given.clock_mhz,
    }
    slowest_ns = max(reference.chosen.timing.period_ns, 1000.0 / (given.clock_mhz or 1000.0))
    at_least = synthesis.chosen.timing.period_ns > _SLOW * slowest_ns
    calibration = f"{CALIBRATING_TABLE}:pe/{variant}"
    return _table(name, synthesis, stated, calibration, factors, 0.0, at_least=at_least)


def _published(variant: str, action: str) -> PriceRow:
    return load_table(CALIBRATING_TABLE).rows[f"pe/{variant}/{action}"]


def _own_conditions(
    library: CellLibrary, clock_mhz: float | None, conditions: PriceConditions
) -> dict[str, object]:
    temperature_c = conditions.temperature_c if library.temperature_c is None else library.temperature_c
    if conditions.temperature_c is not None:
        temperature_c = conditions.temperature_c
    needed = {
        "--node-nm": conditions.node_nm,
        "--clock-mhz": clock_mhz,
        "--temperature-c": temperature_c,
    }
    missing = [option for option, value in needed.items() if value is None]
    if missing:
        raise UserError(f"a price from a library of your own needs {' and '.join(missing)}")
    return {
        "node_nm": conditions.node_nm,
        "voltage_v": library.voltage_v,
        "temperature_c": temperature_c,
        **({"corner": conditions.corner} if conditions.corner is not None else {}),
        "clock_mhz": clock_mhz,
    }


def _table(
    name: str,
    synthesis: MacSynthesis,
    conditions: dict[str, object],
    calibration: str,
    factors: tuple[float, float],
    leakage_fj: float,
    *,
    at_least: bool,
) -> SynthesisedPrice:
    """The table's text, read back before anyone sees it."""
    mac, library, chosen, energy = synthesis.mac, synthesis.library, synthesis.chosen, synthesis.energy
    variant = f"{identifier(mac)}_synthesised"
    identity = structure_of(mac).identity
    if identity is None:
        message = f"MAC {mac.name!r} has no identity"
        raise DefectError(message)
    area, joule = factors
    bits = sum(synthesis.register_bits.values())
    register_share = synthesis.library.flip_flop.leakage_nw or 0.0
    register_leak_fj = 0.0
    if synthesis.leakage_nw:
        register_leak_fj = leakage_fj * register_share * bits / synthesis.leakage_nw
    figures = [
        ("pe", "operate", (energy.whole + leakage_fj) * joule),
        ("pe_registers", "operate", (energy.registers + register_leak_fj) * joule),
        ("pe_registers", "clock", (energy.clock + register_leak_fj) * joule),
        ("pe", "area", chosen.area * area),
        ("pe_registers", "area", chosen.register_area * area),
    ]
    rows = [_row(variant, component, action, value, at_least) for component, action, value in figures]
    rows[0] |= {"formats": identity.formats, "accumulator": identity.accumulator}
    if library.name != "generic":
        # Rounded down, but not below the clock that it was synthesised for and meets.
        rows[0]["max_clock_mhz"] = max(float(int(chosen.timing.most_mhz)), synthesis.clock_mhz or 0.0)
    toggles = energy.toggles
    document = {
        "table": name,
        "description": f"MAC {mac.name}, synthesised from its own hardware.",
        "sources": {"synthesis": "systolic rtl price"},
        "conditions": {"synthesis": {**conditions, "activity": synthesis.stimuli.what}},
        "characterised": {
            variant: {
                "flip_flops": dict(synthesis.register_bits),
                "toggles_per_cycle": {
                    "activation": toggles["activation"],
                    "weight": toggles["weight"],
                    "accumulator": toggles["sum_in"],
                },
                "source": "synthesis",
            }
        },
        "macs": {
            variant: {
                "activation": identity.activation,
                "weight": identity.weight,
                "product": identity.product,
                "accumulator": identity.accumulator,
            }
        },
        "synthesised": {
            variant: {
                "tools": {tool: version(tool) for tool in ("amaranth", "pyosys")},
                "script_sha256": hashlib.sha256(script_text().encode()).hexdigest(),
                "library": library.name,
                "library_sha256": library.sha256,
                "candidate": chosen.candidate.name,
                "delay_ns": round(chosen.timing.period_ns, 4),
                "stimulus": synthesis.stimuli.what,
                "seed": synthesis.stimuli.seed,
                "calibration": calibration,
                "at_least": at_least,
            }
        },
        "rows": rows,
    }
    if not (toggles["activation"] + toggles["weight"] and toggles["sum_in"]):
        del document["characterised"]
    text = _HEAD.format(name=mac.name) + dump_yaml(document)
    try:
        parse_table(text, source=name)
    except UserError as error:
        message = f"the written price table is refused: {error}"
        raise DefectError(message) from error
    return SynthesisedPrice(text, synthesis, calibration, at_least)


def _row(variant: str, component: str, action: str, value: float, at_least: bool) -> dict[str, Any]:  # noqa: FBT001
    low, high = INTERVALS["area" if action == "area" else "operate", at_least]
    field, digits = ("area_um2", 3) if action == "area" else ("energy_pj", 6)
    return {
        "component": component,
        "variant": variant,
        "action": action,
        field: round(value, digits),
        "low": round(value * low, digits),
        "high": round(value * high, digits),
        "conditions": "synthesis",
        "source": "synthesis",
        "status": "synthesised",
    }


_HEAD: Final = """\
# MAC {name}, synthesised by `systolic rtl price`. Its rows rank below composed prices: `price: synthesised`
# selects them.
"""
