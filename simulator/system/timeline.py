"""What happened when, tile by tile: DRAM transfers, array steps, results passing the output path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from simulator.foundation import UserError
from simulator.system.lowering import require_listable
from simulator.system.plan import Stream
from simulator.system.run import LayerRun

Track = Literal["DMA ifmap", "DMA filter", "DMA ofmap", "array", "output path"]
TRACKS: tuple[Track, ...] = ("DMA ifmap", "DMA filter", "DMA ofmap", "array", "output path")

_TRACK_OF: Mapping[Stream, Track] = {
    "ifmap": "DMA ifmap",
    "filter": "DMA filter",
    "ofmap_load": "DMA ofmap",
    "ofmap_store": "DMA ofmap",
}


class TileEvent(NamedTuple):
    """One thing that a part of the machine did, from its first cycle to the cycle after its last one."""

    track: Track
    name: str
    start_cycle: int
    end_cycle: int
    tile: int
    bytes: int


def layer_events(run: LayerRun) -> Iterator[TileEvent]:
    """Events of one layer: steps of the array, passages through the output path, then transfers.

    Cycles are counted from the beginning of the network.

    Raises:
        UserError: see `require_machine`.
    """
    require_machine(run)
    times, programme, origin = run.played.times, run.played.lowered.programme, run.start_cycle
    last = len(programme.steps) - 1
    for number, (step, when) in enumerate(zip(programme.steps, times.steps, strict=True)):
        yield TileEvent("array", "tile", origin + when.start, origin + when.end, number, 0)
        if number == last or programme.steps[number + 1].ofmap != step.ofmap:
            leaving = when.end + step.tail_cycles + programme.output_latency
            yield TileEvent("output path", "results", origin + when.end, origin + leaving, step.ofmap, 0)
    for transfer, moved in zip(programme.transfers, times.transfers, strict=True):
        name = transfer.stream.replace("_", " ") + (" (on chip)" if transfer.channel == "chip" else "")
        track = _TRACK_OF[transfer.stream]
        start, end = origin + moved.start, origin + moved.end
        yield TileEvent(track, name, start, end, transfer.index, transfer.bytes)


def require_machine(run: LayerRun) -> None:
    """Refuse a layer whose steps cannot be shown.

    Raises:
        UserError: the layer ran under `timing: scalesim`, which has no machine to show, or has more steps
            than are written out.
    """
    if run.played.timing.timing == "scalesim":
        raise UserError(
            "has no timeline: SCALE-Sim's compute cycles know no machine around the array",
            location="array.timing",
            value="scalesim",
            allowed="reference",
        )
    require_listable(run.tiling, f"layer {run.layer.name!r}")
