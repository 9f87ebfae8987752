"""The accesses of DMA transfers: bursts of the DRAM, words of the buffers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from simulator.system.accesses import Accesses, Kind
from simulator.system.addresses import STREAM_OPERAND, Addresses
from simulator.system.counts import Operand
from simulator.system.footprint import Integers
from simulator.system.lowering import Lowering
from simulator.system.machine import TransferTimes
from simulator.system.plan import STREAMS, Stream, Transfer
from simulator.system.run import LayerRun


def transfer_accesses(run: LayerRun, addresses: Addresses) -> Iterator[tuple[Kind, Iterator[Accesses]]]:
    """Both ends of every transfer of a layer, each kind in order of time."""
    on_chip = run.played.lowering.problem.ifmap_on_chip
    for stream in STREAMS:
        operand = STREAM_OPERAND[stream]
        if stream == "ofmap_store":
            outside, inside = (
                Kind("dram", operand, "write", "transfer"),
                Kind("sram", operand, "read", "transfer"),
            )
        else:
            outside, inside = (
                Kind("dram", operand, "read", "transfer"),
                Kind("sram", operand, "write", "transfer"),
            )
        if stream == "ifmap" and on_chip:
            outside = Kind("sram", "ofmap", "read", "transfer")
        yield outside, _at_one_end(run, addresses, stream, at_buffer=False)
        yield inside, _at_one_end(run, addresses, stream, at_buffer=True)


def _at_one_end(
    run: LayerRun, addresses: Addresses, stream: Stream, *, at_buffer: bool
) -> Iterator[Accesses]:
    times, programme, lowering = run.played.times, run.played.lowered.programme, run.played.lowering
    assert times is not None, "layers without times have no trace"
    operand = STREAM_OPERAND[stream]
    for transfer, when in zip(programme.transfers, times.transfers, strict=True):
        if transfer.stream != stream or not transfer.bytes:
            continue
        on_chip = transfer.channel == "chip"
        if at_buffer:
            unit, base = _word_bytes(lowering, operand), addresses.in_buffer(operand, transfer.index)
        elif on_chip:
            unit, base = _word_bytes(lowering, "ofmap"), 0
        else:
            unit, base = lowering.dram.burst_bytes, addresses.dram[operand][transfer.index]
        offsets = np.arange(0, transfer.bytes, unit, dtype=np.int64)
        places = base + offsets
        if on_chip and not at_buffer:
            half = lowering.problem.tile_bytes["ofmap"]
            places = half + (addresses.dram[operand][transfer.index] + offsets) % half
        yield Accesses(
            cycles=run.start_cycle + _cycles(lowering, transfer, when, offsets, at_buffer=at_buffer),
            addresses=places,
            bytes=np.minimum(unit, transfer.bytes - offsets),
        )


def _word_bytes(lowering: Lowering, operand: Operand) -> int:
    return lowering.work.edges.word_bits[operand] // 8


def _cycles(
    lowering: Lowering, transfer: Transfer, when: TransferTimes, offsets: Integers, *, at_buffer: bool
) -> Integers:
    """When bytes move: those that come from DRAM reach the buffer the latency later."""
    if transfer.channel == "chip":
        return when.start + offsets * 8 // lowering.on_chip_bits_per_cycle
    rate, memory = lowering.dram.bytes_per_cycle, lowering.dram.memory
    moved = offsets * rate.denominator // rate.numerator
    if memory.refresh_interval:
        moved = np.array([memory.end_of_transfer(when.start, n + 1) - 1 for n in moved.tolist()], np.int64)
    else:
        moved = when.start + moved
    return moved + (when.arrived - when.end if at_buffer else 0)
