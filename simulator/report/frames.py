"""Rows as a data frame whose columns have types: a column of figures is one, also where all are missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from simulator.foundation import UserError
from simulator.report.tabular import Row

if TYPE_CHECKING:
    import pandas as pd

TEXT_COLUMNS: Final = frozenset(("policy", "not_priced"))
"""Columns of text that may be empty in every row; any other empty column holds figures."""

_LARGEST: Final = 2**63 - 1


def data_frame(rows: Sequence[Row]) -> pd.DataFrame:
    """Rows as a data frame.

    Whole numbers are `int64`, or `Int64` where some are missing, or Python objects beyond 64 bits; other
    numbers are `float64` with NaN for what is missing; text is pandas' `str` and truth `bool`.

    Raises:
        UserError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise UserError(
            "to_dataframe() needs the extra `notebook`; "
            "install it with `pip install systolic-simulator[notebook]`"
        ) from error
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns: dict[str, pd.Series] = {}
    for name in names:
        values = [row.get(name) for row in rows]
        columns[name] = pd.Series(values, dtype=column_type(name, values))
    return pd.DataFrame(columns)


def column_type(name: str, values: Sequence[object]) -> str:
    """The dtype of a column with these values."""
    known = [value for value in values if value is not None]
    if not known:
        return "str" if name in TEXT_COLUMNS else "float64"
    kinds = {type(value) for value in known}
    if kinds == {bool}:
        return "bool" if len(known) == len(values) else "boolean"
    if kinds == {int}:
        if any(isinstance(value, int) and abs(value) > _LARGEST for value in known):
            return "object"
        return "int64" if len(known) == len(values) else "Int64"
    if kinds <= {int, float}:
        return "float64"
    return "str" if kinds == {str} else "object"
