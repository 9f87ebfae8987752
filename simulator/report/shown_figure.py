"""A matplotlib figure that a notebook shows by itself, whether or not pyplot was imported."""

from __future__ import annotations

import io
from typing import Final

from matplotlib.figure import Figure

_DOTS_PER_INCH: Final = 110


class ShownFigure(Figure):  # type: ignore[misc,unused-ignore]
    """A figure that answers for its picture."""

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        self.savefig(picture, format="png", dpi=_DOTS_PER_INCH)
        return picture.getvalue()
