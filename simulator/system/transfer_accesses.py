"""The accesses of DMA transfers: bursts of the DRAM, macro words of the buffers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from simulator.numerics.engines.compiled import kernel
from simulator.system.accesses import Accesses, Kind, WholeBytes
from simulator.system.addresses import STREAM_OPERAND, Addresses
from simulator.system.array_accesses import BufferPort, buffer_port
from simulator.system.counts import Operand
from simulator.system.footprint import Integers
from simulator.system.machine import TransferTimes
from simulator.system.nest import Memory, end_of_transfer
from simulator.system.plan import STREAMS, Stream, Transfer
from simulator.system.run import LayerRun


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
    return ((transfer, when) for transfer, when in pairs if transfer.stream == stream and transfer.bytes)


def _in_dram(run: LayerRun, addresses: Addresses, stream: Stream) -> Iterator[Accesses]:
    memory, base = run.played.work.memory, addresses.dram[STREAM_OPERAND[stream]]
    for transfer, when in _transfers(run, stream):
        offsets = np.arange(0, transfer.bytes, memory.burst_bytes, dtype=np.int64)
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
        begins = _words(transfer, port)
        if transfer.channel == "chip":
            cycles = when.start + begins // work.chip_rate
        else:
            later = when.arrived - when.end
            cycles = later + _cycles_in_dram(work.memory, when.start, begins // 8)
        yield _accesses(
            transfer,
            port,
            cycles=run.start_cycle + cycles,
            addresses=_place(addresses, operand, transfer) + begins // 8,
            useful=useful,
            moved=moved,
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
        begins = _words(transfer, port)
        yield _accesses(
            transfer,
            port,
            cycles=run.start_cycle + when.start + begins // work.chip_rate,
            addresses=addresses.in_other_half(addresses.dram["ifmap"][transfer.index] + begins // 8),
            useful=useful,
            moved=moved,
        )


def _words(transfer: Transfer, port: BufferPort) -> Integers:
    """First bits of the macro words that hold a transfer."""
    return np.arange(0, transfer.bytes * 8, port.macro_bits, dtype=np.int64)


def _accesses(
    transfer: Transfer,
    port: BufferPort,
    *,
    cycles: Integers,
    addresses: Integers,
    useful: WholeBytes,
    moved: WholeBytes,
) -> Accesses:
    begins = _words(transfer, port)
    sizes = np.minimum(port.macro_bits, transfer.bytes * 8 - begins)
    return Accesses(cycles, addresses, useful.next(sizes), port.moved(len(begins), moved))
