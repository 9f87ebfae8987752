"""The array at work: operands entering skewed, PEs with their registers, and the phases of the fold."""

from __future__ import annotations

from simulator.report.components import CYCLE_CAUSES
from simulator.report.pictures import GridFrame, GridRecording
from simulator.report.svg import box, drawing, text

_PE = 62
_AHEAD = 4
_LEFT, _TOP = 136.0, 92.0
_SLOT_WIDE, _SLOT_HIGH = 32, 17
_WIDTH = _LEFT + 4 * _PE + 8
_STRIP = _TOP + 4 * _PE + 34


def array_diagram(recording: GridRecording) -> str:
    """The first frame in which half as many PEs work as ever; the page's script plays the others."""
    frames = recording.frames
    working = [sum(map(sum, frame.busy)) for frame in frames]
    place = next(i for i, count in enumerate(working) if 2 * count >= max(working))
    shown, rows, columns = frames[place], range(len(frames[0].across)), range(len(frames[0].down[0]))
    parts = [
        text(_LEFT - 8, 16, f"{recording.at_rows}s →", "small", anchor="end"),
        text(_LEFT + 2, 16, f"{recording.at_columns}s ↓", "small", anchor="start"),
        text(_WIDTH - 8, 16, _cycle(shown, len(frames)), "name", anchor="end", key="cycle"),
    ]
    for row in rows:
        y = _TOP + _PE * row
        for ahead in range(_AHEAD):
            x = _LEFT - 10 - _SLOT_WIDE * ahead
            waiting = _entering(frames, place + 1 + ahead).left[row]
            parts.append(
                text(x, y + _PE / 2 + 4, waiting, "waiting", anchor="end", key=f"left-{row}-{ahead}")
            )
        for column in columns:
            parts += _pe(shown, row, column, _LEFT + _PE * column, y)
    for column in columns:
        for ahead in range(_AHEAD):
            x, y = _LEFT + _PE * column + _PE / 2, _TOP - 8 - _SLOT_HIGH * ahead
            waiting = _entering(frames, place + 1 + ahead).top[column]
            parts.append(text(x, y, waiting, "waiting", key=f"top-{column}-{ahead}"))
    parts += _strip(frames, place)
    told = f"A {len(rows)} by {len(columns)} array of {recording.mac}, {recording.dataflow}."
    return drawing(_WIDTH, _STRIP + 34, parts, told)


def frames_of(recording: GridRecording) -> list[dict[str, str]]:
    """For each cycle what stands at every place of the drawing, by its key."""
    frames = recording.frames
    return [
        {
            "cycle": _cycle(frame, len(frames)),
            **{
                f"{side}-{line}-{ahead}": text
                for ahead in range(_AHEAD)
                for side in ("left", "top")
                for line, text in enumerate(getattr(_entering(frames, place + 1 + ahead), side))
            },
            **{
                f"{plane}-{row}-{column}": value
                for plane in ("across", "down", "sums")
                for row, values in enumerate(getattr(frame, plane))
                for column, value in enumerate(values)
            },
            **{
                f"pe-{row}-{column}": "busy" if is_busy else ""
                for row, values in enumerate(frame.busy)
                for column, is_busy in enumerate(values)
            },
        }
        for place, frame in enumerate(frames)
    ]


def _pe(frame: GridFrame, row: int, column: int, x: float, y: float) -> list[str]:
    css = "pe busy" if frame.busy[row][column] else "pe"
    at = f"{row}-{column}"
    return [
        box(x + 2, y + 2, _PE - 4, _PE - 4, css, key=f"pe-{at}"),
        text(x + 7, y + 18, frame.across[row][column], "across", anchor="start", key=f"across-{at}"),
        text(x + _PE - 7, y + 18, frame.down[row][column], "down", anchor="end", key=f"down-{at}"),
        text(x + _PE / 2, y + 46, frame.sums[row][column], "sum", key=f"sums-{at}"),
    ]


def _entering(frames: tuple[GridFrame, ...], place: int) -> GridFrame:
    """A later frame; beyond the last one nothing enters."""
    if place < len(frames):
        return frames[place]
    last = frames[-1]
    nothing = ("",) * len(last.left), ("",) * len(last.top)
    return GridFrame(0, "", *nothing, last.across, last.down, last.sums, last.busy)


def _cycle(frame: GridFrame, count: int) -> str:
    return f"cycle {frame.cycle + 1} of {count}: {frame.phase}"


def _strip(frames: tuple[GridFrame, ...], place: int) -> list[str]:
    """The phases of the fold, a box a cycle."""
    wide = (_WIDTH - 12) / len(frames)
    parts = [text(6, _STRIP - 6, "phases of the fold", "small", anchor="start")]
    for index, frame in enumerate(frames):
        colour = CYCLE_CAUSES.get(frame.phase, CYCLE_CAUSES["compute"])
        title = f"cycle {frame.cycle + 1}: {frame.phase}"
        parts.append(box(6 + wide * index, _STRIP, wide - 1, 14, "part", colour=colour, title=title))
    parts.append(box(6 + wide * place, _STRIP - 2, wide - 1, 18, "cursor", key="cursor"))
    x = 6.0
    for name in ("fill", "compute", "drain"):
        parts += [
            box(x, _STRIP + 22, 9, 9, "part", colour=CYCLE_CAUSES[name]),
            text(x + 13, _STRIP + 30, name, "small", anchor="start"),
        ]
        x += 72
    return parts
