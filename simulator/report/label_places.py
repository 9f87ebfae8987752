"""Where names can stand beside points so that none covers another name or a point."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_TRIES = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1))
"""Sides of a point in the order in which they are tried: above, below, right, left, corners."""

_SAME_PLACE = 4.0
"""Points closer than this are one to the eye, so that only one of them has a name."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, y upwards."""

    left: float
    bottom: float
    right: float
    top: float

    def hits(self, other: Box) -> bool:
        """Whether two rectangles have a point in common."""
        apart = self.right < other.left or other.right < self.left
        return not (apart or self.top < other.bottom or other.top < self.bottom)

    def is_inside(self, room: Box) -> bool:
        """Whether all of it is in a room."""
        wide = room.left <= self.left and self.right <= room.right
        return wide and room.bottom <= self.bottom and self.top <= room.top


def place_labels(
    points: Sequence[tuple[float, float]],
    wanted: Iterable[int],
    sizes: Sequence[tuple[float, float]],
    room: Box,
    *,
    radius: float = 4.0,
) -> dict[int, Box]:
    """Rectangles for the names of points, for as many as there is room.

    Args:
        points: all points that are drawn.
        wanted: places of the points with a name, the most important first.
        sizes: width and height of the name of each point.
        room: where names may stand.
        radius: of a point's mark.
    """
    taken = [Box(x - radius, y - radius, x + radius, y + radius) for x, y in points]
    found: dict[int, Box] = {}
    for place in wanted:
        x, y = points[place]
        if any(abs(points[i][0] - x) + abs(points[i][1] - y) < _SAME_PLACE for i in found):
            continue
        wide, high = sizes[place]
        for right, up in _TRIES:
            left = x + right * (wide / 2 + radius + 1) - wide / 2
            bottom = y + up * (high / 2 + radius + 1) - high / 2
            box = Box(left, bottom, left + wide, bottom + high)
            if box.is_inside(room) and not any(box.hits(other) for other in taken):
                taken.append(box)
                found[place] = box
                break
    return found
