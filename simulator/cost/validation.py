"""Published figures beside what the model makes of them; nothing published for a check is an input to it.

Array rows, and whatever follows from them, price nothing. Where a prediction is off, its check says the
likely cause.
"""

from __future__ import annotations

from collections.abc import Iterator

from simulator.arch.config import ArchConfig, ProcessConfig, ScalingConfig
from simulator.cost import mac_structure as structures
from simulator.cost import published_bench as bench
from simulator.cost.composition import UNCERTAINTY, PeCost, composed_pe_cost, part_uses
from simulator.cost.mac_parts import structure_of
from simulator.cost.mac_structure import MacStructure, RegisterClass
from simulator.cost.price import total
from simulator.cost.pricing import ArchitecturePricing
from simulator.cost.register_toggles import SwitchingActivity
from simulator.cost.run_prices import Prices
from simulator.cost.validation_figures import bundled_prices, johnson, published, value_of
from simulator.cost.validation_left_out import left_out_checks
from simulator.cost.validation_memory import memory_checks
from simulator.cost.validation_synthesised import with_synthesised
from simulator.cost.variant_pe import pe_cost
from simulator.formation import UNSTATED_UNCERTAINTY
from simulator.numerics.hardware import PartCount, multiplier, table_cells
from simulator.numerics.mac import get_mac
from simulator.prediction import Check, Nature
from simulator.result import priced

_ARRAY = ("pe_array", "decoders", "converters")
_OUTSIDE_THE_BENCH = frozenset({"output_path", "leakage_sram"})
_FIGURES = "validation_28nm"
_SECOND = "tsmc_28hpc_plus"
_MILLI = 1e3
_BENCH_ARCH = ArchConfig.model_validate({"array": {"skew_registers": False}})
"""The published arrays have no skew registers: their benches feed skewed operands."""


def validate() -> list[Check]:
    """Every published figure that the model can predict, beside its prediction."""
    return [
        *_array_checks(),
        *_ratio_checks(),
        *with_synthesised(_whole_pe_checks()),
        *left_out_checks(),
        *with_synthesised(_library_checks()),
        *_multiplier_checks(),
        *memory_checks(),
    ]


def _structure(name: str) -> MacStructure:
    return structure_of(get_mac(name))


# The 32x32 arrays


def _array_checks() -> Iterator[Check]:
    for name in ("int8", "elma8"):
        pricing = ArchitecturePricing(_BENCH_ARCH, _structure(name))
        published_mw = published(_FIGURES, "array", name, "operate") * ArchConfig().clock_mhz / _MILLI
        rows = ("johnson2018_28nm", "parts_28nm", "interconnect_28nm")
        yield Check(
            f"{name} array power, by counts",
            "mW",
            published_mw,
            _bench_power_mw(pricing, None),
            "prediction",
            "published PE components; bench schedule of 225 cycles per 32x32x128 product; idle PE-cycles "
            "pay for their clock alone (the bound, as if they toggled as useful ones, is "
            f"{_bench_bound_mw(pricing):.1f} mW), shifting ones for accumulator and adder",
            rows,
            _POWER_CAUSES["counts", name],
            UNSTATED_UNCERTAINTY,
        )
        activity = bench.bench_activity(get_mac(name))
        rates = bench.bench_rates(activity)
        yield Check(
            f"{name} array power, by toggles",
            "mW",
            published_mw,
            _bench_power_mw(pricing, activity),
            "prediction",
            "N(0,1) data through the exact numerics: "
            f"{rates.activation:.2f} + {rates.weight:.2f} + {rates.accumulator:.2f} register bits toggled "
            "per MAC; idle PE-cycles pay for their clock alone, shifting ones for the adder too",
            rows,
            _POWER_CAUSES["toggles", name],
            UNSTATED_UNCERTAINTY,
        )
        parts = pricing.area.parts_um2
        yield Check(
            f"{name} array area",
            "um2",
            published(_FIGURES, "array", name, "area"),
            sum(priced(parts[component]) for component in _ARRAY if component in parts),
            "prediction",
            ", ".join(f"{component} {parts[component]:.0f}" for component in _ARRAY if component in parts),
            rows[:2],
            _AREA_CAUSES[name],
            UNSTATED_UNCERTAINTY,
        )


_AREA_CAUSES = {
    "int8": "the shift-out multiplexers of the accumulators, which no published component isolates",
    "elma8": "the shift-out multiplexers, which no published component isolates, and whatever timing "
    "cost: accumulator, shift and converter are one combinational path on the bottom row",
}
_POWER_CAUSES = {
    ("counts", "int8"): "see int8 by toggles",
    ("counts", "elma8"): "",
    ("toggles", "int8"): "the published arrays differ by 1.16 in power, their PEs by 1.04: something in "
    "the int8 array switches that its PE's bench does not show. At the published PE's energy per MAC an "
    "idle or shifting PE-cycle would have to cost 0.28 pJ, more than all its registers when busy (0.23)",
    ("toggles", "elma8"): "",
}


