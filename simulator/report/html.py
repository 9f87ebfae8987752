"""The HTML report: one file that opens from disk, asks nothing of the network, prints, and reads aloud.

Charts are drawn in the browser by plotly.js (MIT), which the `plotly` package carries and the page embeds.
A content security policy names the page's two scripts by their hashes and forbids everything else.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import cache
from pathlib import Path

from simulator.foundation.resources import own_text
from simulator.report import units
from simulator.report.comparison import Comparison, Variant, compare_results
from simulator.report.comparison_figures import comparison_figures
from simulator.report.diagrams import Diagram, diagrams_of
from simulator.report.figures import Figure, StackedBars
from simulator.report.headline import headline_of_comparison, headline_of_result
from simulator.report.headline_figures import accuracy_figures, headline_figures
from simulator.report.intervals import shown_differences, shown_interval
from simulator.report.pictures import Pictures
from simulator.report.price_origin import LEGEND, MAC_LEGEND, MARKS, standing
from simulator.report.report_tables import (
    TableView,
    bounded,
    comparison_table,
    configuration_table,
    figure_table,
    layers_table,
    prices_table,
)
from simulator.report.result_figures import result_figures
from simulator.report.run_conditions import cautions, conditions_of
from simulator.report.unpriced import reasons, reasons_of_variants, shared_lines
from simulator.result import Result

_TEMPLATES = Path(__file__).parent / "templates"
_LARGEST_SAFE_INTEGER = 2**53 - 1
"""JavaScript's `Number.MAX_SAFE_INTEGER`."""

_SCREEN_ONLY = frozenset({"area", "pe_utilization", "pe_use_by_layer"})
"""Charts of one result that paper leaves out where several results share it."""


@dataclass(frozen=True, slots=True)
class _FigureView:
    """A chart on the page: its data, its table, whether it needs a legend, whether it is printed."""

    id: str
    figure: Figure
    table: TableView
    screen_only: bool = False

    @property
    def legends(self) -> tuple[tuple[str, StackedBars], ...]:
        """The parts that can be hidden, gathered by place first where the chart has that."""
        if not isinstance(self.figure, StackedBars):
            return ()
        levels = (("gathered", self.figure.gathered), ("parts", self.figure))
        return tuple(
            (level, shown)
            for level, shown in levels
            if shown is not None and len(shown.series) > 1 and not shown.is_one_part_each
        )

    @property
    def title(self) -> str:
        """The title as the chart is shown at first."""
        gathered = self.figure.gathered if isinstance(self.figure, StackedBars) else None
        return (gathered or self.figure).title

    @property
    def unfolds(self) -> bool:
        """Whether the chart shows places first, which unfold to components."""
        return isinstance(self.figure, StackedBars) and self.figure.gathered is not None

    @property
    def sortable(self) -> bool:
        return isinstance(self.figure, StackedBars) and self.figure.upright


@dataclass(frozen=True, slots=True)
class _Panel:
    """One tab: a comparison of all variants, or one variant.

    headline: what a reader takes away, in words. conditions: what the figures hold for. totals: the figures
    themselves.
    """

    id: str
    name: str
    headline: str
    conditions: tuple[tuple[str, str], ...]
    totals: tuple[tuple[str, str], ...]
    not_priced: tuple[str, ...]
    warnings: tuple[str, ...]
    figures: tuple[_FigureView, ...]
    diagrams: tuple[Diagram, ...]
    tables: tuple[tuple[str, TableView], ...]
    notes: tuple[str, ...]
    unprinted: str = ""
    """What paper leaves out."""


