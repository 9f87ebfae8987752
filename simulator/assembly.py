"""Joining what the machine did with what it costs into one result that closes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from simulator import __version__
from simulator.arch import ArchConfig
from simulator.cost.activity import SwitchingActivity
from simulator.cost.book import PriceBook
from simulator.cost.lines import LayerEnergy, unit_prices
from simulator.cost.mac_parts import structure_of
from simulator.cost.pricing import ArchitecturePricing, MacBlock
from simulator.numerics import get_mac
from simulator.numerics.overflow import OverflowBound, overflow_bound
from simulator.result import (
    TOTAL,
    Accuracy,
    AreaFormation,
    LayerAccuracy,
    LayerCycles,
    LayerResult,
    NetworkSummary,
    OperandBytes,
    OperandTraffic,
    PriceSource,
    Result,
    Sources,
    Totals,
    femtojoules,
)
from simulator.system import LayerRun, MachineRun
from simulator.system.counts import OPERANDS, Operand, Traffic
from simulator.workload import Layer, Network

_PJ_PER_NS_IN_MW = 1.0
"""A picojoule per nanosecond is a milliwatt."""


@dataclass(frozen=True, slots=True)
class MeasuredLayer:
    """What real tensors tell of a layer.

    Bits that toggled, how far its outputs are from float32, and how many sums left their accumulator.
    """

    activity: SwitchingActivity | None = None
    accuracy: LayerAccuracy | None = None
    overflowed_sums: int | None = None


@dataclass(frozen=True, slots=True)
class Measurements:
    """What real tensors tell of a whole run, layers by name."""

    layers: Mapping[str, MeasuredLayer]
    accuracy: Accuracy | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """A network with the architecture that runs it (layers' own MACs filled in) and what tensors told."""

    arch: ArchConfig
    network: Network
    measured: Measurements = field(default_factory=lambda: Measurements({}))


_NOTHING_MEASURED = Measurements({})
_NO_LAYER = MeasuredLayer()


def assemble(arch: ArchConfig, run: MachineRun, measured: Measurements = _NOTHING_MEASURED) -> Result:
    """The result of a run: cycles and bytes of the machine, priced by the architecture's tables.

    Raises:
        UserError: a price that is missing or whose conditions do not match the architecture.
    """
    prices = _PriceLists(arch)
    energies: list[LayerEnergy] = []
    layers: list[LayerResult] = []
    for layer_run in run.layers:
        of_tensors = measured.layers.get(layer_run.layer.name, _NO_LAYER)
        energy = prices.of_layer(layer_run.layer.name).layer(layer_run.counts, of_tensors.activity)
        energies.append(energy)
        layers.append(_layer_result(arch, layer_run, energy, of_tensors))
    return Result(
        simulator_version=__version__,
        network=_summary(run.network),
        arch=arch.model_dump(mode="json"),
        mac=prices.name,
        totals=_totals(arch, layers, energies, prices.area_um2),
        layers=layers,
        area_um2=prices.area_um2 | {TOTAL: sum(prices.area_um2.values())},
        area_formation=prices.area_formation,
        unit_prices=unit_prices(line for energy in energies for line in energy.lines),
        sources=Sources(
            table_hashes=prices.book.hashes,
            arch_hash=_sha256(arch.model_dump(mode="json")),
            network_hash=_sha256(asdict(run.network)),
            prices=prices.sources(energies),
            notes=[*prices.notes(tensors_seen=bool(measured.layers)), *measured.notes],
        ),
        accuracy=measured.accuracy,
        warnings=[*run.warnings, *measured.warnings, *_overflow_warnings(arch, run, measured)],
    )


class _PriceLists:
    """The prices of an architecture's array, and of the MACs that single layers configure its PEs to."""

    def __init__(self, arch: ArchConfig) -> None:
        self.book = PriceBook.load(arch.tables)
        self._arch = arch
        self._general = self._pricing()
        self._own = {
            name: self._pricing(name) for name, config in arch.layers.items() if config.mac is not None
        }

    @property
    def name(self) -> str:
        """The array's MACs, left to right."""
        return " | ".join(pe.name for pe in self._general.pes)

    @property
    def area_um2(self) -> dict[str, float]:
        """Area by component of the array as it is between layers with a MAC of their own."""
        return self._general.area.parts_um2

    @property
    def area_formation(self) -> list[AreaFormation]:
        """How each component's area was formed."""
        return [line.shown() for line in self._general.area.lines]

    def of_layer(self, layer: str) -> ArchitecturePricing:
        """The prices that hold while a layer runs."""
        return self._own.get(layer, self._general)

    def sources(self, energies: Sequence[LayerEnergy]) -> list[PriceSource]:
        """Provenance of every price that any layer or the area used."""
        return self._general.sources(energies)

    def notes(self, *, tensors_seen: bool) -> list[str]:
        """What a reader must know about the prices."""
        notes = list(self._general.notes)
        for pricing in self._own.values():
            notes += [note for note in pricing.notes if note not in notes]
        if not tensors_seen:
            notes.append(
                "no tensors were run: bits are taken to toggle as often as when the prices were characterised"
            )
            if self._arch.array.zero_gating:
                notes.append("zero gating saves nothing here: only tensors tell which operands are zero")
        if self._own:
            notes.append(
                "area is that of the array's own MAC; PEs that can be configured to others take more"
            )
        return notes

    def _pricing(self, layer: str | None = None) -> ArchitecturePricing:
        macs = [
            MacBlock(structure_of(get_mac(choice, custom=self._arch.macs)), columns)
            for choice, columns in self._arch.mac_choices(layer)
        ]
        return ArchitecturePricing(self._arch, macs, self.book)


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
    arch: ArchConfig, run: LayerRun, energy: LayerEnergy, measured: MeasuredLayer
) -> LayerResult:
    layer, counts = run.layer, run.counts
    cycles = counts.cycles
    energy_pj = energy.energy_pj
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
        cycles=LayerCycles(
            compute=cycles.compute,
            fill=cycles.fill,
            drain=cycles.drain,
            stall=cycles.stall,
            total=cycles.total,
        ),
        stalls=dict(cycles.stalls),
        start_cycle=run.start_cycle,
        utilization=counts.macs / counts.pe_cycles.total,
        tiling=run.tiling.summary(),
        sram_bytes=_traffic(counts.sram),
        dram_bytes=_traffic(counts.dram),
        energy_pj=energy_pj,
        static_energy_pj=energy.static_fj / 1000,
        power_mw=energy_pj[TOTAL] / (cycles.total * arch.cycle_ns) * _PJ_PER_NS_IN_MW,
        pe_cycles=asdict(counts.pe_cycles),
        activity=asdict(measured.activity) if measured.activity else {},
        accuracy=measured.accuracy,
        overflowed_sums=measured.overflowed_sums,
        formation=[line.shown() for line in energy.lines],
    )


