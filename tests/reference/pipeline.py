"""A second model of the machine around the array: it looks at every clock cycle and asks what may begin.

Shares no code with `simulator.system`. It takes a layer's tiles in order (`tests.reference.tiling.walk`), how
long the array works on each, the places of every buffer and the rates of the channels, and keeps to the
rules of docs/machine.md: nothing is planned ahead and there are no events. Which transfer a step makes
possible, and in which order the channel serves them, follows from what stands in the buffers when it ends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, inf
from typing import NamedTuple

from tests.reference.tiling import Walk

IFMAP, FILTER, LOAD, STORE = "ifmap", "filter", "ofmap_load", "ofmap_store"


@dataclass(frozen=True)
class Around:
    """What surrounds the array.

    ifmap_on_chip: the input is copied from the ofmap buffer at `chip_bits` bits a cycle; ofmap_stays: results
    are left in the ofmap buffer. slots: tiles of ifmap, filter and ofmap that their buffers hold.
    """

    bytes_per_cycle: Fraction
    burst_bytes: int
    latency: int
    refresh_interval: int
    refresh_duration: int
    output_latency: int
    chip_bits: int
    ifmap_on_chip: bool
    ofmap_stays: bool
    slots: tuple[int, int, int]

    def channel_cycles(self, size: int) -> int:
        """Cycles for which a transfer has the DRAM."""
        bursts = ceil(Fraction(size, self.burst_bytes))
        return ceil(bursts * self.burst_bytes / self.bytes_per_cycle)

    def refreshing(self, cycle: int) -> bool:
        """Whether the DRAM refreshes in this cycle."""
        interval = self.refresh_interval
        return interval > 0 and cycle >= interval and cycle % interval < self.refresh_duration


class Transfer(NamedTuple):
    """One tile on its way; place: in the sequence of its stream, for the ofmap its visit."""

    stream: str
    place: int
    bytes: int
    channel: str
    cycles: int


class Moved(NamedTuple):
    """A transfer, the cycles in which it got the channel and left it, and from when its data are usable."""

    transfer: Transfer
    begin: int
    end: int
    usable: int


@dataclass
class Stepped:
    """Everything that the cycle-by-cycle model remembers.

    durations: of each step, cycles until the next one may begin, and how much later its last results are out.
    steps: (begin, end) of finished steps; working: begin of the step under way.
    held: by operand the tiles that have a place in its buffer, those on their way to it included.
    asked: by operand how many tiles have been asked for. queues: by channel, in order of service.
    """

    walk: Walk
    around: Around
    durations: list[tuple[int, int]]
    steps: list[tuple[int, int]] = field(default_factory=list)
    working: int | None = None
    moved: list[Moved] = field(default_factory=list)
    moving: dict[str, tuple[Transfer, int, int]] = field(default_factory=dict)
    queues: dict[str, list[Transfer]] = field(default_factory=lambda: {"dram": [], "chip": []})
    usable: dict[tuple[str, int], int] = field(default_factory=dict)
    results_out: dict[int, int] = field(default_factory=dict)
    held: dict[str, set[int]] = field(default_factory=lambda: {IFMAP: set(), FILTER: set(), "ofmap": set()})
    asked: dict[str, int] = field(default_factory=lambda: {IFMAP: 0, FILTER: 0, LOAD: 0})
    most_held: dict[str, int] = field(default_factory=lambda: {IFMAP: 0, FILTER: 0})

    def __post_init__(self) -> None:
        wanted = [
            (self.first_step_of(stream, index), rank, stream)
            for rank, stream in enumerate((IFMAP, FILTER, LOAD))
            for index in range(min(self.around.slots[rank], len(self.sizes(stream))))
        ]
        for _, _, stream in sorted(wanted):
            self.ask(stream)

    def sizes(self, stream: str) -> list[int]:
        """Bytes of every tile of a stream."""
        w = self.walk
        return {IFMAP: w.ifmap, FILTER: w.filter, LOAD: w.incoming, STORE: w.outgoing}[stream]

    def first_step_of(self, stream: str, index: int) -> int:
        """The first step that works on a tile, or on a visit."""
        steps = self.walk.steps
        numbers = {IFMAP: [s.ifmap for s in steps], FILTER: [s.filter for s in steps]}
        return numbers.get(stream, [s.ofmap for s in steps]).index(index)

    # --- what is put into the queues

    def put(self, stream: str, index: int) -> None:
        """Queue the transfer of one tile."""
        size = self.sizes(stream)[index]
        if stream == IFMAP and self.around.ifmap_on_chip:
            cycles = ceil(Fraction(size * 8, self.around.chip_bits))
            self.queues["chip"].append(Transfer(stream, index, size, "chip", cycles))
        else:
            cycles = self.around.channel_cycles(size)
            self.queues["dram"].append(Transfer(stream, index, size, "dram", cycles))

    def ask(self, stream: str) -> None:
        """Ask for the next tile of a stream, if there is one; a visit that brings nothing in is passed over.

        A tile of padding alone is asked for like any other.
        """
        index = self.asked[stream]
        if index == len(self.sizes(stream)):
            return
        self.asked[stream] += 1
        if stream != LOAD:
            self.held[stream].add(index)
            held = sum(self.sizes(stream)[tile] for tile in self.held[stream])
            self.most_held[stream] = max(self.most_held[stream], held)
        if stream != LOAD or self.sizes(stream)[index]:
            self.put(stream, index)

    def step_ends(self, number: int, cycle: int) -> None:
        """Ask for what the end of a step makes possible."""
        steps = self.walk.steps
        step, following = steps[number], steps[number + 1] if number + 1 < len(steps) else None
        free: list[tuple[float, int, str]] = []
        if following is not None:
            for rank, (stream, now, then) in enumerate(
                ((IFMAP, step.ifmap, following.ifmap), (FILTER, step.filter, following.filter))
            ):
                if now != then:
                    self.held[stream].remove(now)
                    if self.asked[stream] < len(self.sizes(stream)):
                        free.append((self.first_step_of(stream, self.asked[stream]), rank, stream))
        if following is None or following.ofmap != step.ofmap:
            self.results_out[step.ofmap] = cycle + self.durations[number][1] + self.around.output_latency
            heir = step.ofmap + self.around.slots[2]
            exists = heir <= steps[-1].ofmap
            wanted = self.first_step_of("ofmap", heir) if exists else inf
            if not self.around.ofmap_stays:
                free.append((wanted, 2, STORE))
            if exists:
                free.append((wanted, 3, LOAD))
        for _, _, stream in sorted(free):
            if stream == STORE:
                self.put(STORE, step.ofmap)
            else:
                self.ask(stream)

    # --- what may happen

    def place_for(self, visit: int) -> bool:
        """Whether an output tile has, or now takes, a place; results that stay leave room for all others."""
        held = self.held["ofmap"]
        if visit not in held and not self.around.ofmap_stays and len(held) >= self.around.slots[2]:
            return False
        held.add(visit)
        return True

    def there(self, stream: str, index: int, cycle: int) -> bool:
        """Whether a tile has arrived; a visit that brings nothing in waits for nothing."""
        if stream == LOAD and not self.sizes(stream)[index]:
            return True
        return self.usable.get((stream, index), cycle + 1) <= cycle

    def array_changes(self, cycle: int) -> bool:
        """End or begin a step in this cycle; whether anything happened."""
        number = len(self.steps)
        if number == len(self.walk.steps):
            return False
        step = self.walk.steps[number]
        if self.working is not None:
            if cycle - self.working < self.durations[number][0]:
                return False
            self.steps.append((self.working, cycle))
            self.working = None
            self.step_ends(number, cycle)
            return True
        if (
            self.there(IFMAP, step.ifmap, cycle)
            and self.there(FILTER, step.filter, cycle)
            and self.there(LOAD, step.ofmap, cycle)
            and self.place_for(step.ofmap)
        ):
            self.working = cycle
            return True
        return False

    def possible(self, transfer: Transfer, cycle: int) -> bool:
        """Whether the first transfer of a queue may begin."""
        if transfer.stream == STORE:
            return self.results_out[transfer.place] <= cycle
        return transfer.stream != LOAD or self.place_for(transfer.place)

    def channel_changes(self, channel: str, cycle: int) -> bool:
        """End or begin a transfer in this cycle; whether anything happened."""
        if channel in self.moving:
            transfer, begin, left = self.moving[channel]
            if left:
                return False
            del self.moving[channel]
            late = channel == "dram" and transfer.stream != STORE
            usable = cycle + (self.around.latency if late else 0)
            self.moved.append(Moved(transfer, begin, cycle, usable))
            self.usable[transfer.stream, transfer.place] = usable
            if transfer.stream == STORE:
                self.held["ofmap"].remove(transfer.place)
            return True
        queue = self.queues[channel]
        if queue and self.possible(queue[0], cycle):
            transfer = queue.pop(0)
            self.moving[channel] = (transfer, cycle, transfer.cycles)
            return True
        return False

    def pass_cycle(self, cycle: int) -> None:
        """Move data for one cycle."""
        for channel, (transfer, begin, left) in self.moving.items():
            if channel == "chip" or not self.around.refreshing(cycle):
                self.moving[channel] = (transfer, begin, left - 1)

    @property
    def done(self) -> bool:
        """Whether every step and transfer has ended."""
        idle = not self.moving and not any(self.queues.values())
        return len(self.steps) == len(self.walk.steps) and idle


def step_through(
    walk: Walk, around: Around, durations: list[tuple[int, int]], limit: int = 50_000
) -> Stepped:
    """Begin and end of every step and transfer, by looking at one cycle after another."""
    model = Stepped(walk, around, durations)
    for cycle in range(limit):
        changed = True
        while changed:  # what takes no time may enable something else within the cycle
            changed = model.array_changes(cycle)
            for channel in ("dram", "chip"):
                changed |= model.channel_changes(channel, cycle)
        if model.done:
            return model
        model.pass_cycle(cycle)
    message = f"standstill after {limit} cycles"
    raise AssertionError(message)