def _bench_bound_mw(pricing: ArchitecturePricing) -> float:
    toggling_fj = priced(pricing.layer(bench.bench_counts()).toggling_idle_fj)
    return _bench_power_mw(pricing, None) + _mw(toggling_fj, pricing)


def _mw(energy_fj: int, pricing: ArchitecturePricing) -> float:
    return energy_fj / _MILLI / (bench.CYCLES * pricing.arch.cycle_ns)


def _bench_power_mw(pricing: ArchitecturePricing, activity: SwitchingActivity | None) -> float:
    energy = pricing.layer(bench.bench_counts(), activity)
    inside_fj = sum(priced(fj) for part, fj in energy.parts_fj.items() if part not in _OUTSIDE_THE_BENCH)
    return _mw(inside_fj, pricing)


# Statements of the source about its own rows


def _ratio_checks() -> Iterator[Check]:
    saved = johnson("pe_multiply", "int8") - johnson("pe_multiply", "elma8")
    rest = sum(johnson(f"pe_{part}", "elma8") for part in ("table", "shift", "add"))
    lost = rest - johnson("pe_add", "int8")
    multiply, add = johnson("pe_multiply", "int8"), johnson("pe_add", "int8")
    clock_mhz = ArchConfig().clock_mhz
    for ours, theirs, bits, power, area in (
        ("elma8", "int8", 8, 0.96, 1.12),
        ("elma16", "fp16", 16, 0.59, 0.68),
    ):
        ratio = johnson("pe", ours) / johnson("pe", theirs)
        yield _arithmetic(f"{bits}-bit power, {ours} / {theirs}", "x", power, ratio, "whole PEs")
        yield _arithmetic(
            f"{bits}-bit area, {ours} / {theirs}", "x", area, _area(ours) / _area(theirs), "whole PEs"
        )
    yield _arithmetic(
        "elma8 saves on the multiply", "uW", 90.9, saved * clock_mhz, "int8 multiply less log multiply"
    )
    yield _arithmetic(
        "elma8 loses on the rest",
        "uW",
        68.3,
        lost * clock_mhz,
        "table, shift and Kulisch add less 32-bit add",
    )
    share = 100 * multiply / (multiply + add)
    yield _arithmetic("multiply in int8 logic", "%", 63.4, share, "multiply / combinational power")


def _arithmetic(name: str, unit: str, published: float, predicted: float, how: str) -> Check:
    return Check(name, unit, published, predicted, "consistency", how, ("johnson2018_28nm",))


def _area(variant: str) -> float:
    return johnson("pe", variant, "area")


# Whole PEs from parts


def _whole_pe_checks() -> Iterator[Check]:
    natures: dict[str, Nature] = {"int8": "fitted", "elma8": "fitted"}
    for name in ("int8", "elma8", "elma16", "fp16"):
        nature = natures.get(name, "prediction")
        composed, whole = _composed(name), pe_cost(_structure(name), bundled_prices())
        how = "all parts" if nature == "prediction" else "all parts, which were fitted to this very PE"
        cause = _COMPOSITION_CAUSES.get(name, "")
        yield Check(
            f"{name} PE energy, composed",
            "pJ",
            priced(whole.energy_pj),
            priced(composed.energy_pj),
            nature,
            how,
            ("parts_28nm",),
            cause,
            composed.uncertainty if nature == "prediction" else None,
        )
        yield Check(
            f"{name} PE area, composed",
            "um2",
            priced(whole.area_um2),
            priced(composed.area_um2),
            nature,
            how,
            ("parts_28nm",),
            cause,
            composed.uncertainty if nature == "prediction" else None,
        )
    cells = table_cells(10, 11)
    yield Check(
        "elma16 table area, composed",
        "um2",
        johnson("pe_table", "elma16", "area"),
        cells * value_of(bundled_prices().part("table_cell", "area")),
        "prediction",
        "11 x 1024 / 10 cells (Lupanov) of the 16x5 table's price",
        ("parts_28nm",),
        "the power of two is smoother than the hardest function of ten bits; priced by stored bits the table "
        "would be 1260 um2",
        UNCERTAINTY["fixed"],
    )


_COMPOSITION_CAUSES = {
    "elma16": "the table's energy follows from a 16-entry one, and one cycle of 2 ns is tighter for 16 "
    "bits than for 8",
    "fp16": "a whole float16 FMA in one cycle of 2 ns needs larger gates than the relaxed 8-bit paths that "
    "the parts were fitted to; infinity and NaN logic is not counted",
}


