"""Whole accelerators beside what the simulator makes of them: NVDLA's configurations and Eyeriss's layers.

Neither is a systolic array of this kind, so these are checks of scale and of ratios; each says what is
different.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from simulator.arch import ArchConfig, load_arch
from simulator.cost.check import Check
from simulator.cost.mac_parts import structure_of
from simulator.cost.pricing import ArchitecturePricing
from simulator.numerics import get_mac
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
from simulator.result import LayerResult, Result, priced
from simulator.simulation import simulate

_GHZ: Final = 1000
_UM2_PER_MM2: Final = 1e6
_NVDLA_FRAME_MB: Final = 71.5
"""DRAM traffic of a frame that the designers' table implies for its first row."""

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
    return Check(
        f"NVDLA {configuration.macs} MACs area",
        "mm2",
        configuration.area_mm2,
        macs_mm2 + buffer_mm2,
        "prediction",
        f"{configuration.macs} int8 PEs ({macs_mm2:.2f}) and a buffer of {configuration.buffer_kib} KiB "
        f"({buffer_mm2:.2f})",
        ("johnson2018_28nm", "sram_28nm"),
        "the published area is the whole core: sequencer, accumulator memory, post-processing, DMA and "
        "registers, of which the model prices none. A line through the seven has 0.44 mm2 that follows "
        "neither MACs nor buffer, 1,700 um2 a MAC (337 here) and 3,180 um2 a KB (1,500 here)",
    )


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
        "prediction",
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


def _eyeriss_checks() -> Iterator[Check]:
    layers = _eyeriss_run().layers[: len(EYERISS_ALEXNET)]
    times = _shares([layer.cycles.total for layer in layers])
    energies = _shares([_chip_pj(layer) for layer in layers])
    measured_times = _shares([layer.processing_ms for layer in EYERISS_ALEXNET])
    measured = _shares([layer.power_mw * layer.total_ms for layer in EYERISS_ALEXNET])
    array = f"{EYERISS_ROWS}x{EYERISS_COLUMNS} int16 PEs, weight stationary, batch {EYERISS_BATCH}"
    for layer, published, predicted in zip(EYERISS_ALEXNET, measured_times, times, strict=True):
        yield Check(
            f"Eyeriss AlexNet {layer.name}, share of time",
            "%",
            published,
            predicted,
            "prediction",
            f"{array}; share of the five layers' cycles",
            (),
            "Eyeriss is row stationary: filters of 5 x 5 fill 135 of its 168 PEs, those of 3 x 3 fill 156, "
            "so conv2 takes a larger share there and conv3 to conv5 a smaller one",
        )
    for layer, published, predicted in zip(EYERISS_ALEXNET, measured, energies, strict=True):
        yield Check(
            f"Eyeriss AlexNet {layer.name}, share of energy",
            "%",
            published,
            predicted,
            "prediction",
            f"{array}; share of the five layers' energy on the chip, no zeros gated; 28 nm prices for a 65 "
            "nm chip, so that only shares compare",
            ("parts_28nm", "sram_28nm"),
            "Eyeriss switches nothing for zero activations: none in the image that conv1 reads, most in the "
            "deepest layers; the model counts every product, so it gives conv1 and conv2 too little and the "
            "deeper layers too much",
        )


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
        name: pj for name, pj in layer.energy_pj.items() if name != "total" and not name.startswith("dram_")
    }
    return sum(map(priced, parts.values()))


def _shares(values: Sequence[float]) -> list[float]:
    return [100 * value / sum(values) for value in values]