def render_html(
    results: Sequence[Result],
    *,
    mixed: bool = False,
    dated: date | None = None,
    pictures: Sequence[Pictures] = (),
) -> str:
    """The report of one or several results as the text of an HTML file; the same results give the same text.

    Args:
        results: one or more.
        mixed: allow different networks or batches.
        dated: the day that the report names as its own; without one it names none.
        pictures: of each result (`simulator.illustrations`); without them formats and array are not drawn.

    Raises:
        UserError: no results, or results of different networks without `mixed`.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    comparison = compare_results(results, mixed=mixed)
    several = len(results) > 1
    given = list(pictures) or [Pictures()] * len(results)
    panels = [
        _variant_panel(variant, f"v{index}", drawn, _SCREEN_ONLY if several else frozenset())
        for index, (variant, drawn) in enumerate(zip(comparison.variants, given, strict=True))
    ]
    if several:
        panels.insert(0, _comparison_panel(comparison))
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    scripts = (_plotly_js(), own_text(_TEMPLATES / "report.js"))
    figures = {view.id: _drawn(asdict(view.figure)) for panel in panels for view in panel.figures}
    return environment.get_template("report.html.j2").render(
        title=" and ".join(comparison.networks),
        panels=panels,
        style=Markup(own_text(_TEMPLATES / "report.css")),  # noqa: S704 - our own file
        scripts=[Markup(script) for script in scripts],  # noqa: S704 - our own file and the library's
        hashes=[_source_hash(script) for script in scripts],
        frames=Markup(_json_for_html(_frames(panels))),  # noqa: S704 - `<` is escaped
        figures=Markup(_json_for_html(figures)),  # noqa: S704 - `<` is escaped
        version=results[0].simulator_version,
        dated="" if dated is None else dated.isoformat(),
        legend=_legend(results),
    )


def _legend(results: Sequence[Result]) -> list[tuple[str, str]]:
    """The marks of prices that results have, each with its meaning."""
    found = {standing(price) for result in results for price in result.sources.prices}
    meanings = {**LEGEND, "estimate": f"{LEGEND['estimate']}; before a variant: {MAC_LEGEND}"}
    return [(MARKS[level], meanings[level]) for level in ("estimate", "own", "model") if level in found]


def _frames(panels: Sequence[_Panel]) -> dict[str, list[dict[str, str]]]:
    """The states of every drawing that plays: the first one whole, of the others what changed."""
    return {
        f"{panel.id}-{diagram.key}": [
            {key: value for key, value in frame.items() if before.get(key) != value}
            for before, frame in zip(({}, *diagram.frames), diagram.frames, strict=False)
        ]
        for panel in panels
        for diagram in panel.diagrams
        if diagram.frames
    }


def _notes(result: Result) -> list[str]:
    """What a reader must know of the figures: what belongs to them, and what has no price."""
    notes = ["energy, power and TOPS/W are with DRAM, those of the chip without; one MAC is two operations"]
    bound_pj = result.totals.energy_bound_pj
    if bound_pj != result.totals.energy_pj:
        notes.append(f"energy is at most {units.energy(bound_pj)} if idle PEs toggled as busy ones do")
    if result.left_out:
        notes.append(f"left out, parts of a real chip that no figure contains: {'; '.join(result.left_out)}")
    return [*notes, *result.sources.notes]


def _variant_panel(
    variant: Variant, panel_id: str, pictures: Pictures, screen_only: frozenset[str]
) -> _Panel:
    result = variant.result
    hashes = (
        *(f"{name}: {digest}" for name, digest in result.sources.table_hashes.items()),
        f"architecture: {result.sources.arch_hash}",
        f"network: {result.sources.network_hash}",
    )
    figures = _views(result_figures(result), panel_id, screen_only)
    return _Panel(
        id=panel_id,
        name=variant.shown_name,
        headline=headline_of_result(result),
        conditions=tuple(conditions_of([(variant.name, result)])),
        totals=tuple(
            (f"{name[0].upper()}{name[1:]}", figure)
            for name, figure in (*headline_figures(result), *accuracy_figures(result))
        ),
        not_priced=tuple(reasons(result)),
        warnings=tuple(result.warnings),
        figures=figures,
        diagrams=tuple(diagrams_of(result, pictures)),
        tables=(
            ("Layers", bounded(layers_table(result))),
            ("Prices and where they come from", prices_table(result.sources.prices)),
            ("Configuration", configuration_table(result.arch)),
        ),
        notes=(*_interval_note(result), *_notes(result), *_unused(result), *hashes),
        unprinted=_unprinted(
            figures, *(["the drawings"] if screen_only else []), "every table and the hashes"
        ),
    )


def _unprinted(figures: Sequence[_FigureView], *others: str) -> str:
    charts = [f"the chart “{view.title}”" for view in figures if view.screen_only]
    left_out = [*charts, *others]
    return f"Only in the file, not on paper: {', '.join(left_out)}." if left_out else ""


def _unused(result: Result) -> Iterator[str]:
    """Rows of your own tables that nothing was priced from."""
    for unused in result.sources.unused:
        yield f"not used of table {unused.table}: {', '.join(unused.rows)}: {unused.reason}"


def _interval_note(result: Result) -> list[str]:
    known = shown_interval(result)
    return [f"Known to 90 %: {known}"] if known else []


def _comparison_panel(comparison: Comparison) -> _Panel:
    named = comparison.named_results
    figures = comparison_figures(comparison)
    other_fronts = {figure.key for figure in figures[1:] if figure.key.startswith("pareto")}
    views = _views(figures, "compare", frozenset(other_fronts | {"compare_layers"}))
    rules = f"ratios are relative to {comparison.variants[0].name}, the best is marked ★"
    if comparison.rules:
        rules += f"; {comparison.rules}"
    return _Panel(
        id="compare",
        name="Comparison",
        headline=headline_of_comparison(comparison),
        conditions=tuple(conditions_of(named)),
        totals=(),
        not_priced=tuple(reasons_of_variants(named)),
        warnings=(
            *cautions(named),
            *shared_lines([(name, result.warnings) for name, result in named]),
        ),
        figures=views,
        diagrams=(),
        tables=(("Variants side by side", comparison_table(comparison)),),
        notes=(f"{len(named)} variants; {rules}", *shown_differences(named)),
        unprinted=_unprinted(views, "the numbers behind the charts"),
    )


def _views(
    figures: Sequence[Figure], panel_id: str, screen_only: frozenset[str] = frozenset()
) -> tuple[_FigureView, ...]:
    return tuple(
        _FigureView(
            f"{panel_id}-{figure.key}", figure, bounded(figure_table(figure)), figure.key in screen_only
        )
        for figure in figures
    )


@cache
def _plotly_js() -> str:
    from plotly.offline import get_plotlyjs

    script: str = get_plotlyjs()
    return script


def _source_hash(script: str) -> str:
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def _drawn(value: object) -> object:
    """A figure's data with every integer that JavaScript cannot hold as the float that is drawn instead.

    The tables of the page have such integers in full.
    """
    if isinstance(value, dict):
        return {key: _drawn(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_drawn(part) for part in value]
    return float(value) if isinstance(value, int) and abs(value) > _LARGEST_SAFE_INTEGER else value


def _json_for_html(document: object) -> str:
    """JSON that can stand inside a script element."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
