"""The programme of one layer: array steps and the transfers that serve them, in cycles, before any timing.

The machine (`machine.py`) plays a programme and says when everything happens. A programme is plain data, so
that an independent model can play the same one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from simulator.system.nest import Memory

Stream = Literal["ifmap", "filter", "ofmap_load", "ofmap_store"]
STREAMS: tuple[Stream, ...] = ("ifmap", "filter", "ofmap_load", "ofmap_store")

Channel = Literal["dram", "chip"]
CHANNELS: tuple[Channel, ...] = ("dram", "chip")

NEVER = 1 << 62
"""Instead of a step: no step waits for it."""

IDEAL_MEMORY = Memory(1, 1, 1, 0, 0, 0)
"""One byte a cycle, no latency, no refresh."""


@dataclass(frozen=True, slots=True)
class Step:
    """One tile on the array.

    cycles: array cycles until the next step may begin.
    port_cycles, output_cycles: what narrow SRAM ports and a slow output path add to them.
    tail_cycles: how long after that the step's last results leave, beside whatever the array does then.
    ifmap, filter: which tile of each operand's load sequence it reads.
    ofmap: which visit of an ofmap tile it belongs to.
    """

    cycles: int
    port_cycles: int
    output_cycles: int
    tail_cycles: int
    ifmap: int
    filter: int
    ofmap: int

    @property
    def duration(self) -> int:
        """Cycles from its beginning until the next step may begin."""
        return self.cycles + self.port_cycles + self.output_cycles


@dataclass(frozen=True, slots=True)
class Transfer:
    """One tile moved over a channel.

    index: its place in the stream's sequence (for the ofmap streams, the visit).
    cycles: how long it occupies the channel; loads arrive the channel's latency later.
    enabled_by: step after whose end its buffer space is free (its results exist); -1 from the beginning.
    needed_by: first step that waits for it; for a store the first step that needs its place (`NEVER`: none).
    """

    stream: Stream
    index: int
    bytes: int
    cycles: int
    enabled_by: int
    needed_by: int
    channel: Channel = "dram"


@dataclass(frozen=True, slots=True)
class Programme:
    """Steps in order, and per channel the transfers in the order in which it works them off.

    ofmap_slots: ofmap tiles that the buffer holds at once.
    output_latency: cycles from the array's edge to the buffer.
    """

    steps: tuple[Step, ...]
    transfers: tuple[Transfer, ...]
    ofmap_slots: int
    output_latency: int
    memory: Memory = IDEAL_MEMORY


def in_service_order(transfers: list[Transfer]) -> tuple[Transfer, ...]:
    """Transfers in the order in which a channel works them off.

    By the step that enables them, then by the step that needs them, ifmap before filter before stores. A load
    of an ofmap tile follows the store that makes room for it.
    """
    return tuple(sorted(transfers, key=_service_key))


def _service_key(transfer: Transfer) -> tuple[int, int, int]:
    order = {"ifmap": 0, "filter": 1, "ofmap_store": 2, "ofmap_load": 3}
    return transfer.enabled_by, transfer.needed_by, order[transfer.stream]
