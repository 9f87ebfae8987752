"""The prices of an architecture: of its array, and of the MACs that single layers configure its PEs to."""

from __future__ import annotations

import json
from collections.abc import Sequence

from simulator.arch import ArchConfig
from simulator.arch.config import MacChoice
from simulator.cost.area import Area
from simulator.cost.mac_parts import structure_of
from simulator.cost.price import NotPriced
from simulator.cost.pricing import ArchitecturePricing, MacBlock
from simulator.cost.run_prices import PriceBook
from simulator.cost.unused import RowUse, grouped
from simulator.foundation import UserError
from simulator.numerics import get_mac
from simulator.result_sources import PriceSource, UnusedPrice
from simulator.system.objective import MovePrices


def move_prices_of(arch: ArchConfig) -> MovePrices | None:
    """What moves and cycles cost on an architecture that chooses tilings for the least energy; else None.

    Raises:
        UserError: it does, and one of these prices is missing.
    """
    objectives = {arch.tiling_of(layer).objective for layer in arch.layers} | {arch.tiling.objective}
    if "energy" not in objectives:
        return None
    found = PriceLists(arch).move_prices()
    if isinstance(found, NotPriced):
        raise UserError(
            f"cannot choose tilings for the least energy: {found.reason}",
            source=arch.name,
            location="tiling.objective",
            value="energy",
            allowed="latency or traffic, or tables that price all of them",
        )
    return found


class PriceLists:
    """The prices of an architecture's array, and of the MACs that single layers configure its PEs to.

    Raises:
        UserError: a price table that cannot be read.
    """

    def __init__(self, arch: ArchConfig) -> None:
        self.book = PriceBook.load(arch.tables)
        self._arch = arch
        self._known: dict[str, ArchitecturePricing] = {}
        self._general = self._pricing(arch.mac_choices())
        self._own = {
            name: self._pricing(arch.mac_choices(name))
            for name, config in arch.layers.items()
            if config.mac is not None
        }

    @property
    def name(self) -> str:
        """The array's MACs, left to right."""
        return self._general.name

    @property
    def area(self) -> Area:
        """Area of the array as it is between layers with a MAC of their own."""
        return self._general.area

    def move_prices(self) -> MovePrices | NotPriced:
        """What moves and cycles cost with the array's own MACs."""
        return self._general.move_prices()

    def of_layer(self, layer: str) -> ArchitecturePricing:
        """The prices that hold while a layer runs."""
        return self._own.get(layer, self._general)

    @property
    def warnings(self) -> list[str]:
        """What is wrong with the prices of some MAC."""
        return list(dict.fromkeys(text for pricing in self._known.values() for text in pricing.warnings))

    def unused(self, sources: Sequence[PriceSource]) -> list[UnusedPrice]:
        """Rows of the user's own tables that none of the prices used is."""
        known = self._known.values()
        use = RowUse(
            self._arch,
            self.book,
            [structure for pricing in known for structure in pricing.structures],
            {reference: price for pricing in known for reference, price in pricing.prices.used.items()},
        )
        used = {f"{source.table}:{source.row}" for source in sources}
        return [
            UnusedPrice(table=table, rows=rows, reason=reason, never=never)
            for (table, reason, never), rows in grouped(use.unused(used)).items()
        ]

    def notes(self, *, tensors_seen: bool) -> list[str]:
        """What a reader must know about the prices."""
        notes = [note for pricing in self._known.values() for note in pricing.notes]
        if not tensors_seen:
            notes.append(
                "no tensors were run: bits in busy PEs are taken to toggle as often as when the prices were"
                " characterised, registers of idle PEs to be clocked and not to toggle; energy_bound is the"
                " energy if they toggled as busy ones"
            )
            if self._arch.array.zero_gating:
                notes.append(
                    "zero gating: without tensors no operand is taken to be zero, so it saves nothing here"
                )
        if self._own:
            notes.append(
                "area is that of the array's own MAC; PEs that can be configured to others take more"
            )
        return list(dict.fromkeys(notes))

    def _pricing(self, choices: Sequence[tuple[MacChoice, int]]) -> ArchitecturePricing:
        """Prices with some MACs in the columns, looked up once for all layers that have the same ones."""
        key = choices_key(choices)
        if key not in self._known:
            macs = [
                MacBlock(structure_of(get_mac(choice, custom=self._arch.macs)), columns)
                for choice, columns in choices
            ]
            self._known[key] = ArchitecturePricing(self._arch, macs, self.book)
        return self._known[key]


def choices_key(choices: Sequence[tuple[MacChoice, int]]) -> str:
    """What tells the MACs of some columns from others."""
    return json.dumps(choices, sort_keys=True, default=str)
