"""Results in a notebook: shown as tables, turned into data frames, plotted by name.

`simulator.result` knows nothing of reports, so that it can stand below everything; here a result is seen as
one that shows itself. A `ResultView` is a `Result` in every respect.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, overload

from simulator.foundation import UserError
from simulator.report import units
from simulator.report.captions import describe_array
from simulator.report.comparison import Comparison, compare_results
from simulator.report.comparison_figures import comparison_figures
from simulator.report.figures import Figure
from simulator.report.plots import draw
from simulator.report.report_tables import TableView, comparison_table, layers_table
from simulator.report.result_figures import result_figures
from simulator.report.tabular import Row, comparison_rows, layer_rows
from simulator.report.unpriced import reasons, reasons_of_variants
from simulator.result import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Canvas


class ResultView(Result):
    """A result that a notebook shows, with its layers as a data frame and its charts as plots."""

    def to_dataframe(self) -> pd.DataFrame:
        """One row a layer, units in the column names. Raises UserError without pandas."""
        return _dataframe(layer_rows(self))

    def plot(self, name: str = "energy_by_layer") -> Canvas:
        """One chart of the report as a matplotlib figure. Raises UserError for a name without a chart."""
        return _plot(result_figures(self), name)

    def plots(self) -> list[str]:
        """The names that `plot` knows for this result."""
        return [figure.key for figure in result_figures(self)]

    def _repr_html_(self) -> str:
        totals = self.totals
        headline = (
            ("latency", units.duration(totals.latency_ms)),
            ("energy", units.energy(totals.energy_pj)),
            ("power", units.power(totals.power_mw)),
            ("area", units.area(totals.area_um2)),
            ("TOPS/W", units.efficiency(totals.tops_per_w)),
            ("chip energy", units.energy(totals.chip_energy_pj)),
            ("chip power", units.power(totals.chip_power_mw)),
            ("chip TOPS/W", units.efficiency(totals.chip_tops_per_w)),
            ("utilization", units.percent(totals.utilization)),
            ("cycles", units.whole(totals.cycles)),
        )
        figures = " · ".join(f"{name} <b>{escape(figure)}</b>" for name, figure in headline)
        title = f"<b>{escape(self.network.name)}</b> on {escape(describe_array(self))}"
        summary = f"<summary>{len(self.layers)} layers</summary>"
        layers = f"<details>{summary}{_table_html(layers_table(self))}</details>"
        return f"<div>{title}<br>{figures}{_not_priced_html(reasons(self))}{layers}</div>"


class ComparisonView(Sequence[ResultView]):
    """Results side by side, as a sequence that a notebook shows as one table."""

    def __init__(self, results: Sequence[Result], *, mixed: bool = False) -> None:
        """Raises UserError for results of different networks without `mixed`."""
        self._comparison = compare_results([view(result) for result in results], mixed=mixed)

    @property
    def comparison(self) -> Comparison:
        """Every figure with its ratio to the first variant."""
        return self._comparison

    def to_dataframe(self) -> pd.DataFrame:
        """One row a variant, units in the column names. Raises UserError without pandas."""
        return _dataframe(comparison_rows(self._comparison))

    def plot(self, name: str = "compare_energy") -> Canvas:
        """One chart as a matplotlib figure. Raises UserError for a name without a chart."""
        return _plot(comparison_figures(self._comparison), name)

    def plots(self) -> list[str]:
        """The names that `plot` knows for this comparison."""
        return [figure.key for figure in comparison_figures(self._comparison)]

    def __len__(self) -> int:
        return len(self._comparison.variants)

    def __iter__(self) -> Iterator[ResultView]:
        return (view(variant.result) for variant in self._comparison.variants)

    @overload
    def __getitem__(self, place: int) -> ResultView: ...

    @overload
    def __getitem__(self, place: slice) -> list[ResultView]: ...

    def __getitem__(self, place: int | slice) -> ResultView | list[ResultView]:
        return list(self)[place]

    def _repr_html_(self) -> str:
        table = _table_html(comparison_table(self._comparison))
        return table + _not_priced_html(reasons_of_variants(self._comparison.named_results))


def view(result: Result) -> ResultView:
    """The same result as one that a notebook can show; nothing is computed or checked again."""
    if isinstance(result, ResultView):
        return result
    fields = {name: getattr(result, name) for name in Result.model_fields}
    return ResultView.model_construct(**fields)


def _plot(figures: Sequence[Figure], name: str) -> Canvas:
    by_name = {figure.key: figure for figure in figures}
    if name not in by_name:
        raise UserError("there is no such plot", value=name, candidates=by_name)
    return draw(by_name[name])


def _dataframe(rows: Sequence[Row]) -> pd.DataFrame:
    try:
        import pandas as pd
    except ImportError as error:
        raise UserError(
            "to_dataframe() needs the extra `notebook`; "
            "install it with `pip install systolic-simulator[notebook]`"
        ) from error
    return pd.DataFrame(rows)


def _table_html(table: TableView) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in table.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell.text)}{_note(cell.note)}</td>" for cell in row) + "</tr>"
        for row in table.rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _not_priced_html(lines: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<div>Not priced, and no total that includes it:<ul>{items}</ul></div>" if items else ""


def _note(note: str) -> str:
    return f"<br><small>{escape(note)}</small>" if note else ""
