"""A second model of the machine around the array: it looks at every clock cycle and asks what may begin.

Shares no code with `simulator.system`. It reads the same programme (plain data) and the rules of
docs/machine.md: nothing is planned ahead and there are no events; each cycle is visited in turn. Slow, and
easy to believe.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Stepped:
    """Everything that the cycle-by-cycle model remembers.

    steps: (begin, end) of finished steps.
    transfers: (begin, end, usable from) by number.
    results_out: when the last result of an ofmap visit has passed the output path.
    working: begin of the step under way.
    moving: per channel the transfer under way as [number, begin, cycles left].
    """

    programme: Any
    steps: list[tuple[int, int]] = field(default_factory=list)
    transfers: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    results_out: dict[int, int] = field(default_factory=dict)
    working: int | None = None
    moving: dict[str, list[int]] = field(default_factory=dict)
    waiting: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, transfer in enumerate(self.programme.transfers):
            self.waiting.setdefault(transfer.channel, []).append(number)

    def usable(self, stream: str, index: int, cycle: int) -> bool:
        """Whether a transfer, if the programme has it, has arrived."""
        for number, transfer in enumerate(self.programme.transfers):
            if transfer.stream == stream and transfer.index == index:
                return number in self.transfers and self.transfers[number][2] <= cycle
        return True

    def space(self, visit: int, cycle: int) -> bool:
        """Whether the ofmap buffer has a place for a visit: all but the last few before it are stored."""
        leaving = range(visit - self.programme.ofmap_slots + 1)
        return all(self.usable("ofmap_store", earlier, cycle) for earlier in leaving)

    def enabled(self, transfer: Any, cycle: int) -> bool:
        """Whether a transfer may ask for its channel."""
        if transfer.stream == "ofmap_store":
            return transfer.index in self.results_out and self.results_out[transfer.index] <= cycle
        if transfer.stream == "ofmap_load":
            return self.space(transfer.index, cycle)
        if transfer.enabled_by < 0:
            return True
        ended = [end for _, end in self.steps]
        return bool(transfer.enabled_by < len(ended) and ended[transfer.enabled_by] <= cycle)

    def array_changes(self, cycle: int) -> bool:
        """End or begin a step in this cycle; whether anything happened."""
        steps = self.programme.steps
        number = len(self.steps)
        if number == len(steps):
            return False
        step = steps[number]
        if self.working is not None:
            if cycle - self.working < step.cycles + step.port_cycles + step.output_cycles:
                return False
            self.steps.append((self.working, cycle))
            self.working = None
            if number + 1 == len(steps) or steps[number + 1].ofmap != step.ofmap:
                self.results_out[step.ofmap] = cycle + step.tail_cycles + self.programme.output_latency
            return True
        if (
            self.usable("ifmap", step.ifmap, cycle)
            and self.usable("filter", step.filter, cycle)
            and self.usable("ofmap_load", step.ofmap, cycle)
            and self.space(step.ofmap, cycle)
        ):
            self.working = cycle
            return True
        return False

    def channel_changes(self, channel: str, cycle: int) -> bool:
        """End or begin a transfer in this cycle; whether anything happened."""
        transfers, queue = self.programme.transfers, self.waiting[channel]
        if channel in self.moving:
            number, begun, left = self.moving[channel]
            if left:
                return False
            del self.moving[channel]
            late = channel == "dram" and transfers[number].stream != "ofmap_store"
            usable_from = cycle + (self.programme.memory.latency if late else 0)
            self.transfers[number] = (begun, cycle, usable_from)
            return True
        if queue and self.enabled(transfers[queue[0]], cycle):
            number = queue.pop(0)
            self.moving[channel] = [number, cycle, transfers[number].cycles]
            return True
        return False

    def pass_cycle(self, cycle: int) -> None:
        """Move data for one cycle."""
        memory = self.programme.memory
        for channel, now in self.moving.items():
            if channel == "chip" or not refreshing(cycle, memory.refresh_interval, memory.refresh_duration):
                now[2] -= 1

    @property
    def done(self) -> bool:
        """Whether every step and transfer has ended."""
        programme = self.programme
        return len(self.steps) == len(programme.steps) and len(self.transfers) == len(programme.transfers)


def refreshing(cycle: int, interval: int, duration: int) -> bool:
    """Whether the DRAM refreshes in this cycle."""
    return interval > 0 and cycle >= interval and cycle % interval < duration


def step_through(programme: Any, limit: int = 100_000) -> Stepped:
    """Begin and end of every step and transfer, by looking at one cycle after another."""
    model = Stepped(programme)
    for cycle in range(limit):
        changed = True
        while changed:  # what takes no time may enable something else within the cycle
            changed = model.array_changes(cycle)
            for channel in model.waiting:
                changed |= model.channel_changes(channel, cycle)
        if model.done:
            return model
        model.pass_cycle(cycle)
    message = f"standstill after {limit} cycles"
    raise AssertionError(message)
