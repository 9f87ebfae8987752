"""What an architecture would take from each of its tables, whatever the network, and what it never would."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from simulator.arch.config import ArchConfig
from simulator.cost.area import AreaLine
from simulator.cost.mac_parts import structure_of
from simulator.cost.price_lines import Action
from simulator.cost.pricing import ArchitecturePricing, MacBlock
from simulator.cost.provenance import missing_prices, price_sources
from simulator.cost.register_toggles import SwitchingActivity
from simulator.cost.run_prices import PriceBook
from simulator.cost.unused import RowUse, grouped
from simulator.dataflow import DataflowName
from simulator.numerics import get_mac
from simulator.operands import OPERANDS
from simulator.result import MissingPrice, PriceSource, UnusedPrice
from simulator.system.counts import ActionCounts, CycleBreakdown, PECycles, Traffic

_STEPS: Final = ("bias", "relu", "pool", "add")

_MANY: Final = 1 << 20
"""So many that every block of columns has some."""


def _everything(pricing: ArchitecturePricing, dataflow: DataflowName) -> ActionCounts:
    """Counts of a layer in which everything happens that has a price."""
    names = [structure.name for structure in pricing.structures]
    macs = _MANY * len(set(names))
    results = _MANY * len(names)
    traffic = Traffic(_MANY, _MANY, _MANY, _MANY)
    return ActionCounts(
        macs=macs,
        cycles=CycleBreakdown(compute=_MANY, fill=_MANY, drain=_MANY),
        pe_cycles=PECycles(useful=macs, idle=macs, shifting=macs, holding=macs),
        activation_codes=_MANY,
        weight_codes=_MANY,
        converter_operations=results,
        output_path_operations=dict.fromkeys(_STEPS, _MANY),
        sram=dict.fromkeys(OPERANDS, traffic),
        dram=dict.fromkeys(OPERANDS, traffic),
        macs_by_name=dict.fromkeys(names, _MANY),
        array_bytes=dict.fromkeys(OPERANDS, _MANY),
        dataflow=dataflow,
        results_by_block=(_MANY,) * len(names) if len(names) > 1 else (),
        hidden_shifts=_MANY,
        handovers=_MANY,
    )


_TOGGLES: Final = SwitchingActivity(1, 1, 1, 1)


@dataclass(frozen=True, slots=True)
class TableCheck:
    """An architecture beside its tables.

    tables: their names, in order.
    used: every price that a layer can meet.
    unused: rows of tables that are not bundled that no layer meets, with the reason.
    not_priced: what no table prices.
    warnings: where rows do not fit the MACs that they price.
    """

    tables: tuple[str, ...]
    used: tuple[PriceSource, ...]
    unused: tuple[UnusedPrice, ...]
    not_priced: tuple[MissingPrice, ...]
    warnings: tuple[str, ...]


def check_tables(arch: ArchConfig) -> TableCheck:
    """What an architecture takes from its tables. Raises UserError for a table or MAC that cannot be."""
    book = PriceBook.load(arch.tables)
    pricings = [_pricing(arch, layer, book) for layer in (None, *arch.layers)]
    actions: list[Action] = []
    areas: list[AreaLine] = []
    for layer, pricing in zip((None, *arch.layers), pricings, strict=True):
        dataflow = arch.array.dataflow if layer is None else arch.dataflow_of(layer)
        counts = _everything(pricing, dataflow)
        for activity in (None, _TOGGLES):
            actions += [line.action for line in pricing.layer(counts, activity).lines]
        areas += pricing.area.lines
    used = price_sources([*actions, *areas])
    rows = RowUse(
        arch,
        book,
        [structure for pricing in pricings for structure in pricing.structures],
        {reference: price for pricing in pricings for reference, price in pricing.prices.used.items()},
    )
    unused = grouped(rows.unused({f"{price.table}:{price.row}" for price in used}))
    return TableCheck(
        tuple(table.name for table in book.tables),
        tuple(used),
        tuple(
            UnusedPrice(table=table, rows=keys, reason=reason, never=never)
            for (table, reason, never), keys in unused.items()
        ),
        tuple(missing_prices(actions, areas)),
        tuple(dict.fromkeys(text for pricing in pricings for text in pricing.warnings)),
    )


def _pricing(arch: ArchConfig, layer: str | None, book: PriceBook) -> ArchitecturePricing:
    blocks = [
        MacBlock(structure_of(get_mac(choice, custom=arch.macs)), columns)
        for choice, columns in arch.mac_choices(layer)
    ]
    return ArchitecturePricing(arch, blocks, book)
