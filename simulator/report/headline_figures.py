"""The figures that a result is known by: one list for the console, the report and notebooks."""

from __future__ import annotations

from simulator.report import units
from simulator.result import Result

NamedFigures = tuple[tuple[str, str], ...]
"""Names as they stand in a sentence, each with its figure and unit."""


def headline_figures(result: Result) -> NamedFigures:
    """Time, energy, power, area and what follows from them; `not priced` where a price is missing.

    Energy, power and TOPS/W are with DRAM, those of the chip without. Of a batch the energy of one inference
    stands beside the total.
    """
    totals = result.totals
    return (
        ("latency", units.duration(totals.latency_ms)),
        ("cycles", units.fitting(totals.cycles)),
        ("utilization", units.percent(totals.utilization)),
        ("energy", units.energy(totals.energy_pj)),
        *_of_one_inference(result),
        ("power", units.power(totals.power_mw)),
        ("TOPS/W", units.efficiency(totals.tops_per_w)),
        ("chip energy", units.energy(totals.chip_energy_pj)),
        ("chip power", units.power(totals.chip_power_mw)),
        ("chip TOPS/W", units.efficiency(totals.chip_tops_per_w)),
        ("area", units.area(totals.area_um2)),
        ("MACs", units.quantity(totals.macs)),
        ("TOPS", units.significant(totals.tops)),
    )


def accuracy_figures(result: Result) -> NamedFigures:
    """Top-1 accuracy and agreement with float32, as far as they were measured."""
    accuracy = result.accuracy
    measured = () if accuracy is None else (
        ("top-1", accuracy.top1),
        ("as float32", accuracy.agreement_with_float32),
    )  # fmt: skip
    return tuple((name, units.percent(share)) for name, share in measured if share is not None)


def in_a_line(result: Result) -> str:
    """Time, energy, area and accuracy, the first without their names."""
    figures = dict(headline_figures(result))
    told = [figures[name] for name in ("latency", "energy", "area")]
    told += [f"{name} {figure}" for name, figure in accuracy_figures(result) if name == "top-1"]
    return ", ".join(told)


def _of_one_inference(result: Result) -> NamedFigures:
    batch, energy_pj = result.network.batch, result.totals.energy_pj
    if batch == 1:
        return ()
    return (("energy per inference", units.energy(None if energy_pj is None else energy_pj / batch)),)
