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
from functools import cache
from pathlib import Path

from simulator.foundation.resources import own_text
from simulator.report import units
from simulator.report.captions import describe_accuracy, describe_array
from simulator.report.comparison import Comparison, Variant, compare_results
from simulator.report.comparison_figures import comparison_figures
from simulator.report.figures import Figure, StackedBars
from simulator.report.intervals import shown_differences, shown_interval
from simulator.report.price_origin import MAC_LEGEND, MARKS
from simulator.report.report_tables import (
    TableView,
    comparison_table,
    configuration_table,
    figure_table,
    layers_table,
    prices_table,
)
from simulator.report.result_figures import result_figures
from simulator.report.unpriced import reasons, reasons_of_variants
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
    def legend(self) -> bool:
        return (
            isinstance(self.figure, StackedBars)
            and len(self.figure.series) > 1
            and not self.figure.is_one_part_each
        )

    @property
    def sortable(self) -> bool:
        return isinstance(self.figure, StackedBars) and self.figure.upright


@dataclass(frozen=True, slots=True)
class _Panel:
    """One tab: a comparison of all variants, or one variant."""

    id: str
    name: str
    subtitle: str
    headline: tuple[tuple[str, str], ...]
    not_priced: tuple[str, ...]
    warnings: tuple[str, ...]
    figures: tuple[_FigureView, ...]
    tables: tuple[tuple[str, TableView], ...]
    notes: tuple[str, ...]
    unprinted: str = ""
    """What paper leaves out."""


def render_html(results: Sequence[Result], *, mixed: bool = False) -> str:
    """The report of one or several results as the text of an HTML file; the same results give the same text.

    Raises:
        UserError: no results, or results of different networks without `mixed`.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    comparison = compare_results(results, mixed=mixed)
    several = len(results) > 1
    panels = [
        _variant_panel(variant, f"v{index}", _SCREEN_ONLY if several else frozenset())
        for index, variant in enumerate(comparison.variants)
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
        figures=Markup(_json_for_html(figures)),  # noqa: S704 - `<` is escaped
        version=results[0].simulator_version,
        mark=(MARKS["estimate"], MAC_LEGEND),
    )


def _notes(result: Result) -> list[str]:
    """What a reader must know of the figures: what belongs to them, and what has no price."""
    notes = ["energy, power and TOPS/W are with DRAM, those of the chip without; one MAC is two operations"]
    bound_pj = result.totals.energy_bound_pj
    if bound_pj != result.totals.energy_pj:
        notes.append(f"energy is at most {units.energy(bound_pj)} if idle PEs toggled as busy ones do")
    if result.left_out:
        notes.append(f"left out, parts of a real chip that no figure contains: {'; '.join(result.left_out)}")
    return [*notes, *result.sources.notes]


def _variant_panel(variant: Variant, panel_id: str, screen_only: frozenset[str]) -> _Panel:
    result = variant.result
    totals = result.totals
    headline = (
        ("Latency", units.duration(totals.latency_ms)),
        ("Energy", units.energy(totals.energy_pj)),
        ("Area", units.area(totals.area_um2)),
        ("Power", units.power(totals.power_mw)),
        ("TOPS/W", units.efficiency(totals.tops_per_w)),
        ("Chip energy", units.energy(totals.chip_energy_pj)),
        ("Chip power", units.power(totals.chip_power_mw)),
        ("Chip TOPS/W", units.efficiency(totals.chip_tops_per_w)),
        ("Utilization", units.percent(totals.utilization)),
        ("Cycles", units.whole(totals.cycles)),
        _eighth_figure(result),
    )
    hashes = (
        *(f"{name}: {digest}" for name, digest in result.sources.table_hashes.items()),
        f"architecture: {result.sources.arch_hash}",
        f"network: {result.sources.network_hash}",
    )
    figures = _views(result_figures(result), panel_id, screen_only)
    subtitle = " — ".join(filter(None, (describe_array(result), describe_accuracy(result))))
    return _Panel(
        id=panel_id,
        name=variant.name,
        subtitle=subtitle,
        headline=headline,
        not_priced=tuple(reasons(result)),
        warnings=tuple(result.warnings),
        figures=figures,
        tables=(
            ("Layers", layers_table(result)),
            ("Prices and where they come from", prices_table(result.sources.prices)),
            ("Configuration", configuration_table(result.arch)),
        ),
        notes=(*_interval_note(result), *_notes(result), *_unused(result), *hashes),
        unprinted=_unprinted(figures),
    )


def _unprinted(figures: Sequence[_FigureView]) -> str:
    charts = [f"the chart “{view.figure.title}”" for view in figures if view.screen_only]
    left_out = [*charts, "every table and the hashes"]
    return f"Only in the file, not on paper: {', '.join(left_out)}."


def _unused(result: Result) -> Iterator[str]:
    """Rows of your own tables that nothing was priced from."""
    for unused in result.sources.unused:
        yield f"not used of table {unused.table}: {', '.join(unused.rows)}: {unused.reason}"


def _eighth_figure(result: Result) -> tuple[str, str]:
    if result.accuracy is not None and result.accuracy.top1 is not None:
        return "Top-1", units.percent(result.accuracy.top1)
    return "MACs", units.quantity(result.totals.macs)


def _interval_note(result: Result) -> list[str]:
    known = shown_interval(result)
    return [f"Known to 90 %: {known}"] if known else []


def _comparison_panel(comparison: Comparison) -> _Panel:
    first = comparison.variants[0].name
    rules = f"ratios are relative to {first}, the best is marked ★"
    if comparison.rules:
        rules += f"; {comparison.rules}"
    return _Panel(
        id="compare",
        name="Comparison",
        subtitle=f"{len(comparison.variants)} variants; {rules}",
        headline=(),
        not_priced=tuple(reasons_of_variants(comparison.named_results)),
        warnings=(),
        figures=_views(comparison_figures(comparison), "compare"),
        tables=(("Variants side by side", comparison_table(comparison)),),
        notes=tuple(shown_differences(comparison.named_results)),
    )


def _views(
    figures: Sequence[Figure], panel_id: str, screen_only: frozenset[str] = frozenset()
) -> tuple[_FigureView, ...]:
    return tuple(
        _FigureView(f"{panel_id}-{figure.key}", figure, figure_table(figure), figure.key in screen_only)
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
