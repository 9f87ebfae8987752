"""A PE as blocks: its registers and logic with bits and areas, and the wires between them."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.report.svg import arrow, box, drawing, shortened, text
from simulator.report.units import percent

_LETTER = 6.5
"""Width of a small letter."""


@dataclass(frozen=True, slots=True)
class PeBlock:
    """A block: its name, what it is, and its share of the PE's area."""

    name: str
    what: str
    share: float


@dataclass(frozen=True, slots=True)
class PeBlocks:
    """The four blocks of a PE; each register has an entry of its own."""

    activation: PeBlock
    weight: PeBlock
    logic: PeBlock
    total: PeBlock


def pe_diagram(blocks: PeBlocks) -> str:
    """Operands pass the PE through their registers, meet in the logic, and the sum comes back to it."""
    parts = [
        *_drawn(blocks.activation, 30, 30, 190),
        *_drawn(blocks.weight, 30, 200, 190),
        *_drawn(blocks.logic, 300, 30, 250, height=250),
        *_drawn(blocks.total, 640, 115, 190),
        text(15, 22, "activation in", "quiet", anchor="start"),
        arrow((0, 62), (30, 62), 1.5),
        arrow((220, 62), (300, 62), 1.5),
        text(15, 192, "weight in", "quiet", anchor="start"),
        arrow((0, 232), (30, 232), 1.5),
        arrow((220, 232), (300, 232), 1.5),
        arrow((125, 110), (125, 150), 1.5),
        text(134, 140, "to the next PE", "quiet", anchor="start"),
        arrow((125, 280), (125, 320), 1.5),
        text(134, 310, "to the next PE", "quiet", anchor="start"),
        arrow((550, 140), (640, 140), 1.5),
        text(595, 132, "new sum", "quiet"),
        arrow((640, 175), (550, 175), 1.5),
        text(595, 192, "old sum", "quiet"),
        arrow((735, 195), (735, 235), 1.5),
        text(744, 225, "shift-out", "quiet", anchor="start"),
    ]
    told = "; ".join(
        f"{each.name}: {each.what}, {percent(each.share, 0)} of the area"
        for each in (blocks.activation, blocks.weight, blocks.logic, blocks.total)
    )
    return drawing(840, 330, parts, told)


def _drawn(block: PeBlock, x: float, y: float, width: float, height: float = 80) -> list[str]:
    middle, centre = x + width / 2, y + height / 2
    return [
        box(x, y, width, height, title=f"{block.name}: {block.what}"),
        text(middle, centre - 12, block.name, "name"),
        text(middle, centre + 6, shortened(block.what, int(width / _LETTER)), "quiet"),
        text(middle, centre + 24, f"{percent(block.share, 0)} of the area", "quiet"),
    ]
