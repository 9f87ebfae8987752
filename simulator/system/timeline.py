"""What happened when, tile by tile: DRAM transfers, array steps, results passing the output path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from simulator.foundation import UserError
from simulator.system.layer_steps import LARGEST_PROGRAMME
from simulator.system.programme import Stream
from simulator.system.run_network import LayerRun

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
        UserError: see `require_steps`.
    """
    require_steps([run])
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


def require_steps(layers: Sequence[LayerRun]) -> None:
    """Refuse layers whose steps cannot be shown together in one file.

    Raises:
        UserError: a layer ran under `timing: scalesim`, which has no machine to show, or there are more steps
            than are written out; names the longest layer and gives its steps.
    """
    if any(layer.played.timing.timing == "scalesim" for layer in layers):
        raise UserError(
            "has no timeline: SCALE-Sim's compute cycles know no machine around the array",
            location="array.timing",
            value="scalesim",
            allowed="reference",
        )
    steps = {layer.layer.name: layer.tiling.steps for layer in layers}
    if sum(steps.values()) > LARGEST_PROGRAMME:
        raise too_long("steps", steps, LARGEST_PROGRAMME)


def too_long(what: str, counts: Mapping[str, int], limit: int) -> UserError:
    """The error for layers that are too long together: how long they are, and which is the longest."""
    longest = max(counts, key=lambda name: counts[name])
    return UserError(
        f"a trace of {sum(counts.values()):,} {what} is too long to be written; layer {longest!r} has "
        f"{counts[longest]:,} of them",
        allowed=f"at most {limit:,} {what}",
    )
