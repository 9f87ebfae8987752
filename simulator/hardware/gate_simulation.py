"""Gates evaluated for many patterns at once: 64 patterns to a word, a level of equal gates at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from simulator.foundation.defects import DefectError
from simulator.hardware.netlists import ONE, ZERO, Gate, Netlist, settling_order

Words = npt.NDArray[np.uint64]
"""[nets, words]: bit b of word w is pattern 64 w + b."""

_ALL: Final = np.uint64(0xFFFF_FFFF_FFFF_FFFF)

_FUNCTIONS: Final[Mapping[str, Callable[..., Words]]] = {
    "$_BUF_": lambda a: a,
    "$_NOT_": lambda a: ~a,
    "$_AND_": lambda a, b: a & b,
    "$_NAND_": lambda a, b: ~(a & b),
    "$_OR_": lambda a, b: a | b,
    "$_NOR_": lambda a, b: ~(a | b),
    "$_XOR_": lambda a, b: a ^ b,
    "$_XNOR_": lambda a, b: ~(a ^ b),
    "$_ANDNOT_": lambda a, b: a & ~b,
    "$_ORNOT_": lambda a, b: a | ~b,
    "$_MUX_": lambda a, b, s: (a & ~s) | (b & s),
    "$_AOI3_": lambda a, b, c: ~((a & b) | c),
    "$_OAI3_": lambda a, b, c: ~((a | b) & c),
}


@dataclass(frozen=True, slots=True)
class _Group:
    """Gates of one kind on one level."""

    kind: str
    inputs: tuple[npt.NDArray[np.int64], ...]
    outputs: npt.NDArray[np.int64]


class GateSimulation:
    """A netlist without modules inside, ready to be evaluated.

    Raises:
        DefectError: a net without a driver, or a loop of gates.
    """

    def __init__(self, netlist: Netlist) -> None:
        self.netlist = netlist
        self._groups = _levels(netlist)
        self._data = np.array([d for d, _ in netlist.flip_flops], np.int64)
        self._state = np.array([q for _, q in netlist.flip_flops], np.int64)

    def start(self, patterns: int) -> Words:
        """Nets with nothing on them, for so many patterns; flip-flops hold 0."""
        nets = np.zeros((self.netlist.nets, -(-patterns // 64)), np.uint64)
        nets[ONE] = _ALL
        return nets

    def settle(self, nets: Words) -> None:
        """Evaluate all gates in place, from inputs and flip-flops."""
        for group in self._groups:
            nets[group.outputs] = _FUNCTIONS[group.kind](*(nets[index] for index in group.inputs))

    def clock(self, nets: Words) -> None:
        """One clock edge of settled nets, in place: flip-flops take what stands before them, gates settle."""
        nets[self._state] = nets[self._data]
        self.settle(nets)

    def drive(self, nets: Words, port: str, values: npt.NDArray[Any]) -> None:
        """Put unsigned numbers, one a pattern, on an input."""
        wires = self.netlist.inputs[port]
        nets[np.array(wires, np.int64)] = to_words(values, len(wires))

    def read(self, nets: Words, port: str, patterns: int) -> npt.NDArray[Any]:
        """Unsigned numbers of an output, one a pattern: uint64, or Python integers above 64 bits."""
        return from_words(nets[np.array(self.netlist.outputs[port], np.int64)], patterns)

    def evaluate(self, inputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Outputs of a netlist without flip-flops, for arrays of unsigned numbers of one length."""
        patterns = len(next(iter(inputs.values())))
        nets = self.start(patterns)
        for port, values in inputs.items():
            if port in self.netlist.inputs:
                self.drive(nets, port, values)
        self.settle(nets)
        return {port: self.read(nets, port, patterns) for port in self.netlist.outputs}


def to_words(values: npt.NDArray[Any], bits: int) -> Words:
    """[bits, words] of unsigned numbers; numbers may be negative, in two's complement."""
    count = len(values)
    words = np.zeros((bits, -(-count // 64)), np.uint64)
    for first in range(0, bits, 64):
        piece = _piece(values, first)
        unpacked = np.unpackbits(piece.view(np.uint8).reshape(count, 8), axis=1, bitorder="little")
        last = min(bits - first, 64)
        planes = np.zeros((last, words.shape[1] * 64), np.uint8)
        planes[:, :count] = unpacked[:, :last].T
        words[first : first + last] = np.packbits(planes, axis=1, bitorder="little").view(np.uint64)
    return words


def _piece(values: npt.NDArray[Any], first: int) -> Words:
    """Bits first .. first + 63 of numbers."""
    if values.dtype == object:
        return np.array([(int(value) >> first) & 0xFFFF_FFFF_FFFF_FFFF for value in values], np.uint64)
    if first:
        sign = values.astype(np.int64) < 0 if values.dtype.kind == "i" else np.zeros(len(values), np.bool_)
        return np.where(sign, _ALL, np.uint64(0)).astype(np.uint64)
    return np.ascontiguousarray(values.astype(np.int64 if values.dtype.kind == "i" else np.uint64)).view(
        np.uint64
    )


def from_words(words: Words, patterns: int) -> npt.NDArray[Any]:
    """Unsigned numbers of [bits, words]."""
    pieces = []
    for first in range(0, len(words), 64):
        block = np.ascontiguousarray(words[first : first + 64])
        planes = np.unpackbits(block.view(np.uint8), axis=1, bitorder="little")[:, :patterns]
        padded = np.zeros((patterns, 64), np.uint8)
        padded[:, : len(block)] = planes.T
        pieces.append(np.packbits(padded, axis=1, bitorder="little").view(np.uint64).reshape(-1))
    if not pieces:
        return np.zeros(patterns, np.uint64)
    if len(pieces) == 1:
        return np.asarray(pieces[0])
    total = np.zeros(patterns, object)
    for place, piece in enumerate(pieces):
        total += piece.astype(object) << (64 * place)
    return total


def _levels(netlist: Netlist) -> list[_Group]:
    """Gates in an order in which each finds its inputs settled, in groups of one kind."""
    entering = [net for nets in netlist.inputs.values() for net in nets]
    order = settling_order(
        [gate.inputs for gate in netlist.gates],
        [(gate.output,) for gate in netlist.gates],
        {ZERO, ONE, *entering, *(q for _, q in netlist.flip_flops)},
    )
    if order is None:
        message = f"netlist {netlist.name!r} has a loop of gates or a net without a driver"
        raise DefectError(message)
    level = np.zeros(netlist.nets, np.int64)
    grouped: dict[tuple[int, str], list[Gate]] = defaultdict(list)
    for gate in (netlist.gates[place] for place in order):
        height = 1 + max(int(level[net]) for net in gate.inputs)
        level[gate.output] = height
        grouped[height, gate.kind].append(gate)
    return [
        _Group(
            kind,
            tuple(
                np.array(column, np.int64) for column in zip(*(gate.inputs for gate in gates), strict=True)
            ),
            np.array([gate.output for gate in gates], np.int64),
        )
        for (_, kind), gates in sorted(grouped.items(), key=lambda item: item[0])
    ]
