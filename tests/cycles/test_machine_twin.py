"""Does everything in the machine happen when a second, cycle-by-cycle model says it does?"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.system.machine import play
from simulator.system.plan import Memory, Programme, Step, Transfer, in_service_order
from simulator.system.stalls import stalls_by_cause
from tests.reference.pipeline import step_through


@st.composite
def programmes(draw: st.DrawFn) -> Programme:
    """Programmes as a lowering could make them: any reuse of tiles and any durations."""
    count = draw(st.integers(1, 8))
    durations = st.integers(0, 12)
    delays = st.integers(0, 3)
    numbers: dict[str, list[int]] = {}
    for stream in ("ifmap", "filter", "ofmap"):
        news = [0] + [draw(st.integers(0, 1)) for _ in range(count - 1)]
        numbers[stream] = [sum(news[: i + 1]) for i in range(count)]
    steps = tuple(
        Step(
            cycles=draw(st.integers(1, 12)),
            port_cycles=draw(delays),
            output_cycles=draw(delays),
            tail_cycles=draw(delays),
            ifmap=numbers["ifmap"][i],
            filter=numbers["filter"][i],
            ofmap=numbers["ofmap"][i],
        )
        for i in range(count)
    )
    transfers: list[Transfer] = []
    for stream in ("ifmap", "filter"):
        slots = draw(st.integers(1, 2))
        channel = draw(st.sampled_from(["dram", "chip"])) if stream == "ifmap" else "dram"
        for index in range(numbers[stream][-1] + 1):
            readers = [i for i in range(count) if numbers[stream][i] == index]
            leaving = [i for i in range(count) if numbers[stream][i] == index - slots]
            transfers.append(
                Transfer(stream, index, 0, draw(durations), max(leaving, default=-1), readers[0], channel)  # type: ignore[arg-type]
            )
    slots, stays = draw(st.integers(1, 2)), draw(st.booleans())
    for visit in range(numbers["ofmap"][-1] + 1):
        own = [i for i in range(count) if numbers["ofmap"][i] == visit]
        leaving = [i for i in range(count) if numbers["ofmap"][i] == visit - slots]
        if draw(st.booleans()):
            enabled_by = max(leaving, default=-1)
            transfers.append(Transfer("ofmap_load", visit, 0, draw(durations), enabled_by, own[0]))
        if not stays:
            transfers.append(Transfer("ofmap_store", visit, 0, draw(durations), own[-1], own[-1]))
    interval = draw(st.sampled_from([0, 5, 9, 16]))
    memory = Memory(draw(st.integers(0, 6)), interval, draw(st.integers(0, 4)) if interval else 0)
    return Programme(steps, in_service_order(transfers), slots, draw(st.integers(0, 5)), memory)


@settings(max_examples=600, deadline=None)
@given(programmes())
def test_every_start_and_end_is_as_stepped_through(programme: Programme) -> None:
    times, stepped = play(programme), step_through(programme)
    assert [(step.start, step.end) for step in times.steps] == stepped.steps
    assert {i: tuple(transfer) for i, transfer in enumerate(times.transfers)} == stepped.transfers


@settings(max_examples=150, deadline=None)
@given(programmes())
def test_work_and_stalls_sum_to_the_end(programme: Programme) -> None:
    times = play(programme)
    work = sum(step.cycles for step in programme.steps)
    stalls = stalls_by_cause(programme, times)
    assert all(cycles > 0 for cycles in stalls.values())
    assert work + sum(stalls.values()) == times.end
