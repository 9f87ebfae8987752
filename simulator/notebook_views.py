"""Results in a notebook: shown as tables, turned into data frames, plotted by name.

`simulator.result` knows nothing of reports, so that it can stand below everything; here a result is seen as
one that shows itself. A `ResultView` is a `Result` in every respect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, overload

from simulator.foundation import UserError
from simulator.foundation.files import write_text
from simulator.foundation.given_values import path_text
from simulator.foundation.python_arguments import PATHS, in_python_terms, require_kind
from simulator.illustrations import pictures_of
from simulator.report.captions import describe_array
from simulator.report.comparison import Comparison, compare_results
from simulator.report.comparison_figures import comparison_figures
from simulator.report.figures import Figure
from simulator.report.frames import data_frame
from simulator.report.headline_figures import accuracy_figures, headline_figures, in_a_line
from simulator.report.html import render_html
from simulator.report.plots import draw
from simulator.report.report_tables import TableView, comparison_table, layers_table
from simulator.report.result_figures import result_figures
from simulator.report.tabular import comparison_json, comparison_rows, layer_rows, layers_csv, rows_csv
from simulator.report.unpriced import reasons, reasons_of_variants
from simulator.result import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Canvas


class ResultView(Result):
    """A result that a notebook shows, with its layers as a data frame and its charts as plots."""

    def to_dataframe(self) -> pd.DataFrame:
        """One row a layer, units in the column names, every column typed. Raises UserError without pandas."""
        return data_frame(layer_rows(self))

    def plot(self, name: str = "energy_by_layer") -> Canvas:
        """One chart of the report as a matplotlib figure, which a notebook shows.

        Args:
            name: one of `plots()`.

        Raises:
            UserError: a name without a chart.
        """
        return _plot(result_figures(self), name)

    def plots(self) -> list[str]:
        """The names that `plot` knows for this result."""
        return [figure.key for figure in result_figures(self)]

    def save(self, file: str | Path) -> Path:
        """Write the result to a file, whole or not at all, and return its path.

        Args:
            file: a name that ends in `.json` (the result, as `systolic simulate --out` writes it), `.csv`
                (one row a layer) or `.html` (the report, with its drawings).

        Raises:
            UserError: another ending, or a file that cannot be written.
        """
        return _save(
            file,
            {
                ".json": self.to_json,
                ".csv": lambda: layers_csv(self),
                ".html": lambda: render_html([self], pictures=[pictures_of(self)]),
            },
        )

    def __repr__(self) -> str:
        return f"<{self.network.name} on {describe_array(self)}: {in_a_line(self)}>"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        headline = (*headline_figures(self), *accuracy_figures(self))
        figures = " · ".join(f"{name} <b>{escape(figure)}</b>" for name, figure in headline)
        title = f"<b>{escape(self.network.name)}</b> on {escape(describe_array(self))}"
        summary = f"<summary>{len(self.layers)} layers</summary>"
        layers = f"<details>{summary}{_table_html(layers_table(self))}</details>"
        return f"<div>{title}<br>{figures}{_not_priced_html(reasons(self))}{layers}</div>"


class ComparisonView(Sequence[ResultView]):
    """Results side by side, as a sequence that a notebook shows as one table."""

    def __init__(self, results: Sequence[Result], *, mixed: bool = False) -> None:
        """Put results side by side.

        Args:
            results: the variants; every figure is compared with the first one's.
            mixed: whether results of different networks or batches are meant.

        Raises:
            UserError: results of different networks or batches without `mixed`.
        """
        self._mixed = mixed
        with in_python_terms({"--mixed": "mixed=True"}):
            self._comparison = compare_results([view(result) for result in results], mixed=mixed)

    @property
    def comparison(self) -> Comparison:
        """Every figure with its ratio to the first variant."""
        return self._comparison

    def to_dataframe(self) -> pd.DataFrame:
        """One row a variant, units in the column names, columns typed. Raises UserError without pandas."""
        return data_frame(comparison_rows(self._comparison))

    def plot(self, name: str = "compare_energy") -> Canvas:
        """One chart as a matplotlib figure, which a notebook shows.

        Args:
            name: one of `plots()`.

        Raises:
            UserError: a name without a chart.
        """
        return _plot(comparison_figures(self._comparison), name)

    def plots(self) -> list[str]:
        """The names that `plot` knows for this comparison."""
        return [figure.key for figure in comparison_figures(self._comparison)]

    def save(self, file: str | Path) -> Path:
        """Write the comparison to a file, whole or not at all, and return its path.

        Args:
            file: a name that ends in `.json` (what `systolic compare --json` prints), `.csv` (one row a
                variant) or `.html` (the report of all variants, with its drawings).

        Raises:
            UserError: another ending, or a file that cannot be written.
        """
        return _save(
            file,
            {
                ".json": lambda: comparison_json(self._comparison),
                ".csv": lambda: rows_csv(comparison_rows(self._comparison)),
                ".html": lambda: render_html(
                    list(self), mixed=self._mixed, pictures=[pictures_of(result) for result in self]
                ),
            },
        )

    def __repr__(self) -> str:
        lines = [f"<{len(self)} variants of {', '.join(self._comparison.networks)}"]
        lines += [f"  {variant.name}: {in_a_line(variant.result)}" for variant in self._comparison.variants]
        return "\n".join(lines) + ">"

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
    require_kind("name", name, str, ", ".join(by_name))
    if name not in by_name:
        raise UserError("there is no such plot", value=name, candidates=by_name)
    return draw(by_name[name])


def _save(file: str | Path, texts: Mapping[str, Callable[[], str]]) -> Path:
    allowed = f"a name that ends in {', '.join(texts)}"
    require_kind("file", file, PATHS, allowed)
    path = Path(path_text(file, what="a file"))
    if path.suffix.lower() not in texts:
        raise UserError("unknown kind of file", location="file", value=str(file), allowed=allowed)
    write_text(path, texts[path.suffix.lower()]())
    return path


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
