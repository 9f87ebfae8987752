"""Every drawing of a result, with its title and what it shows in words."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.report.array_diagram import array_diagram, frames_of
from simulator.report.format_diagram import format_diagram
from simulator.report.machine_diagrams import fold_diagram, memory_diagram
from simulator.report.pictures import Pictures
from simulator.report.run_conditions import of_what
from simulator.result import Result


@dataclass(frozen=True, slots=True)
class Diagram:
    """A drawing as the text of SVGs; `frames` are the other states of one that plays."""

    key: str
    title: str
    text: str
    drawings: tuple[str, ...]
    frames: tuple[dict[str, str], ...] = ()


def diagrams_of(result: Result, pictures: Pictures) -> list[Diagram]:
    """The drawings that a result has data for, in the order of a report."""
    diagrams = [
        Diagram(
            "memories",
            "Memory system",
            f"Bytes moved {of_what(result)}, in whole words and bursts;"
            " thicker arrows carry more. Energies are those of the memories.",
            (memory_diagram(result),),
        ),
        Diagram(
            "folds",
            "Fold timeline",
            "Where the cycles of each layer go, and below the mean fold of the layer that takes most of them:"
            " the cycles of the layer divided by its folds. A fold is the part of a layer that the array"
            " holds at once; single folds may take more or fewer cycles than the mean.",
            (fold_diagram(result),),
        ),
    ]
    recording = pictures.recording
    if recording is not None:
        m, n, k = recording.shape
        diagrams.append(
            Diagram(
                "array",
                "The array at work",
                f"A product of M = {m}, N = {n}, K = {k} on a small {recording.dataflow} array of"
                f" {recording.mac}, as recorded from the register-level grid. {recording.stays.capitalize()}"
                " stay. In each PE: what passes or stays from the left and from the top, and its sum below."
                " PEs that multiply are filled; operands wait outside, each row and column one cycle later.",
                (array_diagram(recording),),
                tuple(frames_of(recording)),
            )
        )
    if pictures.formats:
        diagrams.append(
            Diagram(
                "formats",
                "Number formats",
                "What the bits of a code mean, and where values lie.",
                tuple(map(format_diagram, pictures.formats)),
            )
        )
    return diagrams
