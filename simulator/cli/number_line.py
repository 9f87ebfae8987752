"""Where the codes of a number format lie, drawn with characters."""

from __future__ import annotations

from math import log2

import numpy as np
import numpy.typing as npt

from simulator.numerics import Format

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_ROWS = 4
_COUNTABLE = 52
"""log2 of as many steps as float64 counts."""


def draw_octaves(fmt: Format, width: int) -> list[str]:
    """Positive codes per octave (per group of them where they are many), smallest to largest."""
    values = fmt.values()
    positive = values[np.isfinite(values) & (values > 0)]
    exponents = np.frexp(positive)[1] - 1
    least, greatest = fmt.exponent_range[0], int(exponents.max())
    octaves = greatest - least + 1
    group = -(-octaves // width)
    columns = -(-octaves // group)
    counts = np.bincount((exponents - least) // group, minlength=columns)
    wide = max(1, min(4, width // columns))
    name = "octave" if group == 1 else f"{group} octaves"
    lines = [f"positive values per {name}, up to {counts.max():,}"]
    lines += _bars(np.repeat(counts / counts.max(), wide))
    return [*lines, _axis(f"2^{least}", "", f"2^{greatest}", columns * wide)]


def draw_line(fmt: Format, width: int) -> list[str]:
    """Codes per column along the number line, evenly from the lowest to the largest value."""
    values = fmt.values()
    finite = np.unique(values[np.isfinite(values)])
    offsets = finite - finite[0]
    if log2(offsets[-1]) - log2(fmt.smallest_step) < _COUNTABLE:
        # Columns take whole steps, so that evenly spaced values make an even line.
        steps = offsets / fmt.smallest_step
        columns = steps // np.ceil((steps[-1] + 1) / width)
    else:
        columns = np.minimum(np.floor(offsets / (offsets[-1] / width)), width - 1)
    counts = np.bincount(columns.astype(int))
    wide = width // counts.size
    lines = [f"values along the number line, up to {counts.max():,} in a column (height: log2)"]
    lines += _bars(np.repeat(np.log2(1 + counts) / np.log2(1 + counts.max()), wide))
    middle = f"{(finite[0] + finite[-1]) / 2:.4g}"
    return [*lines, _axis(f"{finite[0]:.6g}", middle, f"{finite[-1]:.6g}", counts.size * wide)]


def _bars(heights: npt.NDArray[np.float64]) -> list[str]:
    """Bars of heights 0 to 1; anything above 0 shows."""
    eighths = np.where(heights > 0, np.maximum(np.rint(heights * _ROWS * 8), 1), 0).astype(int)
    return [
        "".join(_EIGHTHS[min(max(height - 8 * row, 0), 8)] for height in eighths.tolist()).rstrip()
        for row in reversed(range(_ROWS))
    ]


def _axis(left: str, middle: str, right: str, width: int) -> str:
    if len(left) + len(middle) + len(right) + 2 > width:
        return f"{left} to {right}"
    line = list(left.ljust(width - len(right)) + right)
    start = (width - len(middle)) // 2
    if start > len(left):
        line[start : start + len(middle)] = middle
    return "".join(line)
