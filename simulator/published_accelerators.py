"""Published figures of whole accelerators, for comparison only: nothing here prices anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class NvdlaConfiguration:
    """One row of the designers' table: int8, 1 GHz, ResNet-50, no SRAM but the convolution buffer.

    rows, columns: the array that stands for it, input channels by output channels taken at once; the table
    gives their product alone, and the shapes of 2048 and 64 MACs are those of the published hardware.
    area_mm2: at 28 nm.
    """

    macs: int
    rows: int
    columns: int
    buffer_kib: int
    dram_gbyte_per_s: float
    area_mm2: float
    frames_per_s: float


NVDLA: Final = (
    NvdlaConfiguration(2048, 64, 32, 512, 20, 5.5, 269),
    NvdlaConfiguration(1024, 64, 16, 256, 15, 3.0, 153),
    NvdlaConfiguration(512, 32, 16, 256, 10, 2.3, 93),
    NvdlaConfiguration(256, 32, 8, 256, 5, 1.7, 46),
    NvdlaConfiguration(128, 16, 8, 256, 2, 1.4, 20),
    NvdlaConfiguration(64, 8, 8, 128, 1, 0.91, 7.3),
    NvdlaConfiguration(32, 8, 4, 128, 0.5, 0.85, 3.6),
)
"""NVIDIA, NVDLA primer (nvdla/doc), table of example configurations."""


@dataclass(frozen=True, slots=True)
class EyerissLayer:
    """A layer of AlexNet at batch 4, measured at 65 nm and 200 MHz.

    total_ms: with the time that DRAM adds to `processing_ms`.
    active_pes: those that its mapping uses.
    """

    name: str
    power_mw: float
    total_ms: float
    processing_ms: float
    active_pes: int


EYERISS_ROWS: Final = 12
EYERISS_COLUMNS: Final = 14
EYERISS_BUFFER_KIB: Final = 108
EYERISS_CLOCK_MHZ: Final = 200
EYERISS_BATCH: Final = 4
EYERISS_ALEXNET: Final = (
    EyerissLayer("conv1", 332, 20.9, 16.5, 154),
    EyerissLayer("conv2", 288, 41.9, 39.2, 135),
    EyerissLayer("conv3", 266, 23.6, 21.8, 156),
    EyerissLayer("conv4", 235, 18.4, 16.0, 156),
    EyerissLayer("conv5", 236, 10.5, 10.0, 156),
)
"""Chen et al., "Eyeriss", ISSCC 2016 and JSSC 52(1) 2017, as collected in cucapra/fodlam."""
