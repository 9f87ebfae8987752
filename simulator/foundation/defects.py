"""One kind of error for everything that the simulator finds wrong with itself."""

from __future__ import annotations


class DefectError(Exception):
    """Two parts of the simulator contradict each other: a defect of it, never a mistake of its user.

    Whatever was computed must not be used. The message has both figures and where they differ.
    """
