"""Whole accelerators beside what the simulator makes of them: NVDLA's configurations and Eyeriss's layers.

Neither is a systolic array of this kind, so these are checks of scale and of ratios; each says what is
different.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from simulator.arch import ArchConfig, load_arch
from simulator.cost.mac_parts import structure_of
from simulator.cost.price_tables import load_table
from simulator.cost.pricing import ArchitecturePricing
from simulator.formation import UNSTATED_UNCERTAINTY
from simulator.numerics import get_mac
from simulator.prediction import Check
from simulator.published_accelerators import (
    EYERISS_ALEXNET,
    EYERISS_BATCH,
    EYERISS_BUFFER_KIB,
    EYERISS_CLOCK_MHZ,
    EYERISS_COLUMNS,
    EYERISS_ROWS,
    NVDLA,
    NvdlaConfiguration,
)
from simulator.report.intervals import difference
from simulator.result import LayerResult, Result, priced
from simulator.result_defaults import DRAM_PREFIX
from simulator.simulation import simulate

_GHZ: Final = 1000
_UM2_PER_MM2: Final = 1e6
_NVDLA_FRAME_MB: Final = 71.5
"""DRAM traffic of a frame that the designers' table implies for its first row."""

_NVDLA_FIXED_MM2: Final = 0.436
_NVDLA_MAC_MM2: Final = 0.00170
_NVDLA_KB_MM2: Final = 0.00318
"""A line through the seven published areas: what follows neither, a MAC, a KB of the buffer."""

_EYERISS_PES: Final = EYERISS_ROWS * EYERISS_COLUMNS

_OUTPUT_KIB: Final = 32
"""Stands for NVDLA's accumulator memory, whose size the table does not give; in no area that is compared."""


def accelerator_checks() -> list[Check]:
    """Area and frame rate of NVDLA's seven configurations; shares of Eyeriss's layers in time and energy."""
    return [*_nvdla_checks(), *_eyeriss_checks()]


def _nvdla_checks() -> Iterator[Check]:
    for configuration in NVDLA:
        yield _nvdla_area(configuration)
    for configuration in NVDLA:
        yield _nvdla_rate(configuration)


def _nvdla_area(configuration: NvdlaConfiguration) -> Check:
    array = {"rows": configuration.rows, "columns": configuration.columns}
    halves = {name: {"capacity_kib": configuration.buffer_kib / 2} for name in ("ifmap", "filter")}
    arch = ArchConfig.model_validate({"array": array, "sram": halves})
    parts = ArchitecturePricing(arch, structure_of(get_mac("int8"))).area.parts_um2
    macs_mm2 = priced(parts["pe_array"]) / _UM2_PER_MM2
    buffer_mm2 = (priced(parts["sram_ifmap"]) + priced(parts["sram_filter"])) / _UM2_PER_MM2
    predicted_mm2 = macs_mm2 + buffer_mm2
    off_mm2 = math.hypot(UNSTATED_UNCERTAINTY * macs_mm2, _sram_uncertainty() * buffer_mm2)
    more_macs_mm2 = configuration.macs * _NVDLA_MAC_MM2 - macs_mm2
    more_buffer_mm2 = configuration.buffer_kib * _NVDLA_KB_MM2 - buffer_mm2
    lacking_mm2 = configuration.area_mm2 - predicted_mm2
    rest_mm2 = lacking_mm2 - _NVDLA_FIXED_MM2 - more_macs_mm2 - more_buffer_mm2
    return Check(
        f"NVDLA {configuration.macs} MACs area",
        "mm2",
        configuration.area_mm2,
        predicted_mm2,
        "other_hardware",
        f"{configuration.macs} int8 PEs ({macs_mm2:.2f}) and a buffer of {configuration.buffer_kib} KiB "
        f"({buffer_mm2:.2f})",
        ("johnson2018_28nm", "sram_28nm"),
        "the published area is the whole core: sequencer, accumulator memory, post-processing, DMA and "
        f"registers, of which the model prices none. By a line through the seven, the {lacking_mm2:.2f} mm2 "
        f"that it lacks are {_NVDLA_FIXED_MM2:.2f} which follow neither MACs nor buffer, {more_macs_mm2:.2f} "
        f"beside the PEs ({_NVDLA_MAC_MM2 * _UM2_PER_MM2:,.0f} um2 a MAC) and {more_buffer_mm2:.2f} beside "
        f"the macros ({_NVDLA_KB_MM2 * _UM2_PER_MM2:,.0f} um2 a KB); this one lies {rest_mm2:+.2f} off the "
        "line",
        off_mm2 / predicted_mm2,
    )