def _composed(name: str) -> PeCost:
    characterised = bundled_prices().book.characterisation(name)
    toggles: dict[RegisterClass, float] | None = None
    if characterised is not None and characterised.toggles_per_cycle is not None:
        toggles = dict(characterised.toggles_per_cycle)
    return composed_pe_cost(_structure(name), bundled_prices(), toggles)


# A second library


def _library_checks() -> Iterator[Check]:
    rows = ("parts_28nm",)
    for name, activation_bits in (("int8", 8), ("int16", 16)):
        structure = structures.integer_structure(name, activation_bits, activation_bits, 32)
        pe = composed_pe_cost(structure, bundled_prices())
        combinational = sum(priced(cost.area_um2) for cost in pe.combinational)
        uncertainty = pe.uncertainty
        for what, component, predicted, how in (
            ("logic", "pe_combinational", combinational, "multiplier and adder"),
            ("PE", "pe", priced(pe.area_um2), "multiplier, adder and flip-flops"),
        ):
            figure = published(_SECOND, component, name, "area")
            title = f"28HPC+ {name}/32 {what} area"
            yield Check(title, "um2", figure, predicted, "prediction", how, rows, uncertainty=uncertainty)
    for name, mac_significand, operand_bits in (("float8_float16", 3, 8), ("float16", 11, 16)):
        structure = structures.fused_structure(
            name,
            significand_bits=(mac_significand, mac_significand),
            exponent_bits=5,
            accumulator_bits=16,
            accumulator_significand_bits=11,
            accumulator_exponent_bits=5,
            operand_bits=(operand_bits, operand_bits),
        )
        pe = composed_pe_cost(structure, bundled_prices())
        yield Check(
            f"28HPC+ {_FLOAT_PES[name]} PE area",
            "um2",
            published(_SECOND, "pe", name, "area"),
            priced(pe.area_um2),
            "prediction",
            "textbook fused multiply-add",
            rows,
            _FLOAT_CAUSES[name],
            pe.uncertainty,
        )


_FLOAT_PES = {"float8_float16": "float16 fed with e5m2,", "float16": "float16"}
_FLOAT_CAUSES = {
    "float8_float16": "the model builds a unit for significands of 3 bits, the published one keeps a float16 "
    "adder and rounder of 11 bits and only lost gates behind constant operand bits; subnormals, infinities "
    "and NaN are not counted either",
    "float16": "subnormals, infinities and NaN are not counted, nor the larger gates that 1 GHz needs in a "
    "float path",
}


# Multipliers alone


_FLOATS = {"float6": (3, 3), "float8": (4, 4), "float10": (5, 5), "fp32": (8, 24)}
"""Exponent and significand bits; the source prints no splits of the short floats, these are assumed."""


_FDSOI_V = 1.0
_FDSOI_CAUSES = {
    "area": "the source synthesised for maximum frequency, which takes larger gates and more of them than "
    "the relaxed paths that the parts were fitted to; its normalisation and exception logic is not counted",
    "operate": "the parts hold the glitches of an array multiplier that settles inside a 2 ns cycle, which "
    "balanced paths built for maximum frequency avoid, and bulk transistors of more capacitance than "
    "FDSOI's; short formats miss most, as their fixed share (exponent adder, rounding) is priced like a "
    'published adder. The unit is printed as "uW-us" and read as fJ',
}


def _fdsoi_prices() -> Prices:
    """The parts at the source's 1.0 V, by the model's own rule."""
    return Prices.of(
        ArchConfig(process=ProcessConfig(voltage_v=_FDSOI_V), scaling=ScalingConfig(voltage=True))
    )


def _multiplier_checks() -> Iterator[Check]:
    prices = _fdsoi_prices()
    for name, (exponent, significand) in _FLOATS.items():
        parts = (
            *multiplier(significand, significand),
            PartCount("small_adder_bit", exponent + 1, "exponent adder"),
            PartCount("small_adder_bit", significand, "rounding increment"),
        )
        assumed = "" if name == "fp32" else f" (E{exponent}M{significand - 1} assumed)"
        for action, unit, scale in (("area", "um2", 1.0), ("operate", "fJ", _MILLI)):
            scaled = "" if action == "area" else "; energy scaled from 0.81 V to the source's 1.0 V"
            yield Check(
                f"FDSOI {name} multiplier {'area' if action == 'area' else 'energy'}",
                unit,
                published(_FIGURES, "multiplier", name, action) * scale,
                priced(total(part_uses(prices, parts, action))) * scale,
                "other_hardware",
                f"significand multiplier, exponent adder, rounding{assumed}{scaled}",
                ("parts_28nm",),
                _FDSOI_CAUSES[action],
                UNCERTAINTY["float"],
            )
