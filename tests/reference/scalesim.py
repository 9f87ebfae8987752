"""What SCALE-Sim reports for two of its topologies, counted fold by fold; shares no code with the simulator.

SCALE-Sim v3 (github.com/scalesim-project/scale-sim-v3): an output's size is ceil((H - Fh + stride) / stride),
folds follow each other without overlap, a partial fold lasts as long as a full one, and "compute cycles" is
the index of the last cycle of a layer, not the number of cycles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

ROWS = COLUMNS = 32
DATAFLOWS = ("os", "ws", "is")

ALEXNET = (
    ("Conv1", 224, 224, 11, 11, 3, 96, 4),
    ("Conv2", 27, 27, 5, 5, 96, 256, 1),
    ("Conv3", 13, 13, 3, 3, 256, 384, 1),
    ("Conv4", 13, 13, 3, 3, 384, 384, 1),
    ("Conv5", 13, 13, 3, 3, 384, 256, 1),
)
"""Name, input height and width, filter height and width, channels, filters, stride: `alexnet.csv`."""

RESNET18 = (
    ("Conv1", 224, 224, 7, 7, 3, 64, 2),
    ("Conv2_1a", 56, 56, 3, 3, 64, 64, 1),
    ("Conv2_1b", 56, 56, 3, 3, 64, 64, 1),
    ("Conv2_2a", 56, 56, 3, 3, 64, 64, 1),
    ("Conv2_2b", 56, 56, 3, 3, 64, 64, 1),
    ("Conv3_1a", 56, 56, 3, 3, 64, 128, 2),
    ("Conv3_1b", 28, 28, 3, 3, 128, 128, 1),
    ("Conv3_s", 56, 56, 1, 1, 64, 128, 2),
    ("Conv3_2a", 28, 28, 3, 3, 128, 128, 1),
    ("Conv3_2b", 28, 28, 3, 3, 128, 128, 1),
    ("Conv4_1a", 28, 28, 3, 3, 128, 256, 2),
    ("Conv4_1b", 14, 14, 3, 3, 256, 256, 1),
    ("Conv4_s", 28, 28, 1, 1, 128, 256, 2),
    ("Conv4_2a", 14, 14, 3, 3, 256, 256, 1),
    ("Conv4_2b", 14, 14, 3, 3, 256, 256, 1),
    ("Conv5_1a", 14, 14, 3, 3, 256, 512, 2),
    ("Conv5_1b", 7, 7, 3, 3, 512, 512, 1),
    ("Conv5_s", 14, 14, 1, 1, 256, 512, 2),
    ("Conv5_2a", 7, 7, 3, 3, 512, 512, 1),
    ("Conv5_2b", 7, 7, 3, 3, 512, 512, 1),
    ("FC", 1, 1, 1, 1, 512, 1000, 1),
)
"""The same of `resnet18.csv`."""

TOPOLOGIES = {"alexnet": ALEXNET, "resnet18": RESNET18}


def topology_csv(network: str) -> str:
    """A topology as SCALE-Sim writes it: a header, blanks before some commas, a comma at the end of lines."""
    header = (
        "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,"
    )
    padded = network == "alexnet"
    lines = [
        ",".join(f"{str(field).ljust(10) if padded else field}" for field in layer) + ","
        for layer in TOPOLOGIES[network]
    ]
    return "\n".join([header, *lines]) + "\n"


@dataclass(frozen=True)
class LayerReport:
    """The columns of SCALE-Sim's per-layer report that the tests compare with, under its own names."""

    layer: str
    ofmap_h: int
    ofmap_w: int
    M: int
    N: int
    K: int
    macs: int
    compute_cycles: int
    sram_ifmap_reads: int
    sram_filter_reads: int
    sram_ofmap_writes: int


def reports(network: str, dataflow: str) -> list[LayerReport]:
    """One report a layer, on 32 x 32 PEs."""
    found = []
    for name, height, width, filter_height, filter_width, channels, filters, stride in TOPOLOGIES[network]:
        ofmap = (_outputs(height, filter_height, stride), _outputs(width, filter_width, stride))
        m, n, k = ofmap[0] * ofmap[1], filters, filter_height * filter_width * channels
        found.append(_report(name, ofmap, m, n, k, dataflow))
    return found


def _outputs(size: int, taps: int, stride: int) -> int:
    """Windows of `taps` that start at 0, stride, 2 stride ... while a whole stride of them still fits."""
    count = 0
    while count * stride < size - taps + stride:
        count += 1
    return count


def _report(name: str, ofmap: tuple[int, int], m: int, n: int, k: int, dataflow: str) -> LayerReport:
    cycles = ifmap = weights = ofmaps = 0
    down, across, along = {"os": (m, n, k), "ws": (k, n, m), "is": (k, m, n)}[dataflow]
    for rows in _parts(down, ROWS):
        for columns in _parts(across, COLUMNS):
            cycles += _fold_cycles(along, loads=dataflow != "os")
            if dataflow == "os":  # both operands stream; it also counts a stray row and column of outputs
                ifmap, weights = ifmap + rows * k, weights + columns * k
                ofmaps += rows * columns + ROWS + COLUMNS
            elif dataflow == "ws":
                ifmap, weights, ofmaps = ifmap + rows * m, weights + rows * columns, ofmaps + columns * m
            else:
                ifmap, weights, ofmaps = ifmap + rows * columns, weights + rows * n, ofmaps + columns * n
    return LayerReport(name, *ofmap, m, n, k, m * n * k, cycles - 1, ifmap, weights, ofmaps)


def _parts(size: int, at_most: int) -> Iterator[int]:
    while size > 0:
        yield min(size, at_most)
        size -= at_most


def _fold_cycles(along: int, *, loads: bool) -> int:
    """A row of the array is loaded in each cycle; then element t meets PE (i, j) in cycle t + i + j."""
    last = max(t + i + j for t in (0, along - 1) for i in (0, ROWS - 1) for j in (0, COLUMNS - 1))
    return (ROWS if loads else 0) + last + 1
