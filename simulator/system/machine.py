"""The machine around the array as simpy processes: it plays a layer's programme and notes when things happen.

docs/machine.md describes it. All times are whole cycles from the beginning of the layer.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import simpy

from simulator.system.nest import end_of_transfer
from simulator.system.programme import CHANNELS, STREAMS, Programme, Stream, Transfer

Processes = Generator[simpy.Event, object, None]


class StepTimes(NamedTuple):
    """When the array was free for a step, when the step began, and when the next one could."""

    free: int
    start: int
    end: int


class TransferTimes(NamedTuple):
    """When a transfer got its channel, left it, and its data (or the space it made) were usable."""

    start: int
    end: int
    arrived: int


@dataclass(frozen=True, slots=True)
class Times:
    """When everything of a programme happened; transfers in the programme's order."""

    steps: tuple[StepTimes, ...]
    transfers: tuple[TransferTimes, ...]
    end: int


class _Count:
    """A number that only grows by one at a time, and that processes can wait for."""

    __slots__ = ("_environment", "_waiting", "value")

    def __init__(self, environment: simpy.Environment, value: int = 0) -> None:
        self._environment = environment
        self._waiting: dict[int, simpy.Event] = {}
        self.value = value

    def reach(self, target: int) -> simpy.Event | None:
        """An event that happens when `target` is reached; None when it is already."""
        if self.value >= target:
            return None
        if target not in self._waiting:
            self._waiting[target] = self._environment.event()
        return self._waiting[target]

    def advance(self, _: object = None) -> None:
        """Count one more and wake whoever waited for it."""
        self.value += 1
        waiting = self._waiting.pop(self.value, None)
        if waiting is not None:
            waiting.succeed()

    def advance_in(self, cycles: int) -> None:
        """Count one more after some cycles."""
        if cycles:
            self._environment.timeout(cycles).callbacks.append(self.advance)
        else:
            self.advance()


def _happen(event: simpy.Event) -> None:
    event.succeed()


class _Machine:
    """Array, output path, and one process per memory channel, tied together by counts of what is done."""

    def __init__(self, programme: Programme) -> None:
        self.programme = programme
        self.environment = environment = simpy.Environment()
        self.steps_ended = _Count(environment)
        self.results_out: dict[int, simpy.Event] = {}
        self.arrived: dict[Stream, _Count] = {stream: _Count(environment) for stream in STREAMS}
        visits = programme.steps[-1].ofmap + 1
        self.loads_until = _count_until(programme, "ofmap_load", visits)
        self.stores_until = _count_until(programme, "ofmap_store", visits)
        self.step_times: list[StepTimes] = []
        self.transfer_times: dict[int, TransferTimes] = {}

    @property
    def now(self) -> int:
        """The cycle; simpy also has clocks with fractions."""
        return int(self.environment.now)

    def run(self) -> Times:
        self.environment.process(self.array())
        for channel in CHANNELS:
            served = [(i, t) for i, t in enumerate(self.programme.transfers) if t.channel == channel]
            if served:
                self.environment.process(self.channel(served))
        self.environment.run()
        transfers = tuple(self.transfer_times[number] for number in range(len(self.programme.transfers)))
        return Times(tuple(self.step_times), transfers, end=self.now)

    def array(self) -> Processes:
        environment, steps = self.environment, self.programme.steps
        for number, step in enumerate(steps):
            free = self.now
            for needed in (
                self.arrived["ifmap"].reach(step.ifmap + 1),
                self.arrived["filter"].reach(step.filter + 1),
                self.arrived["ofmap_store"].reach(self.stores_for_space(step.ofmap)),
                self.arrived["ofmap_load"].reach(self.loads_until[step.ofmap]),
            ):
                if needed is not None:
                    yield needed
            start = self.now
            yield environment.timeout(step.duration)
            self.step_times.append(StepTimes(free, start, self.now))
            if number + 1 == len(steps) or steps[number + 1].ofmap != step.ofmap:
                self.leave(step.ofmap, step.tail_cycles + self.programme.output_latency)
            self.steps_ended.advance()

    def leave(self, visit: int, cycles: int) -> None:
        """The results of a visit are in the buffer after some cycles."""
        out = self.out(visit)
        if cycles:
            self.environment.timeout(cycles).callbacks.append(lambda _: _happen(out))
        else:
            out.succeed()

    def out(self, visit: int) -> simpy.Event:
        """Happens when the results of a visit are in the buffer."""
        if visit not in self.results_out:
            self.results_out[visit] = self.environment.event()
        return self.results_out[visit]

    def channel(self, served: list[tuple[int, Transfer]]) -> Processes:
        environment, memory = self.environment, self.programme.memory
        for number, transfer in served:
            for enabled in self.enabling(transfer):
                if enabled is not None:
                    yield enabled
            start = self.now
            on_dram = transfer.channel == "dram"
            end = int(end_of_transfer(memory, start, transfer.cycles)) if on_dram else start + transfer.cycles
            yield environment.timeout(end - start)
            latency = memory.latency if on_dram and transfer.stream != "ofmap_store" else 0
            self.transfer_times[number] = TransferTimes(start, end, end + latency)
            self.arrived[transfer.stream].advance_in(latency)

    def enabling(self, transfer: Transfer) -> Iterator[simpy.Event | None]:
        """What a transfer waits for before it may ask for its channel."""
        if transfer.stream == "ofmap_store":
            yield self.out(transfer.index)
            return
        yield self.steps_ended.reach(transfer.enabled_by + 1)
        if transfer.stream == "ofmap_load":
            yield self.arrived["ofmap_store"].reach(self.stores_for_space(transfer.index))

    def stores_for_space(self, visit: int) -> int:
        """Stores that must be done before a visit has a place in the ofmap buffer."""
        leaving = visit - self.programme.ofmap_slots
        return self.stores_until[leaving] if leaving >= 0 else 0


def _count_until(programme: Programme, stream: Stream, visits: int) -> list[int]:
    """For every visit, how many transfers of an ofmap stream belong to it or to a visit before it."""
    own = [0] * visits
    for transfer in programme.transfers:
        if transfer.stream == stream:
            own[transfer.index] += 1
    return list(accumulate(own))


def play(programme: Programme) -> Times:
    """When every step and transfer of a programme happens."""
    return _Machine(programme).run()