def _traffic(moved: Mapping[Operand, Traffic]) -> OperandTraffic:
    parts = {
        operand: OperandBytes(read=moved[operand].read_bytes, write=moved[operand].write_bytes)
        for operand in OPERANDS
        if operand in moved
    }
    return OperandTraffic.model_validate(parts)


def _totals(
    arch: ArchConfig,
    layers: Sequence[LayerResult],
    energies: Sequence[LayerEnergy],
    area_um2: Mapping[str, float],
) -> Totals:
    cycles = sum(layer.cycles.total for layer in layers)
    macs = sum(layer.macs for layer in layers)
    parts_fj: dict[str, int] = {}
    causes: dict[str, int] = dict.fromkeys(("compute", "fill", "drain"), 0)
    for layer in layers:
        for component, energy_pj in layer.energy_pj.items():
            if component != TOTAL:
                parts_fj[component] = parts_fj.get(component, 0) + femtojoules(energy_pj)
        for cause in ("compute", "fill", "drain"):
            causes[cause] += getattr(layer.cycles, cause)
        for cause, stalled in layer.stalls.items():
            causes[cause] = causes.get(cause, 0) + stalled
    energy_pj = sum(parts_fj.values()) / 1000
    latency_ns = cycles * arch.cycle_ns
    operations = 2 * macs
    total_area_um2 = sum(area_um2.values())
    tops = operations / latency_ns / 1000
    return Totals(
        cycles=cycles,
        macs=macs,
        latency_ms=latency_ns / 1e6,
        energy_pj=energy_pj,
        static_energy_pj=sum(energy.static_fj for energy in energies) / 1000,
        power_mw=energy_pj / latency_ns * _PJ_PER_NS_IN_MW,
        peak_layer_power_mw=max(layer.power_mw for layer in layers),
        area_um2=total_area_um2,
        utilization=macs / (arch.array.rows * arch.array.columns * cycles),
        tops=tops,
        tops_per_w=operations / energy_pj,
        tops_per_mm2=tops / (total_area_um2 / 1e6),
        energy_delay_product_pj_ms=energy_pj * latency_ns / 1e6,
        energy_by_component_pj={part: energy / 1000 for part, energy in parts_fj.items()},
        cycles_by_cause=causes,
    )


def _overflow_warnings(arch: ArchConfig, run: MachineRun, measured: Measurements) -> list[str]:
    """One warning for each MAC whose accumulator some layer could overflow, naming the worst layer.

    Layers whose sums were counted are left out: what really overflowed is known.
    """
    endangered: dict[str, list[Layer]] = {}
    bounds: dict[str, OverflowBound] = {}
    for layer in (layer_run.layer for layer_run in run.layers):
        if measured.layers.get(layer.name, _NO_LAYER).overflowed_sums is not None:
            continue
        for choice, _ in arch.mac_choices(layer.name):
            mac = get_mac(choice, custom=arch.macs)
            bound = overflow_bound(mac, layer.k)
            if bound.may_overflow:
                endangered.setdefault(mac.name, []).append(layer)
                if mac.name not in bounds or layer.k > bounds[mac.name].reduction_length:
                    bounds[mac.name] = bound
    warnings = []
    for name, layers in endangered.items():
        worst = max(layers, key=lambda layer: layer.k)
        others = f" and {len(layers) - 1} other layers" if len(layers) > 1 else ""
        warnings.append(f"{worst.name}{others}: {bounds[name]}")
    return warnings


def _sha256(document: object) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
