"""How far variants are apart in each layer."""

from __future__ import annotations

from simulator.report import units
from simulator.report.comparison import Comparison
from simulator.report.components import Colour
from simulator.report.figures import Series, StackedBars
from simulator.result import TOTAL

_COLOURS = (
    Colour("#0072b2", "#4fa8e0"),
    Colour("#d55e00", "#f08a3c"),
    Colour("#009e73", "#5fd1b0"),
    Colour("#cc79a7", "#ecb3d0"),
)


def layer_differences(comparison: Comparison) -> StackedBars | None:
    """Energy of every layer above that of the first variant, a bar for each of the next four variants.

    None without a second variant of the same layers, or where nothing is priced.
    """
    first, *others = comparison.variants
    names = [layer.name for layer in first.result.layers]
    alike = [v for v in others if [layer.name for layer in v.result.layers] == names]
    shown = alike[: len(_COLOURS)]
    rows = {
        variant.shown_name: [
            _difference(one.energy_pj[TOTAL], two.energy_pj[TOTAL])
            for one, two in zip(variant.result.layers, first.result.layers, strict=True)
        ]
        for variant in shown
    }
    known = [abs(value) for row in rows.values() for value in row if value is not None]
    if not any(known):
        return None
    scale = units.energy_scale(known)
    lacking = len(others) - len(shown)
    told = f" {lacking} more variant{'s are' if lacking > 1 else ' is'} not drawn." if lacking else ""
    return StackedBars(
        "compare_layers",
        "Differences layer by layer",
        f"Energy of each layer above (or below) that of {first.name}.{told}",
        f"energy above {first.name} [{scale.unit}]",
        tuple(names),
        tuple(
            Series(name, colour, tuple(map(scale.scaled, row)))
            for colour, (name, row) in zip(_COLOURS, rows.items(), strict=False)
        ),
        upright=True,
        beside=True,
    )


def _difference(one_pj: float | None, two_pj: float | None) -> float | None:
    return None if one_pj is None or two_pj is None else one_pj - two_pj
