"""The accesses of DMA transfers: bursts of the DRAM, macro words of the buffers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from simulator.numerics.engines.compiled import kernel
from simulator.operands import Operand
from simulator.system.accesses import ACCESSES_AT_ONCE, Accesses, Kind, WholeBytes
from simulator.system.addresses import STREAM_OPERAND, Addresses
from simulator.system.array_accesses import buffer_port
from simulator.system.footprint import Integers
from simulator.system.machine import TransferTimes
from simulator.system.nest import Memory, end_of_transfer
from simulator.system.programme import STREAMS, Stream, Transfer
from simulator.system.run_network import LayerRun


def transfer_accesses(run: LayerRun, addresses: Addresses) -> Iterator[tuple[Kind, Iterator[Accesses]]]:
    """Both ends of every transfer of a layer, each kind in order of time."""
    for stream in STREAMS:
        operand = STREAM_OPERAND[stream]
        in_buffer, in_dram = _in_buffer(run, addresses, stream), _in_dram(run, addresses, stream)
        if stream == "ofmap_store":
            yield Kind("sram", operand, "read", "transfer"), in_buffer
            yield Kind("dram", operand, "write", "transfer"), in_dram
        elif stream == "ifmap" and run.played.work.ifmap_on_chip:
            yield Kind("sram", "ofmap", "read", "transfer"), _from_other_half(run, addresses)
            yield Kind("sram", operand, "write", "transfer"), in_buffer
        else:
            yield Kind("dram", operand, "read", "transfer"), in_dram
            yield Kind("sram", operand, "write", "transfer"), in_buffer


def _transfers(run: LayerRun, stream: Stream) -> Iterator[tuple[Transfer, TransferTimes]]:
    pairs = zip(run.played.lowered.programme.transfers, run.played.times.transfers, strict=True)
    return ((transfer, when) for transfer, when in pairs if transfer.stream == stream)


def _begins(length: int, unit: int) -> Iterator[Integers]:
    """Where the units of a length begin, in portions worth an array operation."""
    for begin in range(0, length, unit * ACCESSES_AT_ONCE):
        yield np.arange(begin, min(length, begin + unit * ACCESSES_AT_ONCE), unit, dtype=np.int64)


def _in_dram(run: LayerRun, addresses: Addresses, stream: Stream) -> Iterator[Accesses]:
    memory, base = run.played.work.memory, addresses.dram[STREAM_OPERAND[stream]]
    for transfer, when in _transfers(run, stream):
        for offsets in _begins(transfer.bytes, memory.burst_bytes):
            yield Accesses(
                cycles=run.start_cycle + _cycles_in_dram(memory, when.start, offsets),
                addresses=base[transfer.index] + offsets,
                bytes=np.minimum(memory.burst_bytes, transfer.bytes - offsets),
                moved=np.full(len(offsets), memory.burst_bytes, np.int64),
            )


def _cycles_in_dram(memory: Memory, start: int, offsets: Integers) -> Integers:
    cycles = np.empty_like(offsets)
    _write_cycles(memory, start, offsets, cycles)
    return cycles


@kernel
def _write_cycles(memory: Memory, start: int, offsets: Integers, cycles: Integers) -> None:
    """When the byte at each offset of a transfer moves: in the last of the cycles that it takes so far."""
    for i in range(len(offsets)):
        before = offsets[i] * memory.rate_cycles // memory.rate_bytes
        cycles[i] = end_of_transfer(memory, start, before + 1) - 1


def _in_buffer(run: LayerRun, addresses: Addresses, stream: Stream) -> Iterator[Accesses]:
    """The buffer's end: what comes from DRAM is there the latency later."""
    work, operand = run.played.work, STREAM_OPERAND[stream]
    port, useful, moved = buffer_port(work.array.edges, operand), WholeBytes(), WholeBytes()
    for transfer, when in _transfers(run, stream):
        base = _place(addresses, operand, transfer)
        for begins in _begins(transfer.bytes * 8, port.macro_bits):
            if transfer.channel == "chip":
                cycles = when.start + begins // work.chip_rate
            else:
                later = when.arrived - when.end
                cycles = later + _cycles_in_dram(work.memory, when.start, begins // 8)
            yield Accesses(
                cycles=run.start_cycle + cycles,
                addresses=base + begins // 8,
                bytes=useful.next(np.minimum(port.macro_bits, transfer.bytes * 8 - begins)),
                moved=port.moved(len(begins), moved),
            )


def _place(addresses: Addresses, operand: Operand, transfer: Transfer) -> int:
    if operand != "ofmap":
        return addresses.in_buffer(operand, transfer.index)
    place = addresses.ofmap[transfer.index]
    return place.incoming if transfer.stream == "ofmap_load" else place.outgoing


def _from_other_half(run: LayerRun, addresses: Addresses) -> Iterator[Accesses]:
    """Copies on chip: words of the ofmap buffer, where the layer before left its result."""
    work = run.played.work
    port, useful, moved = buffer_port(work.array.edges, "ofmap"), WholeBytes(), WholeBytes()
    for transfer, when in _transfers(run, "ifmap"):
        for begins in _begins(transfer.bytes * 8, port.macro_bits):
            places = addresses.dram["ifmap"][transfer.index] + begins // 8
            yield Accesses(
                cycles=run.start_cycle + when.start + begins // work.chip_rate,
                addresses=addresses.in_other_half(places),
                bytes=useful.next(np.minimum(port.macro_bits, transfer.bytes * 8 - begins)),
                moved=port.moved(len(begins), moved),
            )
