"""How much narrow ports and a slow output path lengthen a tile: every fold and every vector of it in turn.

Shares no code with `simulator.system`; the rules are those of docs/machine.md, "Buffers and array".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from simulator.array import ArrayTiming
from tests.reference.tiling import Bits, Step


@dataclass(frozen=True)
class Port:
    """The ports that a tensor passes: which memory's, bits of a word, words a cycle."""

    memory: str
    word: int
    ports: int


@dataclass(frozen=True)
class Ports:
    """The ports of each tensor, and results a cycle through the output path."""

    ifmap: Port
    filter: Port
    ofmap: Port
    values: int


def _cycles(bits: int, rate: int) -> int:
    return -(-bits // rate)


def _pass(*vectors: tuple[int, Port]) -> int:
    """Cycles until some vectors have passed word by word: memories side by side, tensors of one in turns."""
    waiting: dict[str, int] = {}
    passing: dict[str, int] = {}
    for bits, port in vectors:
        waiting[port.memory] = waiting.get(port.memory, 0) + _cycles(bits, port.word)
        passing[port.memory] = port.ports
    cycles = 0
    while any(words > 0 for words in waiting.values()):
        waiting = {memory: words - passing[memory] for memory, words in waiting.items()}
        cycles += 1
    return cycles


def _cut(length: int, size: int) -> list[int]:
    return [min(size, length - first) for first in range(0, length, size)]


def delays_of(timing: ArrayTiming, ports: Ports, bits: Bits, step: Step, k: int) -> tuple[int, int]:
    """Cycles that a tile takes longer than with wide ports: by the ports, and by the output path beyond them.

    k: the layer's whole reduction.
    """
    folds = _standing_sums if timing.dataflow == "os" else _moving_sums
    port, path = 0, 0
    for fold_port, fold_path in folds(timing, ports, bits, step, k):
        port, path = port + fold_port, path + fold_path
    return port, path


def _standing_sums(
    timing: ArrayTiming, ports: Ports, bits: Bits, step: Step, k: int
) -> Iterator[tuple[int, int]]:
    """Output stationary: operands step by step, then results by rows, beside the next fold with overlap."""
    i = timing.accumulation_interval
    for _ in range(step.groups):
        for columns in _cut(step.n, timing.columns):
            for rows in _cut(step.pixels, timing.rows):
                operands = max(
                    i, _pass((rows * bits.activation, ports.ifmap), (columns * bits.weight, ports.filter))
                )
                port, path = step.k * (operands - i), 0
                if step.ends:
                    row_port = max(1, _pass((columns * (bits.result + bits.residual), ports.ofmap)))
                    row_path = max(row_port, _cycles(columns, ports.values))
                    late_port, late_path = rows * (row_port - 1), rows * (row_path - row_port)
                    if timing.overlap != "none":
                        # One row a cycle leaves unnoticed; while the next fold computes, so do slower ones.
                        spare = max(0, i * k - rows)
                        late_path, spare = max(0, late_path - spare), max(0, spare - late_path)
                        late_port = max(0, late_port - spare)
                    port, path = port + late_port, path + late_path
                yield port, path


def _moving_sums(
    timing: ArrayTiming, ports: Ports, bits: Bits, step: Step, _: int
) -> Iterator[tuple[int, int]]:
    """Weight and input stationary: a preload, then streamed vectors with the sums that they meet and make."""
    if timing.dataflow == "ws":
        across, streamed = step.n, step.pixels
        held_bits, held_port, moving_bits, moving_port = (
            bits.weight,
            ports.filter,
            bits.activation,
            ports.ifmap,
        )
    else:
        across, streamed = step.pixels, step.n
        held_bits, held_port, moving_bits, moving_port = (
            bits.activation,
            ports.ifmap,
            bits.weight,
            ports.filter,
        )
    for _group in range(step.groups):
        for columns in _cut(across, timing.columns):
            downward = _cut(step.k, timing.rows)
            for number, rows in enumerate(downward):
                begins = step.starts and number == 0
                finishes = step.ends and number == len(downward) - 1
                preload = max(1, _pass((columns * held_bits, held_port)))
                sums = 0 if begins else bits.accumulator
                sums += bits.result + bits.residual if finishes else bits.accumulator
                pace = max(1, _pass((rows * moving_bits, moving_port), (columns * sums, ports.ofmap)))
                path = max(pace, _cycles(columns, ports.values)) if finishes else pace
                yield rows * (preload - 1) + streamed * (pace - 1), streamed * (path - pace)
