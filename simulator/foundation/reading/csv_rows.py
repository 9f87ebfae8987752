"""One line of CSV as cells, within limits."""

from __future__ import annotations

import csv

from simulator.foundation.errors import UserError
from simulator.foundation.reading.content import require_plain
from simulator.foundation.reading.limits import LONGEST_LINE, MOST_CELLS


def split_cells(line: str, *, separator: str, source: object, location: str) -> list[str]:
    """The cells of one line, without the space around them.

    Raises:
        UserError: too long, too many cells, a quotation mark that is not closed, a control character.
    """
    if len(line) > LONGEST_LINE:
        raise UserError(
            "a line is too long",
            source=source,
            location=location,
            value=len(line),
            allowed=f"up to {LONGEST_LINE:,} characters",
        )
    require_plain(line, source=source, location=location)
    if line.count('"') % 2:
        raise UserError("a quotation mark is not closed", source=source, location=location, value=line)
    try:
        (cells,) = csv.reader([line], delimiter=separator, skipinitialspace=True)
    except (csv.Error, ValueError) as error:
        raise UserError(f"is not a line of CSV: {error}", source=source, location=location) from error
    if len(cells) > MOST_CELLS:
        raise UserError(
            "a line has too many cells",
            source=source,
            location=location,
            value=len(cells),
            allowed=f"up to {MOST_CELLS:,}",
        )
    return [cell.strip() for cell in cells]
