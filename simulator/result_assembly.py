"""Joining what the machine did with what it costs into one result that closes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from simulator.arch import ArchConfig
from simulator.cost.energy_sums import EnergySum, PartEnergies
from simulator.cost.left_out import left_out
from simulator.cost.price_lines import LayerEnergy
from simulator.cost.provenance import missing_prices, price_sources
from simulator.foundation.code_version import code_version
from simulator.foundation.femtojoules import in_pj, picojoules
from simulator.measurements import NO_LAYER, MeasuredLayer, Measurements
from simulator.operands import OPERANDS, Operand
from simulator.overflow_warnings import overflow_warnings
from simulator.price_lists import PriceLists
from simulator.report.intervals import ends_of
from simulator.result import (
    TOTAL,
    Intervals,
    LayerResult,
    NetworkSummary,
    Origin,
    Result,
    Sources,
    Totals,
    UnusedPrice,
    sum_known,
)
from simulator.result_defaults import OPERATIONS_PER_MAC, chip_fj, dram_fj
from simulator.system import LayerRun, MachineRun
from simulator.system.counts import PECycles, Traffic
from simulator.workload import Network

_PJ_PER_NS_IN_MW = 1.0
"""A picojoule per nanosecond is a milliwatt."""


_PE_USES = tuple(use.name for use in fields(PECycles))
_NOTHING_MEASURED = Measurements({})


def assemble(
    arch: ArchConfig,
    run: MachineRun,
    measured: Measurements = _NOTHING_MEASURED,
    *,
    made_from: Origin | None = None,
) -> Result:
    """The result of a run: cycles and bytes of the machine, priced by the architecture's tables.

    What no table prices is None, with the reason in `not_priced`. `made_from` is what the run was given, so
    that it can be run again.

    Raises:
        UserError: a price table that cannot be read.
    """
    prices = PriceLists(arch)
    energies = EnergySum()
    layers = _priced_layers(arch, run, prices, measured, energies)
    actions = energies.actions
    area_um2 = prices.area.parts_um2
    sources = price_sources([*actions, *prices.area.lines])
    unused = prices.unused(sources)
    result = Result(
        simulator_version=code_version(),
        network=_summary(run.network),
        arch=arch.model_dump(mode="json"),
        mac=prices.name,
        totals=_totals(arch, layers, energies, prices.area.total_um2),
        layers=layers,
        area_um2=area_um2 | {TOTAL: prices.area.total_um2},
        area_formation=[line.shown() for line in prices.area.lines],
        unit_prices=energies.unit_prices,
        not_priced=missing_prices(actions, prices.area.lines),
        made_from=made_from,
        left_out=left_out(arch),
        sources=Sources(
            table_hashes=prices.book.hashes,
            arch_hash=_sha256(arch.model_dump(mode="json")),
            network_hash=_sha256(run.network),
            prices=sources,
            unused=unused,
            notes=[*prices.notes(tensors_seen=bool(measured.layers)), *measured.notes],
        ),
        accuracy=measured.accuracy,
        warnings=[
            *run.network.notes,
            *run.warnings,
            *(warning for warning in measured.warnings if warning not in run.network.notes),
            *prices.warnings,
            *(_unused_warning(rows) for rows in unused if rows.never),
            *overflow_warnings(arch, run, measured),
        ],
    )
    known = Intervals(energy_pj=ends_of(result, "energy"), area_um2=ends_of(result, "area"))
    return result.model_copy(update={"intervals": known})


def _priced_layers(
    arch: ArchConfig,
    run: MachineRun,
    prices: PriceLists,
    measured: Measurements,
    energies: EnergySum,
) -> list[LayerResult]:
    """Every layer, its energy added to `energies`; those played as one and not measured are priced as one."""
    layers: list[LayerResult] = []
    equal: dict[tuple[int, int], tuple[PartEnergies, LayerResult]] = {}
    for layer_run in run.layers:
        name = layer_run.layer.name
        pricing, of_tensors = prices.of_layer(name), measured.layers.get(name)
        shared = (id(layer_run.played), id(pricing))
        if of_tensors is None and shared in equal:
            parts, first = equal[shared]
            layer = first.model_copy(update={"name": name, "start_cycle": layer_run.start_cycle})
        else:
            energy = pricing.layer(layer_run.counts, of_tensors.activity if of_tensors else None)
            parts = energies.parts_of(energy)
            formation = energy.formation(energies.name_of)
            layer = _layer_result(arch, layer_run, energy, formation, of_tensors or NO_LAYER)
            if of_tensors is None:
                equal[shared] = parts, layer
        energies.add(parts)
        layers.append(layer)
    return layers


def _summary(network: Network) -> NetworkSummary:
    return NetworkSummary(
        name=network.name,
        source=network.source,
        batch=network.batch,
        layers=len(network.layers),
        macs=network.macs,
        skipped_operators=list(network.skipped_operators),
    )


def _layer_result(
    arch: ArchConfig,
    run: LayerRun,
    energy: LayerEnergy,
    formation: list[dict[str, Any]],
    measured: MeasuredLayer,
) -> LayerResult:
    """The result of a layer; nested parts go in as fields, which is faster by far than one object each."""
    layer, counts = run.layer, run.counts
    cycles = counts.cycles
    total_pj = energy.energy_pj[TOTAL]
    return LayerResult(
        name=layer.name,
        kind=layer.kind,
        mac=run.mac,
        m=layer.m,
        n=layer.n,
        k=layer.k,
        groups=layer.groups,
        macs=layer.macs,
        folds=run.folds,
        cycles={
            "compute": cycles.compute,
            "fill": cycles.fill,
            "drain": cycles.drain,
            "stall": cycles.stall,
            "total": cycles.total,
        },
        stalls=dict(cycles.stalls),
        start_cycle=run.start_cycle,
        utilization=counts.macs / counts.pe_cycles.total,
        tiling=run.tiling.summary(),
        sram_bytes=_traffic(counts.sram),
        dram_bytes=_traffic(counts.dram),
        accumulation_interval=run.played.timing.accumulation_interval,
        energy_fj=energy.energy_fj,
        energy_pj=energy.energy_pj,
        static_energy_fj=energy.static_fj,
        static_energy_pj=in_pj(energy.static_fj),
        energy_bound_fj=energy.bound_fj,
        energy_bound_pj=in_pj(energy.bound_fj),
        power_mw=_power_mw(total_pj, cycles.total * arch.cycle_ns),
        pe_cycles={use: getattr(counts.pe_cycles, use) for use in _PE_USES},
        activity=asdict(measured.activity) if measured.activity else {},
        accuracy=measured.accuracy,
        overflowed_sums=measured.overflowed_sums,
        formation=formation,
    )


def _traffic(moved: Mapping[Operand, Traffic]) -> dict[str, dict[str, int]]:
    return {
        operand: {
            "read": moved[operand].read_bytes,
            "write": moved[operand].write_bytes,
            "moved_read": moved[operand].moved_read_bytes,
            "moved_write": moved[operand].moved_write_bytes,
        }
        for operand in OPERANDS
        if operand in moved
    }


def _totals(
    arch: ArchConfig,
    layers: Sequence[LayerResult],
    energies: EnergySum,
    area_um2: float | None,
) -> Totals:
    cycles = sum(layer.cycles.total for layer in layers)
    macs = sum(layer.macs for layer in layers)
    parts_fj = energies.parts_fj
    causes: dict[str, int] = dict.fromkeys(("compute", "fill", "drain"), 0)
    for layer in layers:
        for cause in ("compute", "fill", "drain"):
            causes[cause] += getattr(layer.cycles, cause)
        for cause, stalled in layer.stalls.items():
            causes[cause] = causes.get(cause, 0) + stalled
    energy_fj = sum_known(parts_fj.values())
    energy_pj = in_pj(energy_fj)
    latency_ns = cycles * arch.cycle_ns
    operations = OPERATIONS_PER_MAC * macs
    tops = operations / latency_ns / 1000
    chip_energy_fj, dram_energy_fj = chip_fj(parts_fj), dram_fj(parts_fj)
    chip_pj, dram_pj = in_pj(chip_energy_fj), in_pj(dram_energy_fj)
    powers_mw = [layer.power_mw for layer in layers]
    return Totals(
        cycles=cycles,
        macs=macs,
        latency_ms=latency_ns / 1e6,
        energy_fj=energy_fj,
        energy_pj=energy_pj,
        static_energy_fj=energies.static_fj,
        static_energy_pj=in_pj(energies.static_fj),
        chip_energy_fj=chip_energy_fj,
        chip_energy_pj=chip_pj,
        dram_energy_fj=dram_energy_fj,
        dram_energy_pj=dram_pj,
        energy_bound_fj=energies.bound_fj,
        energy_bound_pj=in_pj(energies.bound_fj),
        power_mw=_power_mw(energy_pj, latency_ns),
        chip_power_mw=_power_mw(chip_pj, latency_ns),
        dram_power_mw=_power_mw(dram_pj, latency_ns),
        peak_layer_power_mw=None if None in powers_mw else max(mw for mw in powers_mw if mw is not None),
        area_um2=area_um2,
        utilization=macs / (arch.array.rows * arch.array.columns * cycles),
        tops=tops,
        tops_per_w=None if energy_pj is None else operations / energy_pj,
        chip_tops_per_w=None if not chip_pj else operations / chip_pj,
        tops_per_mm2=None if area_um2 is None else tops / (area_um2 / 1e6),
        energy_delay_product_pj_ms=None if energy_pj is None else energy_pj * latency_ns / 1e6,
        energy_by_component_fj=parts_fj,
        energy_by_component_pj=picojoules(parts_fj),
        cycles_by_cause=causes,
    )


def _power_mw(energy_pj: float | None, time_ns: float) -> float | None:
    return None if energy_pj is None else energy_pj / time_ns * _PJ_PER_NS_IN_MW


def _unused_warning(unused: UnusedPrice) -> str:
    rows = ", ".join(unused.rows[:3]) + (f" and {len(unused.rows) - 3} more" if len(unused.rows) > 3 else "")
    return f"table {unused.table}: {rows} can never be used: {unused.reason}"


def _sha256(document: object) -> str:
    """A hash of plain data and dataclasses, whatever the order of their fields."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), default=_fields)
    return hashlib.sha256(text.encode()).hexdigest()


def _fields(instance: Any) -> dict[str, Any]:
    return {field.name: getattr(instance, field.name) for field in fields(instance)}
