"""What a tiling is chosen for: the prices of moves and cycles that the objective `energy` weighs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator.operands import FILTER, IFMAP, OPERANDS, Operand
from simulator.system.layer_work import (
    ADDED_WORDS,
    BUFFER_WORDS,
    BURSTS,
    CHIP_WORDS,
    END,
    POOLED_WORDS,
    TOTALS,
    LayerWork,
)
from simulator.system.tile_work import (
    ACTIVATION_WORDS,
    RESIDUAL_WORDS,
    RESULT_WORDS,
    SUM_READ_WORDS,
    SUM_WRITE_WORDS,
    WEIGHT_WORDS,
)

Weights = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MovePrices:
    """Picojoules that depend on the tiling, taken from the price tables.

    dram_pj_per_byte: of moved DRAM bytes.
    read_pj_per_byte, write_pj_per_byte: of moved bytes of each operand in its memory.
    cycle_pj: of one cycle in which the array does nothing more: leakage and the clock.
    """

    dram_pj_per_byte: float
    read_pj_per_byte: Mapping[Operand, float]
    write_pj_per_byte: Mapping[Operand, float]
    cycle_pj: float

    def weights(self, work: LayerWork) -> Weights:
        """Picojoules of one of each total of the machine."""
        weights = np.zeros(TOTALS)

        def price(operand: Operand, per_byte: Mapping[Operand, float], *places: int) -> None:
            macro_bytes = work.array.edges.macro[OPERANDS.index(operand)] / 8
            for place in places:
                weights[place] += macro_bytes * per_byte[operand]

        weights[BURSTS : BURSTS + 4] = work.memory.burst_bytes * self.dram_pj_per_byte
        price("ifmap", self.read_pj_per_byte, ACTIVATION_WORDS)
        price("ifmap", self.write_pj_per_byte, BUFFER_WORDS + IFMAP)
        price("filter", self.read_pj_per_byte, WEIGHT_WORDS)
        price("filter", self.write_pj_per_byte, BUFFER_WORDS + FILTER)
        price("ofmap", self.read_pj_per_byte, SUM_READ_WORDS, RESIDUAL_WORDS, ADDED_WORDS, CHIP_WORDS)
        price("ofmap", self.read_pj_per_byte, BUFFER_WORDS + 3)
        price("ofmap", self.write_pj_per_byte, SUM_WRITE_WORDS, RESULT_WORDS, POOLED_WORDS, BUFFER_WORDS + 2)
        weights[END] = self.cycle_pj
        return weights
