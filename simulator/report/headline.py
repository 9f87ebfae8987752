"""What a report says first, in words: the sentence that a reader takes away."""

from __future__ import annotations

from collections.abc import Iterator

from simulator.report import units
from simulator.report.accuracy import above, is_best
from simulator.report.comparison import Comparison, Variant
from simulator.report.intervals import Difference, difference
from simulator.report.places import by_place
from simulator.report.run_conditions import of_what
from simulator.result import Result, priced, sum_known


def headline_of_result(result: Result) -> str:
    """Time, energy and where most of it goes, accuracy; what is not priced is said."""
    totals = result.totals
    energy = (
        "an energy that is not priced" if totals.energy_pj is None else f"{units.energy(totals.energy_pj)}"
    )
    sentences = [
        f"{result.network.name} takes {units.duration(totals.latency_ms)} and {energy}"
        f" {of_what(result)}{_dearest_place(result)}."
    ]
    accuracy = result.accuracy
    if accuracy is not None and accuracy.top1 is not None:
        float32 = accuracy.top1_float32
        beside = "" if float32 is None else f"; float32 has {units.percent(float32)}"
        sentences.append(
            f"It answers {units.percent(accuracy.top1)} of {accuracy.images:,} images right{beside}."
        )
    elif accuracy is not None and accuracy.agreement_with_float32 is not None:
        sentences.append(f"It answers as float32 on {units.percent(accuracy.agreement_with_float32)}.")
    return " ".join(sentences)


def headline_of_comparison(comparison: Comparison) -> str:
    """Which variant takes the least energy and which is the most accurate, as far as that is known."""
    if len(comparison.networks) > 1 or len({v.result.network.batch for v in comparison.variants}) > 1:
        return "Different networks or batches side by side: their totals answer different questions."
    return " ".join([*_least_energy(comparison), *_most_accurate(comparison)])


def _dearest_place(result: Result) -> str:
    total_pj = result.totals.energy_pj
    if not total_pj:
        return ""
    parts = result.totals.energy_by_component_pj
    sums = {
        place.name: priced(sum_known([parts[part] for part in names]))
        for place, names in by_place(parts).items()
    }
    dearest = max(sums, key=lambda name: sums[name])
    return f"; {units.share(sums[dearest], total_pj)} of the energy is that of the {dearest}"


def _least_energy(comparison: Comparison) -> Iterator[str]:
    known = sorted(
        (v for v in comparison.variants if v.result.totals.energy_pj is not None),
        key=lambda v: priced(v.result.totals.energy_pj),
    )
    if not known:
        yield "No variant's energy is priced."
        return
    least, first = known[0], comparison.variants[0]
    least_pj = units.energy(least.result.totals.energy_pj)
    if len(known) == 1:
        yield f"Only {least.shown_name} has an energy: {least_pj}."
    elif least is not first and first in known:
        apart = difference(least.result, first.result, "energy")
        yield f"{least.shown_name} takes the least energy, {least_pj}{_apart(apart, 'less than', first)}."
    else:
        apart = difference(known[1].result, least.result, "energy")
        runner_up = f"{known[1].shown_name} is next{_apart(apart, 'more', None)}"
        yield f"{least.shown_name} takes the least energy, {least_pj}; {runner_up}."
    lacking = len(comparison.variants) - len(known)
    if lacking:
        yield f"The energy of {lacking} variant{'s' if lacking > 1 else ''} is not priced."


def _apart(apart: Difference | None, direction: str, beside: Variant | None) -> str:
    """How far two energies are apart, with the half-width that prices allow; empty if that is not known."""
    if apart is None:
        return ""
    than = "" if beside is None else f" {beside.shown_name}"
    unknown = ", which prices cannot tell from no difference" if apart.is_none else ""
    far = f"{units.percent(abs(apart.relative))} (±{units.percent(apart.half_width)})"
    return f", {far} {direction}{than}{unknown}"


def _most_accurate(comparison: Comparison) -> Iterator[str]:
    measured = [v for v in comparison.variants if v.result.accuracy is not None]
    for metric in (metric for metric in comparison.metrics if metric.is_accuracy):
        told = metric.label
        values = {v.name: value for v in measured if (value := metric.read(v.result)) is not None}
        if len(values) < 2:
            continue
        ranked = sorted((v for v in measured if v.name in values), key=lambda v: -values[v.name])
        best, others = ranked[0], [v.result for v in ranked[1:]]
        if is_best(best.result, others):
            yield f"{best.shown_name} has the best {told}, {units.percent(values[best.name])}."
        elif any(above(best.result, other) is None for other in others):
            yield f"Their {told} is on different images and not compared."
        else:
            low, high = min(values.values()), max(values.values())
            yield (
                f"Their {told} is {units.percent(low)} to {units.percent(high)};"
                " none is above all others by more than the noise of these images."
            )
        return