def _sram_uncertainty() -> float:
    rows = load_table("sram_28nm").rows.values()
    return max(row.uncertainty or 0.0 for row in rows if row.action == "area")


def _nvdla_rate(configuration: NvdlaConfiguration) -> Check:
    result = simulate("resnet50", _nvdla_arch(configuration))
    rate = _GHZ * 1e6 / result.totals.cycles
    bound = configuration.macs * _GHZ * 1e6 / result.totals.macs
    megabytes = sum(map(_dram_bytes, result.layers)) / 1e6
    waiting = sum(layer.cycles.stall for layer in result.layers) / result.totals.cycles
    carried = configuration.dram_gbyte_per_s * 1e3 / _NVDLA_FRAME_MB
    return Check(
        f"NVDLA {configuration.macs} MACs, ResNet-50",
        "frame/s",
        configuration.frames_per_s,
        rate,
        "other_hardware",
        f"{configuration.rows}x{configuration.columns} weight stationary array at 1 GHz, folds overlapped, "
        "half the buffer for each operand",
        (),
        f"the table adds up, layer by layer, the larger of DRAM and MAC time and moves {_NVDLA_FRAME_MB:g} "
        f"MB a frame in its first row, which DRAM could carry {carried:.3g} times a second; the model keeps "
        f"tiles on chip, moves {megabytes:.1f} MB and stalls in {waiting:.0%} of its cycles. With every MAC "
        f"busy and no Winograd there would be {bound:.3g} frames/s: the table has "
        f"{configuration.frames_per_s / bound:.0%} of them, although it counts Winograd, the model "
        f"{rate / bound:.0%}",
    )


def _nvdla_arch(configuration: NvdlaConfiguration) -> ArchConfig:
    half = configuration.buffer_kib / 2
    return load_arch(
        "int8_32x32",
        {
            "name": f"nvdla_{configuration.macs}",
            "clock_mhz": _GHZ,
            "array.rows": configuration.rows,
            "array.columns": configuration.columns,
            "array.dataflow": "ws",
            "array.overlap": "full",
            "sram.ifmap.capacity_kib": half,
            "sram.filter.capacity_kib": half,
            "sram.ofmap.capacity_kib": _OUTPUT_KIB,
            "dram.bandwidth_gbyte_per_s": configuration.dram_gbyte_per_s,
        },
    )


def _dram_bytes(layer: LayerResult) -> int:
    operands = (layer.dram_bytes.ifmap, layer.dram_bytes.filter, layer.dram_bytes.ofmap)
    return sum(operand.read + operand.write for operand in operands)


@dataclass(frozen=True, slots=True)
class _Shares:
    """What one layer has of the five, measured and simulated: its own rate beside that of all five."""

    own: float
    all_five: float

    @property
    def above(self) -> float:
        """The layer's rate over the mean of the five."""
        return self.own / self.all_five


def _eyeriss_checks() -> Iterator[Check]:
    result = _eyeriss_run()
    layers = result.layers[: len(EYERISS_ALEXNET)]
    chip = _on_chip(result, layers)
    array = f"{EYERISS_ROWS}x{EYERISS_COLUMNS} int16 PEs, weight stationary, batch {EYERISS_BATCH}"
    measured_times = _shares([layer.processing_ms for layer in EYERISS_ALEXNET])
    times = _shares([layer.cycles.total for layer in layers])
    busy = _rates(
        [layer.macs for layer in layers],
        [layer.processing_ms * EYERISS_CLOCK_MHZ * 1e3 * _EYERISS_PES for layer in EYERISS_ALEXNET],
    )
    model_busy = _rates(
        [layer.macs for layer in layers], [layer.cycles.total * _EYERISS_PES for layer in layers]
    )
    for place, layer in enumerate(EYERISS_ALEXNET):
        theirs, ours = busy[place], model_busy[place]
        in_active = theirs.own * _EYERISS_PES / layer.active_pes
        yield Check(
            f"Eyeriss AlexNet {layer.name}, share of time",
            "%",
            measured_times[place],
            times[place],
            "other_hardware",
            f"{array}; share of the five layers' cycles, which follow from no price",
            (),
            f"Eyeriss is row stationary and uses {layer.active_pes} of {_EYERISS_PES} PEs here, which "
            f"multiply in {in_active:.0%} of their cycles: {theirs.own:.0%} of all PE-cycles "
            f"({theirs.all_five:.0%} over the five layers). The model multiplies in {ours.own:.0%} "
            f"({ours.all_five:.0%}), so its share is x{theirs.above:.2f} / x{ours.above:.2f} of the measured "
            f"one: {_EYERISS_TIME_CAUSES[layer.name]}",
        )
    measured_mj = [layer.power_mw * layer.total_ms * 1e-3 for layer in EYERISS_ALEXNET]
    measured, energies = _shares(measured_mj), _shares([_chip_pj(layer) for layer in layers])
    per_mac = _rates([each * 1e9 for each in measured_mj], [layer.macs for layer in layers])
    model_per_mac = _rates([_chip_pj(layer) for layer in layers], [layer.macs for layer in layers])
    for place, layer in enumerate(EYERISS_ALEXNET):
        theirs, ours = per_mac[place], model_per_mac[place]
        share = difference(_on_chip(result, [layers[place]]), chip, "energy")
        yield Check(
            f"Eyeriss AlexNet {layer.name}, share of energy",
            "%",
            measured[place],
            energies[place],
            "other_hardware",
            f"{array}; share of the five layers' energy on the chip, no zeros gated; 28 nm prices for a 65 "
            "nm chip, so that only shares compare",
            ("parts_28nm", "sram_28nm"),
            f"Eyeriss takes {theirs.own:.1f} pJ a MAC here, x{theirs.above:.2f} of the five layers' "
            f"{theirs.all_five:.1f}, the model {ours.own:.2f}, x{ours.above:.2f}: "
            f"{_EYERISS_ENERGY_CAUSES[layer.name]}",
            None if share is None else share.half_width / (1 + share.relative),
        )


