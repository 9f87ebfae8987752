"""Synthetic results to show: they close as every result must, their figures mean nothing."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from typing import Any

from simulator.foundation.femtojoules import in_pj, picojoules
from simulator.foundation.sums import with_total
from simulator.result import (
    LayerCycles,
    LayerResult,
    MissingPrice,
    NetworkSummary,
    OperandBytes,
    OperandTraffic,
    PriceSource,
    Result,
    Sources,
    Totals,
)
from simulator.result_accuracy import Accuracy, LayerAccuracy

COMPONENTS = (
    "multiply",
    "accumulator_add",
    "alignment_shift",
    "table",
    "registers",
    "decoders",
    "converters",
    "output_path",
    "sram_ifmap",
    "sram_filter",
    "sram_ofmap",
    "dram",
    "leakage",
)
_CLOCK_MHZ = 500
_ROWS = 32


def make_result(
    network: str = "toynet",
    mac: str = "int8",
    *,
    layers: int = 6,
    energy_scale: float = 1.0,
    accuracy: bool = False,
    estimated: bool = False,
    arch_name: str | None = None,
    seed: int = 1,
    without_energy: Mapping[str, str] | None = None,
    without_area: Mapping[str, str] | None = None,
    from_layer: int = 0,
) -> Result:
    """A result of a made-up network of `layers` convolutions on a 32x32 array.

    without_energy, without_area: components that are not priced, with the reason. from_layer: the first
    layer in which the energy of those components is not priced.
    """
    without_energy, without_area = without_energy or {}, without_area or {}
    shapes, draw = random.Random(network), random.Random(f"{network} {mac} {seed}")
    built = [
        _layer(
            index,
            mac,
            shapes,
            draw,
            energy_scale=energy_scale,
            accuracy=accuracy,
            without=without_energy if index >= from_layer else {},
        )
        for index in range(layers)
    ]
    starts = itertools.accumulate((layer.cycles.total for layer in built), initial=0)
    built = [layer.model_copy(update={"start_cycle": at}) for layer, at in zip(built, starts, strict=False)]
    cycles = sum(layer.cycles.total for layer in built)
    macs = sum(layer.macs for layer in built)
    by_component_fj: dict[str, int | None] = {
        part: None if part in without_energy else sum(layer.energy_fj[part] or 0 for layer in built)
        for part in COMPONENTS
    }
    energy_fj = with_total(by_component_fj)["total"]
    energy_pj = in_pj(energy_fj)
    static_fj = by_component_fj["leakage"]
    latency_ms = cycles / _CLOCK_MHZ / 1000
    power_mw = None if energy_pj is None else energy_pj / latency_ms / 1e6
    powers_mw = [layer.power_mw for layer in built]
    area: dict[str, float | None] = {
        "multiply": 124121.088,
        "registers": 99090.432,
        "sram_ifmap": 397000.0,
        "converters": 20000.5,
    }
    area |= dict.fromkeys(without_area)
    area_um2 = None if without_area else sum(value or 0.0 for value in area.values())
    tops = 2 * macs / (latency_ms * 1e9)
    causes = {
        "compute": sum(layer.cycles.compute for layer in built),
        "fill": sum(layer.cycles.fill for layer in built),
        "drain": sum(layer.cycles.drain for layer in built),
        "stall_dram": sum(layer.stalls["dram"] for layer in built),
        "stall_ifmap": sum(layer.stalls["ifmap"] for layer in built),
    }
    return Result(
        simulator_version="0.0.0",
        network=NetworkSummary(name=network, source="synthetic", batch=1, layers=layers, macs=macs),
        arch=_arch(arch_name or f"{mac}_32x32", mac),
        mac=mac,
        totals=Totals(
            cycles=cycles,
            macs=macs,
            latency_ms=latency_ms,
            energy_fj=energy_fj,
            energy_pj=energy_pj,
            static_energy_fj=static_fj,
            static_energy_pj=in_pj(static_fj),
            power_mw=power_mw,
            peak_layer_power_mw=None if None in powers_mw else max(mw or 0.0 for mw in powers_mw),
            area_um2=area_um2,
            utilization=macs / (cycles * _ROWS * _ROWS),
            tops=tops,
            tops_per_w=None if power_mw is None else tops / (power_mw / 1000),
            tops_per_mm2=None if area_um2 is None else tops / (area_um2 / 1e6),
            energy_delay_product_pj_ms=None if energy_pj is None else energy_pj * latency_ms,
            energy_by_component_fj=by_component_fj,
            energy_by_component_pj=picojoules(by_component_fj),
            cycles_by_cause=causes,
        ),
        layers=built,
        area_um2={**area, "total": area_um2},
        not_priced=[
            *(
                MissingPrice(component=part, figure="energy", reason=reason)
                for part, reason in without_energy.items()
            ),
            *(
                MissingPrice(component=part, figure="area", reason=reason)
                for part, reason in without_area.items()
            ),
        ],
        sources=Sources(
            table_hashes={"tables/demo.yaml": "0" * 64},
            arch_hash="a" * 64,
            network_hash="b" * 64,
            prices=_prices(estimated=estimated),
            notes=["Synthetic prices."],
        ),
        accuracy=Accuracy(
            images=100, top1=0.71, top5=0.9, top1_float32=0.72, top5_float32=0.91, agreement_with_float32=0.95
        )
        if accuracy
        else None,
        warnings=["conv_1 <stalls> on DRAM & waits"],
    )


def _layer(
    index: int,
    mac: str,
    shapes: random.Random,
    draw: random.Random,
    *,
    energy_scale: float,
    accuracy: bool,
    without: Mapping[str, str],
) -> LayerResult:
    m, n, k = (
        shapes.choice([3136, 784, 196, 49]),
        shapes.choice([64, 128, 96, 256]),
        shapes.choice([27, 576, 1152]),
    )
    folds = -(-m // _ROWS) * -(-n // _ROWS)
    stalls = {"dram": draw.randrange(0, 4000), "ifmap": draw.randrange(0, 500)}
    compute, fill, drain = folds * k, folds * 62, folds * _ROWS
    stall = sum(stalls.values())
    total = compute + fill + drain + stall
    scale_fj = energy_scale * m * n * k
    priced = {part: int(scale_fj * draw.uniform(5, 150)) for part in COMPONENTS}
    if mac == "int8":
        priced["table"] = priced["alignment_shift"] = 0
    priced["dram"] *= 3
    parts: dict[str, int | None] = {**priced, **dict.fromkeys(without)}
    energy_fj = with_total(parts)
    energy_pj = picojoules(energy_fj)
    total_pj = energy_pj["total"]
    return LayerResult(
        name=f"conv_{index}",
        kind="conv",
        mac=mac,
        m=m,
        n=n,
        k=k,
        macs=m * n * k,
        folds=folds,
        cycles=LayerCycles(compute=compute, fill=fill, drain=drain, stall=stall, total=total),
        stalls=stalls,
        utilization=m * n * k / (total * _ROWS * _ROWS),
        sram_bytes=_traffic(m * k, n * k, m * n),
        dram_bytes=_traffic(m * k // 8 + 1, n * k, m * n),
        energy_fj=energy_fj,
        energy_pj=energy_pj,
        static_energy_fj=energy_fj["leakage"],
        static_energy_pj=energy_pj["leakage"],
        power_mw=None if total_pj is None else total_pj / (total / _CLOCK_MHZ) / 1000,
        pe_cycles={
            "useful": m * n * k,
            "idle": total * 1024 - m * n * k - drain * 1024 - stall * 1024,
            "shifting": drain * 1024,
            "holding": stall * 1024,
        },
        accuracy=LayerAccuracy(sqnr_db=draw.uniform(18, 40), cosine=0.999, largest_error=0.1, elements=m * n)
        if accuracy
        else None,
    )


def _traffic(ifmap: int, filters: int, ofmap: int) -> OperandTraffic:
    return OperandTraffic(
        ifmap=OperandBytes(read=ifmap), filter=OperandBytes(read=filters), ofmap=OperandBytes(write=ofmap)
    )


def _arch(name: str, mac: str) -> dict[str, Any]:
    return {
        "name": name,
        "clock_mhz": _CLOCK_MHZ,
        "process": {"node_nm": 28, "voltage_v": 0.81},
        "array": {"rows": _ROWS, "columns": _ROWS, "mac": mac, "dataflow": "os"},
        "dram": {"type": "lpddr4", "bandwidth_gbyte_per_s": 25.6},
    }


def _prices(*, estimated: bool) -> list[PriceSource]:
    return [
        PriceSource(
            component=part,
            action="operate",
            value=0.1 + position / 100,
            unit="pJ",
            status="model"
            if part.startswith("sram")
            else "composed"
            if estimated and position < 5
            else "published",
            source="Somebody, Somewhere, 2018",
            table="demo",
            row=f"{part}_row",
            node_nm=28,
            voltage_v=0.81,
            temperature_c=25,
            corner="TT",
            clock_mhz=500,
            activity="N(0,1)",
            uncertainty=0.15 if estimated and position < 5 else None,
            used_for=[part],
        )
        for position, part in enumerate(COMPONENTS)
    ]