_EYERISS_TIME_CAUSES = {
    "conv1": "Eyeriss is a little slower here than over the five layers, the model is not",
    "conv2": "filters of 5 x 5 fill the fewest of Eyeriss's PEs, so that this layer takes it longest; the "
    "model loses less, in the last of ten folds of 14 columns for the 128 channels of a group",
    "conv3": "filters of 3 x 3 fill more of Eyeriss's PEs than those of conv2, so that it gains more here "
    "than the model, whose array is nearly full in most layers",
    "conv4": "as in conv3, and Eyeriss's PEs wait less",
    "conv5": "Eyeriss's PEs wait least of all five here, while the model fills the last of ten folds of 14 "
    "columns with 2 of the 128 channels of a group",
}
_EYERISS_ENERGY_CAUSES = {
    "conv1": "Eyeriss switches nothing for a zero activation, and the image that this layer reads has hardly "
    "any; the model prices every product of every layer alike",
    "conv2": "this layer reads activations behind one ReLU, with fewer zeros than deeper ones, and takes the "
    "longest for a MAC, in which all PEs are clocked",
    "conv3": "activations behind two ReLUs have more zeros, for which Eyeriss switches nothing and the model "
    "what it does for others",
    "conv4": "as in conv3, with more zeros, behind three ReLUs",
    "conv5": "zeros as in conv4, and Eyeriss's PEs are idle least; the model also pays for PEs that are "
    "clocked without work in its last fold",
}
"""Likely reasons for the sign of each difference; the source here has no figure of the zeros of a layer."""


def _rates(amounts: Sequence[float], of: Sequence[float]) -> list[_Shares]:
    """Each amount over what it is of, beside the same of all."""
    all_five = sum(amounts) / sum(of)
    return [_Shares(amount / whole, all_five) for amount, whole in zip(amounts, of, strict=True)]


def _on_chip(result: Result, layers: Sequence[LayerResult]) -> Result:
    """Some layers of a result without the lines of DRAM, for intervals; its sums stay those of the run."""
    dram = {unit.name for unit in result.unit_prices if unit.component.startswith(DRAM_PREFIX)}
    kept = [
        layer.model_copy(
            update={"formation": [line for line in layer.formation if line.unit_price not in dram]}
        )
        for layer in layers
    ]
    return result.model_copy(update={"layers": kept})


def _eyeriss_run() -> Result:
    third = EYERISS_BUFFER_KIB / 3
    overrides: dict[str, Any] = {f"sram.{name}.capacity_kib": third for name in ("ifmap", "filter", "ofmap")}
    overrides |= {
        "array.rows": EYERISS_ROWS,
        "array.columns": EYERISS_COLUMNS,
        "array.dataflow": "ws",
        "array.overlap": "full",
        "clock_mhz": EYERISS_CLOCK_MHZ,
        "scaling.frequency": True,
    }
    return simulate("alexnet", mac="int16 x int16", batch=EYERISS_BATCH, overrides=overrides)


def _chip_pj(layer: LayerResult) -> float:
    """Energy of everything but DRAM."""
    parts = {
        name: pj
        for name, pj in layer.energy_pj.items()
        if name != "total" and not name.startswith(DRAM_PREFIX)
    }
    return sum(map(priced, parts.values()))


def _shares(values: Sequence[float]) -> list[float]:
    return [100 * value / sum(values) for value in values]
